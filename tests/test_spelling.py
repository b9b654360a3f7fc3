"""Spelling: no word that codespell knows to be wrong, anywhere, and British English in what people read."""

import ast
import importlib.resources
import re
import subprocess
import sys
import tokenize
from functools import cache
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOURCES = sorted(path for folder in ("wslearn", "tests") for path in (ROOT / folder).rglob("*.py"))
# Names of things, and words that are spelled alike with another meaning.
AS_NAMED = {"authorization", "license", "math", "meter", "meters", "program", "programs", "stories", "story"}


def test_codespell_knows_of_no_mistake():
    command = [sys.executable, "-m", "codespell_lib", "README.md", "wslearn", "notebooks", "tests", "binder"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (found.stdout, found.stderr, found.returncode) == ("", "", 0)


@cache
def american():
    """Return British words by their American form."""
    words = importlib.resources.files("codespell_lib") / "data" / "dictionary_en-GB_to_en-US.txt"
    pairs = [line.split("->") for line in words.read_text(encoding="utf-8").splitlines() if line]
    return {form: ours for ours, theirs in pairs for form in theirs.replace(" ", "").split(",") if form}


def prose(path):
    """Return what a file says to people: text, comments and docstrings, without code."""
    match path.suffix:
        case ".ipynb":
            cells = nbformat.read(path, as_version=4).cells
            text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        case ".py":
            text = "\n".join([*docstrings(path), *comments(path)])
        case _:
            text = path.read_text(encoding="utf-8")
    return re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)


def docstrings(path):
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [ast.get_docstring(node) or "" for node in nodes if isinstance(node, documented)]


def comments(path):
    with path.open("rb") as file:
        return [each.string for each in tokenize.tokenize(file.readline) if each.type == tokenize.COMMENT]


@pytest.mark.parametrize("path", [ROOT / "README.md", *LESSONS, *SOURCES], ids=lambda path: path.stem)
def test_what_people_read_is_spelled_as_in_britain(path):
    words = {word.lower() for word in re.findall(r"[A-Za-z]+", prose(path))} - AS_NAMED
    assert {word: american()[word] for word in words if word in american()} == {}


@pytest.mark.parametrize(("word", "ours"), [("color", "colour"), ("serialized", "serialised")])
def test_american_words_are_known(word, ours):
    assert american()[word] == ours
