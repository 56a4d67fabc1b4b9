"""The notebook, from its first cell to its last."""

import pathlib

import nbformat
from nbclient import NotebookClient

DOCS = pathlib.Path(__file__).parents[2] / "docs"


def test_the_tour_runs_and_its_network_finds_what_its_twin_cannot():
    notebook = nbformat.read(DOCS / "tour.ipynb", as_version=4)
    NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(DOCS)}}).execute()
    said = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ())
    )
    figures = {name: float(said.split(f"\n{name} ")[1].split()[0]) for name in ("split", "base")}
    assert figures["split"] > figures["base"] + 0.1
    pictures = [
        output for cell in notebook.cells for output in cell.get("outputs", ()) if "data" in output
    ]
    assert len(pictures) == 3
