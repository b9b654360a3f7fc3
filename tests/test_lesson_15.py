import zlib

import pytest

from wslearn import Close, CloseReason
from wslearn.lab.case_scenes import (
    LINES,
    ORIGIN,
    ORIGINS,
    SAID,
    chat_with,
    each_by_itself,
    end_to_end,
    keeps_its_context,
    lines_with,
    little_endian,
    quiet_match,
    texts_in,
    with_upgrade,
    without_a_code,
)
from wslearn.lab.cases import case
from wslearn.lab.lesson_15 import PLAYED

pytestmark = pytest.mark.usefixtures("own_folder")


def said(number, repair):
    """Return what is said to a repair, once the case is found."""
    finding = case(number).finding.items()
    found = {name: min(each) if isinstance(each, set) else each for name, each in finding}
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
        (header, f"✓ right: {PLAYED} all 5 lines come back"),
        (
            lambda length: header(length)[:2] + bytes([0, length] if length > 125 else []),
            "✗ not yet: ValueError: bytes must be in range(0, 256)",
        ),
        (little_endian, f"✗ not yet: {PLAYED} line 3, 126 bytes, does not come back"),
        (lambda length: header(length)[:2], f"✗ not yet: {PLAYED} line 3, 126 bytes"),
        (
            lambda length: bytes([0x81, 0xFE]) + length.to_bytes(2, "big"),
            f"✗ not yet: {PLAYED} line 1",
        ),
        (lambda length: bytes([0x81, length]), f"✗ not yet: {PLAYED} line 1"),
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
            f"✓ right: {PLAYED} the page stays for all of the match, for 8 pings",
        ),
        ({"ping_period": 59}, "✓ right"),
        ({"ping_period": 60}, f"✗ not yet: {PLAYED} the page is gone at 180 s"),
        ({"timeout": 15}, f"✗ not yet: {PLAYED} the page is gone at 160 s"),
        (
            {"ping_period": 2},
            f"◐ almost: {PLAYED} the page stays for all of the match, for 117 pings",
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
            f"✓ right: {PLAYED} all 4 lines come back",
        ),
        (
            each_by_itself,
            f"✗ not yet: {PLAYED} line 3, 22 bytes, does not come back as it was",
        ),
        (lambda fragments: fragments[0].decode(), f"✗ not yet: {PLAYED} line 1, 20 bytes"),
        (
            lambda fragments: "".join(each.decode(errors="ignore") for each in fragments),
            f"✗ not yet: {PLAYED} line 3, 22 bytes, does not come back as it was; what came",
        ),
        (lambda fragments: fragments.decode(), "✗ not yet: AttributeError: 'list' object"),
        ("utf-8", "✗ not yet: a function is needed"),
    ],
)
def test_readers_are_played(repair, expected):
    assert said("15.3", repair).startswith(expected)


# 15.4


@pytest.mark.parametrize(
    ("repair", "expected"),
    [
        ({"timeout": 8}, f"✓ right: {PLAYED} the phone stays through 4 stalls"),
        ({"ping_period": 15, "timeout": 15}, "✓ right"),
        ({"ping_period": 28, "timeout": 2}, f"✗ not yet: {PLAYED} with stalls that come"),
        ({"ping_period": 14, "timeout": 3}, "✗ not yet: "),
        ({"timeout": 2.5}, f"✗ not yet: {PLAYED} the phone is thrown out at"),
        ({"ping_period": 1}, f"✗ not yet: {PLAYED} the phone is thrown out at 3"),
        (
            {"timeout": 60},
            f"◐ almost: {PLAYED} the phone stays through 4 stalls; when it is gone",
        ),
        ({"ping_period": None}, f"◐ almost: {PLAYED} the phone stays through 4 stalls; when it"),
        ({"ping_period": 60, "timeout": 8}, "◐ almost: "),
        ({"timeout": -1}, "✗ not yet: ValueError: timeout is -1"),
        (8, "✗ not yet: options of the server are needed"),
    ],
)
def test_heartbeats_are_played(repair, expected):
    assert said("15.4", repair).startswith(expected)


def test_phone_of_the_recording_answers_its_last_ping_behind_the_close():
    frames = case("15.4").evidence().trace.frames
    assert [each.kind for each in frames[13:]] == ["Ping", "Text", "Close", "Pong", "Close"]
    assert frames[16].frame.data == frames[13].frame.data


# 15.5


@pytest.mark.parametrize(
    ("repair", "expected"),
    [
        ({"ping_period": 10, "timeout": 8}, f"✓ right: {PLAYED} 2 are counted at the end"),
        ({"ping_period": 15}, "✓ right"),
        ({"ping_period": 5, "timeout": 2}, f"✗ not yet: {PLAYED} Eve is dropped"),
        ({"ping_period": 27, "timeout": 2}, f"✗ not yet: {PLAYED} Eve is dropped"),
        ({"ping_period": 25, "timeout": 15}, f"◐ almost: {PLAYED} who has gone is counted for"),
        ({"timeout": 5}, f"✗ not yet: {PLAYED} 4 are counted at the end, and 2 are there"),
        ([], "✗ not yet: options of the server are needed"),
    ],
)
def test_counts_are_played(repair, expected):
    assert said("15.5", repair).startswith(expected)


