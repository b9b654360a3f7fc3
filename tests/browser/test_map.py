"""The map of lesson 00 in a real JupyterLab: readable in both themes, and its links open lessons."""

import pytest
from laboratory import barriers, change_theme, running_notebook

CELLS = ["from wslearn.lab.exercises import progress", "progress()"]
IS_OPEN = "name => window.jupyterapp.shell.currentWidget.context.path === name"


@pytest.fixture(scope="module")
def page(browser, laboratory):
    with running_notebook(browser, laboratory, "map.ipynb", CELLS) as page:
        yield page


@pytest.mark.parametrize(("theme", "width"), [("light", 1300), ("dark", 700)])
def test_map_keeps_nobody_out_and_fits(page, pictures, theme, width):
    page.set_viewport_size({"width": width, "height": 1200})
    change_theme(page, theme)
    shown = page.locator(".jp-OutputArea-output").last
    page.screenshot(path=pictures / f"map-{theme}-{width}.png")
    assert barriers(shown) == []
    assert shown.evaluate("output => output.scrollWidth <= output.clientWidth")


def test_link_of_the_map_opens_its_lesson(page):
    page.locator(".jp-OutputArea-output").get_by_role("link", name="03 Anatomy of a frame").first.click()
    page.wait_for_function(IS_OPEN, arg="03-anatomy-of-a-frame.ipynb")
