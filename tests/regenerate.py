"""Runs lessons from top to bottom and writes them back in one stable form.

    python -m tests.regenerate                                  all of notebooks/
    python -m tests.regenerate notebooks/01-first-conversation.ipynb ...
    python -m tests.regenerate --diff                           write nothing, show what would change

What varies from run to run is dropped: widget state, timings, paths of tracebacks, random cell names. Where
nbval ignores an output, it stays as it was if it differs in times alone. Pictures are those of one version
of matplotlib and of Pillow: others set some points differently.
A lesson that fails stays as it was, its failing cell is printed, and the exit code is 1. With `--diff`, a
lesson that would change makes it 1 too.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
CELL_TIMEOUT = 60  # seconds, as in the tests
LONGEST_LINE = 500  # characters of a difference
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
KEPT_METADATA = ("jupyter", "tags")
IGNORED = "nbval-ignore-output"
WIDGET = "application/vnd.jupyter.widget-view+json"


def run(path: Path) -> nbformat.NotebookNode:
    """Return the notebook with the outputs of one run from top to bottom, in a folder without progress."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT,
            kernel_name=KERNEL["name"],
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
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


def keep_times(notebook: nbformat.NotebookNode, before: nbformat.NotebookNode) -> None:
    """Take the outputs of before where nbval ignores them and nothing but a decimal number has changed."""
    kept = {cell.id: cell.outputs for cell in before.cells if cell.cell_type == "code"}
    for cell in notebook.cells:
        if IGNORED in cell.metadata.get("tags", []) and _timeless(kept.get(cell.id)) == _timeless(
            cell.outputs
        ):
            cell.outputs = kept[cell.id]


def _timeless(outputs: list[nbformat.NotebookNode] | None) -> str:
    return re.sub(r"\d+\.\d+", "0.0", json.dumps(outputs, sort_keys=True))


def text_of(notebook: nbformat.NotebookNode) -> str:
    """Return the notebook as JSON that git can compare line by line."""
    nbformat.validate(notebook)
    return nbformat.writes(notebook, version=nbformat.NO_CONVERT) + "\n"


def regenerate(path: Path, diff: bool = False) -> bool:
    """Run one lesson and write it back, or show the difference; tell whether all went well."""
    start = time.perf_counter()
    try:
        notebook = stable(run(path))
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        print(f"{path.name}: failed, left as it was\n{error}")
        return False
    keep_times(notebook, nbformat.read(path, as_version=4))
    text = text_of(notebook)
    if diff:
        return _same(path, text)
    path.write_text(text, encoding="utf-8", newline="\n")
    print(f"{path.name}: {time.perf_counter() - start:.1f} s, {path.stat().st_size / 1000:.0f} kB")
    return True


def _same(path: Path, text: str) -> bool:
    """Print how a new run differs from the file, and tell whether it does not."""
    kept = path.read_bytes().decode()
    if text == kept:
        print(f"{path.name}: the same {len(text.encode()):,} bytes")
        return True
    lines = difflib.unified_diff(
        kept.splitlines(keepends=True), text.splitlines(keepends=True), f"{path.name} as kept", "as run now"
    )
    sys.stdout.writelines(map(_shortened, lines))
    return False


def _shortened(line: str) -> str:
    """Cut a line that nobody reads to its end, such as a picture."""
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}… {len(line):,} characters\n"


def main(arguments: list[str]) -> int:
    """Regenerate the lessons that are named, or all of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lessons", nargs="*", type=Path, help="paths of notebooks; all lessons without one")
    parser.add_argument("--diff", action="store_true", help="write nothing, show what would change")
    choices = parser.parse_args(arguments)
    paths = choices.lessons or sorted(NOTEBOOKS.glob("*.ipynb"))
    went_well = [regenerate(path, choices.diff) for path in paths]
    return 0 if all(went_well) else 1


if __name__ == "__main__":
    # A difference may have letters that the terminal's encoding has not.
    sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(main(sys.argv[1:]))
