"""A real WebSocket in a page, directly and through jupyter-server-proxy, as lesson 13 has it."""

import pytest
from laboratory import barriers, change_theme, running_notebook
from playwright.sync_api import expect

from wslearn.lab.lesson_13 import RECORDED

CELLS = [
    "from wslearn.lab import BrowserClient\n"
    "acts = {\n"
    "    'Close 4001': bytes.fromhex('88 02 0f a1'),\n"
    "    'Close without a code': bytes.fromhex('88 00'),\n"
    "    'nothing, and cuts': b'',\n"
    "    'a masked text': bytes.fromhex('81 85 37 fa 21 3d 7f 9f 4d 51 58'),\n"
    "    'wrong UTF-8': bytes.fromhex('81 02 c3 28'),\n"
    "    'Close 1011': bytes.fromhex('88 02 03 f3'),\n"
    "    'a ping and a text': bytes.fromhex('89 00 81 03 32 3a 31'),\n"
    "}\n"
    "view = await BrowserClient(acts).start()\n"
    "view"
]


@pytest.fixture(scope="module")
def view(browser, laboratory):
    with running_notebook(browser, laboratory, "browser-client.ipynb", CELLS) as page:
        yield page.locator(".wslearn-browser-client").first


@pytest.mark.parametrize(("way", "column"), [("directly", 1), ("through the proxy", 2)])
def test_page_is_told_what_was_recorded(view, way, column):
    view.get_by_role("button", name=f"Connect {way}").click()
    expect(view.locator(".said")).to_have_text(f"done, {way}")
    cells = view.locator(f"tbody td:nth-of-type({column + 1})")
    expect(cells.locator("strong")).to_have_text([str(told) for told in RECORDED[way].values()])


def test_server_hears_why_the_page_was_told_1006(view):
    row = view.locator("tbody tr", has_text="a masked text").locator("td").nth(1)
    expect(row).to_contain_text("server hears Close 1002: Masked frame from server")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_keeps_anybody_out(view, pictures, theme):
    change_theme(view.page, theme)
    assert barriers(view) == []
    view.page.screenshot(path=pictures / f"browser-client-{theme}.png")
