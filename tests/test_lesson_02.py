import base64

import pytest

from wslearn.dissection import dissect_handshake
from wslearn.handshake import accept_key
from wslearn.lab.exercises import exercise
from wslearn.lab.lesson_02 import (
    BROKEN,
    GUILTY,
    HELLO,
    NONCE,
    REFUSED,
    innocent,
    refused,
    said,
    status,
)
from wslearn.lab.two_servers import REQUEST, knock, ours, theirs

pytestmark = pytest.mark.usefixtures("own_folder")


def verdict(number, answer):
    return repr(exercise(number).check(answer))


def solved(number):
    names = {"base64": base64, "refused": refused}
    exec(exercise(number).solution_code, names)
    return names["answer"]


# what servers answer


@pytest.mark.parametrize("ask", [ours, theirs])
def test_good_request_gets_101_and_its_frame_comes_back(ask):
    [answer] = ask(REQUEST + HELLO, ask=knock)
    assert said(answer) == "101 Switching Protocols, then Text 'Hello'"


def test_refusal_is_told_with_its_reason():
    [answer] = ours(BROKEN["no Host"], ask=knock)
    assert said(answer) == "400 Bad Request: 0 Host headers: exactly one is needed"


@pytest.mark.parametrize("answer", [b"", b"\x88\x00", b"HTTP/1.1 \r\n\r\n"])
def test_what_has_no_status_has_status_0(answer):
    assert status(answer) == 0


def test_silence_is_told():
    assert said(ours(b"GET /echo HTTP/1.1\r\n", ask=knock)[0]) == "silence"


def test_witness_writes_no_log_of_refusals(caplog):
    assert status(theirs(BROKEN["version 12"], ask=knock)[0]) == 400
    assert caplog.records == []


# 02.1


def test_each_broken_request_differs_from_the_good_one():
    assert len({REQUEST, *BROKEN.values()}) == 7


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            (400, 405, 404, 426, 426, 400),
            "✓ right: sent, and so it came; websockets, which takes every path:",
        ),
        ([400, 405, 404, 426, 426, 400], "✓ right"),
        ((101, 405, 404, 426, 426, 400), "◐ almost: 5 of 6 fit; the answer to no Host: 101 is not it"),
        (
            (400, 405, 404, 400, 400, 400),
            "◐ almost: 4 of 6 fit; the answer to neither Upgrade nor Connection",
        ),
        ((400,) * 6, "✗ not yet: 2 of 6 fit; the answer to POST for GET: 400 is not it"),
        ((403,) * 6, "✗ not yet: 403 is none of the choices: 101, 400, 404, 405, 426"),
        (400, "✗ not yet: 6 values are needed, this is 400"),
    ],
)
def test_predicted_statuses_are_compared_with_what_came(answer, expected):
    assert verdict("02.1", answer).startswith(expected)


# 02.2


def from_decoded(nonce):
    guid = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return accept_key(base64.b64decode(nonce).decode("latin-1") + guid.decode())


def test_accept_key_is_right_for_three_nonces():
    assert verdict("02.2", accept_key).startswith("✓ right: three nonces, and our server and websockets say")
    assert accept_key(NONCE) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (from_decoded, f"✗ not yet: {NONCE}: '"),
        (lambda nonce: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "✗ not yet: x3JJHMbDL1EzLkh9GBhXDw==: 's3pP"),
        (lambda nonce: accept_key(nonce).encode(), f"✗ not yet: {NONCE}: a text is needed, this is b's3"),
        (
            lambda nonce: accept_key(nonce) + "\n",
            f"✗ not yet: {NONCE}: the answer is there, and a line's end",
        ),
        (lambda nonce: ..., "○ not tried"),
        (lambda: 1, "✗ not yet: TypeError: "),
        ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "✗ not yet: a function is needed"),
    ],
)
def test_functions_that_answer_badly_hear_at_which_nonce(answer, expected):
    assert verdict("02.2", answer).startswith(expected)


# 02.3

OWN = REQUEST.replace(NONCE.encode(), base64.b64encode(b"sixteen letters."))