# 15.6


def fresh(message):
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


@pytest.mark.parametrize(
    ("repair", "expected"),
    [
        (fresh, f"✓ right: {PLAYED} all 3 scores are read, 1"),
        (
            keeps_its_context(),
            f"✗ not yet: {PLAYED} 1 of 3 scores are read, then CloseReason(1007",
        ),
        (
            lambda message: message,
            f"✗ not yet: {PLAYED} 0 of 3 scores are read, then CloseReason(1007",
        ),
        (lambda message: zlib.compress(message), f"✗ not yet: {PLAYED} 0 of 3 scores"),
        (lambda message: None, "✗ not yet: TypeError"),
        (lambda message: message.deflate(), "✗ not yet: AttributeError"),
        (-15, "✗ not yet: a function is needed"),
    ],
)
def test_compressors_are_played(repair, expected):
    assert said("15.6", repair).startswith(expected)


def test_recording_promises_to_forget_and_looks_back():
    trace = case("15.6").evidence().trace
    assert b"server_no_context_takeover" in trace.handshakes[0].response
    assert [len(each.wire) for each in trace.frames[:2]] == [57, 13]


# 15.7


@pytest.mark.parametrize(
    ("repair", "expected"),
    [
        (
            (with_upgrade, [ORIGIN]),
            f"✓ right: {PLAYED} the page gets in, a page of somebody else",
        ),
        ((lambda headers: headers, [*ORIGINS, ORIGIN]), "✓ right"),
        ((end_to_end, [ORIGIN]), f"✗ not yet: {PLAYED} the page gets 426"),
        ((with_upgrade, ORIGINS), f"✗ not yet: {PLAYED} the page gets 403"),
        ((with_upgrade, None), f"◐ almost: {PLAYED} the page gets in, and so does a page of"),
        ((lambda headers: {}, [ORIGIN]), f"✗ not yet: {PLAYED} the page gets 400"),
        ((lambda headers: None, [ORIGIN]), "✗ not yet: TypeError"),
        ((lambda headers: headers["Up"], [ORIGIN]), "✗ not yet: KeyError: 'Up'"),
        (with_upgrade, "✗ not yet: a function and a list"),
        (([ORIGIN], with_upgrade), "✗ not yet: a function and a list"),
    ],
)
def test_proxies_and_origins_are_played(repair, expected):
    assert said("15.7", repair).startswith(expected)


def test_recorded_refusals_are_426_and_then_403():
    statuses = [shake.response.split()[1] for shake in case("15.7").evidence().trace.handshakes]
    assert statuses == [b"101", b"426", b"426", b"403", b"403"]


# 15.8


def careful(reason):
    return Close() if reason.code in (1005, 1006) else Close(reason)


@pytest.mark.parametrize(
    ("repair", "expected"),
    [
        (careful, f"✓ right: {PLAYED} the page is told 4001, and 1005 where no code came"),
        (
            without_a_code,
            f"✗ not yet: {PLAYED} the server says 4001: the page is told 1005, not 4001",
        ),
        (
            Close,
            f"✗ not yet: {PLAYED} the server says Close without a code: ValueError: close code 1005",
        ),
        (
            lambda reason: Close(reason) if reason.code != 1005 else Close(),
            f"✗ not yet: {PLAYED} the server dies: ValueError: close code 1006 may not be sent",
        ),
        (
            lambda reason: Close(CloseReason(max(reason.code, 4001))),
            f"✗ not yet: {PLAYED} the server says Close without a code: the page is told 4001, not 1005",
        ),
        (
            lambda reason: Close(reason) if reason.code == 4001 else Close(),
            f"✗ not yet: {PLAYED} the server says 1001: the page is told 1005, not 1001",
        ),
        (
            lambda reason: Close() if reason.code in (1005, 1006) else Close(CloseReason(reason.code)),
            f"◐ almost: {PLAYED} the server says 4001: the page is told the code, and the reason",
        ),
        (
            lambda reason: reason,
            f"✗ not yet: {PLAYED} the server says 4001: TypeError: a Close is needed",
        ),
        (Close(), "✗ not yet: a function is needed"),
    ],
)
def test_endings_are_played(repair, expected):
    assert said("15.8", repair).startswith(expected)


def test_evidence_and_columns_count_the_same_frames():
    evidence = case("15.8").evidence()
    assert [each.wire for each in evidence.trace.frames] == [each.wire for each in evidence.frames]
