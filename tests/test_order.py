"""The modules stand in one order, and each imports only what its line in this file allows."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import wslearn

PACKAGE = Path(wslearn.__file__).parent
ORDER = (
    ("frames", ""),
    ("errors", "frames"),
    ("codec", "frames errors"),
    ("handshake", "errors"),
    ("channels", "errors"),
    ("converters", "frames errors"),
    ("extensions", "frames errors handshake"),
    ("options", "channels converters extensions errors"),
    ("trace", "frames codec handshake extensions"),
    ("dissection", "frames codec handshake extensions"),
    ("session", "frames errors codec handshake channels converters extensions options trace"),
    ("network", "errors"),
    ("simulation", "network trace errors"),
    ("link", "network errors"),
    ("server", "frames errors session handshake options trace network"),
    ("client", "frames errors session handshake options trace network"),
    ("cli", "frames options session server client dissection"),
)
ALLOWED = {name: set(allowed.split()) for name, allowed in ORDER}
CORE = sorted(path for path in PACKAGE.glob("*.py") if path.stem != "__init__")
ALL = sorted(PACKAGE.rglob("*.py"))
LAB = PACKAGE / "lab"


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of everything that a module imports, for annotations too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports by dots: write the full name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def named(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def test_each_line_of_the_order_names_only_modules_above_it():
    names = [name for name, _ in ORDER]
    for position, name in enumerate(names):
        assert ALLOWED[name] <= set(names[:position])


@pytest.mark.parametrize("path", CORE, ids=named)
def test_module_imports_only_what_its_line_allows(path):
    ours = {name.split(".")[1] for name in imports(path) if name.startswith("wslearn.")}
    assert ours <= ALLOWED[path.stem]


@pytest.mark.parametrize("path", [path for path in ALL if path.name != "__init__.py"], ids=named)
def test_only_packages_export_what_they_import(path):
    assert "__all__" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", ALL, ids=named)
def test_only_plots_imports_matplotlib(path):
    roots = {name.split(".")[0] for name in imports(path)}
    assert "matplotlib" not in roots or path == LAB / "plots.py"


@pytest.mark.parametrize("path", ALL, ids=named)
def test_only_the_session_takes_chance_and_nobody_reads_the_clock_on_the_wall(path):
    roots = {name.split(".")[0] for name in imports(path)}
    assert "secrets" not in roots or path.name == "session.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    attributes = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not ({"time.time", "datetime.now"} & attributes)
    assert "time.time" not in imports(path)


def loaded_by(module: str) -> set[str]:
    """Return the top-level names in `sys.modules` after one import in a new process."""
    code = f"import {module}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


def test_import_wslearn_loads_nothing_of_jupyter_or_matplotlib():
    heavy = {"IPython", "anywidget", "ipykernel", "ipywidgets", "matplotlib", "numpy", "traitlets"}
    assert not heavy & loaded_by("wslearn")


def test_import_of_the_lab_loads_no_matplotlib():
    assert not {"matplotlib", "numpy"} & loaded_by("wslearn.lab")
