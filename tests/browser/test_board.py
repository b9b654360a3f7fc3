"""The board of 30 cases, and the page as a client, in a real JupyterLab: keys, stories, themes and widths."""

import pytest
from laboratory import barriers, change_theme, errors, open_lesson, run_lesson
from playwright.sync_api import expect

TAB_STOPS = "board => [...board.querySelectorAll('*')].filter(node => node.tabIndex >= 0).length"
OVERFLOW = "board => board.scrollWidth - board.clientWidth"


@pytest.fixture(scope="module")
def lesson(browser, laboratory):
    """The page of lesson 14 after a run from the menu."""
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    open_lesson(page, laboratory, "14-build-your-own.ipynb")
    run_lesson(page)
    yield page
    page.close()


@pytest.fixture
def board(lesson):
    board = lesson.locator(".wslearn-board").first
    board.scroll_into_view_if_needed()
    return board


def case(board, number):
    return board.get_by_role("option", name=f"case {number},")


def test_lesson_runs_without_an_error(lesson):
    assert errors(lesson) == []
    assert lesson.errors == []


def test_board_has_thirty_cases_one_tab_stop_and_opens_the_first_red_one(board):
    expect(board.locator(".case")).to_have_count(30)
    assert board.evaluate(TAB_STOPS) == 1
    expect(board.locator("[aria-selected=true]")).to_have_count(1)
    expect(board.get_by_role("status")).to_contain_text("2 names in any case")


def test_story_has_rule_first_byte_that_differs_and_trace(board):
    case(board, 25).click()
    story = board.get_by_role("status")
    expect(story).to_contain_text("RFC 6455, section 5.2")
    expect(story).to_contain_text("byte 0 is c1, due is 88")
    expect(story.locator("mark")).to_have_text(["88", "c1"])
    expect(story.locator("tr")).to_have_count(4)


@pytest.mark.parametrize(("key", "number"), [("ArrowDown", 12), ("ArrowUp", 10), ("Home", 1), ("End", 30)])
def test_keys_move_over_the_cases_and_the_story_follows(board, key, number):
    case(board, 11).click()
    case(board, 11).press(key)
    expect(case(board, number)).to_be_focused()
    expect(board.get_by_role("status")).to_contain_text(f"{number} ")


def test_escape_leaves_to_the_notebook_and_letters_do_nothing(lesson, board):
    cells = lesson.locator(".jp-Cell").count()
    case(board, 4).click()
    case(board, 4).press("b")
    assert lesson.locator(".jp-Cell").count() == cells
    case(board, 4).press("Escape")
    assert lesson.evaluate("document.activeElement.classList.contains('jp-Cell')")


@pytest.mark.parametrize("width", [1300, 700])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_board_is_whole_in_both_themes_and_widths(lesson, board, pictures, theme, width):
    lesson.set_viewport_size({"width": width, "height": 1000})
    change_theme(lesson, theme)
    board.scroll_into_view_if_needed()
    board.screenshot(path=pictures / f"board-{theme}-{width}.png")
    assert board.evaluate(OVERFLOW) == 0
    assert barriers(board) == []


def test_page_talks_to_the_small_server(lesson, pictures):
    client = lesson.locator(".wslearn-page-client")
    client.scroll_into_view_if_needed()
    expect(client).to_contain_text("recorded in Chromium, before: '2:1?', 'GOAL by Ana'; then 1000, clean")
    client.get_by_role("button", name="Connect this page").click()
    expect(client).to_contain_text("told in this page: '2:1?', 'GOAL by Ana'; then 1000, clean")
    client.screenshot(path=pictures / "page-client.png")
    assert barriers(client) == []
