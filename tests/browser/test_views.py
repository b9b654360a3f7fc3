"""Each view in a real JupyterLab: what mouse and keyboard do, and that Lab takes no key from it."""

import pytest
from laboratory import barriers, change_theme, errors, running_notebook
from playwright.sync_api import expect

CELLS = [
    "from wslearn import Application, FaultyLink, WebSockets, connect\n"
    "from wslearn.lab import Bits, ByteStrip, FrameInspector, LinkPanel, OptionsPanel, PingPlot",
    "FrameInspector(bytes.fromhex('818537fa213d7f9f4d5158'), 'client')",
    "FrameInspector(b'\\x92\\x7e\\x01\\x00' + bytes(256), 'server')",
    "app = Application()\n"
    "app.install(WebSockets, ping_period=0.2)\n"
    "@app.websocket('/echo')\n"
    "async def echo(session):\n"
    "    async for frame in session.incoming:\n"
    "        await session.send(frame.read_text())\n"
    "server = await app.start()\n"
    "session = await connect(server.url('/echo'), close_timeout=0.5)\n"
    "await session.send('Ana')",
    "FrameInspector(server.trace)",
    "OptionsPanel(server.options)",
    "PingPlot(server.trace)",
    "ByteStrip({'client → server': b'\\x81\\x00', 'server → client': b'Hello'})",
    "flipped = Bits(0x81)\nflipped",
    "link = await FaultyLink(server, latency=0.2)\nfar = await connect(link.url('/echo'))\nLinkPanel(link)",
]
ACTIVE = "() => document.activeElement.getAttribute('aria-label')"
STOPS = "view => view.querySelectorAll('[tabindex=\"0\"]').length"


@pytest.fixture(scope="module")
def page(browser, laboratory):
    with running_notebook(browser, laboratory, "views.ipynb", CELLS) as page:
        yield page


def shown(page, name, number=0):
    view = page.locator(f".wslearn-{name}").nth(number)
    view.scroll_into_view_if_needed()
    return view


def test_every_view_is_drawn_without_an_error(page):
    for name, count in (("frame-inspector", 3), ("options-panel", 2), ("ping-plot", 1), ("bits", 1)):
        expect(page.locator(f".wslearn-{name}")).to_have_count(count)
    assert errors(page) == []


def test_bit_under_the_mouse_lights_its_byte_and_its_field(page):
    inspector = shown(page, "frame-inspector")
    inspector.locator(".bits .cell").nth(9).hover()
    expect(inspector.locator(".bytes .here")).to_have_text(["85"])
    expect(inspector.locator(".fields .here")).to_have_text(["LEN 5"])
    expect(inspector.locator(".bits .lit")).to_have_count(7)
    expect(inspector.locator(".detail")).to_contain_text("the payload has 5 bytes")
    expect(inspector.locator(".detail")).to_contain_text("RFC 6455, section 5.2")


def test_field_lights_all_its_bytes(page):
    inspector = shown(page, "frame-inspector")
    inspector.locator(".fields .cell").nth(5).hover()
    expect(inspector.locator(".bytes .here")).to_have_text(["37", "fa", "21", "3d"])


def test_payload_byte_shows_how_it_is_unmasked(page):
    inspector = shown(page, "frame-inspector")
    inspector.locator(".bytes .cell").nth(8).hover()
    expect(inspector.locator(".pair .here")).to_have_text(["4d", "6c"])
    expect(inspector.locator(".detail pre")).to_have_text(
        "  4d  0100 1101  on the wire\n⊕ 21  0010 0001  key byte 2 (2 mod 4)\n= 6c  0110 1100  l"
    )


