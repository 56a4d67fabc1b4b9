"""The model card of an exported network, as the Hugging Face Hub reads it."""

import collections
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jinja2

from stochconv_jax.evaluation.kept_evaluation import read_metrics
from stochconv_jax.evaluation.report import EXPLANATIONS
from stochconv_jax.markdown_table import markdown_cell
from stochconv_jax.prediction.predictor import Predictor
from stochconv_jax.runs.provenance import read_starts

# As the Hub calls what is measured.
METRICS = ("roc_auc", "accuracy", "balanced_accuracy", "brier_score")
DATA = {
    "synthetic_lesions": "synthetic lesions, drawn by a program",
    "image_folder": "a folder of images",
    "prepared": "prepared images",
    "table": "a table without images",
}
SPLITS = ("train", "validation", "test")


def model_card(predictor: Predictor, content: Mapping[str, Any], name: str, licence: str) -> str:
    """Returns README.md.

    Args:
      predictor: the run, restored.
      content: of the config.json beside it.
      name: of the network.
      licence: an identifier, such as "apache-2.0"; "" where none is stated.
    """
    run = predictor.network.run
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("stochconv_jax.exporting", "."),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["figure"] = _figure
    environment.filters["json"] = json.dumps
    environment.filters["cell"] = markdown_cell
    images = run.images()
    return environment.get_template("model_card.md.jinja").render(
        name=name,
        licence=licence,
        content=content,
        model=run.config.model,
        low_size=run.config.data.low_size,
        crop_size=run.config.data.crop_size,
        data=_data_name(run.config.data),
        synthetic=run.config.data.name == "synthetic_lesions",
        counts=_counts(images, run.classes),
        splits=SPLITS,
        groups=len({row["group"] for row in images} - {""}),
        evaluations=_evaluations(run.directory, content),
        explanations=EXPLANATIONS,
        hub_metrics=METRICS,
        started=read_starts(run.directory)[-1],
        pretrained=bool(run.config.model.weights),
        jax_version=jax.__version__,
    )


def _data_name(data: Any) -> str:
    """The kind of data and the last name of where they lay, without the way there."""
    named = pathlib.Path(data.directory).name
    return f"{DATA.get(data.name, data.name)}{f' ({named})' if named else ''}"


def _counts(images: list[dict[str, str]], classes: tuple[str, ...]) -> dict[str, list[int]]:
    """Images of each class in each of SPLITS."""
    found = collections.Counter((row["label"], row["split"]) for row in images)
    return {name: [found[name, split] for split in SPLITS] for name in classes}


def _evaluations(directory: pathlib.Path, content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the run's kept evaluations say, its own first; of each what differs from this export."""
    kept = []
    for path in [directory / "eval", *sorted(directory.glob("eval_*"))]:
        metrics = read_metrics(path)
        if metrics is None:
            continue
        here = {"step": content["step"], "draws": content["output"]["shape"][0]}
        differs = [f"{name} {metrics[name]}" for name in here if metrics[name] != here[name]]
        kept.append(
            {
                "name": path.name.removeprefix("eval_") if path.name != "eval" else "",
                "differs": ", ".join(differs),
                "metrics": metrics,
                "figures": {
                    name: metrics[name]
                    for name in EXPLANATIONS
                    if metrics.get(name) is not None and name not in ("images", "groups", "draws")
                },
            }
        )
    return kept


def _figure(value: float, limits: Any = None) -> str:
    """A figure with its interval, a dash where there is none."""
    if value is None:
        return "-"
    if not limits or None in limits:
        return f"{value:.3f}"
    return f"{value:.3f} [{limits[0]:.3f}, {limits[1]:.3f}]"