def test_request_is_right_when_a_text_behind_it_comes_back():
    came = "101 Switching Protocols, then Text 'Hello'"
    right = f"✓ right: a text was sent behind your request. Our server: {came}. websockets: {came}"
    assert verdict("02.3", OWN) == right


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (OWN.decode(), "✗ not yet: bytes are needed, this is 'GET"),
        (OWN[:-2], "✗ not yet: the server still waits: the blank line that ends the head has not come"),
        (OWN.replace(b"\r\n", b"\n"), "✗ not yet: the server still waits: the blank line"),
        (OWN.replace(b"Host: server\r\n", b""), "✗ not yet: 400 Bad Request: 0 Host headers"),
        (OWN.replace(b"/echo", b"/chat"), "✗ not yet: 404 Not Found: no route /chat"),
        (
            OWN.replace(b"13\r\n", b"14\r\n"),
            "✗ not yet: 426 Upgrade Required: Sec-WebSocket-Version is ['14']",
        ),
        (OWN + b"\r\n", "✗ not yet: 2 bytes stand behind the blank line"),
        (REQUEST, "◐ almost: 101, with the nonce of the RFC"),
        (b"", "✗ not yet: the server still waits: everything has not come"),
    ],
)
def test_requests_that_are_not_taken_hear_why(answer, expected):
    assert verdict("02.3", answer).startswith(expected)


# 02.4


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            (0, 1, 7, 0, 69),
            "✓ right: one letter is enough for our server: Close 1002: reserved bit set: RSV1",
        ),
        ((0, 1, 7, 0, 45), "◐ almost: 4 of 5 fit; length: 45 is not it"),
        ((1, 1, 7, 1, 69), "◐ almost: 3 of 5 fit; FIN: 1 is not it"),
        ((4, 7, 4, 5, 0), "✗ not yet: 0 of 5 fit; FIN: 4 is not it"),
        ((0x47, 0x45), "✗ not yet: 5 values are needed"),
    ],
)
def test_fields_of_two_letters_are_compared_one_by_one(answer, expected):
    assert verdict("02.4", answer).startswith(expected)


def test_fields_of_two_letters_are_those_of_the_codec():
    assert solved("02.4") == (0, 1, 7, 0, 69)


# 02.5


def test_trace_holds_three_refusals_and_hides_the_cookie():
    handshakes = refused().handshakes
    assert [status(each.response) for each in handshakes] == [400, 426, 400]
    assert b"seat=27" not in handshakes[2].request


@pytest.mark.parametrize("request_head", REFUSED)
def test_each_refused_request_breaks_one_rule(request_head):
    [violation] = dissect_handshake(request_head).violations
    assert GUILTY[REFUSED.index(request_head)] in violation.message.lower()


def test_each_refused_request_has_other_lines_to_keep():
    assert [len(innocent(number)) for number in range(3)] == [8, 8, 7]


def changed(number, pair):
    answer = list(solved("02.5"))
    answer[number] = pair
    return answer


@pytest.mark.parametrize(
    ("number", "pair", "expected"),
    [
        (
            0,
            ("Upgrade", REFUSED[0]),
            "◐ almost: 2 of 3 are right; request 1: the header 'Upgrade' is not the",
        ),
        (
            0,
            ("Connection", REFUSED[0]),
            "◐ almost: 2 of 3 are right; request 1: the repaired bytes get 400 Bad",
        ),
        (0, ("Connection", OWN), "◐ almost: 2 of 3 are right; request 1: 'User-Agent: Phone/4' was innocent"),
        (1, ("sec-websocket-version:", "8"), "◐ almost: 2 of 3 are right; request 2: bytes are needed"),
        (2, ("Cookie", REFUSED[2]), "◐ almost: 2 of 3 are right; request 3: the header 'Cookie' is not"),
    ],
)
def test_bad_repairs_are_told_apart(number, pair, expected):
    assert verdict("02.5", changed(number, pair)).startswith(expected)


def test_cookie_may_stay_hidden_be_written_or_go():
    name, repaired = solved("02.5")[2]
    for bare in (
        repaired,
        repaired.replace(b"*******", b"seat=27"),
        repaired.replace(b"Cookie: *******\r\n", b""),
    ):
        assert exercise("02.5").check(changed(2, (name, bare)))


@pytest.mark.parametrize("answer", [5, ("Connection",), [("Connection", b"")] * 2, [("Connection",)] * 3])
def test_three_pairs_are_needed(answer):
    assert verdict("02.5", answer).startswith("✗ not yet: three pairs are needed")


def test_no_pair_right_is_not_yet():
    assert verdict("02.5", [("Host", b"")] * 3).startswith("✗ not yet: 0 of 3 are right; request 1:")
