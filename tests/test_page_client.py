import asyncio

from wslearn import connect
from wslearn.lab import PageClient, small_server
from wslearn.lab.page_client import Heard

BEFORE = Heard(("2:1?",), 1000, True)


def made():
    return PageClient(small_server.echo, ["2:1?"], BEFORE)


def test_without_a_page_a_recording_stands_in_and_says_so():
    assert made().plain() == "the page says '2:1?'\nrecorded in Chromium, before: '2:1?'; then 1000, clean"
    assert "recorded in Chromium, before" in made().html()


def test_what_the_page_was_told_is_shown_and_the_compared_form_stays():
    view = made()
    view._page_said(view, {"texts": [], "code": 1006, "clean": False}, [])
    assert view.said == "told in this page: nothing; then 1006, not clean"
    assert view.plain() == made().plain()


def test_what_is_no_report_of_a_page_changes_nothing():
    view = made()
    view._page_said(view, {"texts": "2:1?"}, [])
    assert view.heard is None


def test_server_listens_until_the_view_is_closed():
    async def main():
        view = await made().start()
        async with connect(f"ws://127.0.0.1:{view.port}/") as session:
            await session.send("2:1?")
            text = (await session.incoming.receive()).read_text()
        view.close()
        return text, view._server.is_serving()

    assert asyncio.run(main()) == ("2:1?", False)
