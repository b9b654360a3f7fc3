"""The package as others get it: from a wheel, on Binder, and by the README."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LESSON_01 = "01-first-conversation.ipynb"
SHIPPED = ("pyproject.toml", "README.md", "LICENSE", ".gitignore", "wslearn", "notebooks")


def run(*command, folder, environment=None, code=0):
    """Run a command in a folder and return what it printed; nobody's PYTHONPATH decides what it imports."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=inherited | (environment or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def scripts(environment):
    return environment / ("Scripts" if os.name == "nt" else "bin")


def python(environment):
    return scripts(environment) / "python"


def run_lesson(interpreter, path):
    """Run a lesson in its folder with an interpreter's own kernel, whatever kernels this user has."""
    execute = "from nbclient.cli import main; main()"
    nothing = {"JUPYTER_DATA_DIR": str(path.parent / "nothing")}
    run(interpreter, "-c", execute, "--timeout=60", path.name, folder=path.parent, environment=nothing)


# the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel, built from a copy of the checkout in which Jupyter has left a checkpoint."""
    source = tmp_path_factory.mktemp("source")
    for name in SHIPPED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, source / name)
    (source / "notebooks" / ".ipynb_checkpoints").mkdir(exist_ok=True)
    shutil.copy2(source / "notebooks" / LESSON_01, source / "notebooks" / ".ipynb_checkpoints")
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, ".", folder=source)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A new environment with the wheel and what it depends on, nothing else."""
    environment = tmp_path_factory.mktemp("installed")
    venv.create(environment)
    pip = [sys.executable, "-m", "pip", "--python", python(environment), "install"]
    run(*pip, wheel, folder=environment)
    return environment


def test_wheel_has_the_lessons_and_what_the_views_need(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    lessons = {f"wslearn/notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    views = {f"wslearn/lab/static/{path.name}" for path in (ROOT / "wslearn/lab/static").iterdir()}
    assert lessons | views | {"wslearn/py.typed"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_wheel_brings_what_jupyterlab_loads_by_itself(wheel):
    brought = [name for name in zipfile.ZipFile(wheel).namelist() if ".data/data/share/jupyter/" in name]
    assert {name.rpartition("/labextensions/")[2] for name in brought} == {
        "wslearn/package.json",
        "wslearn/static/stored.js",
    }


def test_wheel_has_nothing_that_jupyter_left(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if "/." in name or not name.startswith("wslearn")] == []


def test_core_needs_websockets_alone(installed, tmp_path):
    listed = run(sys.executable, "-m", "pip", "--python", python(installed), "freeze", folder=tmp_path)
    assert {line.split("==")[0].split(" @")[0] for line in listed.splitlines() if line} == {
        "websockets",
        "wslearn",
    }


def test_commands_work_without_the_lab(installed, tmp_path):
    command = scripts(installed) / "wslearn"
    assert "Ping frame" in run(command, "dissect", "8900", folder=tmp_path)
    said = run(command, "lab", folder=tmp_path, code=2)
    assert said.endswith('not installed: pip install "wslearn[lab]"\n')
    assert said.count("\n") == 1


def test_lesson_01_runs_from_a_copy_in_an_empty_folder(installed, tmp_path):
    # Jupyter is the one of these tests: it comes behind the environment's own packages, where wslearn is.
    ours = Path(sysconfig.get_path("purelib"))
    theirs = next(installed.rglob("site-packages"))
    (theirs / "jupyter.pth").write_text(str(ours))
    run(scripts(installed) / "wslearn", "lab", "--version", folder=tmp_path)
    where = run(python(installed), "-c", "import wslearn; print(wslearn.__file__)", folder=tmp_path)
    assert Path(where.strip()).is_relative_to(theirs)
    run_lesson(python(installed), tmp_path / "wslearn-lessons" / LESSON_01)


# Binder


def pins():
    lines = (ROOT / "binder" / "requirements.txt").read_text().splitlines()
    return {requirement.name: requirement for requirement in map(Requirement, lines)}


def needed():
    extras = PROJECT["optional-dependencies"]
    ours = PROJECT["dependencies"] + extras["lab"] + extras["converters"]
    return {need.name: need for need in map(Requirement, ours) if need.name != "wslearn"}


def test_binder_pins_everything_but_the_jupyterlab_of_its_image():
    assert set(pins()) == set(needed()) - {"jupyterlab"}


@pytest.mark.parametrize("pin", pins().values(), ids=str)
def test_binder_pins_only_versions_that_the_project_admits(pin):
    (specifier,) = pin.specifier
    assert specifier.operator == "=="
    prefix = specifier.version.removesuffix(".*")
    for version in (f"{prefix}.0", f"{prefix}.9999"):
        assert needed()[pin.name].specifier.contains(version)


def test_binder_python_is_one_that_the_project_admits():
    version = (ROOT / "binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(version)


def python_of_binder():
    """Return Binder's Python if this machine has it, else the one of these tests."""
    name = (ROOT / "binder" / "runtime.txt").read_text().strip().replace("-", "")
    found = shutil.which(name)
    if found and subprocess.run([found, "--version"], capture_output=True).returncode == 0:
        return found
    print(f"no {name} on this machine: Binder's files are tried with {sys.executable}")
    return sys.executable


def test_lesson_01_runs_on_what_binder_installs(tmp_path):
    environment = tmp_path / "binder"
    run(python_of_binder(), "-m", "venv", environment, folder=tmp_path)
    # Binder's image brings Jupyter; its kernel is all of it that a lesson needs.
    requirements = ROOT / "binder" / "requirements.txt"
    run(
        scripts(environment) / "pip",
        "install",
        "--no-compile",
        "ipykernel",
        "nbclient",
        "-r",
        requirements,
        folder=tmp_path,
    )
    activated = {"PATH": os.pathsep.join([str(scripts(environment)), os.environ["PATH"]])}
    run("bash", "binder/postBuild", folder=ROOT, environment=activated)
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    run_lesson(python(environment), tmp_path / "notebooks" / LESSON_01)


# the README

README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language):
    (text,) = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return text


def test_example_of_the_readme_prints_what_the_readme_shows(tmp_path):
    (tmp_path / "example.py").write_text(block("python"), encoding="utf-8")
    environment = {"PYTHONUTF8": "1"}
    assert run(sys.executable, "example.py", folder=tmp_path, environment=environment) == block("text")


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_readme_links_each_lesson_here_and_on_binder(path):
    assert f"](notebooks/{path.name})" in README
    assert f"?labpath=notebooks%2F{path.name})" in README


def test_pictures_of_the_readme_are_there():
    for picture in re.findall(r"!\[[^]]*\]\((notebooks/[^)]+)\)", README):
        assert (ROOT / picture).is_file(), picture
