"""What train.py and eval.py share: flags, and mistakes told in one sentence."""

import contextlib
import errno
import os
import pathlib
import re
import runpy
import sys
from collections.abc import Callable, Iterator

from absl import flags, logging
from ml_collections import ConfigDict, config_flags

from stochconv_jax.errors import InputError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
USAGE = """python train.py --config=FILE[:ARGUMENT] --workdir=DIRECTORY
                [--config.SECTION.FIELD=VALUE ...]
python eval.py  likewise

The configs are in configs/; configs/base.py says what every field means."""


def run(function: Callable[[ConfigDict, str], None], usage: str = USAGE) -> None:
    """Reads --config and --workdir and calls `function`; a user's mistake ends with exit code 2."""
    logging.set_verbosity(logging.ERROR)
    if {"-h", "--help"} & set(sys.argv):
        print(usage)
        return
    note = "; the same command goes on from the last checkpoint, if there is one"
    with mistakes_in_a_sentence(note):
        config, workdir = read_flags(sys.argv)
        function(config, workdir)


@contextlib.contextmanager
def mistakes_in_a_sentence(after_interrupt: str) -> Iterator[None]:
    """Ends the program with one sentence and exit code 2 for a user's mistake or a failing disk.

    Args:
      after_interrupt: what to add to "interrupted" when Ctrl-C ended it (exit code 130).
    """
    try:
        yield
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.filename is None and error.errno not in DISK_FULL:
            raise
        print(f"error: {error.filename or 'writing'}: {error.strerror}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"\ninterrupted{after_interrupt}", file=sys.stderr, flush=True)
        # Leaving in the ordinary way would tear the device down under threads that still use it.
        os._exit(130)


def read_flags(arguments: list[str]) -> tuple[ConfigDict, str]:
    """Returns the config with its overrides, and the directory of the run.

    Raises:
      InputError: a flag is missing, unknown or has a value of the wrong type.
    """
    values = flags.FlagValues()
    config = config_flags.DEFINE_config_file(
        "config",
        help_string="file of the config, with :argument",
        flag_values=values,
        sys_argv=arguments,
    )
    workdir = flags.DEFINE_string("workdir", None, "directory of the run", flag_values=values)
    try:
        rest = values(arguments)[1:]
        chosen = config.value
        if chosen is not None:
            chosen.lock()  # a config that did not load raises when it is touched
    except flags.Error as error:
        if "Traceback" in str(error):
            raise _explain_config(arguments) from error
        raise InputError(f"the command cannot be read: {error}") from error
    except (AttributeError, KeyError) as error:
        found = re.search(r'Did you mean "(\w+)" instead of "(\w+)"', str(error))
        if found is None:
            raise InputError(
                f"the config has no field {_missing_field(error)!r}; see configs/base.py"
            ) from error
        right, wrong = found.groups()
        raise InputError(f'the config has no field "{wrong}"; did you mean "{right}"?') from error
    except OSError as error:
        raise _explain_config(arguments) from error
    if rest:
        raise InputError(f"{rest[0]!r} is not a flag; write --config=... and --workdir=...")
    if chosen is None:
        raise InputError("--config is missing; write, for example, --config=configs/quickstart.py")
    if not workdir.value:
        raise InputError("--workdir is missing; name the directory of the run")
    return chosen, workdir.value


def _missing_field(error: Exception) -> str:
    """The name in ml_collections' message: quoted behind "Key", at its end, or all of it."""
    message = str(error.args[0])
    found = re.search(r'Key "(\w+)"|lookup: ([\w.]+)$', message)
    return next(filter(None, found.groups())) if found else message.strip("'\"")


def _explain_config(arguments: list[str]) -> InputError:
    """Finds what ml_collections wraps in a traceback: why a config file did not load."""
    at = next(place for place, word in enumerate(arguments) if word.startswith("--config"))
    name = arguments[at].partition("=")[2] or arguments[at + 1]
    path, *argument = name.split(":", 1)
    if not pathlib.Path(path).is_file():
        return InputError(
            f"the config {path!r} is not a file; name one such as configs/split_b0.py"
        )
    try:
        runpy.run_path(path)["get_config"](*argument)
    except InputError as error:
        return error
    except AttributeError as error:
        return InputError(f"the config {path!r} cannot be loaded: {error}")
    except (KeyError, TypeError) as error:
        return InputError(f"the config {path!r} has no usable get_config: {error}")
    return InputError(f"the config {name!r} cannot be loaded")
