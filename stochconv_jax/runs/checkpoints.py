"""A run's directory: its config and its checkpoints, the latest and the best."""

import json
import math
import pathlib
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from ml_collections import ConfigDict
from orbax.checkpoint.checkpoint_managers import preservation_policy

from stochconv_jax.atomic_write import atomic_write
from stochconv_jax.errors import InputError

# Fields that may change from one command to the next on the same directory.
FREE_FIELDS = (
    "eval",
    "train.epochs",
    "data.workers",
    "data.prepared_directory",
    "data.allow_shared_groups",
    "model.remat",
)


class Progress(NamedTuple):
    """How far a run has come: steps made, and a row of metrics for each epoch."""

    step: int
    history: list[dict[str, float]]


class Checkpoints:
    """Saves and restores a run in `workdir`/checkpoints; use as a context.

    What is restored is laid out by `sharding`, whatever devices it was saved from.
    """

    def __init__(self, workdir: pathlib.Path, sharding: jax.sharding.Sharding):
        self.sharding = sharding
        keep = preservation_policy.AnyPreservationPolicy(
            [
                preservation_policy.LatestN(1),
                preservation_policy.BestN(get_metric_fn=lambda metrics: metrics["score"], n=1),
            ]
        )
        self.manager = ocp.CheckpointManager(
            (workdir / "checkpoints").absolute(),
            options=ocp.CheckpointManagerOptions(
                preservation_policy=keep,
                best_fn=lambda metrics: metrics["score"],
                enable_async_checkpointing=False,
            ),
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self.manager.close()

    def save(self, model: Any, optimizer: Any, progress: Progress, score: float) -> None:
        """Saves the arrays of model and optimizer with the progress; higher scores are better."""
        # A score that is no number must never be the best.
        score = -math.inf if math.isnan(score) else score
        self.manager.save(
            progress.step,
            args=ocp.args.Composite(
                model=ocp.args.StandardSave(model),
                optimizer=ocp.args.StandardSave(optimizer),
                progress=ocp.args.JsonSave(progress._asdict()),
            ),
            metrics={"score": score},
        )

    def restore_latest(self, model: Any, optimizer: Any) -> tuple[Any, Any, Progress] | None:
        """Restores into trees of the same shapes; None where nothing has been saved."""
        step = self.manager.latest_step()
        if step is None:
            return None
        restored = self.manager.restore(
            step,
            args=ocp.args.Composite(
                model=self._restore(model),
                optimizer=self._restore(optimizer),
                progress=ocp.args.JsonRestore(),
            ),
        )
        return restored.model, restored.optimizer, Progress(**restored.progress)

    def restore_model(self, which: str, model: Any) -> tuple[Any, int]:
        """Restores the "best" or "latest" model into abstract arrays; returns it and its step.

        Raises:
          InputError: nothing has been saved.
        """
        step = self.manager.best_step() if which == "best" else self.manager.latest_step()
        if step is None:
            raise InputError(
                f"{self.manager.directory} holds no checkpoint; train with train.py first"
            )
        arguments = ocp.args.Composite(model=self._restore(model))
        return self.manager.restore(step, args=arguments).model, step

    def epochs(self) -> int:
        """Returns the epochs that the run has trained, as its latest checkpoint tells."""
        arguments = ocp.args.Composite(progress=ocp.args.JsonRestore())
        restored = self.manager.restore(self.manager.latest_step(), args=arguments)
        return len(restored.progress["history"])

    def _restore(self, tree: Any) -> ocp.args.StandardRestore:
        return ocp.args.StandardRestore(
            jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=self.sharding),
                tree,
            )
        )


def save_identity(config: ConfigDict, data: dict[str, Any], workdir: pathlib.Path) -> None:
    """Writes config.json and data.json, each whole or not at all: what a run is made with."""
    workdir.mkdir(parents=True, exist_ok=True)
    for name, content in {"config.json": config.to_dict(), "data.json": data}.items():
        atomic_write(workdir / name, json.dumps(content, indent=2) + "\n")


def check_config(config: ConfigDict, workdir: pathlib.Path) -> None:
    """Compares a config with the one that the checkpoints in `workdir` were made with, if any.

    Raises:
      InputError: they differ in a field that a run must keep, or `workdir` is not a directory.
    """
    made_with = _read(workdir, "config.json")
    given = _flatten(json.loads(json.dumps(config.to_dict())))
    differences = [
        f"{field} is {value!r} there and {given.get(field)!r} here"
        for field, value in _flatten(made_with).items()
        if not any(field == name or field.startswith(f"{name}.") for name in FREE_FIELDS)
        and value != given.get(field)
    ]
    if differences:
        raise InputError(
            f"{workdir} was made with another config: {', '.join(differences)}; give its values "
            "or another --workdir"
        )


def check_data(data: dict[str, Any], workdir: pathlib.Path) -> None:
    """Compares a data set's identity with that of the checkpoints in `workdir`, if any.

    Raises:
      InputError: the images, their classes or their splits are others.
    """
    for name, value in _read(workdir, "data.json").items():
        if value != data[name]:
            raise InputError(
                f"{workdir} was trained on other data: {name} is {value!r} there and "
                f"{data[name]!r} here; bring the same images, classes and splits, or use another "
                "--workdir"
            )


def _read(workdir: pathlib.Path, name: str) -> dict[str, Any]:
    """Reads a file of a run that has a checkpoint; a run without one may still be changed."""
    if workdir.exists() and not workdir.is_dir():
        raise InputError(f"--workdir {workdir} is a file; name a directory")
    saved = any(path.name.isdigit() for path in (workdir / "checkpoints").glob("*"))
    if not saved or not (workdir / name).exists():
        return {}
    try:
        return json.loads((workdir / name).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{workdir / name} is damaged ({error}); use another --workdir") from error


def _flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
