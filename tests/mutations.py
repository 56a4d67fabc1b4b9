"""Bytes and JSON as accidents leave them."""

import json
import math
import random

from stochconv_jax.errors import InputError

ODD = (
    None,
    True,
    0,
    -1,
    1.5,
    math.nan,
    math.inf,
    "",
    "nonsense",
    [],
    {},
    [None],
    ["a", "a"],
    2**70,
    10**400,
)


def found_or_told(function, *arguments):
    """Returns what a function returns and "", or None and the sentence in which it refuses."""
    try:
        return function(*arguments), ""
    except InputError as error:
        told = str(error)
        assert told
        assert "\n" not in told
        return None, told


def mutate_bytes(content: bytes, rng: random.Random) -> bytes:
    """Flips, cuts, blanks, inserts, removes or replaces bytes, near the beginning or anywhere."""
    mutated = bytearray(content)
    first = rng.randrange(min(len(content), rng.choice([64, 512, len(content)])))
    count = rng.choice([1, 1, 2, 8, 64])
    kind = rng.randrange(6)
    if kind == 0:
        for place in range(first, min(first + count, len(mutated))):
            mutated[place] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del mutated[first:]
    elif kind == 2:
        mutated[first : first + count] = bytes(count)
    elif kind == 3:
        mutated[first:first] = rng.randbytes(count)
    elif kind == 4:
        del mutated[first : first + count]
    else:
        mutated[first : first + count] = rng.randbytes(count)
    return bytes(mutated)


def mutate_json(content: bytes, rng: random.Random) -> bytes:
    """Replaces, removes or renames one value of a JSON file, at any depth."""
    tree = json.loads(content)
    places = list(_places(tree))
    parent, key = rng.choice(places)
    kind = rng.randrange(4)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, dict):
        parent[f"{key}x"] = parent.pop(key)
    else:
        parent[key] = rng.choice(ODD)
    return json.dumps(tree).encode()


def mutate_table(content: bytes, rng: random.Random) -> bytes:
    """Removes, doubles, swaps or mends one cell, column name or row of a CSV."""
    rows = [line.split(",") for line in content.decode().split("\r\n")]
    row = rng.choice(rows[: rng.choice([1, len(rows)])])
    place = rng.randrange(len(row))
    kind = rng.randrange(6)
    if kind == 0:
        del row[place]
    elif kind == 1:
        row.insert(place, row[place])
    elif kind == 2:
        row[place] = rng.choice(["", '"', "\0", "nan", "-1", "\n", "é", "=1+1", "x" * 200_000])
    elif kind == 3:
        rows.remove(row)
    elif kind == 4:
        rows.append(row)
    else:
        row.reverse()
    return "\r\n".join(",".join(row) for row in rows).encode()


def _places(tree):
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)
