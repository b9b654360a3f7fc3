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
from typing import Any

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
# Another notebook in the same page; the one before goes, and its kernel with it.
TURN = """async path => {
    const {commands, shell} = window.jupyterapp;
    const before = shell.currentWidget;
    if (before?.sessionContext) {
        await before.sessionContext.shutdown();
        before.dispose();
    }
    const panel = await commands.execute('docmanager:open', {path});
    const late = new Promise((_, fail) => setTimeout(fail, 180_000, new Error('no kernel after 180 s')));
    await Promise.race([panel.sessionContext.ready, late]);
    panel.content.notebookConfig = {...panel.content.notebookConfig, windowingMode: 'none'};
}"""
VIEW = "application/vnd.jupyter.widget-view+json"
# Lab names the type of every output but that of a view.
DRAWN = """() => [...document.querySelectorAll('.jp-OutputArea-output:not([data-mime-type])')]
    .map(output => output.querySelector('.wslearn, .jupyter-widgets'))
    .filter(view => view?.getBoundingClientRect().height > 5).length"""
# What the notebook knows of its code cells, drawn or not.
CODE_CELLS = """() => [...window.jupyterapp.shell.currentWidget.content.model.cells]
    .filter(cell => cell.type === 'code')
    .map(cell => ({
        count: cell.executionCount,
        running: cell.executionState === 'running',
        tags: cell.getMetadata('tags') ?? [],
        outputs: cell.outputs.toJSON(),
    }))"""
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

    def end_kernels(self) -> None:
        """End the kernels of all notebooks that were open."""
        with urllib.request.urlopen(self.url("api/kernels"), timeout=20) as answer:
            kernels = json.load(answer)
        for kernel in kernels:
            request = urllib.request.Request(self.url(f"api/kernels/{kernel['id']}"), method="DELETE")
            urllib.request.urlopen(request, timeout=20).close()


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


def turn_to_lesson(page: Page, name: str) -> None:
    """Open a lesson in place of the one that is open, all of its cells drawn, and wait for its kernel."""
    page.evaluate(TURN, name)
    page.wait_for_function(KERNEL_IS_IDLE, timeout=START_TIMEOUT * 1000)


def open_first_page(page: Page, laboratory: Laboratory) -> None:
    """Open JupyterLab with no notebook in it."""
    page.goto(laboratory.url("lab") + "&reset")
    page.wait_for_function("() => window.jupyterapp?.restored", timeout=START_TIMEOUT * 1000)


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


def run_lesson(page: Page) -> list[dict[str, Any]]:
    """Clear the outputs and run all cells, both from the menu; return the code cells afterwards.

    Raises:
        AssertionError: the run stopped before the last cell; the text has the errors of the page.
    """
    choose(page, "Edit", "Clear Outputs of All Cells")
    choose(page, "Run", "Run All Cells")
    cells = _cells_after_the_run(page)
    assert all(cell["count"] for cell in cells), f"the lesson stopped: {unexpected(cells) or 'no answer'}"
    return cells


def _cells_after_the_run(page: Page) -> list[dict[str, Any]]:
    """Wait until every cell has its count and all is quiet, or until a cell fails that must not.

    Whether cells still wait is nowhere to be seen: a kernel is idle between two of them, and after an error
    that is allowed Lab takes the star from those that follow.
    """
    deadline = time.monotonic() + RUN_TIMEOUT
    while True:
        cells: list[dict[str, Any]] = page.evaluate(CODE_CELLS)
        over = all(cell["count"] and not cell["running"] for cell in cells) and page.evaluate(KERNEL_IS_IDLE)
        if over or unexpected(cells) or time.monotonic() > deadline:
            return cells
        page.wait_for_timeout(100)


def unexpected(cells: list[dict[str, Any]]) -> list[str]:
    """Return what cells say that must not fail, and fail."""
    return [
        f"{output['ename']}: {output['evalue']}"
        for cell in cells
        if "raises-exception" not in cell["tags"]
        for output in cell["outputs"]
        if output["output_type"] == "error"
    ]


def errors(page: Page) -> list[str]:
    """Return what stands in red in the page: errors and stderr of all cells."""
    red = page.locator(
        '.jp-NotebookPanel .jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]'
    )
    return red.all_text_contents()


def wait_until_all_views_are_drawn(page: Page, cells: list[dict[str, Any]]) -> None:
    """Wait until the page shows as many views as the cells of the open lesson have in their outputs."""
    views = sum(VIEW in output.get("data", {}) for cell in cells for output in cell["outputs"])
    page.wait_for_function(f"count => ({DRAWN})() === count", arg=views, timeout=30_000)


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
