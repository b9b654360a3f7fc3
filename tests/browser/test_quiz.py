"""Predictions in a real JupyterLab: mouse, keyboard, and an answer that is told only when asked for."""

import nbformat
import pytest
from laboratory import barriers, change_theme, errors, open_lesson, run_lesson
from playwright.sync_api import expect

CELLS = ["from wslearn.lab import predict", "predict('03.a')", "predict('06.a')", "predict('00.a')"]
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


@pytest.fixture(scope="module")
def page(browser, laboratory):
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    nbformat.write(notebook, laboratory.folder / "quiz.ipynb")
    page = browser.new_page(viewport={"width": 1300, "height": 800})
    open_lesson(page, laboratory, "quiz.ipynb")
    run_lesson(page)
    yield page
    page.close()


def quiz(page, number):
    return page.locator(".jp-OutputArea .wslearn-quiz").nth(number)


def test_choice_is_made_with_the_keyboard_and_compared(page):
    view = quiz(page, 0)
    view.get_by_label("an echo").focus()
    page.keyboard.press("ArrowDown")
    expect(view.get_by_label("silence")).to_be_checked()
    page.keyboard.press("Enter")
    expect(view.locator(".said")).to_have_text("You say silence. Run the next cell, and compare.")
    view.get_by_role("button", name="Compare").click()
    expect(view.locator(".said.wrong")).to_contain_text("You said silence, it is a refusal: a reserved bit")
    expect(view.get_by_role("button", name="Compare")).to_be_hidden()
    assert errors(page) == []


def test_keyboard_is_enough_from_the_guess_to_the_answer(page):
    view = quiz(page, 2)
    view.get_by_label("your number").focus()
    page.keyboard.type("82")
    page.keyboard.press("Enter")
    expect(view.get_by_role("button", name="Compare")).to_be_visible()
    for key in ("Tab", "Tab", "Enter"):
        page.keyboard.press(key)
    expect(view.get_by_role("status")).to_contain_text("✗ You said 82")
    expect(view.get_by_role("button", name="Commit")).to_be_focused()


def test_number_is_typed_and_compared(page):
    view = quiz(page, 1)
    view.get_by_role("button", name="Commit").click()
    expect(view.locator(".said")).to_contain_text("Write a number first")
    view.get_by_label("your number, in bytes").fill("82")
    page.keyboard.press("Enter")
    view.get_by_role("button", name="Compare").click()
    expect(view.locator(".said.right")).to_contain_text("As you said: 2 bytes of header")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_quiz_is_drawn_in_both_themes(page, pictures, theme):
    change_theme(page, theme)
    expect(quiz(page, 0)).to_be_visible()
    assert [barrier for number in range(3) for barrier in barriers(quiz(page, number))] == []
    page.screenshot(path=pictures / f"quiz-{theme}.png")
