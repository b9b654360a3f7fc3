"""Every lesson run once in a real JupyterLab: nothing fails that must not, and all views are drawn."""

import pytest
from laboratory import (
    NOTEBOOKS,
    open_first_page,
    run_lesson,
    turn_to_lesson,
    unexpected,
    wait_until_all_views_are_drawn,
)

LESSONS = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
LOUD = ("error", "warning")


@pytest.fixture(scope="module")
def page(browser, laboratory):
    """One page for all lessons, each in place of the one before; what goes wrong in it is in `page.said`."""
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    page.said = []
    page.on(
        "console", lambda each: page.said.append(f"{each.type}: {each.text}") if each.type in LOUD else None
    )
    page.on("pageerror", lambda error: page.said.append(f"raised: {error}"))
    open_first_page(page, laboratory)
    yield page
    page.close()


@pytest.mark.parametrize("name", LESSONS)
def test_lesson_runs_with_all_its_views_and_not_a_word_in_the_console(page, name):
    page.said.clear()
    turn_to_lesson(page, name)
    cells = run_lesson(page)
    assert [cell["count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert unexpected(cells) == []
    assert [said["text"] for cell in cells for said in cell["outputs"] if said.get("name") == "stderr"] == []
    wait_until_all_views_are_drawn(page, cells)
    assert page.said == []
