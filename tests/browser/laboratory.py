"""A real JupyterLab on a copy of the lessons, and Chromium in front of it.

Here is what a person does: open a lesson, run it from the menu, change the theme, look.
What a lesson must show is asserted in the tests, never here.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Locator, Page, Playwright, sync_playwright

import wslearn

NOTEBOOKS = Path(__file__).resolve().parent.parent.parent / "notebooks"
LABEXTENSIONS = Path(wslearn.__file__).parent / "lab" / "labextensions"
NO_CHROMIUM = (
    "no Chromium found: `apt-get install chromium` on Debian, `playwright install chromium` elsewhere"
)
# Only this machine resolves, so a view that asks the internet for something fails here too.
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-gpu",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
LAB_ARGUMENTS = [
    "--no-browser",
    "--allow-root",
    "--expose-app-in-browser",
    "--ServerApp.port_retries=0",
    "--LabApp.extension_manager=readonly",
    f"--LabApp.extra_labextensions_path={LABEXTENSIONS}",
]
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # Chosen by hand below: the machine's own taste decides nothing.
    "@jupyterlab/apputils-extension/themes": {"adaptive-theme": False, "theme": "JupyterLab Light"},
}
ALL_CELLS_DRAWN = {"@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"}}
START_TIMEOUT = 180  # seconds; on two busy cores JupyterLab takes long
RUN_TIMEOUT = 240  # seconds, for a whole lesson

# The page's own indicator says "idle" before there is a kernel, and a run started then is lost.
KERNEL_IS_IDLE = """() => {
    const kernel = window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel;
    return kernel?.connectionStatus === 'connected' && kernel.status === 'idle';
}"""
# A part of a page belongs to no landmark and needs no heading of the page's order.
AXE = """view => axe.run(view, {resultTypes: ["violations"], rules: {region: {enabled: false}}})
    .then(found => found.violations.flatMap(rule => rule.nodes.map(node =>
        `${rule.id}: ${node.html.slice(0, 200)}: ${node.failureSummary}`)))"""
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
PROMPTS = ".jp-NotebookPanel .jp-CodeCell .jp-InputPrompt"
SCROLLER = ".jp-NotebookPanel .jp-WindowedPanel-outer"
# Below the last cell Lab leaves an empty page, so that one can scroll on.
HEIGHTS = """panel => {
    const last = [...panel.querySelectorAll('.jp-Cell')].at(-1).getBoundingClientRect();
    return [Math.ceil(last.bottom - panel.getBoundingClientRect().top + panel.scrollTop), panel.clientHeight];
}"""


class Laboratory:
    """A running JupyterLab: its address, its token and the folder that it serves."""

    def __init__(self, folder: Path, port: int, token: str) -> None:
        self.folder = folder
        self.port = port
        self.token = token

    def url(self, path: str) -> str:
        """Return the address of a page, with the token that lets us in."""
        return f"http://127.0.0.1:{self.port}/{path}?token={self.token}"


@contextmanager
def running_laboratory(
    home: Path, settings: dict[str, dict[str, object]] | None = None
) -> Iterator[Laboratory]:
    """Start JupyterLab on a copy of the lessons in `home`, with settings of its own; end it afterwards."""
    folder = home / "lessons"
    shutil.copytree(NOTEBOOKS, folder, ignore=shutil.ignore_patterns(".*"))
    _write_settings(home / "settings", SETTINGS | (settings or {}))
    laboratory = Laboratory(folder, _free_port(), secrets.token_hex(16))
    log = home / "jupyterlab.log"
    command = [sys.executable, "-m", "jupyterlab", *LAB_ARGUMENTS]
    command += [f"--ServerApp.port={laboratory.port}", f"--IdentityProvider.token={laboratory.token}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        _wait_until_it_answers(laboratory, process, log)
        yield laboratory
    finally:
        _end(process)


def _write_settings(folder: Path, settings: dict[str, dict[str, object]]) -> None:
    for plugin, values in settings.items():
        path = folder / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))


def _environment(home: Path) -> dict[str, str]:
    """Keep every file that Jupyter writes, and every setting that it reads, in `home`."""
    return os.environ | {
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_answers(laboratory: Laboratory, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            urllib.request.urlopen(laboratory.url("api/status"), timeout=5).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}") from None
            time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Start Debian's Chromium, or the one that playwright has installed.

    Raises:
        FileNotFoundError: there is none; the text says how to get it.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(playwright), args=CHROMIUM_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def _chromium(playwright: Playwright) -> str:
    found = shutil.which("chromium") or playwright.chromium.executable_path
    if not Path(found).exists():
        raise FileNotFoundError(NO_CHROMIUM)
    return found


def open_lesson(page: Page, laboratory: Laboratory, name: str) -> None:
    """Open a lesson by its file name and wait until its kernel is idle."""
    page.goto(laboratory.url(f"lab/tree/{name}") + "&reset")  # without the tabs of the lesson before
    page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for(timeout=START_TIMEOUT * 1000)
    page.wait_for_function(KERNEL_IS_IDLE, timeout=START_TIMEOUT * 1000)


def write_notebook(laboratory: Laboratory, name: str, cells: list[str]) -> None:
    """Write a notebook of code cells beside the lessons."""
    code = [nbformat.v4.new_code_cell(source) for source in cells]
    notebook = nbformat.v4.new_notebook(cells=code, metadata={"kernelspec": KERNEL})
    nbformat.write(notebook, laboratory.folder / name)


@contextmanager
def running_notebook(browser: Browser, laboratory: Laboratory, name: str, cells: list[str]) -> Iterator[Page]:
    """Run a notebook of these cells in a page of its own, in the whole width; it has no errors in the end."""
    write_notebook(laboratory, name, cells)
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    raised: list[str] = []
    page.on("pageerror", lambda error: raised.append(str(error)))
    open_lesson(page, laboratory, name)
    run_lesson(page)
    give_the_lesson_the_whole_width(page)
    yield page
    assert [*raised, *errors(page)] == []
    page.close()


def choose(page: Page, menu: str, item: str) -> None:
    """Click an item of the menu bar, as a person does."""
    page.locator(".lm-MenuBar-itemLabel", has_text=menu).first.click()
    page.locator(".lm-Menu-itemLabel").get_by_text(item, exact=True).click()


def run_lesson(page: Page) -> None:
    """Clear the outputs and run all cells, both from the menu; wait until the last cell has its count.

    Raises:
        AssertionError: the run stopped before the last cell; the text has the errors of the page.
    """
    choose(page, "Edit", "Clear Outputs of All Cells")
    choose(page, "Run", "Run All Cells")
    assert _last_cell_has_its_count(page), f"the lesson stopped: {errors(page) or 'no answer'}"


def _last_cell_has_its_count(page: Page) -> bool:
    """Wait while cells wait for their turn; between two cells none does, but never for a whole second."""
    deadline = time.monotonic() + RUN_TIMEOUT
    still = 0
    while time.monotonic() < deadline and still < 10:
        page.wait_for_timeout(100)
        prompts = page.locator(PROMPTS).all_text_contents()
        if any(letter.isdigit() for letter in prompts[-1]):
            return True
        running = any("*" in prompt for prompt in prompts)
        started = any(letter.isdigit() for letter in "".join(prompts))
        still = still + 1 if started and not running else 0
    return False


def errors(page: Page) -> list[str]:
    """Return what stands in red in the page: errors and stderr of all cells."""
    red = page.locator(
        '.jp-NotebookPanel .jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]'
    )
    return red.all_text_contents()


def barriers(view: Locator) -> list[str]:
    """Return what axe finds in a view that keeps somebody out, a line each."""
    view.page.evaluate(f"() => {{ if (!window.axe) {{ {AXE_SCRIPT} }} }}")
    found: list[str] = view.evaluate(AXE)
    return found


def change_theme(page: Page, theme: str) -> None:
    """Switch to "light" or "dark" without a reload."""
    name = f"JupyterLab {theme.capitalize()}"
    page.evaluate("name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name)
    light = "true" if theme == "light" else "false"
    page.locator(f'body[data-jp-theme-light="{light}"]').wait_for(state="attached")
    page.locator("#jupyterlab-splash").wait_for(state="detached")


def give_the_lesson_the_whole_width(page: Page) -> None:
    """Close the file browser at the left."""
    page.evaluate(
        "() => window.jupyterapp.shell.leftCollapsed"
        " || window.jupyterapp.commands.execute('application:toggle-left-area')"
    )
    page.locator("#jp-left-stack").wait_for(state="hidden")


def photograph(page: Page, folder: Path, name: str) -> list[Path]:
    """Write pictures of the whole open lesson from top to bottom, a window's height each."""
    scroller = page.locator(SCROLLER).first
    whole, window = scroller.evaluate(HEIGHTS)
    pictures = []
    for number, top in enumerate(range(0, whole, window), start=1):
        _scroll(scroller, top)
        pictures.append(folder / f"{name}-{number:02}.png")
        page.screenshot(path=pictures[-1])
    _scroll(scroller, 0)
    return pictures


def _scroll(scroller: Locator, top: int) -> None:
    """Scroll and wait until the page is drawn."""
    scroller.evaluate(
        """(panel, top) => new Promise(drawn => {
            panel.scrollTop = top;
            requestAnimationFrame(() => requestAnimationFrame(drawn));
        })""",
        top,
    )
