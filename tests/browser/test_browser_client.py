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


@pytest.mark.parametrize(
    ("act", "way", "said"),
    [
        ("Close 4001", "directly", ["close: 4001, clean", "◀ Close 4001", "▶ Close 4001", "keeps 4001"]),
        ("Close 4001", "through the proxy", ["close: 1005, clean", "◀ Close 4001", "keeps 4001"]),
        ("a masked text", "directly", ["error", "close: 1006, not clean", "keeps 1002"]),
        ("a ping and a text", "through the proxy", ["says close(1000)", "keeps 1005"]),
    ],
)
def test_three_taps_of_the_chosen_row_stand_in_columns(view, act, way, said):
    choice = view.get_by_role("button", name=act, exact=True)
    choice.press("Enter")
    expect(view.get_by_role("button", name=act, exact=True)).to_be_focused()
    taps = view.locator(".taps table", has_text=f"{act}, {way} in this page")
    for each in said:
        expect(taps.locator("td").get_by_text(each, exact=True)).to_have_count(1)


def test_taps_tell_what_was_recorded_but_for_the_time(view):
    for act, told in RECORDED["directly"].items():
        view.get_by_role("button", name=act, exact=True).click()
        rows = view.locator(".taps table").first.locator("tbody td:nth-child(n+2)")
        expect(rows).to_have_count(3 * len(told.seen))
        found = [text for text in rows.all_text_contents() if text]
        assert sorted(found) == sorted(moment.said for moment in told.seen)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_keeps_anybody_out(view, pictures, theme):
    change_theme(view.page, theme)
    assert barriers(view) == []
    view.page.screenshot(path=pictures / f"browser-client-{theme}.png")