def test_arrows_move_through_one_tab_stop_and_names_are_spoken(page):
    inspector = shown(page, "frame-inspector")
    assert inspector.evaluate(STOPS) == 2  # the empty list of frames is hidden
    inspector.locator(".bytes .cell").first.focus()
    assert page.evaluate(ACTIVE) == "byte 0, hex 81: FIN set, text frame"
    for key, name in (
        ("ArrowRight", "byte 1, hex 85: masked, length 5"),
        ("End", "byte 10, hex 58: payload, byte 4, character o"),
        ("Home", "byte 0, hex 81: FIN set, text frame"),
        ("ArrowUp", "DATA 'Hello': payload"),
        ("Home", "FIN 1: FIN"),
        ("Control+End", "6f: payload byte 4, character o"),
    ):
        page.keyboard.press(key)
        assert page.evaluate(ACTIVE) == name
    assert inspector.evaluate(STOPS) == 2


def test_keyboard_lights_what_belongs_together_as_the_mouse_does(page):
    inspector = shown(page, "frame-inspector")
    page.mouse.move(0, 0)
    inspector.locator(".bytes .cell").first.focus()
    page.keyboard.press("Control+Home")
    expect(inspector.locator(".bits .here")).to_have_text(["1"])
    expect(inspector.locator(".bytes .here")).to_have_text(["81"])
    page.keyboard.press("Control+End")
    expect(inspector.locator(".bits .here")).to_have_text([*"01011000"])
    expect(inspector.locator(".fields .here")).to_have_text(["DATA 'Hello'"])
    expect(inspector.locator(".detail pre")).to_contain_text("= 6f  0110 1111  o")


def test_enter_pins_and_escape_lets_go_and_then_leaves(page):
    inspector = shown(page, "frame-inspector")
    inspector.locator(".bytes .cell").first.focus()
    page.keyboard.press("Enter")
    inspector.locator(".bytes .cell").nth(8).hover()
    expect(inspector.locator(".bytes .here")).to_have_text(["81"])
    page.keyboard.press("Escape")
    inspector.locator(".bytes .cell").nth(9).hover()
    expect(inspector.locator(".bytes .here")).to_have_text(["51"])
    page.keyboard.press("Escape")
    assert page.evaluate("() => document.activeElement.classList.contains('jp-Cell')")


def test_letters_and_arrows_in_a_view_are_no_commands_of_jupyterlab(page):
    cells = page.locator(".jp-CodeCell").count()
    inspector = shown(page, "frame-inspector")
    inspector.locator(".bytes .cell").first.focus()
    for key in ("a", "b", "d", "d", "x", "ArrowDown", "j"):
        page.keyboard.press(key)
    page.keyboard.press("Escape")
    expect(page.locator(".jp-CodeCell")).to_have_count(cells)


def test_violations_stand_above_the_frame_and_at_their_bits(page):
    inspector = shown(page, "frame-inspector", 1)
    rule = inspector.locator(".wrongs .cell").first
    expect(rule).to_contain_text("reserved bit set: RSV3")
    rule.hover()
    expect(inspector.locator(".bits .here")).to_have_text(["1"])
    expect(inspector.locator(".bits .wrong")).to_have_count(1)


def test_long_payload_is_folded_and_unfolds(page):
    inspector = shown(page, "frame-inspector", 1)
    expect(inspector.locator(".bytes .cell")).to_have_count(64)
    inspector.locator(".fold").first.focus()
    page.keyboard.press("Enter")
    expect(inspector.locator(".bytes .cell")).to_have_count(260)
    assert page.evaluate(ACTIVE) == "byte 64, hex 00: payload, byte 60, character ·"


def test_frames_of_a_trace_are_chosen_with_the_keyboard_and_grow(page):
    inspector = shown(page, "frame-inspector", 2)
    frames = inspector.get_by_role("option")
    before = frames.count()
    expect(frames.first).to_contain_text("'Ana'")
    inspector.get_by_role("listbox").focus()
    page.keyboard.press("ArrowDown")
    expect(inspector.locator(".title")).to_contain_text("Text frame from a server: header 2 bytes, payload 3")
    page.wait_for_function(
        "before => document.querySelectorAll('.wslearn-frame-inspector [role=option]').length > before",
        arg=before,
    )
    expect(frames.nth(1)).to_have_attribute("aria-selected", "true")


