"""The map of 88 bits in a real JupyterLab: pointed at, walked over, in both themes, wide and narrow."""

import re

import pytest
from laboratory import barriers, change_theme, errors, open_lesson, run_lesson
from playwright.sync_api import expect

TAB_STOPS = "map => [...map.querySelectorAll('*')].filter(node => node.tabIndex >= 0).length"
OVERFLOW = "map => map.scrollWidth - map.clientWidth"


@pytest.fixture(scope="module")
def lesson(browser, laboratory):
    """The page of lesson 03 after a run from the menu."""
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    open_lesson(page, laboratory, "03-anatomy-of-a-frame.ipynb")
    run_lesson(page)
    yield page
    page.close()


@pytest.fixture
def bit_map(lesson):
    bit_map = lesson.locator(".wslearn-bit-map").first
    bit_map.scroll_into_view_if_needed()
    lesson.mouse.move(0, 0)
    return bit_map


@pytest.fixture
def story(bit_map):
    return bit_map.get_by_role("status")


def bit(bit_map, number):
    return bit_map.get_by_role("gridcell", name=f"bit {number},")


def test_lesson_runs_without_an_error(lesson):
    assert errors(lesson) == []
    assert lesson.errors == []


def test_a_bit_of_the_editor_is_flipped_and_sent_to_the_simulated_server(lesson):
    editor = lesson.locator(".wslearn-frame-editor").first
    editor.locator(".bits .cell").nth(13).click()
    expect(editor.locator(".note")).to_contain_text("bit 13, payload length")
    editor.get_by_role("button", name="Send to the server").click()
    expect(editor.locator(".came").first).to_contain_text("Text 'H'")
    expect(editor.locator(".back")).to_contain_text("Close 1002")


def test_limit_of_the_panel_decides_about_the_frame_of_the_editor_below_it(lesson):
    editor, panel = (
        lesson.locator(".wslearn-frame-editor").last,
        lesson.locator(".wslearn-options-panel").last,
    )
    editor.get_by_role("button", name="Send to the server").click()
    expect(editor.locator(".back")).to_contain_text("max_frame_size is 4")
    limit = panel.get_by_label("max_frame_size", exact=True)
    limit.fill("1 MiB")
    limit.press("Enter")
    editor.get_by_role("button", name="Send to the server").click()
    expect(editor.locator(".came").first).to_contain_text("Text 'Hello'")


def test_map_has_a_cell_for_each_bit_and_one_tab_stop(bit_map):
    expect(bit_map.locator(".cell")).to_have_count(88)
    assert bit_map.evaluate(TAB_STOPS) == 1


def test_legend_has_a_letter_a_count_and_a_name_for_each_verdict(bit_map):
    assert bit_map.locator(".legend li").all_text_contents() == [
        "T64a text came back",
        "79Close 1007, invalid data",
        "28Close 1002, protocol error",
        "S6nothing came back",
        "P1a pong came back",
    ]


def test_click_tells_the_story_of_a_bit(bit_map, story):
    bit(bit_map, 13).click()
    expect(story).to_contain_text("bit 13, payload length")
    expect(story).to_contain_text("5 → 1")
    expect(story.locator(".came")).to_have_count(2)
    expect(story.locator("mark")).to_have_text("81")


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ("ArrowRight", "bit 21,"),
        ("ArrowLeft", "bit 19,"),
        ("ArrowUp", "bit 12,"),
        ("ArrowDown", "bit 28,"),
        ("Home", "bit 16,"),
        ("End", "bit 23,"),
        ("Control+Home", "bit 0,"),
        ("Control+End", "bit 87,"),
    ],
)
def test_keys_move_over_the_bits_and_the_story_follows(bit_map, story, keys, name):
    bit(bit_map, 20).click()
    bit(bit_map, 20).press(keys)
    expect(bit_map.locator(".cell:focus")).to_have_accessible_name(re.compile(name))
    expect(story).to_contain_text(name)


def test_arrow_at_the_edge_stays(bit_map):
    bit(bit_map, 87).click()
    bit(bit_map, 87).press("ArrowRight")
    expect(bit(bit_map, 87)).to_be_focused()


def test_escape_leaves_to_the_notebook_and_letters_do_nothing(lesson, bit_map):
    cells = lesson.locator(".jp-Cell").count()
    bit(bit_map, 4).click()
    bit(bit_map, 4).press("b")
    assert lesson.locator(".jp-Cell").count() == cells
    bit(bit_map, 4).press("Escape")
    expect(bit_map.locator(".cell:focus")).to_have_count(0)
    assert lesson.evaluate("document.activeElement.classList.contains('jp-Cell')")


def test_pointer_shows_a_story_and_leaves_the_chosen_one(lesson, bit_map, story):
    bit(bit_map, 4).click()
    bit(bit_map, 9).hover()
    expect(story).to_contain_text("64 of 69 bytes of payload")
    lesson.mouse.move(0, 0)
    expect(story).to_contain_text("Pong 'Hello'")


def test_pointer_on_the_legend_leaves_only_its_bits_in_colour(lesson, bit_map):
    bit_map.locator(".legend li", has_text="nothing came back").hover()
    expect(bit_map.locator(".cell:not(.dim)")).to_have_count(6)
    lesson.mouse.move(0, 0)
    expect(bit_map.locator(".cell.dim")).to_have_count(0)


@pytest.mark.parametrize("width", [1300, 700])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_map_is_whole_in_both_themes_and_widths(lesson, bit_map, pictures, theme, width):
    lesson.set_viewport_size({"width": width, "height": 1000})
    change_theme(lesson, theme)
    bit_map.scroll_into_view_if_needed()
    bit_map.screenshot(path=pictures / f"bit-map-{theme}-{width}.png")
    assert bit_map.evaluate(OVERFLOW) == 0
    assert barriers(bit_map) == []
    expect(bit(bit_map, 87)).to_be_visible()
