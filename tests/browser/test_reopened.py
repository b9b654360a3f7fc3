"""A notebook that a learner has run and saved, opened again: with its kernel, another one, and none."""

import pytest
from laboratory import choose, open_lesson, running_notebook
from playwright.sync_api import expect

CELLS = [
    "from wslearn.lab import *\n"
    "from wslearn.trace import Trace\n"
    "trace = Trace()\n"
    "trace.begin(0)\n"
    "trace.record_head(1, 'client', [(0, b'GET /a HTTP/1.1\\r\\n\\r\\n')], 19)\n"
    "trace.record_head(1, 'server', [(0, b'HTTP/1.1 101 Switching Protocols\\r\\n\\r\\n')], 36)\n"
    "trace.record(0, 1, 'server', bytes.fromhex('8105') + b'Hello')\n"
    "wire = bytes.fromhex('818537fa213d7f9f4d5158')",
    "FrameInspector(wire, 'client')",
    "display(FrameEditor(wire))",
    "Conversation(trace, lanes=True)",
    "Ladder(trace)",
    "Handshake(trace)",
    "CloseStates(trace)",
]
# What each of the views shows without a kernel.
STORED = (
    ("table", "masking_key"),
    ("table", "masking_key"),
    ("td", "'Hello'"),
    ("pre", "── Text 'Hello' ──"),
    ("table", "GET /a HTTP/1.1"),
    ("strong", "→ open"),
)
IS_SAVED = "() => !window.jupyterapp.shell.currentWidget.context.model.dirty"
FORGET_THE_KERNEL = """() => {
    const model = window.jupyterapp.shell.currentWidget.context.model;
    for (const key of ['kernelspec', 'language_info']) model.deleteMetadata(key);
}"""


@pytest.fixture(scope="module")
def page(browser, laboratory):
    with running_notebook(browser, laboratory, "mine.ipynb", CELLS) as page:
        expect(page.locator(".wslearn-close-states")).to_be_visible()
        save(page)
        yield page


def save(page):
    page.keyboard.press("Control+s")
    page.wait_for_function(IS_SAVED)


def expect_what_is_stored(page):
    outputs = page.locator(".jp-NotebookPanel .jp-OutputArea-output")
    expect(outputs).to_have_count(len(STORED))
    for number, (tag, text) in enumerate(STORED):
        # the notebook is trusted, and a widget is what JupyterLab tries to show
        stored = outputs.nth(number).locator(":scope > .jp-RenderedHTML")
        expect(stored.locator(tag, has_text=text).first).to_be_visible()
    assert page.locator(".wslearn").count() == 0


def test_views_live_again_as_long_as_their_kernel_runs(page, laboratory):
    page.goto(laboratory.url("lab/tree/mine.ipynb"))
    expect(page.locator(".jp-NotebookPanel .wslearn-frame-editor")).to_be_visible()
    for name in ("frame-inspector", "conversation", "ladder", "handshake", "close-states"):
        expect(page.locator(f".jp-NotebookPanel .wslearn-{name}").first).to_be_attached()


def test_views_are_what_is_stored_of_them_with_another_kernel(page, laboratory):
    choose(page, "Kernel", "Shut Down Kernel")
    open_lesson(page, laboratory, "mine.ipynb")
    expect_what_is_stored(page)


def test_views_are_what_is_stored_of_them_without_a_kernel(page, laboratory, pictures):
    page.evaluate(FORGET_THE_KERNEL)
    save(page)
    choose(page, "Kernel", "Shut Down Kernel")
    page.goto(laboratory.url("lab/tree/mine.ipynb") + "&reset")
    page.locator(".jp-Dialog select").select_option(label="No Kernel")
    page.locator(".jp-Dialog .jp-mod-accept").click()
    expect_what_is_stored(page)
    page.screenshot(path=pictures / "reopened.png")
