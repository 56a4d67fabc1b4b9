"""Logistic regression on what a table knows: python -m benchmarks.metadata_baseline.

On the same inputs, folds and groups as configs/studies/metadata.py, whose runs `stochconv compare`
sets beside what this leaves. Nothing in it is drawn, so that one seed stands for all.
"""

import argparse
import pathlib
from collections.abc import Sequence

import numpy as np
from ml_collections import ConfigDict
from sklearn.linear_model import LogisticRegression

from stochconv_jax.configs.studies import metadata as metadata_study
from stochconv_jax.data.dataset.image_dataset import ImageDataset
from stochconv_jax.evaluation.estimate import roc_auc_value
from stochconv_jax.evaluation.kept_evaluation import write_evaluation
from stochconv_jax.evaluation.metrics import log_loss
from stochconv_jax.evaluation.report import write_report
from stochconv_jax.evaluation.summary import summarize
from stochconv_jax.evidence.study import make_runs
from stochconv_jax.inference.predict import Predictions
from stochconv_jax.runs.provenance import provenance
from stochconv_jax.runs.run import Run
from stochconv_jax.training.history import History

MODEL = "dense"  # of the study; its fields but for the network are the baseline's


def main(arguments: Sequence[str] | None = None) -> None:
    """Fits every fold and leaves what a study's runs leave."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directory", required=True, help="of ISIC 2020's table")
    parser.add_argument("--workdir", required=True, help="directory of the model's runs")
    parser.add_argument("--seeds", type=int, default=1, help="copies, for studies of several")
    options = parser.parse_args(arguments)
    study = metadata_study.get_config()
    study.base.data.directory = options.directory
    study.seeds = tuple(range(options.seeds))
    for run in make_runs(study):
        model, _, name = run.name.partition("/")
        if model == MODEL:
            _fit(run.config, pathlib.Path(options.workdir) / name)


def _fit(config: ConfigDict, workdir: pathlib.Path) -> None:
    config = config.copy_and_resolve_references().unlock()
    config.train.epochs = 1
    with Run.create(config.lock(), workdir) as (run, dataset):
        assert run.metadata is not None
        inputs = run.metadata(dataset.examples)
        training = dataset.indices("train")
        regression = LogisticRegression(max_iter=1000)
        regression.fit(inputs[training], dataset.labels[training])
        found = {
            split: _predictions(dataset, split, regression.decision_function(inputs))
            for split in ("train", "validation")
        }
        History(workdir).write([_row(found["train"], found["validation"])])
        _evaluate(run, dataset, found["validation"])


def _predictions(dataset: ImageDataset, split: str, logits: np.ndarray) -> Predictions:
    indices = dataset.indices(split)
    own = logits[indices].astype(np.float32)[:, None, None]
    return Predictions(indices, dataset.labels[indices], own)


def _row(train: Predictions, validation: Predictions) -> dict[str, float]:
    row = {"epoch": 1.0, "seconds": 0.0, "images_per_second": float("nan")}
    for name, found in (("train", train), ("val", validation)):
        mean = found.probabilities.mean(axis=1)
        row[f"{name}_loss"] = log_loss(found.labels, mean)
        row[f"{name}_auc"] = roc_auc_value(found.labels, mean)
    return row


def _evaluate(run: Run, dataset: ImageDataset, found: Predictions) -> None:
    examples = [dataset.examples[index] for index in found.indices]
    metrics = {
        "split": "validation",
        "checkpoint": run.config.eval.checkpoint,
        "step": 1,
        "epochs": 1,
        "class_names": list(dataset.classes),
        **summarize(found, examples, dataset.classes, resamples=run.config.eval.resamples),
        "eval": run.config.eval.to_dict(),
        "data": dataset.identity,
        "left_out": [],
        "provenance": provenance(),
    }
    name = "/".join(run.directory.parts[-2:])
    report = write_report(name, run.config, metrics, found, dataset, run.config.data.directory)
    write_evaluation(run.directory / "eval", metrics, report, found, dataset)
    print(f"{name}: ROC AUC {metrics['roc_auc']:.4f}", flush=True)


if __name__ == "__main__":
    main()
