"""What people typed, as a file of UTF-8 can hold it and a terminal can show it."""

import unicodedata

LONGEST_NAME = 200


def plain_text(text: str, spaces: str = "") -> str:
    """Returns text without control characters, but for `spaces`, and without lone surrogates."""
    return "".join(
        character
        for character in text
        if character in spaces or unicodedata.category(character) not in ("Cc", "Cs")
    )


def without_folders(name: str) -> str:
    """Returns a file's own name, of whatever length or system somebody says it is."""
    return plain_text(name).replace("\\", "/").rpartition("/")[2][-LONGEST_NAME:]
