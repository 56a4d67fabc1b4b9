"""Whether a file can hold what its header claims, before memory is asked for it."""

import pathlib

# Deflate makes no more bytes of one (zlib's technical details, "Maximum Compression Factor").
DEFLATED = 1032


def can_hold(path: pathlib.Path, claimed: int, *, deflated: bool) -> bool:
    """Returns whether a file is large enough for as many bytes, which may be compressed in it."""
    return claimed <= path.stat().st_size * (DEFLATED if deflated else 1)
