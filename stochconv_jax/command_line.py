"""What the commands share: flags, and mistakes told in one sentence."""

import argparse
import contextlib
import gc
import os
import pathlib
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, NoReturn

from absl import flags, logging
from ml_collections import ConfigDict, config_flags

from stochconv_jax.config_file import load_config
from stochconv_jax.errors import InputError
from stochconv_jax.failing_disk import FULL, SaveFailedError, quiet_threads
from stochconv_jax.hosts.joining import joined
from stochconv_jax.saved_config import read_config
from stochconv_jax.termination import Terminated, raised_on_sigterm


class Command(NamedTuple):
    """What a command line says: the config, the run's directory, and the options given."""

    config: ConfigDict
    workdir: str
    options: dict[str, str]


def run(
    function: Callable[..., None], usage: str = "", options: Mapping[str, str] | None = None
) -> None:
    """Calls `function(config, workdir, **options)` as the command line says, in every process.

    A user's mistake ends the program with exit code 2.

    Args:
      function: takes the options that are given as keywords; the others keep its defaults.
      usage: what --help prints.
      options: further flags, names with underscores, and what each means.
    """
    logging.set_verbosity(logging.FATAL)  # what libraries log as an error, they raise as well
    # Tracing makes objects that stay, by the million; by default Python looks through all of them
    # so often that it takes half as long again.
    gc.set_threshold(100_000)
    if {"-h", "--help"} & set(sys.argv):
        print(usage)
        return
    note = "; the same command goes on from the last checkpoint, if there is one"
    with mistakes_in_a_sentence(note), joined():
        command = read_command(sys.argv, options or {})
        function(command.config, command.workdir, **command.options)


def output_file(name: str, suffix: str, kind: str) -> pathlib.Path:
    """Returns the path of a file that is to be written, as --output names it.

    Raises:
      InputError: it does not end in `suffix`, as `kind` ("a CSV") does, or lies in no directory.
    """
    output = pathlib.Path(name)
    if output.is_dir() or output.suffix.lower() != suffix:
        raise InputError(
            f"--output {name} is not the name of {kind}; name one such as {name}{suffix}"
        )
    if not output.parent.is_dir():
        raise InputError(f"--output {name} lies in no directory; make {output.parent} first")
    return output


@contextlib.contextmanager
def mistakes_in_a_sentence(after_interrupt: str) -> Iterator[None]:
    """Ends the program with one sentence and exit code 2 for a user's mistake or a failing disk.

    Args:
      after_interrupt: what to add to "interrupted" when Ctrl-C ended it (exit code 130), and to
        "terminated" when SIGTERM did (143).
    """
    # Threads are quiet until the program is left, since some fail after what they belong to did.
    with quiet_threads():
        try:
            with raised_on_sigterm():
                yield
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        except SaveFailedError as error:
            # The run is whole up to its last checkpoint.
            _leave(f"error: {error.filename}: {error.strerror}{after_interrupt}", 2)
        except OSError as error:
            if error.filename is None and error.errno not in FULL:
                raise
            print(f"error: {error.filename or 'writing'}: {error.strerror}", file=sys.stderr)
            sys.exit(2)
        except KeyboardInterrupt:
            _leave(f"\ninterrupted{after_interrupt}", 130)
        except Terminated as stopped:
            when = f" {stopped}" if stopped.args else ""
            _leave(f"terminated{when}{after_interrupt}", 128 + signal.SIGTERM)


def _leave(sentence: str, code: int) -> NoReturn:
    print(sentence, file=sys.stderr, flush=True)
    sys.stdout.flush()
    # Leaving in the ordinary way would tear the device down under threads that still use it.
    os._exit(code)


def image_size(text: str) -> tuple[int, int]:
    """Returns the (height, width) of SIDE or HEIGHTxWIDTH, for `argparse`."""
    sides = [int(side) for side in text.split("x")]
    if len(sides) > 2 or min(sides) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is neither SIDE nor HEIGHTxWIDTH")
    return sides[0], sides[-1]


def read_flags(arguments: list[str]) -> tuple[ConfigDict, str]:
    """Returns the config with its overrides, and the directory of the run.

    Raises:
      InputError: a flag is missing, unknown or has a value of the wrong type.
    """
    command = read_command(arguments, {})
    return command.config, command.workdir


def read_command(arguments: list[str], options: Mapping[str, str]) -> Command:
    """Reads --config with its overrides, --workdir and further options.

    Args:
      arguments: the program's name and the words behind it. Without --config, the config is that
        of the run in --workdir.
      options: names of further flags, with underscores (dashes will do too), and what each means.

    Raises:
      InputError: a flag is missing, unknown or has a value of the wrong type.
    """
    values = flags.FlagValues()
    try:
        file, workdir, rest = _split(arguments)
        config = _config(file, workdir)
        # Defined once more, for a misspelt one's "Did you mean".
        flags.DEFINE_string("workdir", workdir, "directory of the run", flag_values=values)
        for name, meaning in options.items():
            flags.DEFINE_string(name, "", meaning, flag_values=values)
            if "_" in name:
                flags.DEFINE_alias(name.replace("_", "-"), name, flag_values=values)
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=rest)
        unread = values(rest)[1:]
    except InputError:
        raise
    except (flags.Error, ValueError) as error:
        raise InputError(f"the command cannot be read: {error}") from error
    except (AttributeError, KeyError) as error:
        raise _unknown_field(error) from error
    if unread:
        raise InputError(f"{unread[0]!r} is not a flag; write --config=... and --workdir=...")
    if not workdir:
        raise InputError("--workdir is missing; name the directory of the run")
    given = {name: str(values[name].value) for name in options if values[name].value}
    return Command(config, workdir, given)


def _split(arguments: list[str]) -> tuple[str, str, list[str]]:
    """Returns --config, --workdir and the arguments without them."""
    values = flags.FlagValues()
    file = flags.DEFINE_string("config", "", "FILE[:ARGUMENT] of the config", flag_values=values)
    workdir = flags.DEFINE_string("workdir", "", "directory of the run", flag_values=values)
    values.set_gnu_getopt(True)  # overrides are unknown here, and their values may stand apart
    rest = values(arguments, known_only=True)
    return file.value or "", workdir.value or "", rest


def _config(file: str, workdir: str) -> ConfigDict:
    if file:
        return load_config(file)
    if workdir and (pathlib.Path(workdir) / "config.json").is_file():
        return read_config(pathlib.Path(workdir))
    where = f", and {workdir} holds no run to read it from" if workdir else ""
    raise InputError(
        f"--config is missing{where}; write, for example, --config=configs/quickstart.py"
    )


def _unknown_field(error: Exception) -> InputError:
    found = re.search(r'Did you mean "(\w+)" instead of "(\w+)"', str(error))
    if found is None:
        name = _missing_field(error)
        return InputError(f"the config has no field {name!r}; see configs/base.py")
    right, wrong = found.groups()
    return InputError(f'the config has no field "{wrong}"; did you mean "{right}"?')


def _missing_field(error: Exception) -> str:
    """The name in ml_collections' message: quoted behind "Key", at its end, or all of it."""
    message = str(error.args[0])
    found = re.search(r'Key "(\w+)"|lookup: ([\w.]+)$', message)
    return next(filter(None, found.groups())) if found else message.strip("'\"")
