"""The editor of a frame in a real JupyterLab: bits flipped, fields typed, bytes sent to a live server."""

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

CELLS = [
    "from wslearn import Application, WebSockets\n"
    "from wslearn.lab import FrameEditor\n"
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
]
ACTIVE = "() => document.activeElement.getAttribute('aria-label')"


@pytest.fixture(scope="module")
def page(browser, laboratory):
    write_notebook(laboratory, "editor.ipynb", CELLS)
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    open_lesson(page, laboratory, "editor.ipynb")
    run_lesson(page)
    give_the_lesson_the_whole_width(page)
    yield page
    page.close()


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
    assert page.errors == []


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
