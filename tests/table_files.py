"""Tables of images as people write them and as programs spoil them."""

import random
from collections.abc import Sequence

HEADER = ["image", "target", "patient"]
ENCODINGS = ("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252")
ODD_NAMES = (
    "../outside.png",
    "/etc/hostname",
    ".",
    "Zo\u00eb.png",
    "Zoe\u0308.png",
    "no such file.jpg",
    "x" * 300,
    "=cmd()",
    "a\0b.png",
)
ODD_CELLS = (
    "",
    " ",
    "\0",
    '"',
    '"" "',
    "1,2",
    "line\nline",
    "=1+1",
    "\u00e9",
    "e\u0301",
    "x" * 140_000,
)


def table_file(names: Sequence[str], rng: random.Random) -> bytes:
    """Returns a table of images of two classes in which at most two things are odd."""
    header = list(HEADER)
    rows = [[name, "ab"[number % 2], f"p{number}"] for number, name in enumerate(names)]
    for _ in range(rng.randrange(3)):
        _spoil(header, rows, rng)
    end = rng.choice(["\n", "\r\n", "\r\n", "\r"])
    text = end.join(",".join(row) for row in [header, *rows]) + rng.choice(["", end])
    content = text.encode(rng.choice(ENCODINGS), errors="replace")
    if not rng.randrange(8):
        content = content[: rng.randrange(len(content) + 1)]
    return content


def _spoil(header: list[str], rows: list[list[str]], rng: random.Random) -> None:
    row = rng.choice([each for each in rows if each])
    accident = rng.randrange(9)
    if accident == 0:
        row[0] = rng.choice(ODD_NAMES)
    elif accident == 1:
        row[rng.randrange(len(row))] = rng.choice(ODD_CELLS)
    elif accident == 2:
        header.append(rng.choice([*HEADER, "", "note"]))
    elif accident == 3:
        header.pop(rng.randrange(len(header)))
    elif accident == 4:
        rows.insert(rng.randrange(len(rows)), rng.choice([[], [""], ["", "", ""], row, row[:1]]))
    elif accident == 5:
        row.append("more")
    elif accident == 6:
        row[0] = f'"{row[0]}'  # never closed, or by the next
    elif accident == 7:
        rows[:] = [[f'"{cell}"' for cell in each] for each in rows]
    else:
        header.reverse()
