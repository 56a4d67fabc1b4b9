"""What the tables say of a photograph."""

import dataclasses
import pathlib
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Photograph:
    """One row of a table that names an image; "" where it says nothing.

    Attributes:
      id: the image's name.
      source: the table's name, such as "isic2019".
      path: its file; None where there is none.
      target: its class.
      dx: its diagnosis, of more classes than `target`.
      dx7: the same in the seven classes of ISIC 2018.
      lesion_id: images of one lesion are never divided between splits.
      patient_id: nor are those of one patient,
      group: nor those that share this.
      picture: rows that share this, or the id, show the same picture; one is kept.
      age: years.
      sex: of the patient.
      site: place on the body.
      split: where the table assigns one.
      more: other columns that are kept.
    """

    id: str
    source: str
    path: pathlib.Path | None
    target: str
    dx: str = ""
    dx7: str = ""
    lesion_id: str = ""
    patient_id: str = ""
    group: str = ""
    picture: str = ""
    age: str = ""
    sex: str = ""
    site: str = ""
    split: str = ""
    more: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)
