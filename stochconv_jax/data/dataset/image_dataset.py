"""Prepared images with their table: what the pipeline reads."""

import collections
import dataclasses
import functools
import hashlib
import json
import types
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from stochconv_jax.data.dataset.records import SomeRecords
from stochconv_jax.data.framing import Framing
from stochconv_jax.errors import InputError


class Example(NamedTuple):
    """One row of the table, "" where nothing is given.

    Attributes:
      id: the image's name.
      label: its class.
      group: what must stay in one split.
      split: where the table says.
      known: the rest, such as source, width, height, age, sex and site.
      sha256: of the photograph's file, or of the record where there is no file.
    """

    id: str
    label: str
    group: str
    split: str
    known: Mapping[str, str] = types.MappingProxyType({})
    sha256: str = ""


@dataclasses.dataclass(frozen=True)
class ImageDataset:
    """Images framed alike at random access, and what is known of each.

    Attributes:
      records: indexable; records[i]["image"] holds the JPEG bytes of image i; empty for a table
        without images.
      examples: the table, in the same order.
      classes: names of the classes; with two, the second is the positive one.
      splits: [images] of "train", "validation" or "test".
      framing: how photographs became the records.
      columns: of what is known, those that networks are given beside the images.
    """

    records: Sequence[dict[str, Any]]
    examples: tuple[Example, ...]
    classes: tuple[str, ...]
    splits: np.ndarray
    framing: Framing
    columns: tuple[str, ...] = ()

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """int32 [images], the index of each image's class."""
        number = {name: index for index, name in enumerate(self.classes)}
        return np.array([number[example.label] for example in self.examples], np.int32)

    @property
    def num_outputs(self) -> int:
        """Logits that a network needs: one for two classes, else one per class."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    @property
    def identity(self) -> dict[str, Any]:
        """What makes the data set this one: pixels, columns, classes and splits, wherever kept."""
        # What is left out because it is small changes no pixel of what is kept.
        framing = self.framing.to_json()
        del framing["minimum"]
        # The JSON of [framing, rows], row by row: of many images it is larger than all else.
        digest, before = hashlib.sha256(f"[{json.dumps(framing)}, [".encode()), ""
        for example, split in zip(self.examples, self.splits, strict=True):
            known = (example.known[column] for column in self.columns)
            row = (example.id, example.label, str(split), example.sha256, *known)
            digest.update(f"{before}{json.dumps(row)}".encode())
            before = ", "
        digest.update(b"]]")
        return {
            "images": len(self.examples),
            "classes": list(self.classes),
            "framing": framing,
            "fingerprint": digest.hexdigest()[:16],
        }

    def subset(self, places: Sequence[int]) -> "ImageDataset":
        """Returns the data set of some of the images."""
        return dataclasses.replace(
            self,
            records=SomeRecords(self.records, places) if len(self.records) else (),
            examples=tuple(self.examples[place] for place in places),
            splits=self.splits[list(places)],
        )

    def indices(self, split: str) -> np.ndarray:
        """int32, the images of "train", "validation", "test" or "all".

        Raises:
          InputError: the split is empty.
        """
        chosen = (
            np.arange(len(self.splits)) if split == "all" else np.flatnonzero(self.splits == split)
        )
        if not len(chosen):
            raise InputError(
                f"the {split} split has no images; train a run with data.{split}_fraction above 0, "
                "or with such images in the table's split column"
            )
        return chosen.astype(np.int32)


def check_splits(
    examples: Sequence[Example],
    splits: np.ndarray,
    classes: Sequence[str],
    allow_shared_groups: bool = False,
) -> None:
    """Checks that no group stands in two splits and that no class is missing where it is needed.

    Raises:
      InputError: names the groups, or the class and the split.
    """
    crossing = shared_groups([example.group for example in examples], splits)
    if crossing and not allow_shared_groups:
        some = ", ".join(crossing[:5]) + (", ..." if len(crossing) > 5 else "")
        raise InputError(
            f"{len(crossing)} groups stand in more than one split ({some}), so that validation "
            "would look better than it is; split by group, or set data.allow_shared_groups=True "
            "to see by how much"
        )
    pairs = {(example.label, str(split)) for example, split in zip(examples, splits, strict=True)}
    for split in ("train", "validation"):
        for name in classes:
            if (name, split) not in pairs:
                raise InputError(
                    f"the {split} split has no image of the class {name!r}; bring more images of "
                    "it, or change data.validation_fraction, data.split_seed or the split column"
                )


def shared_groups(groups: Sequence[str], splits: Sequence[str] | np.ndarray) -> list[str]:
    """Returns the groups that stand in more than one split; "" is none."""
    stands_in = collections.defaultdict(set)
    for group, split in zip(groups, splits, strict=True):
        stands_in[group].add(str(split))
    return [group for group, found in stands_in.items() if group and len(found) > 1]


def order_classes(labels: set[str], positive_class: str) -> tuple[str, ...]:
    """Sorts class names, numbers by value; of two classes the positive one comes last.

    Raises:
      InputError: there is one class only, or `positive_class` is not one of two.
    """
    if len(labels) < 2:
        raise InputError(
            f"data.label_column holds one class only ({', '.join(labels)}); a classifier needs two"
        )
    try:
        classes = sorted(labels, key=int)
    except ValueError:
        classes = sorted(labels)
    if not positive_class:
        return tuple(classes)
    if len(classes) != 2 or positive_class not in classes:
        raise InputError(
            f"data.positive_class is {positive_class!r}; it names one of two classes, not one of "
            + ", ".join(classes)
        )
    return tuple(sorted(classes, key=lambda name: name == positive_class))
