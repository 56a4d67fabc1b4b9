"""The checkpoints of a run: the latest and the best."""

import math
import pathlib
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy

from stochconv_jax.errors import InputError


class Progress(NamedTuple):
    """How far a run has come: steps made, and a row of metrics for each epoch."""

    step: int
    history: list[dict[str, float]]


class Checkpoints:
    """Saves and restores a run in `directory`/checkpoints; use as a context.

    What is restored is laid out by `sharding`, whatever devices it was saved from.
    """

    def __init__(self, directory: pathlib.Path, sharding: jax.sharding.Sharding):
        self.sharding = sharding
        keep = preservation_policy.AnyPreservationPolicy(
            [
                preservation_policy.LatestN(1),
                preservation_policy.BestN(get_metric_fn=lambda metrics: metrics["score"], n=1),
            ]
        )
        self.manager = ocp.CheckpointManager(
            (directory / "checkpoints").absolute(),
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
