"""The page's client without a page: its recording, its server, and what the page sends it."""

import pytest

from wslearn.lab import BrowserClient
from wslearn.lab.browser_client import Told

ACTS = {"Close 4001": bytes.fromhex("88 02 0f a1"), "cut": b""}
RECORDED = {"directly": {"Close 4001": Told(4001, True, ("Close 4001",))}}


def test_text_form_is_the_recording_and_says_so():
    view = BrowserClient(ACTS, RECORDED)
    first, heads, close, cut = view.plain().splitlines()
    assert first == "recorded in Chromium, before:"
    assert heads.startswith("the server says  the page is told, directly  the server hears, directly")
    assert close.split() == ["Close", "4001", "4001,", "clean", "Close", "4001"]
    assert cut == "cut"


def test_html_form_is_a_table_with_headings():
    html = BrowserClient({"<b>": b""}, {}).html()
    assert html.startswith("<table><caption>recorded in Chromium, before</caption>")
    assert "&lt;b&gt;" in html
    assert html.count("<th ") == 5


def test_what_the_page_was_told_stands_in_its_row():
    view = BrowserClient(ACTS, RECORDED)
    view._page_said(view, {"way": "directly", "name": "cut", "try": "1", "code": 1006, "clean": False}, [])
    cells = [row["told"]["directly"] for row in view.rows]
    assert [(cell["page"], cell["live"]) for cell in cells] == [
        ("4001, clean", False),
        ("1006, not clean", True),
    ]


@pytest.mark.parametrize("message", [{}, {"way": "directly"}, {"way": 1, "name": "cut"}])
def test_other_messages_change_nothing(message):
    view = BrowserClient(ACTS)
    before = view.rows
    view._page_said(view, message, [])
    assert view.rows == before
