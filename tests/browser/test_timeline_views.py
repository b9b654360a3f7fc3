"""The views of a whole trace in a real JupyterLab: list, lanes, ladder and closing states."""

import re

import pytest
from laboratory import (
    barriers,
    change_theme,
    errors,
    give_the_lesson_the_whole_width,
    open_lesson,
    run_lesson,
    write_notebook,
)
from playwright.sync_api import expect

SCENE = """
import asyncio
from wslearn import Application, Binary, WebSockets, connect, simulate
from wslearn.lab import CloseStates, Conversation, Ladder
from wslearn.trace import Trace
async def scene(net):
    app = Application()
    app.install(WebSockets, ping_period=0.5, timeout=1)
    @app.websocket("/echo")
    async def echo(session):
        async for frame in session.incoming:
            await session.send(frame)
    server = await app.start("server", 80)
    async with connect(server.url("/echo")) as session:
        await session.send(Binary(b"in two ", fin=False))
        await session.send(Binary(b"fragments"))
        async with connect(server.url("/echo")) as other:
            await other.send("Ben")
            await asyncio.sleep(0.7)
        net.cut("client")
        await session.send("lost")
        await asyncio.sleep(3)
    return server.trace, net.trace
server, wire = simulate(scene, latency=0.1)
"""
CELLS = [
    SCENE,
    "Conversation(wire, lanes=True)",
    "Ladder(wire)",
    "CloseStates(wire, 2, server=server)",
    "app = Application()\n"
    "app.install(WebSockets, ping_period=None)\n"
    "@app.websocket('/')\n"
    "async def listen(session):\n"
    "    async for frame in session.incoming:\n"
    "        pass\n"
    "running = await app.start()\n"
    "session = await connect(running.url('/'))\n"
    "Conversation(running.trace)",
    "Ladder(running.trace)",
    "CloseStates(session)",
    "long = Trace()\n"
    "long.begin(0)\n"
    "for number in range(10_000):\n"
    "    long.record(number / 100, 1, 'server', b'\\x81\\x05' + b'%05d' % number)\n"
    "Conversation(long)",
    "for empty in (Conversation, Ladder, CloseStates):\n    display(empty(Trace()))",
    "async def lost(net):\n"
    "    app = Application()\n"
    "    app.install(WebSockets, ping_period=None)\n"
    "    @app.websocket('/chat')\n"
    "    async def listen(session):\n"
    "        async for frame in session.incoming:\n"
    "            pass\n"
    "    server = await app.start('server', 80)\n"
    "    session = await connect(server.url('/chat'), ping_period=5, timeout=5)\n"
    "    await asyncio.sleep(1)\n"
    "    net.cut('client')\n"
    "    await server.stop()\n"
    "    await session.close_reason\n"
    "    return net.trace\n"
    "Ladder(simulate(lost, latency=0.1))",
    "for number in range(60 if 'again' in globals() else 0):\n"
    "    await session.send(f'number {number}')\n"
    "    await asyncio.sleep(0.05)\n"
    "again = True",
]
VIEWS = ("conversation", "ladder", "close-states")
STOPS = "view => [...view.querySelectorAll('[tabindex=\"0\"]')].filter(node => node.checkVisibility()).length"


@pytest.fixture(scope="module")
def page(browser, laboratory):
    write_notebook(laboratory, "timelines.ipynb", CELLS)
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    open_lesson(page, laboratory, "timelines.ipynb")
    run_lesson(page)
    give_the_lesson_the_whole_width(page)
    yield page
    page.close()


def shown(page, name, number=0):
    view = page.locator(f".wslearn-{name}").nth(number)
    view.scroll_into_view_if_needed()
    return view


def chosen(view):
    return view.locator("[role=option][aria-selected=true]")


def test_every_view_is_drawn_without_an_error(page):
    for name, count in zip(VIEWS, (4, 4, 3), strict=True):
        expect(page.locator(f".wslearn-{name}")).to_have_count(count)
    assert errors(page) == []
    assert page.errors == []


def test_conversation_lists_both_directions_and_what_never_arrived(page):
    rows = shown(page, "conversation").get_by_role("option")
    expect(rows.nth(2)).to_contain_text("Binary, first fragment")
    expect(rows.first).to_have_accessible_name(
        "0.2000 s, session 1, client → server, request, GET /echo HTTP/1.1, 152 bytes, received at 0.3000 s"
    )
    expect(shown(page, "conversation").locator(".choice.lost").first).to_contain_text("✕ never")


