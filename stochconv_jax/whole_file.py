"""Files that are there whole or not at all."""

import pathlib


def write_whole(path: pathlib.Path, content: str | bytes) -> None:
    """Writes a file beside its place and moves it there, so that nobody finds half of it.

    Text is written as UTF-8 with its line ends as they are.
    """
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content.encode() if isinstance(content, str) else content)
    part.replace(path)
