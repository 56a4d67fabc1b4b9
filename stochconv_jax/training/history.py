"""The record of a run: metrics.csv, TensorBoard events and curves.png, made from the same rows."""

import io
import math
import pathlib
import socket
import time

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stochconv_jax.atomic_write import atomic_write, read_table, write_table
from stochconv_jax.errors import InputError
from stochconv_jax.hosts.exchange import is_first
from stochconv_jax.training.event_file import scalar_record, version_record

COLUMNS = (
    "epoch",
    "train_loss",
    "val_loss",
    "train_auc",
    "val_auc",
    "seconds",
    "images_per_second",
)


class History:
    """Writes a run's record into `workdir`, in process 0 alone."""

    def __init__(self, workdir: pathlib.Path):
        self.workdir = workdir
        self.writes = is_first()
        # The rows are written anew, so that a resumed run shows each epoch once.
        for old in workdir.glob("events.out.tfevents.*") if self.writes else ():
            old.unlink()
        self.events = workdir / f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}"
        self.written = 0

    def write(self, rows: list[dict[str, float]]) -> None:
        """Replaces the files by ones that hold these rows, and adds the new ones to the events."""
        if not rows or not self.writes:
            return
        table = ([row[column] for column in COLUMNS] for row in rows)
        write_table(self.workdir / "metrics.csv", COLUMNS, table)
        new = b"".join(record for row in rows[self.written :] for record in _records(row))
        with self.events.open("ab") as file:
            file.write(new if self.written else version_record(time.time()) + new)
        self.written = len(rows)
        picture = io.BytesIO()
        plot_curves(rows).savefig(picture, dpi=120, format="png")
        atomic_write(self.workdir / "curves.png", picture.getvalue())


def _records(row: dict[str, float]) -> list[bytes]:
    step, now = int(row["epoch"]), time.time()
    return [
        scalar_record(name, row[name], step, now)
        for name in COLUMNS[1:]
        if math.isfinite(row[name])
    ]


def read_history(workdir: pathlib.Path) -> list[dict[str, float]]:
    """Returns the rows of a run's metrics.csv, an epoch each; none where there is no such file.

    Raises:
      InputError: it is damaged.
    """
    path = workdir / "metrics.csv"
    if not path.is_file():
        return []
    try:
        return [{name: float(row[name]) for name in COLUMNS} for row in read_table(path)]
    except InputError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is damaged ({error!r}); train on, which writes it anew"
        ) from error


def plot_curves(rows: list[dict[str, float]]) -> Figure:
    """Draws loss and ROC AUC over epochs, of training and of validation."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss_axes, auc_axes = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in rows]
    for axes, name, label in (
        (loss_axes, "loss", "cross-entropy (nats)"),
        (auc_axes, "auc", "area under the ROC curve"),
    ):
        # Two colours of the Okabe-Ito palette, apart in shape and dash as well.
        axes.plot(
            epochs, [row[f"train_{name}"] for row in rows], "o-", c="#E69F00", label="training"
        )
        axes.plot(
            epochs, [row[f"val_{name}"] for row in rows], "s--", c="#0072B2", label="validation"
        )
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    scored = [row for row in rows if not math.isnan(row["val_auc"])]
    if scored:
        best = max(scored, key=lambda row: row["val_auc"])
        auc_axes.set_title(f"best validation AUC {best['val_auc']:.4f}, epoch {best['epoch']}")
    return figure
