import pytest

from wslearn.lab.case_scenes import (
    LINES,
    SAID,
    chat_with,
    each_by_itself,
    lines_with,
    little_endian,
    quiet_match,
    texts_in,
)
from wslearn.lab.cases import case

pytestmark = pytest.mark.usefixtures("own_folder")


def said(number, repair):
    """Return what is said to a repair, once the case is found."""
    found = {
        name: each[0] if isinstance(each, tuple) else each for name, each in case(number).finding.items()
    }
    return repr(case(number).check({**found, "repair": repair}))


# 15.1


def test_little_endian_length_swallows_what_follows():
    back = texts_in(lines_with(little_endian).back)
    assert back == list(LINES[:2])


def header(length):
    return bytes([0x81, 0x80 | length]) if length < 126 else bytes([0x81, 0xFE]) + length.to_bytes(2, "big")


@pytest.mark.parametrize(
    ("repair", "expected"),
    [
        (header, "✓ right: played with your repair, all 4 lines come back"),
        (little_endian, "✗ not yet: played with your repair, line 3, 126 bytes, does not come back"),
        (lambda length: header(length)[:2], "✗ not yet: played with your repair, line 3, 126 bytes"),
        (
            lambda length: bytes([0x81, 0xFE]) + length.to_bytes(2, "big"),
            "✗ not yet: played with your repair, line 1",
        ),
        (lambda length: bytes([0x81, length]), "✗ not yet: played with your repair, line 1"),
        (lambda length: None, "✗ not yet: TypeError"),
        (b"\x81", "✗ not yet: a function is needed"),
    ],
)
def test_headers_are_played(repair, expected):
    assert said("15.1", repair).startswith(expected)


# 15.2


def test_page_is_cut_a_minute_after_the_last_byte():
    watched = quiet_match(ping_period=None)
    assert [round(end) for end in watched.ends] == [160, 222]


@pytest.mark.parametrize(
    ("repair", "expected"),
    [
        (
            {"ping_period": 30},
            "✓ right: played with your repair, the page stays for all of the match, for 8 pings",
        ),
        ({"ping_period": 59}, "✓ right"),
        ({"ping_period": 60}, "✗ not yet: played with your repair, the page is gone at 180 s"),
        ({"timeout": 15}, "✗ not yet: played with your repair, the page is gone at 160 s"),
        (
            {"ping_period": 2},
            "◐ almost: played with your repair, the page stays for all of the match, for 117 pings",
        ),
        ({"ping_period": 0}, "✗ not yet: ValueError: ping_period is 0"),
        ({"pings": 20}, "✗ not yet: TypeError"),
        (30, "✗ not yet: options of the server are needed"),
    ],
)
def test_options_against_silence_are_played(repair, expected):
    assert said("15.2", repair).startswith(expected)


# 15.3


def test_reading_each_fragment_by_itself_ends_at_the_first_cut_character():
    assert texts_in(chat_with(each_by_itself).back) == list(SAID[:2])


@pytest.mark.parametrize(
    ("repair", "expected"),
    [
        (
            lambda fragments: b"".join(fragments).decode(),
            "✓ right: played with your repair, all 4 lines come back",
        ),
        (
            each_by_itself,
            "✗ not yet: played with your repair, line 3, 22 bytes, does not come back as it was",
        ),
        (lambda fragments: fragments[0].decode(), "✗ not yet: played with your repair, line 1, 20 bytes"),
        (
            lambda fragments: "".join(each.decode(errors="ignore") for each in fragments),
            "✗ not yet: played with your repair, line 3, 22 bytes, does not come back as it was; what came",
        ),
        (lambda fragments: fragments.decode(), "✗ not yet: AttributeError: 'list' object"),
        ("utf-8", "✗ not yet: a function is needed"),
    ],
)
def test_readers_are_played(repair, expected):
    assert said("15.3", repair).startswith(expected)
