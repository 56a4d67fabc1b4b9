"""What a table knows of each image, as numbers that a network takes in."""

import collections
import dataclasses
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stochconv_jax.data.dataset.image_dataset import Example
from stochconv_jax.errors import InputError

FILE_NAME = "metadata.json"
# What tables write where nothing is known.
UNKNOWN = ("unknown", "nan", "n/a", "none")


def stated(value: str) -> str:
    """Returns what a cell of a table says, "" where it says that it does not know."""
    value = value.strip()
    return "" if value.lower() in UNKNOWN else value


@dataclasses.dataclass(frozen=True)
class Metadata:
    """How columns of a table become inputs, as fitted on the training split.

    A number x becomes the pair ((x - mean) / deviation, 0), a missing one (0, 1). A category
    becomes a 1 in the place of its value, or of what is missing, among zeros; a value that training
    did not meet is zeros alone.

    Attributes:
      numbers: the mean and the standard deviation of each numeric column.
      categories: the values of each category column, in order.
    """

    numbers: Mapping[str, tuple[float, float]]
    categories: Mapping[str, tuple[str, ...]]

    @classmethod
    def fit(
        cls,
        examples: Sequence[Example],
        numeric_columns: Sequence[str],
        category_columns: Sequence[str],
    ) -> "Metadata":
        """Fits the columns on images: those of the training split, and no others.

        Raises:
          InputError: a number is none, or a column holds nothing at all.
        """
        numbers = {}
        for column in numeric_columns:
            values = _numbers(examples, column)
            known = values[~np.isnan(values)]
            if not len(known):
                raise InputError(
                    f"data.numeric_columns names {column!r}, which holds no number in the training "
                    "split; leave it out"
                )
            # A column of one number tells nothing: it becomes 0.
            numbers[column] = float(known.mean()), float(known.std()) or 1.0
        categories = {}
        for column in category_columns:
            categories[column] = tuple(sorted(set(_cells(examples, column)) - {""}))
            if not categories[column]:
                raise InputError(
                    f"data.category_columns names {column!r}, which holds no value in the training "
                    "split; leave it out"
                )
        return cls(numbers, categories)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the table's columns."""
        return *self.numbers, *self.categories

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the inputs, in their order."""
        names = [name for column in self.numbers for name in (column, f"{column} missing")]
        for column, values in self.categories.items():
            names += [f"{column} {value}" for value in values] + [f"{column} missing"]
        return tuple(names)

    def __call__(self, examples: Sequence[Example]) -> np.ndarray:
        """Returns the inputs, float32 [N, M], M the number of `names`.

        Raises:
          InputError: a number is none.
        """
        parts = []
        for column, (mean, deviation) in self.numbers.items():
            values = _numbers(examples, column)
            missing = np.isnan(values)
            parts += [np.where(missing, 0, (values - mean) / deviation)[:, None], missing[:, None]]
        for column, known in self.categories.items():
            given = np.array(_cells(examples, column), dtype=str)
            parts.append(given[:, None] == np.array([*known, ""]))
        return np.concatenate(parts, axis=1).astype(np.float32)

    def unseen(self, examples: Sequence[Example]) -> list[str]:
        """Returns a sentence for each value of a category that training did not meet."""
        return [
            f"{column} is {value!r} of {count} images and of none that trained: it tells the "
            "network nothing"
            for column, known in self.categories.items()
            for value, count in sorted(collections.Counter(_cells(examples, column)).items())
            if value and value not in known
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns what `from_json` takes, and the names of the inputs for whoever reads it."""
        return {
            "numbers": {
                column: {"mean": mean, "deviation": deviation}
                for column, (mean, deviation) in self.numbers.items()
            },
            "categories": {column: list(values) for column, values in self.categories.items()},
            "inputs": list(self.names),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any], path: pathlib.Path) -> "Metadata":
        """Returns the metadata that a file holds.

        Raises:
          InputError: it is damaged; the message names the file.
        """
        try:
            numbers = {
                column: (float(fitted["mean"]), float(fitted["deviation"]))
                for column, fitted in fields["numbers"].items()
            }
            categories = {column: tuple(own) for column, own in fields["categories"].items()}
            found = cls(numbers, categories)
            for mean, deviation in numbers.values():
                if not (math.isfinite(mean) and 0 < deviation < math.inf):
                    raise ValueError("a mean or a deviation is none")
            if fields.get("inputs", list(found.names)) != list(found.names):
                raise ValueError("the inputs are others than its columns make")
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError(f"{path} is damaged ({error!r}); train the run anew") from error
        return found


def _cells(examples: Sequence[Example], column: str) -> list[str]:
    """Returns what a column states: wherever the images come from, it is read here."""
    return [stated(example.known[column]) for example in examples]


def _numbers(examples: Sequence[Example], column: str) -> np.ndarray:
    """Returns a column as float64 [N], NaN where it is empty."""
    values = np.full(len(examples), np.nan)
    for place, text in enumerate(_cells(examples, column)):
        if text:
            values[place] = _number(text, examples[place].id, column)
    return values


def _number(text: str, name: str, column: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(
            f"the column {column!r} of {name} is {text!r}, which is no number; mend it, empty it "
            "where it is not known, or name the column in data.category_columns"
        )
    return value
