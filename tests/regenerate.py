"""Runs lessons from top to bottom and writes them back in one stable form.

    python tests/regenerate.py                                  all of notebooks/
    python tests/regenerate.py notebooks/01-first-conversation.ipynb ...

What varies from run to run is dropped: widget state, timings, paths of tracebacks, random cell names.
A lesson that fails stays as it was, its failing cell is printed, and the exit code is 1.
"""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
CELL_TIMEOUT = 60  # seconds, as in the tests
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
KEPT_METADATA = ("jupyter", "tags")
WIDGET = "application/vnd.jupyter.widget-view+json"


def run(path: Path) -> nbformat.NotebookNode:
    """Return the notebook with the outputs of one run from top to bottom, in its own folder."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name=KERNEL["name"],
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    return notebook


def stable(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook without anything that another run would write differently."""
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        cell.id = _identity(cell, seen)
        cell.metadata = {key: cell.metadata[key] for key in KEPT_METADATA if cell.metadata.get(key)}
        for output in cell.get("outputs", []):
            _drop_what_varies(output)
    return notebook


def _identity(cell: nbformat.NotebookNode, seen: dict[str, int]) -> str:
    """Name a cell by its text, so that a new cell renames no other."""
    digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
    seen[digest] = seen.get(digest, 0) + 1
    return digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"


def _drop_what_varies(output: nbformat.NotebookNode) -> None:
    if "metadata" in output:
        output.metadata = {}
    if output.output_type == "error":
        # Paths and line numbers stand above this line; they change with the machine and the version.
        output.traceback = [f"{output.ename}: {output.evalue}"]
    if "data" in output:
        # Its number is random, and without a kernel Lab shows an error in its place.
        output.data.pop(WIDGET, None)


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write the notebook as JSON that git can compare line by line."""
    nbformat.validate(notebook)
    path.write_text(
        nbformat.writes(notebook, version=nbformat.NO_CONVERT) + "\n", encoding="utf-8", newline="\n"
    )


def regenerate(path: Path) -> bool:
    """Run one lesson and write it back; print how it went and tell whether it ran."""
    start = time.perf_counter()
    try:
        notebook = run(path)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        print(f"{path.name}: failed, left as it was\n{error}")
        return False
    write(stable(notebook), path)
    print(f"{path.name}: {time.perf_counter() - start:.1f} s, {path.stat().st_size / 1000:.0f} kB")
    return True


def main(arguments: list[str]) -> int:
    """Regenerate the lessons that are named, or all of them."""
    paths = [Path(argument).resolve() for argument in arguments] or sorted(NOTEBOOKS.glob("*.ipynb"))
    written = [regenerate(path) for path in paths]
    return 0 if all(written) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
