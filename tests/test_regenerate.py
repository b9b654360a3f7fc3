"""Running a tiny notebook again: the same bytes, or the lines that differ; and lessons with another zlib."""

import os

import nbformat
import pytest
from regenerate import IGNORED, NOTEBOOKS, keep_times, main, run, stable, text_of

CELLS = ["print(6 * 7)", "from pathlib import Path\nsorted(each.name for each in Path().iterdir())"]


@pytest.fixture
def lesson(tmp_path):
    """A notebook as it is written after a run; its folder has somebody's progress."""
    path = tmp_path / "tiny.ipynb"
    (tmp_path / ".wslearn-progress.json").touch()
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS]), path)
    assert main([str(path)]) == 0
    return path


def test_second_run_gives_the_same_bytes_and_sees_nobodys_progress(lesson, capsys):
    kept = lesson.read_bytes()
    capsys.readouterr()
    assert main(["--diff", str(lesson)]) == 0
    assert capsys.readouterr().out == f"tiny.ipynb: the same {len(kept)} bytes\n"
    assert '"[]"' in kept.decode()


def test_difference_is_shown_and_nothing_is_written(lesson, capsys):
    changed = lesson.read_text().replace('"42\\n"', '"43\\n"')
    lesson.write_text(changed)
    capsys.readouterr()
    assert main(["--diff", str(lesson)]) == 1
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("-", "+"))]
    assert [line.split() for line in shown] == [
        ["---", "tiny.ipynb", "as", "kept"],
        ["+++", "as", "run", "now"],
        ["-", '"43\\n"'],
        ["+", '"42\\n"'],
    ]
    assert lesson.read_text() == changed


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_lesson_is_stored_as_it_is_written_after_a_run(path):
    """A cell is named by its text: who edits it and does not run the lesson again leaves the old name."""
    assert text_of(stable(nbformat.read(path, as_version=4))) == path.read_text(encoding="utf-8")


def test_long_line_of_a_difference_is_cut(lesson, capsys):
    lesson.write_text(lesson.read_text().replace('"42\\n"', f'"{"4" * 10_000}"'))
    capsys.readouterr()
    assert main(["--diff", str(lesson)]) == 1
    removed = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("-  "))
    assert removed.startswith('-      "4444')
    assert removed.endswith("4… 10,010 characters")
    assert len(removed) == 500 + len("… 10,010 characters")


def test_lesson_that_fails_is_left_as_it_was(lesson, capsys):
    failing = lesson.read_text().replace("print(6 * 7)", "print(6 / 0)")
    lesson.write_text(failing)
    assert main([str(lesson)]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().out
    assert lesson.read_text() == failing


def clocked(shown, tag="nbval-ignore-output"):
    output = nbformat.v4.new_output("stream", text=shown)
    cell = nbformat.v4.new_code_cell("trace", outputs=[output], metadata={"tags": [tag]})
    return stable(nbformat.v4.new_notebook(cells=[cell]))


@pytest.mark.parametrize(
    ("now", "tag", "shown"),
    [
        ("0.1486 request 129", "nbval-ignore-output", "0.1484 request 129"),
        ("0.1486 request 130", "nbval-ignore-output", "0.1486 request 130"),
        ("0.1486 request 129", "raises-exception", "0.1486 request 129"),
    ],
)
def test_ignored_output_stays_if_only_its_times_have_changed(now, tag, shown):
    notebook = clocked(now, tag)
    keep_times(notebook, clocked("0.1484 request 129", tag))
    assert notebook.cells[0].outputs[0].text == shown


COMPRESSING = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if "deflate" in path.read_text().lower()]


def compared(notebook):
    """Return all outputs but pictures, and those that nbval ignores."""
    cells = [cell for cell in stable(notebook).cells if cell.cell_type == "code"]
    for output in (output for cell in cells for output in cell.outputs):
        output.get("data", {}).pop("image/png", None)
    return [cell.outputs for cell in cells if IGNORED not in cell.metadata.get("tags", [])]


@pytest.mark.parametrize("path", COMPRESSING, ids=lambda path: path.stem)
def test_lesson_shows_the_same_with_another_build_of_zlib(path, tmp_path, monkeypatch):
    # what Python runs first: zlib-ng, which Fedora and others have, passes over repetitions of three bytes
    swap = "import sys\nfrom zlib_ng import zlib_ng\nsys.modules['zlib'] = zlib_ng\n"
    (tmp_path / "sitecustomize.py").write_text(swap)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    assert compared(run(path)) == compared(nbformat.read(path, as_version=4))
