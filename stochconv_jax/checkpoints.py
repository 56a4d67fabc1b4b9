"""A run's directory: its config and its checkpoints, the latest and the best."""

import json
import math
import pathlib
from typing import Any, NamedTuple

import orbax.checkpoint as ocp
from ml_collections import ConfigDict
from orbax.checkpoint.checkpoint_managers import preservation_policy

from stochconv_jax.errors import InputError

# Fields that may change from one command to the next on the same directory.
FREE_FIELDS = ("eval", "train.epochs", "data.workers", "data.prepared_directory")


class Progress(NamedTuple):
    """How far a run has come: steps made, and a row of metrics for each epoch."""

    step: int
    history: list[dict[str, float]]


class Checkpoints:
    """Saves and restores a run in `workdir`/checkpoints; use as a context."""

    def __init__(self, workdir: pathlib.Path):
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
        """Restores into arrays of the same shapes; None where nothing has been saved."""
        step = self.manager.latest_step()
        if step is None:
            return None
        restored = self.manager.restore(
            step,
            args=ocp.args.Composite(
                model=ocp.args.StandardRestore(model),
                optimizer=ocp.args.StandardRestore(optimizer),
                progress=ocp.args.JsonRestore(),
            ),
        )
        return restored.model, restored.optimizer, Progress(**restored.progress)

    def restore_model(self, which: str, model: Any) -> tuple[Any, int]:
        """Restores the "best" or "latest" model into abstract arrays; returns it and its step.

        Raises:
          InputError: nothing has been saved, or `which` is neither.
        """
        if which not in ("best", "latest"):
            raise InputError(f"eval.checkpoint is {which!r}; use best or latest")
        step = self.manager.best_step() if which == "best" else self.manager.latest_step()
        if step is None:
            raise InputError(
                f"{self.manager.directory} holds no checkpoint; train with train.py first"
            )
        arguments = ocp.args.Composite(model=ocp.args.StandardRestore(model))
        return self.manager.restore(step, args=arguments).model, step


def save_config(config: ConfigDict, workdir: pathlib.Path) -> None:
    """Writes config.json into `workdir`, whole or not at all."""
    workdir.mkdir(parents=True, exist_ok=True)
    part = workdir / "config.json.part"
    part.write_text(json.dumps(config.to_dict(), indent=2) + "\n", encoding="utf-8")
    part.replace(workdir / "config.json")


def check_config(config: ConfigDict, workdir: pathlib.Path) -> None:
    """Compares a config with the one that `workdir` was made with, if any.

    Raises:
      InputError: they differ in a field that a run must keep.
    """
    path = workdir / "config.json"
    if not path.exists():
        return
    made_with = _flatten(json.loads(path.read_text(encoding="utf-8")))
    given = _flatten(json.loads(json.dumps(config.to_dict())))
    for field in sorted(made_with.keys() | given.keys()):
        free = any(field == name or field.startswith(f"{name}.") for name in FREE_FIELDS)
        if not free and made_with.get(field) != given.get(field):
            raise InputError(
                f"{workdir} was made with another config: {field} is {made_with.get(field)!r} "
                f"there and {given.get(field)!r} here; use its own config or another --workdir"
            )


def _flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
