"""Taking a run that was trained once more, or keeping the old one.

The candidate is trained beside the place that it may take. So whenever the command is killed, the
same command goes on with its training, and until the verdict nothing bears the name that was asked
for.
"""

import dataclasses
import pathlib

from stochconv_jax.errors import InputError
from stochconv_jax.feedback.record import write_record
from stochconv_jax.feedback.retraining import Outcome, Retraining
from stochconv_jax.hosts.exchange import of_first
from stochconv_jax.runs.lock import locked


@dataclasses.dataclass(frozen=True)
class Places:
    """Directories of a retraining.

    Attributes:
      output: of the new run, where it is taken.
    """

    output: pathlib.Path

    @property
    def candidate(self) -> pathlib.Path:
        """Of the run that is being trained, until the verdict."""
        return self.output.with_name(f"{self.output.name}.candidate")

    @property
    def rejected(self) -> pathlib.Path:
        """Of a run that was not taken."""
        return self.output.with_name(f"{self.output.name}.rejected")

    def check_free(self) -> None:
        """Checks that there is no verdict yet.

        Raises:
          InputError: there is one, or something else bears the name.
        """
        for place, what in ((self.output, "is there already"), (self.rejected, "was not taken")):
            if place.exists():
                raise InputError(f"{place} {what}; name another --output, or remove it")


def retrain(retraining: Retraining, places: Places, margin: float) -> Outcome:
    """Trains and judges a candidate, and gives it the name that was asked for or a rejected one.

    Leaves retraining.json and retraining.md in the new run; the old one stays what it is.

    Raises:
      InputError: as `Retraining.run` does, or another process is at it.
    """
    places.check_free()
    places.candidate.mkdir(parents=True, exist_ok=True)
    with locked(places.candidate):
        places.check_free()
        outcome = retraining.run(places.candidate, margin)
        of_first(lambda: _settle(places, outcome))
    return outcome


def _settle(places: Places, outcome: Outcome) -> None:
    write_record(places.candidate, outcome)
    places.candidate.rename(places.output if outcome.verdict.taken else places.rejected)
