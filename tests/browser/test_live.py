"""Every view of a server's trace, shown before anything has passed: it grows while a cell runs."""

import re

import pytest
from laboratory import running_notebook
from playwright.sync_api import expect

CELLS = [
    "import asyncio\n"
    "from wslearn import Application, WebSockets, connect\n"
    "from wslearn.lab import CloseStates, Conversation, FrameInspector, Handshake, Ladder\n"
    "app = Application()\n"
    "app.install(WebSockets, ping_period=None)\n"
    "@app.websocket('/echo')\n"
    "async def echo(session):\n"
    "    async for frame in session.incoming:\n"
    "        await session.send(frame)\n"
    "server = await app.start()\n"
    "ready = asyncio.Event()",
    "FrameInspector(server.trace)",
    "Conversation(server.trace, lanes=True)",
    "Ladder(server.trace)",
    "Handshake(server.trace)",
    "CloseStates(server.trace)",
    # the first run only passes by; the second waits until the test has looked
    "if ready.is_set():\n"
    "    async with connect(server.url('/echo')) as session:\n"
    "        for number in range(30):\n"
    "            await session.send(f'number {number}')\n"
    "            await asyncio.sleep(0.1)\n"
    "    await asyncio.sleep(15)\n"
    "ready.set()",
]


@pytest.fixture(scope="module")
def running(browser, laboratory):
    """The page while its last cell runs."""
    with running_notebook(browser, laboratory, "live.ipynb", CELLS) as page:
        expect(page.locator(".wslearn-conversation .empty")).to_have_text("nothing has passed yet")
        page.locator(".jp-CodeCell").last.locator(".cm-content").click()
        page.keyboard.press("Control+Enter")
        expect(prompt(page)).to_have_text("[*]:")
        yield page
        expect(prompt(page)).not_to_have_text("[*]:")


def prompt(page):
    return page.locator(".jp-CodeCell").last.locator(".jp-InputPrompt")


def test_all_views_follow_a_conversation_to_its_end_while_the_cell_still_runs(running):
    def shown(name):
        view = running.locator(f".jp-OutputArea-output > * .wslearn-{name}, .wslearn-{name}").first
        view.scroll_into_view_if_needed()
        return view

    handshake = shown("handshake")
    expect(handshake.locator(".client .line").first).to_have_text("GET /echo HTTP/1.1")
    expect(handshake.locator(".server .first")).to_contain_text("Text 'number 0'")
    states = shown("close-states")
    expect(states.locator(".count")).to_have_text(re.compile("server (open|closed, cleanly)"))
    conversation = shown("conversation")
    expect(conversation.locator(".count")).to_have_text(re.compile(r"^6\d rows"))
    expect(conversation.locator(".lanes .bar.text").first).to_be_attached()
    expect(shown("ladder").locator(".count")).to_have_text("64 arrows")
    inspector = running.locator(".jp-CodeCell").nth(1).locator(".wslearn-frame-inspector")
    inspector.scroll_into_view_if_needed()
    expect(inspector.get_by_role("option")).to_have_count(62)
    expect(shown("close-states").locator(".count")).to_have_text(
        "client closed, cleanly · server closed, cleanly"
    )
    expect(shown("close-states").get_by_role("option").first).to_have_accessible_name(
        re.compile(r"^\d\.\d{4} s, server sends 101 Switching Protocols: open, section 4\.2\.2$")
    )
    expect(prompt(running)).to_have_text("[*]:")
