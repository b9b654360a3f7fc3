"""The page's client without a page: its recording, its server, and what the page sends it."""

import pytest

from wslearn.lab import BrowserClient
from wslearn.lab.browser_client import Told, moments

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


def test_what_the_server_sees_behind_the_words_of_the_page_is_added():
    view = BrowserClient(ACTS, RECORDED)
    view._page_said(view, {"way": "directly", "name": "cut", "try": "1", "code": 1006, "clean": False}, [])
    view._seen["1"] = [*moments("100.4 server cuts")]
    view._join("1")
    assert view.rows[1]["told"]["directly"]["seen"] == [["100.4", "", "", "cuts"]]


@pytest.mark.parametrize("message", [{}, {"way": "directly"}, {"way": 1, "name": "cut"}])
def test_other_messages_change_nothing(message):
    view = BrowserClient(ACTS)
    before = view.rows
    view._page_said(view, message, [])
    assert view.rows == before


# three taps

SEEN = moments("0.1 wire ◀ 101 Switching Protocols", "100.4 wire ◀ Text 'Hello'", "102.4 wire ▶ Text 'Hello'")


def shown(log, served):
    """Return the table of what a page has logged and its server has seen."""
    view = BrowserClient(ACTS)
    view._seen["1"] = list(served)
    told = {"way": "directly", "name": "cut", "try": "1", "code": 1006, "clean": False, "log": log}
    view._page_said(view, told, [])
    return view.rows[1]["told"]["directly"]["seen"]


def test_text_form_shows_the_taps_of_the_first_act():
    recorded = {"directly": {"Close 4001": Told(4001, True, (), seen=SEEN[:1])}}
    assert BrowserClient(ACTS, recorded).plain().splitlines()[-3:] == [
        "Close 4001, directly:",
        "ms    page   wire at the server          server",
        "0.1          ◀ 101 Switching Protocols",
    ]
    assert "<p>Close 4001, directly</p><table>" in BrowserClient(ACTS, recorded).html()


@pytest.mark.parametrize(
    ("heard", "opened"),
    [(100.9, 0.0), (90.4, 10.0), (103.4, -1.0)],
    ids=["both can be true", "heard before it was said", "came before the page sent it"],
)
def test_clock_of_the_page_is_set_so_that_nothing_is_heard_before_it_was_said(heard, opened):
    rows = shown([[0, "open"], [heard, "message 'Hello', sends it back"]], SEEN)
    assert [row for row in rows if row[1] == "open"] == [[f"{opened:.1f}", "open", "", ""]]
    assert [row[1] or row[2] for row in rows[2:]] == [
        "◀ Text 'Hello'",
        "message 'Hello', sends it back",
        "▶ Text 'Hello'",
    ]


@pytest.mark.parametrize("log", [None, "open", [1], [["0", "open"]], [[0, "open", 1]]])
def test_log_of_another_form_leaves_the_taps_of_the_server(log):
    assert [row[2] for row in shown(log, SEEN[:1])] == ["◀ 101 Switching Protocols"]