def test_narrow_view_has_16_bits_a_row(page):
    page.set_viewport_size({"width": 700, "height": 1000})
    inspector = shown(page, "frame-inspector")
    expect(inspector.get_by_text("Bits, 16 a row")).to_be_visible()
    assert inspector.evaluate("view => view.scrollWidth <= view.clientWidth")
    page.set_viewport_size({"width": 1300, "height": 1000})
    expect(inspector.get_by_text("Bits, 32 a row")).to_be_visible()


def test_panel_moves_an_option_by_keyboard_and_says_its_value(page):
    panel = shown(page, "options-panel")
    slider = panel.get_by_label("timeout, slider")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "20 s")
    expect(panel.get_by_label("timeout", exact=True)).to_have_value("20 s")


def test_link_is_made_slow_and_cut_by_keyboard_while_a_conversation_runs(page, pictures):
    panel = shown(page, "options-panel", 1)
    panel.get_by_label("latency, slider").focus()
    page.keyboard.press("ArrowRight")
    expect(panel.get_by_label("latency", exact=True)).to_have_value("0.5 s")
    panel.get_by_label("jitter", exact=True).fill("-1")
    page.keyboard.press("Enter")
    expect(panel.get_by_role("alert")).to_contain_text("jitter is -1")
    panel.get_by_label("cut").focus()
    page.keyboard.press("Space")
    expect(panel.get_by_label("cut")).to_be_checked()
    expect(panel.get_by_role("button", name="reset")).to_have_accessible_description(
        "break all connections: both ends see it at once"
    )
    panel.get_by_role("button", name="reset").press("Enter")
    panel.screenshot(path=pictures / "link-panel.png")
    assert barriers(panel) == []


def test_paused_plot_stands_still_and_catches_up(page):
    plot = shown(page, "ping-plot")
    pongs = plot.locator("circle.pong")
    expect(pongs.nth(2)).to_be_visible()
    plot.get_by_role("button", name="Pause").click()
    stopped = pongs.count()
    frames = shown(page, "frame-inspector", 2).get_by_role("option")
    expect(frames.nth(frames.count() + 3)).to_be_attached()
    assert pongs.count() == stopped
    plot.get_by_role("button", name="Resume").click()
    assert pongs.count() > stopped


def test_masking_switched_on_ends_the_session_and_the_trace_shows_why(page):
    panel = shown(page, "options-panel")
    panel.get_by_label("masking").check()
    expect(panel.locator(".said")).to_have_text("on")
    frames = shown(page, "frame-inspector", 2).get_by_role("option")
    expect(frames.filter(has_text="Close").first).to_contain_text("client → server")


def test_byte_of_a_strip_opens_to_its_bits(page):
    strip = shown(page, "byte-strip")
    strip.locator(".byte").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.evaluate(ACTIVE) == "48: byte 0, hex 48, bits 0100 1000"
    expect(strip.locator(".bits:visible")).to_have_text("01001000")
    expect(strip.get_by_role("status")).to_have_text("byte 0: hex 48 = bits 0100 1000 = 72 = “H”")


def test_flipped_bits_make_another_byte(page):
    bits = shown(page, "bits")
    bits.locator(".bit").first.click()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(bits.locator(".results")).to_contain_text("decimal 65 = 64 + 1")
    expect(bits.locator(".results")).to_contain_text("character A")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_view_keeps_anybody_out(page, theme):
    change_theme(page, theme)
    for name in ("frame-inspector", "options-panel", "ping-plot", "byte-strip", "bits"):
        assert barriers(shown(page, name)) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, 700])
def test_views_are_photographed(page, pictures, theme, width):
    change_theme(page, theme)
    page.set_viewport_size({"width": width, "height": 1000})
    for name in ("frame-inspector", "options-panel", "ping-plot", "byte-strip", "bits"):
        picture = pictures / f"{name}-{theme}-{width}.png"
        shown(page, name).screenshot(path=picture)
        assert picture.stat().st_size > 5000
