"""What a retraining found, kept in the new run."""

import json
import pathlib
from typing import Any

from ml_collections import ConfigDict

from stochconv_jax.atomic_write import atomic_write
from stochconv_jax.feedback.retraining import Outcome
from stochconv_jax.markdown_table import markdown_table
from stochconv_jax.runs.provenance import provenance

NAME = "retraining"


def write_record(directory: pathlib.Path, outcome: Outcome) -> None:
    """Writes retraining.json and, to be read, retraining.md."""
    told = describe(outcome)
    atomic_write(directory / f"{NAME}.md", _page(told))
    atomic_write(directory / f"{NAME}.json", json.dumps(told, indent=2) + "\n")


def describe(outcome: Outcome) -> dict[str, Any]:
    """Returns all that is known of a retraining, as JSON knows it."""
    retraining, verdict = outcome.retraining, outcome.verdict
    feedback, config = retraining.feedback, retraining.config
    return {
        "taken": verdict.taken,
        "sentence": verdict.sentence(),
        "old_run": str(retraining.old.run.directory),
        "old_step": retraining.old.step,
        "new_step": outcome.new.step,
        "changed": changed_fields(retraining.old.run.config, config),
        "feedback": config.data.feedback[-1],
        "added": feedback.added,
        "left_out": [each._asdict() for each in feedback.left_out],
        "held_out": {
            "split": retraining.split,
            "checkpoint": config.eval.checkpoint,
            "draws": config.eval.samples,
            **verdict.to_json(),
        },
        "corrected_images": {
            "note": "the new network was trained on them, and the old one was flagged on them",
            "images": feedback.added,
            "old_right": outcome.old_right,
            "new_right": outcome.new_right,
        },
        "provenance": provenance(),
    }


def changed_fields(old: ConfigDict, new: ConfigDict) -> dict[str, list[Any]]:
    """Returns what trains otherwise than in the old run: old and new value by the field's name."""
    return {
        f"train.{name}": [old.train[name], value]
        for name, value in new.train.items()
        if old.train[name] != value
    }


def corrected_sentence(outcome: Outcome) -> str:
    """Returns how both networks decide on the corrected images, and what that is worth."""
    return (
        f"of the {outcome.retraining.feedback.added} corrected images the old network decides "
        f"{outcome.old_right} right and the new one, which was trained on them, {outcome.new_right}"
    )


def _page(told: dict[str, Any]) -> str:
    held_out, corrected = told["held_out"], told["corrected_images"]
    figures = markdown_table(
        ["", "old", "new", "difference"],
        [
            [
                f"ROC AUC, {held_out['split']}",
                _with_interval(held_out["old"], held_out["old_interval"]),
                _with_interval(held_out["new"], held_out["new_interval"]),
                _with_interval(held_out["difference"], held_out["interval"]),
            ],
            [
                "corrected images decided right",
                *(f"{corrected[f'{name}_right']} of {told['added']}" for name in ("old", "new")),
                "trained on them",
            ],
        ],
    )
    parts = [
        f"# {'Taken' if told['taken'] else 'Not taken'}",
        f"{told['sentence'][0].upper()}{told['sentence'][1:]}.",
        f"Corrected images of {told['feedback']} that train beside those of {told['old_run']}: "
        f"{told['added']}. "
        f"Both networks are judged on {held_out['images']} images of {held_out['groups']} groups, "
        f"by {held_out['draws']} draws of windows; intervals are of 95%.",
        figures,
    ]
    if told["changed"]:
        fields = ", ".join(
            f"{name} is {new} in place of {old}" for name, (old, new) in told["changed"].items()
        )
        parts.append(
            f"The training was another one: {fields}. What that did is not told apart "
            "from what the corrected images did."
        )
    if held_out["split"] == "validation":
        parts.append("The validation split chose both checkpoints as well, which flatters both.")
    if told["left_out"]:
        rows = [[each["image"], each["reason"]] for each in told["left_out"]]
        parts += [
            f"{len(rows)} images are left out:",
            markdown_table(["image", "why"], rows),
        ]
    return "\n\n".join(parts) + "\n"


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.4f} [{interval[0]:.4f}, {interval[1]:.4f}]"
