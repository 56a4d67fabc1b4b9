"""A study: several models, trained and evaluated with several seeds, on several folds."""

import json
import pathlib
import time
from typing import NamedTuple

import jax
from filelock import Timeout
from ml_collections import ConfigDict

from stochconv_jax.config_limits import check_limits
from stochconv_jax.errors import InputError
from stochconv_jax.evaluation.evaluate import evaluate
from stochconv_jax.evaluation.kept_evaluation import read_metrics
from stochconv_jax.hosts.exchange import of_first, process_count, together
from stochconv_jax.models.from_config import model_from_config
from stochconv_jax.runs.compilation_cache import keep_compiled
from stochconv_jax.runs.identity import check_config
from stochconv_jax.runs.lock import run_lock
from stochconv_jax.training.early_stopping import is_finished
from stochconv_jax.training.history import read_history
from stochconv_jax.training.loop import train


class PlannedRun(NamedTuple):
    """One training of a study, in the directory `name` of its own."""

    name: str
    config: ConfigDict


def study(config: ConfigDict, workdir: str) -> None:
    """Makes all runs of a study that nobody has made or is making.

    Leaves what train.py and eval.py leave, in a directory MODEL/seedN or MODEL/seedN_foldM each.

    Raises:
      InputError: the study or a model of it is not usable, or a run failed; the others go on.
    """
    directory = pathlib.Path(workdir)
    runs = make_runs(config)
    directory.mkdir(parents=True, exist_ok=True)
    keep_compiled()  # the runs of a model differ in their seed alone and need compiling once
    data = config.base.data
    print(f"{len(runs)} runs on data.name={data.name} {data.directory}".rstrip(), flush=True)
    failed, elsewhere, start = [], 0, time.perf_counter()
    for number, run in enumerate(runs, 1):
        print(f"run {number} of {len(runs)}: {run.name}", flush=True)
        path = directory / run.name
        path.mkdir(parents=True, exist_ok=True)
        try:
            if not _make_alone(run, path):
                elsewhere += 1
                print("another process is at it", flush=True)
        except _failures() as error:
            failed.append(run.name)
            print(f"failed: {error}", flush=True)
    minutes = (time.perf_counter() - start) / 60
    done = len(runs) - len(failed) - elsewhere
    others = f", {elsewhere} left to other processes" if elsewhere else ""
    print(f"{done} of {len(runs)} runs are done{others}, {minutes:.0f} min")
    if failed:
        raise InputError(f"{len(failed)} runs failed ({', '.join(failed)}); the reasons are above")


def make_runs(study_config: ConfigDict) -> list[PlannedRun]:
    """Returns a study's runs, whole rounds of models first, so that an early end is a fair one.

    Raises:
      InputError: the config is none of a study, a field is unknown, or a model cannot be built.
    """
    if not {"base", "models", "seeds", "folds"} <= set(study_config):
        raise InputError("the config is not a study; name one such as configs/studies/quick.py")
    configs = {name: _model_config(study_config, name) for name in study_config.models}
    runs = []
    for seed in study_config.seeds:
        for fold in range(max(study_config.folds, 1)):
            for name, config in configs.items():
                copy = config.copy_and_resolve_references()
                copy.seed = seed
                if study_config.folds:
                    copy.data.fold = fold
                suffix = f"_fold{fold}" if study_config.folds else ""
                runs.append(PlannedRun(f"{name}/seed{seed}{suffix}", copy.lock()))
    return runs


def _model_config(study_config: ConfigDict, name: str) -> ConfigDict:
    config = study_config.base.copy_and_resolve_references().lock()
    try:
        config.update(study_config.models[name])
        check_limits(config)
        model_from_config(config, num_outputs=1, abstract=True)
    except KeyError as error:
        # It goes on to list the whole config.
        message = str(error).strip("'\"").partition(" and cannot be added")[0]
        raise InputError(f"the study's model {name!r} is not usable: {message}") from error
    except (InputError, TypeError, AttributeError) as error:
        raise InputError(f"the study's model {name!r} is not usable: {error}") from error
    return config


def _failures() -> tuple[type[Exception], ...]:
    """What ends a run and not the study."""
    # Memory that ran out and a lost process are one error to JAX: after the latter nothing goes on.
    return (InputError,) if process_count() > 1 else (InputError, jax.errors.JaxRuntimeError)


def _make_alone(run: PlannedRun, path: pathlib.Path) -> bool:
    """Makes a run, unless processes that have not joined these are at it; returns whether."""
    lock = run_lock(path)

    def take() -> bool:
        try:
            lock.acquire()
        except Timeout:
            return False
        return True

    if not of_first(take):
        return False
    try:
        together(lambda: _make(run, path))
    finally:
        lock.release()
    return True


def _make(run: PlannedRun, path: pathlib.Path) -> None:
    check_config(run.config, path)
    if not of_first(lambda: is_finished(read_history(path), run.config.train)):
        train(run.config, str(path))
    if not of_first(lambda: is_evaluated(path, run.config)):
        evaluate(run.config, str(path))


def is_evaluated(path: pathlib.Path, config: ConfigDict) -> bool:
    """Returns whether the run in `path` has been evaluated as `config` says, its training over."""
    done = read_metrics(path / "eval")
    if done is None:
        return False
    asked = json.loads(json.dumps(config.eval.to_dict()))
    return done.get("eval") == asked and done.get("epochs") == len(read_history(path))
