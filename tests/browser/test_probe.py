"""What the first lesson says of the page and of Jupyter's proxy, after the page has tried both."""

import re

import pytest
from laboratory import barriers, change_theme, running_notebook
from playwright.sync_api import expect

CELLS = ["from wslearn.lab.lesson_00 import probe\nawait probe()"]
CAME = [
    "✓kernelPython answers, and await works in a cell",
    "✓socketsHello went out over TCP on this machine and came back",
    "✓browserviews live in this page, and its Hello went to the kernel and came back",
    "✓proxyHello came back by this way too, the one to a kernel on Binder",
]
LOST = [
    "◐browserviews live in this page; no straight way leads to the kernel from it",
    "✗proxyHello did not come back by the way to a kernel on Binder: lesson 13 has a recording",
]


@pytest.fixture(scope="module")
def view(browser, laboratory):
    with running_notebook(browser, laboratory, "probe.ipynb", CELLS) as page:
        yield page.locator(".jp-NotebookPanel .wslearn-probe").first


def test_hello_of_the_page_comes_back_directly_and_through_the_proxy(view):
    expect(view.locator("li")).to_have_text(CAME)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_keeps_anybody_out(view, pictures, theme):
    change_theme(view.page, theme)
    assert barriers(view) == []
    view.page.screenshot(path=pictures / f"probe-{theme}.png")


@pytest.mark.parametrize(("closed", "lines"), [(r"/proxy/", CAME[:3] + LOST[1:]), (r"/\?$", CAME[:2] + LOST)])
def test_page_that_finds_a_way_closed_says_so(view, closed, lines):
    page = view.page
    page.keyboard.press("Control+s")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    page.route_web_socket(re.compile(closed), lambda socket: socket.close())
    page.reload()
    expect(view.locator("li")).to_have_text(lines)
