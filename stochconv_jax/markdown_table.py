"""Tables in Markdown that also read well on a terminal."""

from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Returns a table in Markdown, its columns padded to equal widths, without a last newline."""
    cells = [[markdown_cell(cell) for cell in row] for row in (header, *rows)]
    # A rule of Markdown has three dashes.
    widths = [max(3, *(len(cell) for cell in column)) for column in zip(*cells, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in cells]
    padded.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(row)} |" for row in padded)


def markdown_cell(value: object) -> str:
    """Returns a value as a table may hold it: a bar would end its cell, a new line its row."""
    return str(value).replace("|", r"\|").replace("\n", " ")
