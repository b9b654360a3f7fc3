"""Lesson 01 as a student meets it: run from the menu, then touched."""

import pytest
from laboratory import change_theme, open_lesson, photograph, run_lesson
from playwright.sync_api import expect

COUNT_IS_OVER = "([selector, before]) => document.querySelectorAll(selector).length > before"


@pytest.fixture(scope="module")
def lesson(browser, laboratory):
    """The page after a run from the menu."""
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    open_lesson(page, laboratory, "01-first-conversation.ipynb")
    run_lesson(page)
    yield page
    page.close()


@pytest.fixture
def inspector(lesson):
    return lesson.locator(".wslearn-frame-inspector").first


@pytest.fixture
def panel(lesson):
    return lesson.locator(".wslearn-options-panel").first


@pytest.fixture
def plot(lesson):
    return lesson.locator(".wslearn-ping-plot").first


def test_click_on_a_byte_lights_its_field_and_says_what_it_means(inspector):
    inspector.scroll_into_view_if_needed()
    byte = inspector.get_by_role("gridcell", name="byte 0, hex").first
    byte.click()
    expect(inspector.locator(".lit").first).to_be_visible()
    expect(inspector.locator(".detail")).to_contain_text("FIN")
    byte.press("ArrowRight")
    expect(inspector.locator(".detail")).to_contain_text("payload_length")


def test_ping_slider_moves_the_server_and_every_view_follows(lesson, inspector, panel, plot):
    panel.scroll_into_view_if_needed()
    frames, pongs = inspector.locator(".choice").count(), plot.locator("circle.pong").count()
    panel.get_by_label("ping_period, slider").press("ArrowLeft")
    expect(panel.get_by_label("ping_period", exact=True)).to_have_value("0.5 s")
    expect(plot.locator(".said")).to_have_text("ping_period: 1 → 0.5")
    lesson.wait_for_function(COUNT_IS_OVER, arg=[".wslearn-ping-plot circle.pong", pongs + 2])
    lesson.wait_for_function(COUNT_IS_OVER, arg=[".wslearn-frame-inspector .choice", frames + 4])


def test_bad_value_is_named_in_the_panel_and_changes_nothing(panel):
    field = panel.get_by_label("ping_period", exact=True)
    before = field.input_value()
    field.fill("0")
    field.press("Enter")
    expect(panel.get_by_role("alert")).to_contain_text("ping_period is 0")
    expect(field).to_have_value(before)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_views_are_there_in_both_themes(lesson, inspector, panel, plot, pictures, theme):
    change_theme(lesson, theme)
    photograph(lesson, pictures, f"01-first-conversation-{theme}")
    for view in (inspector, panel, plot):
        expect(view).to_be_visible()
