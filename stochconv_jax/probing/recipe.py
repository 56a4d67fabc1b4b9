"""The commands that train what is advised, ready to be copied."""

import shlex
from collections.abc import Mapping

from stochconv_jax.probing.advice import DRAWS, PARTS, POOLED
from stochconv_jax.probing.inputs import shrunk_size

PREPARED, WINDOWS, ORDINARY = "prepared/mine", "runs/windows", "runs/two_ordinary"


def training_commands(
    size: tuple[int, int], verb: str, source: str, columns: Mapping[str, str]
) -> list[str]:
    """Returns the commands for a network with windows and its twin with an ordinary branch.

    Args:
      size: (height, width) of full size.
      verb: "folder", whose images are first prepared, look-alikes and small ones with the others,
        since the probe looked at them all; or "prepared".
      source: directory of the images.
      columns: options of the probe other than their defaults, such as {"label_column": "grade"}.
    """
    height, width = _even(size)
    low_height, low_width = _even(shrunk_size(size, PARTS))
    prepare, directory, fields = [], source, columns
    if verb == "folder":
        options = [f"--{name.replace('_', '-')}={value}" for name, value in columns.items()]
        prepare = [
            _command("-m stochconv_jax.prepare", "folder", f"--source={source}", *options)
            + f" --near-duplicate-distance=-1 --minimum-size=1 --size={height}x{width}"
            f" --output={PREPARED}"
        ]
        directory, fields = PREPARED, {}
    seen = [
        f"--config.data.high_size=({height},{width})",
        f"--config.data.low_size=({low_height},{low_width})",
        # Views that are resampled lose the detail that windows are there for.
        "--config.data.augment.rotation=0",
        "--config.data.augment.crop_area=(1.0,1.0)",
        "--config.data.augment.crop_aspect=(1.0,1.0)",
        f"--config.data.directory={directory}",
        *(f"--config.data.{name}={value}" for name, value in fields.items()),
    ]
    windows = [
        "--config.model.branches=('global','stochastic')",
        "--config.model.windows=1",
        f"--config.model.pooled_draws={POOLED}",
        f"--config.eval.samples={DRAWS // POOLED}",
    ]
    ordinary = ["--config.model.branches=('global','global')"]
    config = "--config=configs/finetune.py:prepared"
    return [
        *prepare,
        _command("train.py", config, *seen, *windows, f"--workdir={WINDOWS}"),
        _command("train.py", config, *seen, *ordinary, f"--workdir={ORDINARY}"),
        _command("eval.py", f"--workdir={WINDOWS}"),
        _command("eval.py", f"--workdir={ORDINARY}"),
        _command(
            "-m stochconv_jax.compare", WINDOWS, ORDINARY, "--reference=two_ordinary",
            "--output=runs/comparison",
        ),
    ]  # fmt: skip


def _command(program: str, *arguments: str) -> str:
    return " ".join([f"python {program}", *map(_quoted, arguments)])


def _quoted(argument: str) -> str:
    # As people write them; what a shell reads within double quotes is left to shlex.
    simple = "'" in argument and not set(argument) & set('"$`\\!')
    return f'"{argument}"' if simple else shlex.quote(argument)


def _even(size: tuple[int, int]) -> tuple[int, int]:
    """Returns (height, width) rounded down to even sides, 2 or more, as windows have them."""
    return max(2, size[0] // 2 * 2), max(2, size[1] // 2 * 2)
