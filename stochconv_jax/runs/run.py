"""A run: one training of one config on one data set, in a directory of its own."""

import copy
import dataclasses
import json
import pathlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from stochconv_jax.atomic_write import atomic_write, read_table, write_table
from stochconv_jax.config_limits import check_limits
from stochconv_jax.data.dataset.image_dataset import ImageDataset
from stochconv_jax.data.dataset.metadata import Metadata
from stochconv_jax.data.framing import Framing
from stochconv_jax.data.load import load_dataset
from stochconv_jax.data.pipeline.batches import Pipeline
from stochconv_jax.errors import InputError
from stochconv_jax.hosts.exchange import (
    first_then_others,
    of_first,
    process_count,
    process_number,
    together,
)
from stochconv_jax.keys import Purpose, run_key
from stochconv_jax.models import TwoBranchNetwork
from stochconv_jax.models.branch import METADATA
from stochconv_jax.models.from_config import (
    backbone_from_config,
    model_from_config,
    resolve_dtype,
)
from stochconv_jax.runs.checkpoint_files import set_aside_damaged
from stochconv_jax.runs.checkpoints import Checkpoints
from stochconv_jax.runs.devices import replicated
from stochconv_jax.runs.identity import (
    AUTOMATIC,
    check_config,
    check_data,
    check_identity,
    check_same,
    check_shared,
    has_checkpoint,
)
from stochconv_jax.runs.initial_weights import check_weights, resolve_auto
from stochconv_jax.runs.lock import locked
from stochconv_jax.runs.pixels import measure_pixels
from stochconv_jax.runs.provenance import STARTS, provenance, read_starts
from stochconv_jax.runs.run_metadata import fit_metadata, read_metadata, write_metadata
from stochconv_jax.saved_config import read_config, read_json

