"""Where a server listens: whether it can, before anybody waits for it."""

import contextlib
import socket
from collections.abc import Iterator

from stochconv_jax.errors import InputError


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[None]:
    """Tells what fails within it as a mistake.

    Raises:
      InputError: nothing can listen there.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"nothing can listen on {host}, port {port}: it is taken, or not of this machine; "
            "choose another --port or --host"
        ) from error


def check_port(host: str, port: int) -> None:
    """Listens for a moment.

    Raises:
      InputError: nothing can listen there.
    """
    with listening(host, port):
        family, *_, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address[:2], family=family).close()