def test_click_on_a_frame_takes_it_apart_below(page):
    conversation = shown(page, "conversation")
    conversation.get_by_role("option").nth(2).click()
    expect(conversation.locator(".wslearn-frame-inspector")).to_contain_text("header 6 bytes, payload 7")
    conversation.get_by_role("option").first.click()
    expect(conversation.locator(".words")).to_contain_text("Sec-WebSocket-Key:")


def test_frame_under_its_bar_is_chosen_and_lights_its_chunk_and_its_message(page):
    conversation = shown(page, "conversation")
    conversation.locator(".bar.binary").nth(1).click()
    expect(conversation.locator(".bar.lit")).to_have_count(3)
    expect(chosen(conversation)).to_contain_text("Binary, first fragment")


def test_keys_walk_through_the_list_and_go_into_the_frame(page):
    conversation = shown(page, "conversation")
    conversation.get_by_role("listbox", name="what passed").focus()
    for key, text in (
        ("Home", "GET /echo"),
        ("ArrowDown", "101 Switching"),
        ("ArrowDown", "first fragment"),
        ("ArrowUp", "101 Switching"),
        ("End", "Close"),
    ):
        page.keyboard.press(key)
        expect(chosen(conversation)).to_contain_text(text)
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.closest('.wslearn-frame-inspector') !== null")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.classList.contains('jp-Cell')")


def test_kinds_are_filtered_with_the_keyboard(page):
    conversation = shown(page, "conversation")
    pings = conversation.get_by_role("button", name="ping")
    conversation.get_by_role("toolbar", name="kinds").get_by_role("button").first.focus()
    page.keyboard.press("ArrowRight")
    while page.evaluate("document.activeElement.dataset.name") != "ping":
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(pings).to_have_attribute("aria-pressed", "true")
    kinds = conversation.get_by_role("option").locator(".kind")
    assert set(kinds.all_text_contents()) == {"Ping"}
    page.keyboard.press("Enter")
    expect(pings).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Escape")


def test_one_session_of_two_is_shown(page):
    ladder = shown(page, "ladder")
    before = ladder.locator(".count").text_content()
    ladder.get_by_role("button", name="session 2").click()
    expect(ladder.locator(".count")).not_to_have_text(before)
    expect(ladder.get_by_role("option").nth(2)).to_have_accessible_name(
        "0.8000 s, session 2, client → server, Text, 'Ben', 9 bytes, received at 0.9000 s"
    )
    ladder.get_by_role("button", name="session 2").click()
    expect(ladder.locator(".count")).to_have_text(before)


def test_ladder_slants_with_the_latency_and_ends_in_a_cross(page):
    ladder = shown(page, "ladder")
    arrow = ladder.locator(".rung .arrow").first
    assert float(arrow.get_attribute("y2")) > float(arrow.get_attribute("y1")) + 10
    ladder.get_by_role("listbox").focus()
    page.keyboard.press("End")
    expect(chosen(ladder)).to_have_accessible_name(re.compile("never arrived"))
    expect(chosen(ladder).locator(".cross")).to_have_count(1)
    expect(ladder.locator(".told")).to_contain_text("never arrived")
    page.keyboard.press("Home")
    expect(chosen(ladder)).to_have_accessible_name(re.compile("request"))
    page.keyboard.press("Escape")


@pytest.mark.parametrize("width", [700, 1300])
def test_label_of_an_answer_that_follows_at_once_covers_no_other(page, width):
    page.set_viewport_size({"width": width, "height": 1000})
    labels = shown(page, "ladder", 3).locator(".said")
    expect(labels.nth(1)).to_have_text(
        re.compile("^response HTTP/1.1 101 Sw" + (".*…$" if width == 700 else ""))
    )
    request, response, *_ = labels.evaluate_all("all => all.map(label => label.getBoundingClientRect())")
    assert request["bottom"] > response["top"]
    assert request["right"] < response["left"]


