"""The editor of a frame and the handshake in a real JupyterLab: typed, sent, walked over."""

import pytest
from laboratory import barriers, change_theme, errors, running_notebook
from playwright.sync_api import expect

CELLS = [
    "from wslearn import Application, WebSockets\n"
    "from wslearn.lab import FrameEditor, FrameInspector, Handshake\n"
    "app = Application()\n"
    "app.install(WebSockets, ping_period=None)\n"
    "@app.websocket('/echo')\n"
    "async def echo(session):\n"
    "    async for frame in session.incoming:\n"
    "        await session.send(frame)\n"
    "server = await app.start()",
    "editor = FrameEditor(bytes.fromhex('81 85 37 fa 21 3d 7f 9f 4d 51 58'), server.url('/echo'), wait=0.3)\n"
    "editor",
    "FrameEditor(b'')",
    "Handshake(server.trace)",
    "Handshake(b'GET / HTTP/1.1\\r\\nHost: a\\r\\nUpgrade: h2c\\r\\n\\r\\n')",
    "FrameInspector(bytes.fromhex('81 85 37 fa 21 3d 7f 9f 4d 51 58'))",
    "import asyncio\n"
    "heard = asyncio.Event()\n"
    "editor.observe(lambda change: heard.set() if change.new.get('came') else None, 'answer')\n"
    "if editor.keep:\n"
    "    await asyncio.wait_for(heard.wait(), 60)",
]
ACTIVE = "() => document.activeElement.getAttribute('aria-label')"


@pytest.fixture(scope="module")
def page(browser, laboratory):
    with running_notebook(browser, laboratory, "editor.ipynb", CELLS) as page:
        yield page


@pytest.fixture
def editor(page):
    editor = page.locator(".wslearn-frame-editor").first
    editor.scroll_into_view_if_needed()
    editor.get_by_role("button", name="Start over").click()
    expect(editor.locator(".note")).to_contain_text("as it was")
    return editor


def answer(editor):
    return editor.locator(".back")


def send(editor):
    editor.get_by_role("button", name="Send to /echo").click()


def test_editor_is_drawn_without_an_error(page, editor):
    expect(editor.locator(".bits .cell")).to_have_count(88)
    assert errors(page) == []


def test_frame_is_sent_and_its_echo_is_shown(editor):
    send(editor)
    expect(answer(editor)).to_contain_text("a text came back")
    expect(answer(editor)).to_contain_text("Text 'Hello'")


def test_click_flips_a_bit_and_the_peer_refuses_it(editor):
    editor.locator(".bits .cell").nth(1).click()
    expect(editor.locator(".note")).to_have_text("bit 1, RSV1: 81 → c1")
    expect(editor.locator(".wrongs")).to_contain_text("reserved bit set: RSV1")
    expect(answer(editor)).to_be_empty()
    send(editor)
    expect(answer(editor)).to_contain_text("Close 1002, protocol error")
    expect(answer(editor)).to_contain_text("the connection has ended")


def test_editor_sends_and_shows_the_answer_while_a_cell_runs(page, editor):
    editor.get_by_label("keep the connection").check()
    last = page.locator(".jp-CodeCell").last
    last.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    expect(last.locator(".jp-InputPrompt")).to_have_text("[*]:")
    editor.locator(".bits .cell").last.click()
    expect(editor.locator(".note")).to_contain_text("bit 87")
    send(editor)
    expect(answer(editor)).to_contain_text("Text 'Helln'")
    expect(last.locator(".jp-InputPrompt")).not_to_have_text("[*]:")
    editor.get_by_label("keep the connection").uncheck()


def test_silence_is_an_answer_too(editor):
    editor.locator(".bits .cell").first.click()
    expect(editor.locator(".fields")).to_contain_text("FIN 0")
    send(editor)
    expect(answer(editor)).to_contain_text("nothing came back")
    expect(answer(editor)).to_contain_text("0.3 s waited")


def test_keys_flip_and_type_and_the_focus_stays(page, editor):
    editor.locator(".bits .cell").nth(4).focus()
    for key in "1001":
        page.keyboard.press(key)
    expect(editor.locator(".fields")).to_contain_text("OP 9 ping")
    assert page.evaluate(ACTIVE) == "bit 8, 1: MASK"
    page.keyboard.press("Enter")
    expect(editor.locator(".wrongs")).to_contain_text("unmasked frame from a client")
    assert page.evaluate(ACTIVE) == "bit 8, 0: MASK"
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(ACTIVE) == "bit 7, 1: opcode"


def test_two_digits_make_a_byte(page, editor):
    editor.locator(".bytes .cell").first.focus()
    page.keyboard.press("8")
    page.keyboard.press("a")
    expect(editor.locator(".title")).to_contain_text("Pong frame")
    assert page.evaluate(ACTIVE).startswith("byte 1, hex 85")
    page.keyboard.press("Control+z")
    expect(editor.locator(".title")).to_contain_text("Text frame")


def test_field_is_typed_over_and_the_length_follows(page, editor):
    cells = page.locator(".jp-Cell").count()
    editor.locator(".fields .cell", has_text="DATA").click()
    field = editor.get_by_label("payload =")
    expect(field).to_have_value("Hello")
    field.fill("goal, adb")
    page.keyboard.press("Enter")
    expect(editor.locator(".fields")).to_contain_text("LEN 9")
    expect(editor.locator(".fields .cell:focus")).to_contain_text("DATA 'goal, adb'")
    send(editor)
    expect(answer(editor)).to_contain_text("Text 'goal, adb'")
    assert page.locator(".jp-Cell").count() == cells