IMAGE_COLUMNS = ("id", "label", "group", "split", "sha256")


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run is made with, wherever it is kept.

    Its directory holds config.json, data.json (what identifies its images), images.csv (their
    names, classes, groups, splits and SHA-256), provenance.json (of each start), checkpoints/
    and, of a network with a metadata branch, metadata.json.

    Attributes:
      directory: of the run.
      config: whole and resolved: nothing in it depends on the machine any more.
      data: the identity of its images: `images`, `classes`, `framing` and `fingerprint`.
      metadata: how columns of a table become inputs; None where the network is given none.
    """

    directory: pathlib.Path
    config: ConfigDict
    data: Mapping[str, Any]
    metadata: Metadata | None = None

    @classmethod
    @contextmanager
    def create(
        cls, config: ConfigDict, workdir: str | pathlib.Path
    ) -> "Iterator[tuple[Run, ImageDataset]]":
        """Begins a run, or goes on with it, and keeps others out of it until the context ends.

        Of processes that joined, process 0 locks, prepares, measures and writes, for all.

        Yields:
          The run and its images.

        Raises:
          InputError: a field or the data is not usable, the run was made with others, or another
            process trains it.
        """
        directory = pathlib.Path(workdir)
        check_limits(config)
        config = _resolve(config, directory)
        check_config(config, directory)
        # A network that cannot be, and weights that do not fit, are told before data are prepared.
        abstract = model_from_config(config, num_outputs=1, abstract=True)
        if not has_checkpoint(directory):
            check_weights(config, abstract)
        dataset = first_then_others(lambda: load_dataset(config.data))
        directory.mkdir(parents=True, exist_ok=True)
        with locked(directory):
            check_config(config, directory)
            check_data(dataset.identity, directory)
            config = measure_pixels(config, dataset)
            run = cls(directory, config, dataset.identity, fit_metadata(dataset, config))
            check_same(config, dataset.identity)
            of_first(lambda: run._write(dataset))
            together(lambda: check_shared(directory))
            yield run, dataset

    @classmethod
    def open(cls, workdir: str | pathlib.Path, config: ConfigDict | None = None) -> "Run":
        """Opens what a training left.

        Args:
          workdir: directory of the run.
          config: its config with fields changed that may change; as it was where None.

        Raises:
          InputError: there is no run, or `config` is another one's.
        """
        directory = pathlib.Path(workdir)
        made_with = read_config(directory)
        config = _resolve(made_with if config is None else config, directory)
        check_limits(config)
        check_config(config, directory)
        data = read_json(directory / "data.json")
        if not {"classes", "framing", "fingerprint"} <= set(data):
            raise InputError(f"{directory} was made by an older version; train it anew")
        check_identity(data, directory / "data.json")
        return cls(directory, config, data, read_metadata(directory, config))

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; of two, the second is the positive one."""
        return tuple(self.data["classes"])

    @property
    def num_outputs(self) -> int:
        """Logits per image: one for two classes, else one per class."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    @property
    def framing(self) -> Framing:
        """Crop and size that every photograph is given."""
        return Framing.from_json({"minimum": (1, 1), **self.data["framing"]})

    def key(self, purpose: Purpose) -> jax.Array:
        """Returns the run's key for a purpose."""
        return run_key(self.config.seed, purpose)

    def abstract_model(self, placement: str = "") -> TwoBranchNetwork:
        """Returns the network in shapes only, its windows placed otherwise where one says so."""
        config = self.config
        if placement:
            config = copy.deepcopy(config)
            config.model.placement = placement
        return model_from_config(config, self.num_outputs, True, self.metadata_inputs)

    @property
    def stem_strides(self) -> tuple[int, int]:
        """(vertical, horizontal) strides of the network's stems, which divide the large image."""
        return backbone_from_config(self.config).stem_strides

    @property
    def sees_high(self) -> bool:
        """Whether the network looks at the large image."""
        return "stochastic" in self.config.model.branches

    @property
    def sees_pixels(self) -> bool:
        """Whether the network looks at images at all."""
        return set(self.config.model.branches) != {METADATA}

    @property
    def metadata_inputs(self) -> int:
        """Numbers that a metadata branch is given of each image."""
        return len(self.metadata.names) if self.metadata else 1

    def unseen(self, dataset: ImageDataset, split: str) -> list[str]:
        """Returns a sentence for each category that training did not meet in a split's images."""
        examples = [dataset.examples[index] for index in dataset.indices(split)]
        return self.metadata.unseen(examples) if self.metadata else []

    def pipeline(self, dataset: ImageDataset) -> Pipeline:
        """Returns the pipeline that feeds the network with the images of a data set.

        Raises:
          InputError: the large image does not divide by the strides, or a number of the metadata is
            none.
        """
        return Pipeline.from_config(
            dataset,
            self.config.data,
            self.sees_high,
            self.stem_strides,
            self.sees_pixels,
            self.metadata(dataset.examples) if self.metadata else None,
            (process_number(), process_count()),
        )

    def checkpoints(self, mesh: Mesh, saves: bool = False) -> Checkpoints:
        """Returns the run's checkpoints, to be used as a context; training alone saves."""
        return Checkpoints(self.directory, replicated(mesh), saves)

    def set_aside_damaged(self) -> list[str]:
        """Moves damaged checkpoints to damaged_checkpoints/; returns a sentence for each."""
        told = set_aside_damaged(
            self.directory / "checkpoints", self.directory / "damaged_checkpoints"
        )
        if told and not has_checkpoint(self.directory):
            told.append("no checkpoint is whole, so that training begins anew")
        return told

    def load_dataset(self) -> ImageDataset:
        """Prepares, unless that is done, and opens the images of the run, wherever they lie now.

        Raises:
          InputError: they cannot be had, or are others than the run was trained on.
        """
        dataset = first_then_others(lambda: load_dataset(self.config.data))
        check_data(dataset.identity, self.directory)
        return dataset

    def images(self) -> list[dict[str, str]]:
        """Returns what is kept of the images that the run was made with: IMAGE_COLUMNS each."""
        return read_table(self.directory / "images.csv", IMAGE_COLUMNS)

    def _write(self, dataset: ImageDataset) -> None:
        rows = (
            (example.id, example.label, example.group, split, example.sha256)
            for example, split in zip(dataset.examples, dataset.splits, strict=True)
        )
        # What was chosen for an earlier training of this directory holds for no other.
        for chosen in ("thresholds.json", "doubts.json"):
            (self.directory / chosen).unlink(missing_ok=True)
        write_table(self.directory / "images.csv", IMAGE_COLUMNS, rows)
        _write_json(self.directory / "data.json", self.data)
        write_metadata(self.directory, self.metadata)
        started = self.directory / STARTS
        earlier = read_starts(self.directory) if started.exists() else []
        _write_json(started, {"starts": [*earlier, provenance()]})
        # It comes last, for it is what tells that the directory is a run's.
        _write_json(self.directory / "config.json", self.config.to_dict())


def _resolve(config: ConfigDict, directory: pathlib.Path) -> ConfigDict:
    """Replaces what depends on the machine or the weights by what it is: when the run begins."""
    resolved = config.copy_and_resolve_references().unlock()
    if has_checkpoint(directory):
        kept = read_config(directory).model
        for field, until in AUTOMATIC.items():
            if resolved.model[field] == until:
                resolved.model[field] = kept[field]
    resolved.model.compute_dtype = resolve_dtype(resolved.model.compute_dtype)
    resolve_auto(resolved)
    return resolved.lock()


def _write_json(path: pathlib.Path, content: Any) -> None:
    atomic_write(path, json.dumps(content, indent=2) + "\n")
