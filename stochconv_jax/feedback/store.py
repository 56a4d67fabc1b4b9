"""A file of predictions that somebody flagged as wrong, with their images: SQLite."""

import contextlib
import datetime
import hashlib
import json
import pathlib
import sqlite3
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from stochconv_jax.errors import InputError

# How long one process waits while another writes, seconds.
PATIENCE = 10.0
# Tells a file of flags from a database of something else: "scjx".
APPLICATION = int.from_bytes(b"scjx")
TABLE = """
CREATE TABLE flags (
  id INTEGER PRIMARY KEY,
  time TEXT NOT NULL,
  run TEXT NOT NULL,
  step INTEGER NOT NULL,
  name TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  image BLOB NOT NULL,
  probabilities TEXT NOT NULL,
  decision TEXT NOT NULL,
  correct_class TEXT NOT NULL,
  comment TEXT NOT NULL
)
"""


class Flag(NamedTuple):
    """A prediction that somebody says is wrong; the fields are the table's columns.

    Attributes:
      id: counts up from 1.
      time: UTC, ISO 8601.
      run: name of the run's directory.
      step: training steps of the checkpoint that predicted.
      name: of the image's file.
      sha256: of `image`, hexadecimal.
      image: content of the file, as it was uploaded.
      probabilities: of each class, as predicted.
      decision: name of a class, as predicted.
      correct_class: one of the classes, or "" for none of them.
      comment: in the words of who flagged it.
    """

    id: int
    time: str
    run: str
    step: int
    name: str
    sha256: str
    image: bytes
    probabilities: Mapping[str, float]
    decision: str
    correct_class: str
    comment: str


class FeedbackStore:
    """A file of flags that several processes may share.

    A flag is read or written in one transaction, in any thread: wholly or not at all.
    """

    def __init__(self, path: str | pathlib.Path, create: bool = False):
        """Opens a file of flags.

        Args:
          path: of the file.
          create: whether to make it where there is none, readable for its owner alone.

        Raises:
          InputError: there is none, it is something else, or it cannot be written.
        """
        self.path = pathlib.Path(path)
        if create:
            self._create()
        elif not self.path.is_file():
            raise InputError(f"there is no file of flags {self.path}; name that of a demo")
        with self._transaction("opened") as database:
            if database.execute("PRAGMA application_id").fetchone() != (APPLICATION,):
                raise InputError(f"{self.path} is not a file of flags; name another")

    def add(
        self,
        *,
        run: str,
        step: int,
        name: str,
        image: bytes,
        probabilities: Mapping[str, float],
        decision: str,
        correct_class: str,
        comment: str = "",
    ) -> int:
        """Keeps a flag with the present time and returns its id; the fields are those of `Flag`.

        Raises:
          InputError: `correct_class` is no class, or the file cannot be written, a full disk for
            one; nothing is kept then.
        """
        if correct_class not in ("", *probabilities):
            raise InputError(
                f"there is no class {correct_class!r}; use one of {', '.join(probabilities)}"
            )
        values = {
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "run": run,
            "step": step,
            "name": name,
            "sha256": hashlib.sha256(image).hexdigest(),
            "image": image,
            "probabilities": json.dumps(dict(probabilities)),
            "decision": decision,
            "correct_class": correct_class,
            "comment": comment,
        }
        columns, places = ", ".join(values), ", ".join(f":{column}" for column in values)
        with self._transaction("written") as database:
            row = database.execute(f"INSERT INTO flags ({columns}) VALUES ({places})", values)
            return int(row.lastrowid or 0)

    def flags(self) -> Iterator[Flag]:
        """Yields all flags, the oldest first, read one by one, since all images may be too many.

        Raises:
          InputError: the file cannot be read.
        """
        with self._transaction("read") as database:
            ids = database.execute("SELECT id FROM flags ORDER BY id").fetchall()
        query = f"SELECT {', '.join(Flag._fields)} FROM flags WHERE id = ?"
        for own in ids:
            # No transaction is open while a flag is in use, so that demos can write.
            with self._transaction("read") as database:
                row = database.execute(query, own).fetchone()
            if row:
                flag = Flag(*row)
                yield flag._replace(probabilities=json.loads(str(flag.probabilities)))

    def _create(self) -> None:
        try:
            self.path.touch(mode=0o600)
        except OSError as error:
            raise InputError(
                f"the flags cannot be kept in {self.path}: {error.strerror}; name another file"
            ) from error
        with self._transaction("written") as database:
            if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                database.execute(TABLE)
                database.execute(f"PRAGMA application_id = {APPLICATION}")

    @contextlib.contextmanager
    def _transaction(self, done: str) -> Iterator[sqlite3.Connection]:
        """A connection of its own, since a thread may not use another one's."""
        try:
            with contextlib.closing(
                sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
            ) as database:
                database.execute("BEGIN IMMEDIATE" if done == "written" else "BEGIN")
                yield database
                database.execute("COMMIT")
        except sqlite3.Error as error:
            raise InputError(
                f"the file of flags {self.path} cannot be {done}: {error}; nothing was changed"
            ) from error
