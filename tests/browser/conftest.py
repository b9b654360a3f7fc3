"""One JupyterLab, a Chromium for each file of tests, and a folder for pictures, printed at the end."""

import tempfile
from pathlib import Path

import pytest
from laboratory import running_chromium, running_laboratory
from playwright.sync_api import expect

expect.set_options(timeout=30_000)  # ms; a view that is slow on a busy machine is not wrong
PICTURES = pytest.StashKey[Path]()


# Not for the whole session: playwright keeps an event loop running in this thread, and the tests of other
# files run loops of their own.
@pytest.fixture(scope="module")
def browser():
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def running(tmp_path_factory):
    with running_laboratory(tmp_path_factory.mktemp("laboratory")) as laboratory:
        yield laboratory


@pytest.fixture(scope="module")
def laboratory(running):
    """The one JupyterLab of all files, without the kernels of the file before."""
    yield running
    running.end_kernels()


@pytest.fixture(scope="session")
def pictures(request):
    """A folder that stays: a person looks at it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="wslearn-pictures-"))
    request.config.stash[PICTURES] = folder
    return folder


def pytest_terminal_summary(terminalreporter, config):
    if PICTURES in config.stash:
        terminalreporter.write_line(f"pictures of the browser tests are in {config.stash[PICTURES]}")
