"""Still pictures in a real JupyterLab: on paper by day, on slate at night, wide and narrow."""

import re

import pytest
from laboratory import barriers, change_theme, running_notebook
from playwright.sync_api import expect

CELLS = [
    "from wslearn.lab import plots",
    "plots.histogram([10, 20, 30, 40])",
    "plots.Slider(lambda n: plots.histogram([n, 2 * n]), 'jitter in ms', value=20, most=200)",
]


@pytest.fixture(scope="module")
def page(browser, laboratory):
    with running_notebook(browser, laboratory, "pictures.ipynb", CELLS) as page:
        yield page


@pytest.mark.parametrize("width", [1300, 700])
@pytest.mark.parametrize(
    ("theme", "filtered"), [("light", "none"), ("dark", "invert(0.93) hue-rotate(180deg)")]
)
def test_picture_is_whole_and_follows_the_theme(page, pictures, theme, filtered, width):
    page.set_viewport_size({"width": width, "height": 1000})
    change_theme(page, theme)
    picture = page.locator(".still").first
    image = picture.get_by_role("img", name="4 times round trip: p50 20.0 ms, p99 40.0 ms, longest 40.0 ms")
    expect(image).to_have_css("filter", filtered)
    picture.screenshot(path=pictures / f"picture-{theme}-{width}.png")
    assert picture.evaluate("view => view.scrollWidth <= view.clientWidth")
    assert image.evaluate("image => image.complete && image.naturalWidth > 700")
    assert barriers(picture) == []


def test_slider_shows_another_picture_and_its_text(page):
    image = page.locator(".still").nth(1).get_by_role("img")
    before = image.get_attribute("src")
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    expect(image).to_have_attribute("alt", re.compile("p50 21.0 ms"))
    assert image.get_attribute("src") != before
