"""Configs from Python files: the user's, or those shipped."""

import pathlib
import runpy
import traceback

from ml_collections import ConfigDict

from stochconv_jax.errors import InputError

SHIPPED = pathlib.Path(__file__).parent / "configs"


def load_config(name: str) -> ConfigDict:
    """Returns what a config file's `get_config` makes, locked.

    Args:
      name: FILE or FILE:ARGUMENT. A file that is not there is looked for among those shipped, with
        or without "configs/" and ".py".

    Raises:
      InputError: there is no such file, or it cannot be loaded, for whatever reason.
    """
    file, *argument = name.split(":", 1)
    path = _find(file)
    try:
        config = runpy.run_path(str(path))["get_config"](*argument)
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"the config {file!r} cannot be loaded: {_reason(error, path)}") from error
    if not isinstance(config, ConfigDict):
        raise InputError(
            f"the config {file!r} cannot be loaded: get_config returned a {type(config).__name__}; "
            "return an ml_collections.ConfigDict"
        )
    return config.lock()


def _find(file: str) -> pathlib.Path:
    path = pathlib.Path(file)
    if path.is_file():
        return path
    parts = path.parts[1:] if path.parts[:1] == ("configs",) else path.parts
    shipped = SHIPPED.joinpath(*parts).with_suffix(".py")
    if not path.is_absolute() and shipped.is_file():
        return shipped
    names = [*SHIPPED.glob("*.py"), *SHIPPED.glob("papers/*.py"), *SHIPPED.glob("studies/*.py")]
    known = sorted(name.relative_to(SHIPPED).with_suffix("").as_posix() for name in names)
    shown = ", ".join(name for name in known if not name.endswith("base"))
    raise InputError(
        f"the config {file!r} is not a file; name one of yours or of those shipped: {shown}"
    )


def _reason(error: BaseException, path: pathlib.Path) -> str:
    """The error's type, line in the file at `path` and text, and what to do about it."""
    if isinstance(error, KeyError) and error.args == ("get_config",):
        return "it has no function get_config; write one that returns the config"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) else next(reversed(lines), None)
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    # An unknown field's text goes on to list the whole config.
    text = text.strip("'\"").partition(" and cannot be added")[0].partition("\n")[0]
    where = f" in line {line}" if line else ""
    advice = "correct the file"
    if isinstance(error, ImportError) and str(error.name).partition(".")[0] == "configs":
        advice = "import from stochconv_jax.configs instead of configs"
    return f"{type(error).__name__}{where}: {text}; {advice}"