def test_escape_leaves_the_field_and_then_the_view(page, editor):
    editor.locator(".fields .cell", has_text="KEY").focus()
    page.keyboard.press("Enter")
    expect(editor.get_by_label("masking key =")).to_be_focused()
    page.keyboard.press("Escape")
    expect(editor.locator(".fields .cell:focus")).to_contain_text("KEY")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.classList.contains('jp-Cell')")


def test_typo_in_hex_is_one_line_and_the_frame_stays(page, editor):
    line = editor.get_by_label("all bytes in hex")
    line.fill("81 0g")
    page.keyboard.press("Enter")
    expect(editor.locator(".note.bad")).to_have_text("✗ '0g' is no hex: two digits of 0-9 and a-f a byte")
    expect(editor.locator(".title")).to_contain_text("header 6 bytes, payload 5 bytes")
    line.fill("8900")
    page.keyboard.press("Enter")
    expect(editor.locator(".title")).to_contain_text("Ping frame")


def test_bytes_that_are_left_over_are_shown_as_the_next_frame(editor):
    editor.locator(".bits .cell").nth(13).click()
    expect(editor.locator(".bytes")).to_be_visible()
    expect(editor.get_by_text("4 bytes behind the frame, read as the next one")).to_be_visible()
    send(editor)
    expect(answer(editor).locator(".came")).to_have_count(2)


def test_editor_of_no_bytes_takes_some(page, editor):
    empty = page.locator(".wslearn-frame-editor").nth(1)
    empty.get_by_label("all bytes in hex").fill("88 02 03 e8")
    page.keyboard.press("Enter")
    expect(empty.locator(".fields")).to_contain_text("CODE 1000")
    expect(empty.get_by_role("button", name="Send")).to_have_count(0)


@pytest.mark.parametrize("width", [1300, 700])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_editor_is_whole_and_keeps_nobody_out(page, editor, pictures, theme, width):
    page.set_viewport_size({"width": width, "height": 1000})
    change_theme(page, theme)
    editor.locator(".bits .cell").nth(1).click()
    send(editor)
    expect(answer(editor)).to_contain_text("Close 1002")
    editor.screenshot(path=pictures / f"frame-editor-{theme}-{width}.png")
    assert editor.evaluate("view => view.scrollWidth <= view.clientWidth")
    assert barriers(editor) == []


@pytest.fixture
def handshake(page, editor):
    """The handshake of the editor's last connection, which the view follows while its cell is long done."""
    send(editor)
    expect(answer(editor)).to_contain_text("Text 'Hello'")
    handshake = page.locator(".wslearn-handshake").first
    handshake.scroll_into_view_if_needed()
    expect(handshake.locator(".client .first")).to_contain_text("81 85 37 fa 21 3d 7f 9f 4d 51 58")
    return handshake


def test_handshake_follows_the_trace_and_shows_where_http_ends(handshake):
    expect(handshake.locator(".client .line").first).to_have_text("GET /echo HTTP/1.1")
    expect(handshake.locator(".server .line").first).to_have_text("HTTP/1.1 101 Switching Protocols")
    expect(handshake.locator(".cut")).to_have_count(2)
    expect(handshake.locator(".server .first")).to_contain_text("81 05 48 65 6c 6c 6f")


def test_key_under_the_mouse_lights_its_answer_and_the_steps_between(handshake):
    handshake.locator(".client .line", has_text="Sec-WebSocket-Key").hover()
    expect(handshake.locator(".lit")).to_have_count(4)
    expect(handshake.locator(".lit").first).to_contain_text("Sec-WebSocket-Accept")
    expect(handshake.locator(".step .good")).to_have_text(" ✓")
    expect(handshake.get_by_role("status")).to_contain_text("RFC 6455, section 4.1")


def test_keys_walk_from_line_to_line_and_across(page, handshake):
    handshake.locator(".client .line").first.focus()
    for key, name in (
        ("ArrowDown", "Host: "),
        ("ArrowRight", "Upgrade: websocket"),
        ("ArrowDown", "Connection: Upgrade"),
        ("Control+End", "4 in base64, the answer: "),
        ("Home", "1 the key as it is sent: "),
        ("Control+Home", "GET /echo HTTP/1.1"),
    ):
        page.keyboard.press(key)
        assert page.evaluate(ACTIVE).startswith(name)
    page.keyboard.press("b")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.classList.contains('jp-Cell')")


def test_broken_request_shows_its_rules_at_their_lines(page):
    broken = page.locator(".wslearn-handshake").nth(1)
    broken.locator(".wrong").hover()
    expect(broken.get_by_role("status")).to_contain_text("Upgrade is 'h2c': websocket is needed")
    expect(broken.locator(".loose")).to_have_count(3)
    expect(broken.locator(".server h4")).to_have_text("no response yet")


@pytest.mark.parametrize("width", [1300, 700])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_handshake_is_whole_and_keeps_nobody_out(page, handshake, pictures, theme, width):
    page.set_viewport_size({"width": width, "height": 1000})
    change_theme(page, theme)
    handshake.locator(".client .line", has_text="Sec-WebSocket-Key").click()
    handshake.screenshot(path=pictures / f"handshake-{theme}-{width}.png")
    broken = page.locator(".wslearn-handshake").nth(1)
    broken.screenshot(path=pictures / f"handshake-broken-{theme}-{width}.png")
    for view in (handshake, broken):
        assert view.evaluate("view => view.scrollWidth <= view.clientWidth")
        assert barriers(view) == []
