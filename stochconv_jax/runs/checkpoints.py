"""The checkpoints of a run: the latest two and the best."""

import contextlib
import math
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy

from stochconv_jax.errors import InputError
from stochconv_jax.failing_disk import SaveFailedError, find_os_error
from stochconv_jax.hosts.exchange import is_first
from stochconv_jax.runs.checkpoint_files import find_damage, write_digests
from stochconv_jax.termination import Terminated, held_back

# Of an epoch that has begun and not been validated, and of one whose score is no number.
NO_SCORE, NAN_SCORE = -math.inf, -1e30


class Progress(NamedTuple):
    """How far a run has come.

    Attributes:
      step: steps made.
      history: a row of metrics for each epoch.
      seconds: spent on the epoch that has begun.
    """

    step: int
    history: list[dict[str, float]]
    seconds: float = 0.0


class Restored(NamedTuple):
    """What a checkpoint holds: model, optimizer, progress, and arrays of the epoch's steps."""

    model: Any
    optimizer: Any
    progress: Progress
    epoch: Mapping[str, np.ndarray] | None


class Checkpoints:
    """Saves and restores a run in `directory`/checkpoints; use as a context.

    What is restored is laid out by `sharding`, whatever devices it was saved from. Saving goes on
    in the background; leaving the context waits for its end. One before the latest is kept, to go
    on from should a file of the latest be damaged.
    """

    def __init__(self, directory: pathlib.Path, sharding: jax.sharding.Sharding, saves: bool):
        """Opens the directory; one that saves removes what an interrupted save left.

        Raises:
          InputError: what tells the best and the latest is damaged, and would not be set aside.
        """
        self.directory = (directory / "checkpoints").absolute()
        if not saves:
            self._check_told()
        self.sharding = sharding
        keep = preservation_policy.AnyPreservationPolicy(
            [
                preservation_policy.LatestN(2),
                preservation_policy.BestN(get_metric_fn=lambda metrics: metrics["score"], n=1),
            ]
        )
        self.manager = ocp.CheckpointManager(
            self.directory,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=keep,
                best_fn=lambda metrics: metrics["score"],
                cleanup_tmp_directories=saves,
                async_options=ocp.AsyncOptions(post_finalization_callback=self._write_digests),
            ),
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            # Schedulers that send SIGTERM twice must not stop what the first one began to save.
            with held_back(), self._failures():
                self.manager.close()
        except Terminated:
            if kind is None:
                raise

    def save(
        self,
        model: Any,
        optimizer: Any,
        progress: Progress,
        score: float = NO_SCORE,
        epoch: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Begins to save, once an earlier save is over; the arrays may be donated afterwards.

        Args:
          model: its arrays.
          optimizer: its arrays.
          progress: how far the run has come.
          score: of an epoch that was validated; higher is better.
          epoch: arrays of an epoch that is not over.

        Raises:
          SaveFailedError: the disk is full or failing; leaving the context raises it as well.
        """
        items: dict[str, Any] = {
            "model": ocp.args.StandardSave(model),
            "optimizer": ocp.args.StandardSave(optimizer),
            "progress": ocp.args.JsonSave(progress._asdict()),
        }
        if epoch is not None:
            items["epoch"] = ocp.args.StandardSave(dict(epoch))
        # A score that is no number must never be the best.
        score = NAN_SCORE if math.isnan(score) else score
        if progress.step in self.manager.all_steps():
            # SIGTERM came at an epoch's end, before it was validated.
            self.manager.delete(progress.step)
        arguments = ocp.args.Composite(**items)
        with self._failures():
            self.manager.save(progress.step, args=arguments, metrics={"score": score})

    def restore_latest(self, model: Any, optimizer: Any) -> Restored | None:
        """Restores into trees of the same shapes; None where nothing has been saved."""
        step = self.manager.latest_step()
        if step is None:
            return None
        items: dict[str, Any] = {
            "model": self._restore(model),
            "optimizer": self._restore(optimizer),
            "progress": ocp.args.JsonRestore(),
        }
        if (self.directory / str(step) / "epoch").is_dir():
            items["epoch"] = ocp.args.StandardRestore()
        found = self.manager.restore(step, args=ocp.args.Composite(**items))
        progress = Progress(**found.progress)
        return Restored(found.model, found.optimizer, progress, found.get("epoch"))

    def restore_model(self, which: str, model: Any) -> tuple[Any, int]:
        """Restores the "best" or "latest" model into abstract arrays; returns it and its step.

        Raises:
          InputError: nothing has been saved, it is damaged, or no epoch is whole, to be the best.
        """
        step = self.manager.best_step() if which == "best" else self.manager.latest_step()
        if step is None:
            raise InputError(f"{self.directory} holds no checkpoint; train with train.py first")
        if which == "best" and (self.directory / str(step) / "epoch").is_dir():
            raise InputError(
                f"{self.directory} holds no checkpoint of a whole epoch, so that none is the best; "
                "train on, or use the latest (eval.checkpoint=latest)"
            )
        damage = find_damage(self.directory / str(step), "model")
        if damage:
            other = "latest" if which == "best" else "best"
            raise InputError(
                f"{self.directory / str(step)} is damaged: {damage}; train on, which goes back to "
                f"one that is whole, or use another (eval.checkpoint={other})"
            )
        arguments = ocp.args.Composite(model=self._restore(model))
        return self.manager.restore(step, args=arguments).model, step

    def epochs(self) -> int:
        """Returns the epochs that the run has trained, as its latest checkpoint tells."""
        arguments = ocp.args.Composite(progress=ocp.args.JsonRestore())
        restored = self.manager.restore(self.manager.latest_step(), args=arguments)
        return len(restored.progress["history"])

    def steps(self) -> list[int]:
        """Returns the steps of which there are checkpoints."""
        return list(self.manager.all_steps())

    def _check_told(self) -> None:
        for checkpoint in self.directory.glob("[0-9]*"):
            damage = find_damage(checkpoint, "metrics") or find_damage(checkpoint, "progress")
            if damage and checkpoint.name.isdecimal():
                raise InputError(
                    f"{checkpoint} is damaged: {damage}; train on, which goes back to one that is "
                    "whole"
                )

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # Orbax, TensorStore and asyncio each have types of their own
            found = find_os_error(error)
            if found is None:
                raise
            where = found.filename or str(self.directory)
            raise SaveFailedError(found.errno, found.strerror, where) from error

    def _write_digests(self) -> None:
        if not is_first():
            return
        # Orbax calls this when all is written and nothing has its name yet; it saves one at a time.
        for unfinished in self.directory.glob("*.orbax-checkpoint-tmp*"):
            write_digests(unfinished)

    def _restore(self, tree: Any) -> ocp.args.StandardRestore:
        return ocp.args.StandardRestore(
            jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=self.sharding),
                tree,
            )
        )
