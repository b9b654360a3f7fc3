"""Links of the lessons and of the README lead to what is here, and to addresses that we know."""

import re
from functools import cache
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = [ROOT / "README.md", *LESSONS]
BINDER = "https://mybinder.org/v2/gh/wslearn/wslearn/HEAD?labpath=notebooks%2F"
KNOWN = ("https://mybinder.org/badge_logo.svg", "https://github.com/crossbario/autobahn-testsuite")
RFC = r"https://www\.rfc-editor\.org/rfc/rfc\d{4}(#section-[\d.]+)?"
# RFC 6455's table of contents: how many sections stand under each, and under the whole.
UNDER = {
    "": 14, "1": 9, "2": 1, "4": 4, "4.2": 2, "5": 8, "5.5": 3, "6": 2, "7": 4, "7.1": 7, "7.2": 3, "7.4": 2,
    "8": 1, "9": 2, "10": 8, "11": 8, "11.1": 2, "11.3": 5, "14": 2,
}  # fmt: skip


def pytest_generate_tests(metafunc):
    if "page" in metafunc.fixturenames:
        metafunc.parametrize("page", PAGES, ids=lambda path: path.stem)
    if "lesson" in metafunc.fixturenames:
        metafunc.parametrize("lesson", LESSONS, ids=lambda path: path.stem)


@cache
def text_of(page):
    """Return what is written for people, without code."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)


def links(page):
    return re.findall(r"\]\(([^)\s]*)\)", text_of(page))


def anchors(page):
    """Return the places that one may link to, as JupyterLab and GitHub name them."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {heading.replace(" ", "-") for heading in headings}


def title(lesson):
    return re.match(r"# (.+)", text_of(lesson))[1]


def number(lesson):
    return lesson.name[:2]


# files


def test_links_to_files_and_places_lead_somewhere(page):
    for link in (link for link in links(page) if "://" not in link):
        name, _, place = link.partition("#")
        target = page.parent / name if name else page
        assert target.is_file(), link
        assert not place or place in anchors(target), link


def test_nothing_is_written_like_a_link_and_is_none(page):
    assert re.findall(r"\]\s+\(|\[[^\]\n]+\]\[|\]\([^)\n]*$", text_of(page), re.MULTILINE) == []


def test_each_lesson_leads_to_the_next_by_its_title(lesson):
    later = [each for each in LESSONS if int(number(each)) == int(number(lesson)) + 1]
    expected = [f"Next: [{number(each)} {title(each)}]({each.name})." for each in later]
    assert [line for line in text_of(lesson).splitlines() if line.startswith("Next: [")] == expected


def test_readme_lists_every_lesson():
    assert {Path(link).name for link in links(PAGES[0])} >= {each.name for each in LESSONS}


def test_lessons_that_are_named_in_prose_are_in_the_course_and_not_the_one_we_read(lesson):
    named = re.findall(r"\blessons?\s+(\d+(?:(?:, | and |–)\d+)*)", text_of(lesson), re.IGNORECASE)
    numbers = [each for several in named for each in re.findall(r"\d+", several)]
    course = {f"{each:02}" for each in range(16)}
    assert [each for each in numbers if each not in course - {number(lesson)}] == []


# addresses elsewhere, which no test visits


def test_links_to_elsewhere_are_those_that_we_know(page):
    lessons = {BINDER + each.name for each in LESSONS}
    elsewhere = [link for link in links(page) if "://" in link]
    assert [
        each for each in elsewhere if each not in {*KNOWN, *lessons} and not re.fullmatch(RFC, each)
    ] == []


def sections():
    """Return the numbers of all sections of RFC 6455."""
    return {f"{above}.{n}".lstrip(".") for above, last in UNDER.items() for n in range(1, last + 1)}


def test_sections_named_in_lessons_are_in_the_rfc(lesson):
    text = re.sub(r"\(RFC (?!6455)[^)]*\)|RFC (?!6455)\d+, section [\d.]+\d", "", text_of(lesson))
    named = re.findall(r"\((\d+\.\d[\d., ]*)\)|sections? ([\d.]+\d)", text)
    numbers = {each for pair in named for part in pair for each in re.findall(r"\d+(?:\.\d+)*", part)}
    assert numbers - sections() == set()


SOURCES = sorted((ROOT / "wslearn").rglob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_sections_named_in_the_code_are_in_the_rfc(source):
    named = re.findall(r"RFC 6455, section (\d+(?:\.\d+)*)", source.read_text(encoding="utf-8"))
    assert set(named) - sections() == set()