def test_states_are_lit_step_by_step(page):
    states = shown(page, "close-states")
    expect(states.locator(".count")).to_have_text("client closing: both Closes · server closed, cleanly")
    states.get_by_role("listbox").focus()
    page.keyboard.press("Home")
    expect(states.locator(".count")).to_have_text("client connecting · server open")
    expect(states.locator(".state.here .name")).to_have_text(["connecting", "open"])
    page.keyboard.press("ArrowDown")
    expect(states.locator(".state.here .name")).to_have_text(["open"])
    expect(states.locator(".taken")).to_have_count(2)
    expect(states.locator(".way.cut").first).to_have_css("fill", "none")
    page.keyboard.press("End")
    expect(states.locator(".state.clean text.now")).to_have_text(["● server"])
    page.keyboard.press("Escape")


def test_each_group_is_one_tab_stop(page):
    assert shown(page, "ladder").evaluate(STOPS) == 2  # sessions, arrows
    assert shown(page, "close-states").evaluate(STOPS) == 2  # sessions, steps
    assert shown(page, "conversation", 2).evaluate(STOPS) == 2  # kinds, rows


def test_letters_are_no_commands_of_jupyterlab(page):
    cells = page.locator(".jp-CodeCell").count()
    for name in VIEWS:
        shown(page, name).get_by_role("listbox").first.focus()
        for key in ("a", "b", "d", "d", "x", "ArrowDown", "j", "Enter", "Escape"):
            page.keyboard.press(key)
    expect(page.locator(".jp-CodeCell")).to_have_count(cells)


def test_views_grow_while_a_cell_runs(page):
    last = page.locator(".jp-CodeCell").last
    last.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    conversation = shown(page, "conversation", 1)
    expect(conversation.get_by_role("option").filter(has_text="'number 3'")).to_be_visible()
    assert "*" in last.locator(".jp-InputPrompt").text_content()
    expect(conversation.locator(".count")).to_have_text("63 rows")
    expect(shown(page, "ladder", 1).locator(".count")).to_have_text("62 arrows")


def test_list_of_ten_thousand_draws_only_what_is_in_sight(page):
    conversation = shown(page, "conversation", 2)
    expect(conversation.locator(".count")).to_have_text("10,000 rows")
    assert conversation.get_by_role("option").count() < 60
    conversation.get_by_role("listbox", name="what passed").focus()
    page.keyboard.press("End")
    expect(chosen(conversation)).to_contain_text("'09999'")
    expect(chosen(conversation)).to_have_attribute("aria-posinset", "10000")
    expect(conversation.locator(".wslearn-frame-inspector")).to_contain_text("payload 5 bytes")
    page.keyboard.press("Escape")


@pytest.fixture
def paper(page):
    """The dark page as a printer gets it."""
    change_theme(page, "dark")
    page.emulate_media(media="print")
    yield page
    page.emulate_media(media="screen")
    change_theme(page, "light")


@pytest.mark.parametrize("name", VIEWS)
def test_printed_view_is_whole_and_dark_on_white(paper, pictures, name):
    view = shown(paper, name)
    expect(view).to_have_css("background-color", "rgb(255, 255, 255)")
    rows = view.get_by_role("listbox").first
    expect(rows.get_by_role("option")).to_have_count(
        int(rows.get_by_role("option").first.get_attribute("aria-setsize"))
    )
    assert rows.evaluate("list => list.scrollHeight <= list.clientHeight + 1")
    view.screenshot(path=pictures / f"{name}-print.png")


def test_printed_list_of_ten_thousand_has_its_first_200_rows(paper):
    rows = shown(paper, "conversation", 2).get_by_role("listbox", name="what passed")
    expect(rows.get_by_role("option")).to_have_count(200)
    expect(rows).to_have_attribute("data-more", "… 9,800 more")


def test_empty_views_say_so(page):
    expect(shown(page, "conversation", 3).locator(".empty")).to_have_text("nothing has passed yet")
    expect(shown(page, "ladder", 2).locator(".empty")).to_have_text("nothing has passed yet")
    expect(shown(page, "close-states", 2).locator(".empty")).to_be_visible()


@pytest.mark.parametrize("width", [1300, 700])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_views_keep_nobody_out_and_fit(page, pictures, theme, width):
    change_theme(page, theme)
    page.set_viewport_size({"width": width, "height": 1000})
    for name in VIEWS:
        view = shown(page, name)
        assert barriers(view) == []
        assert view.evaluate("view => view.scrollWidth <= view.clientWidth")
        view.screenshot(path=pictures / f"{name}-{theme}-{width}.png")
