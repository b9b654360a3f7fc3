"""Photographs lessons in JupyterLab after a run, light and dark, 1300 and 700 pixels wide.

    python tests/browser/screenshots.py                                    all lessons
    python tests/browser/screenshots.py 01-first-conversation.ipynb ...    some, by file name or path
    python tests/browser/screenshots.py --folder pictures --theme dark --width 700 01-first-conversation.ipynb

Pictures go to the folder, or to a new temporary one; its path is printed. Each is a window's height:
`01-first-conversation-dark-700-03.png` is the third from the top. `--unrun` photographs the stored outputs,
as one sees them before the first run. A lesson that stops at an error is photographed too; the exit code is
then 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from laboratory import (
    ALL_CELLS_DRAWN,
    NOTEBOOKS,
    Laboratory,
    change_theme,
    give_the_lesson_the_whole_width,
    open_lesson,
    photograph,
    run_lesson,
    running_chromium,
    running_laboratory,
)
from playwright.sync_api import Browser, Page

HEIGHT = 1500  # pixels of a picture
THEMES = ("light", "dark")
WIDTHS = (1300, 700)


def photograph_lesson(
    browser: Browser, laboratory: Laboratory, name: str, folder: Path, choices: argparse.Namespace
) -> bool:
    """Run one lesson and write its pictures; tell whether it ran to its end."""
    page = browser.new_page(viewport={"width": choices.width[0], "height": HEIGHT})
    open_lesson(page, laboratory, name)
    give_the_lesson_the_whole_width(page)
    ran = choices.unrun or _ran(page)
    for width in choices.width:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        for theme in choices.theme:
            change_theme(page, theme)
            pictures = photograph(page, folder, f"{Path(name).stem}-{theme}-{width}")
            print(f"{pictures[0].name} ... {len(pictures)} pictures", flush=True)
    change_theme(page, "light")
    page.close()
    return ran


def _ran(page: Page) -> bool:
    try:
        run_lesson(page)
    except AssertionError as error:
        print(error)
        return False
    return True


def main(arguments: list[str]) -> int:
    """Photograph the lessons that are named, or all of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lessons", nargs="*", help="file names of lessons; all without one")
    parser.add_argument("--folder", type=Path, help="where the pictures go; a temporary folder without it")
    parser.add_argument("--theme", action="append", choices=THEMES, help="one theme; both without it")
    parser.add_argument("--width", action="append", type=int, help="pixels; 1300 and 700 without it")
    parser.add_argument("--unrun", action="store_true", help="the stored outputs, without a run")
    choices = parser.parse_args(arguments)
    choices.theme = choices.theme or THEMES
    choices.width = choices.width or WIDTHS
    names = [Path(lesson).name for lesson in choices.lessons]
    names = names or sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
    folder = choices.folder or Path(tempfile.mkdtemp(prefix="wslearn-pictures-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"pictures go to {folder}", flush=True)
    with (
        tempfile.TemporaryDirectory() as home,
        running_laboratory(Path(home), ALL_CELLS_DRAWN) as laboratory,
        running_chromium() as browser,
    ):
        ran = [photograph_lesson(browser, laboratory, name, folder, choices) for name in names]
    return 0 if all(ran) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
