import pytest

from wslearn.codec import mask, wrap
from wslearn.lab.answers import told, verdict
from wslearn.lab.exercises import exercise
from wslearn.lab.lesson_04 import (
    BEGINS,
    CAPTURED,
    FAULTY,
    FIELDS,
    FIRST_WRONG,
    SPOKEN,
    Lines,
    changed,
)
from wslearn.lab.two_servers import ours, theirs

pytestmark = pytest.mark.usefixtures("own_folder")


def said(number, answer):
    return repr(exercise(number).check(answer))


def solved(number):
    names = {}
    exec(exercise(number).solution_code, names)
    return names["answer"]


# the view of lines


def test_lines_stand_side_by_side_with_a_mark_at_each_request():
    shown = Lines({"off": b"\x81\x01\r\nGET /app.js HTTP/1.1\r\nHost: a", "on": b"\x81\xaeA\xff"})
    assert repr(shown).splitlines() == [
        "off                               on",
        "··                                ··A·",
        "GET /app.js HTTP/1.1  ← request",
        "Host: a",
    ]


def test_lines_as_html_mark_the_request_and_escape_the_rest():
    html = Lines({"<b>": b"GET / HTTP/1.1\r\n<i>"})._repr_html_()
    assert '<b style="white-space:pre">GET / HTTP/1.1  ← request</b>\n&lt;i&gt;' in html
    assert "&lt;b&gt;</th>" in html


# 04.1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"Hola", "✓ right: Text 'Hola' comes back from our server, Text 'Hola' from websockets"),
        (b"hola", "✗ not yet: byte 0 is 68"),
        (b"Holb", "◐ almost: byte 3 is 62"),
        (bytes.fromhex("42 64 60 6c"), "✗ not yet: byte 0 is 42"),
        (b"Hol", "◐ almost: the first 3 fit"),
        ("Hola", "✗ not yet: bytes are needed, this is 'Hola'"),
    ],
)
def test_unmasked_bytes_are_compared_with_the_echo(answer, expected):
    assert said("04.1", answer).startswith(expected)


# 04.2


def test_only_the_payload_is_changed_by_the_xor():
    assert changed() == {"payload"}


@pytest.mark.parametrize("answer", [{"payload"}, ["payload"], "payload"])
def test_one_field_may_stand_alone_or_in_a_set(answer):
    assert exercise("04.2").check(answer)


@pytest.mark.parametrize("field", [field for field in FIELDS if field != "payload"])
def test_each_field_of_the_header_is_refused_with_its_reason(field):
    assert said("04.2", {"payload", field}) == f"◐ almost: 6 of 7 fit; {field}: {FIELDS[field]}"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"masking key"}, "✗ not yet: 5 of 7 fit; masking key: with a key that is masked itself"),
        (set(), "✗ not yet: names of fields in braces are needed"),
        (7, "✗ not yet: names of fields in braces are needed, this is 7"),
        ({"length"}, "✗ not yet: 'length' is no field of the list: FIN, RSV,"),
        ({...}, "○ not tried"),
    ],
)
def test_other_sets_of_fields_are_told_apart(answer, expected):
    assert said("04.2", answer).startswith(expected)


# 04.3


def test_captured_payload_begins_as_the_task_says():
    assert mask(solved("04.3")[0], CAPTURED).startswith(BEGINS)


def test_text_may_be_bytes():
    key, text = solved("04.3")
    assert exercise("04.3").check([key, text.encode()])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda key, text: key, "✗ not yet: a key and a text are needed"),
        (lambda key, text: (BEGINS, text), "✗ not yet: the key: byte 0 is 7b"),
        (lambda key, text: (key[:3] + b"\0", text), "◐ almost: the key: byte 3 is 00"),
        (lambda key, text: (key.hex(), text), "✗ not yet: the key: bytes are needed"),
        (lambda key, text: (key, text[:4]), "◐ almost: the key is right; the text: the first 4 fit"),
        (lambda key, text: (key, {"min": 67}), "◐ almost: the key is right; the text is {'min': 67}"),
    ],
)
def test_key_is_judged_before_the_text(change, expected):
    assert said("04.3", change(*solved("04.3"))).startswith(expected)


# 04.4


def stops_at_the_key(key, data):
    return bytes(a ^ b for a, b in zip(key, data, strict=False))


def without_modulo(key, data):
    return bytes(byte ^ key[i] for i, byte in enumerate(data))


def begins_at_one(key, data):
    return bytes(byte ^ key[(i + 1) % 4] for i, byte in enumerate(data))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (stops_at_the_key, "◐ almost: 5 bytes of payload: the first 4 fit; these are 4 in all"),
        (without_modulo, "✗ not yet: IndexError: index out of range"),
        (begins_at_one, "✗ not yet: 1 bytes of payload: byte 0 is"),
        (lambda key, data: data, "✗ not yet: 1 bytes of payload: byte 0 is"),
        (lambda key, data: list(data), "✗ not yet: 0 bytes of payload: bytes are needed"),
        (lambda key, data: ..., "○ not tried"),
        (b"Hola", "✗ not yet: a function is needed"),
    ],
)
def test_functions_that_unmask_badly_hear_where(answer, expected):
    assert said("04.4", answer).startswith(expected)


# 04.5


def test_faulty_sender_is_read_up_to_its_second_frame():
    for answers in (ours, theirs):
        assert told(answers(FAULTY)[0]).startswith("Text 'GOAL!', then Close 1007")


def test_first_wrong_byte_is_the_first_in_which_the_corrected_ones_differ():
    corrected = solved("04.5")[2]
    assert (
        next(n for n, pair in enumerate(zip(FAULTY, corrected, strict=True)) if len({*pair}) == 2)
        == FIRST_WRONG
    )


def test_a_turned_key_in_place_of_new_bytes_is_right_too():
    """Who turns the keys of frames 2 and 3 by one byte needs not touch their payloads."""
    turned = bytearray(FAULTY)
    for at in (13, 23):
        turned[at : at + 4] = turned[at + 1 : at + 4] + turned[at : at + 1]
    assert exercise("04.5").check((FIRST_WRONG, "5.3", bytes(turned)))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (17, "✗ not yet: (number of the byte, rule, corrected bytes) is needed"),
        ((13, "5.3", FAULTY), "✗ not yet: byte 13 is as it should be"),
        ((18, "5.3", FAULTY), "✗ not yet: byte 18 may be wrong, and it is not the first"),
        ((34, "5.3", FAULTY), "✗ not yet: 34 is no byte of these 34, counted from 0"),
        ((17, "5.1", FAULTY), "◐ almost: byte 17 it is; section 5.1 does not say"),
        ((17, 5.3, "81 85"), "◐ almost: byte 17 and the rule are right; bytes are needed"),
        (
            (17, "5.3", FAULTY),
            "◐ almost: byte 17 and the rule are right; the corrected bytes get Text 'GOAL!'",
        ),
        (
            (17, "5.3", wrap(0x81, b"GOAL!", b"abcd")),
            "◐ almost: byte 17 and the rule are right; the corrected",
        ),
    ],
)
def test_wrong_findings_are_told_apart(answer, expected):
    assert said("04.5", answer).startswith(expected)


def test_corrected_frames_say_what_was_meant():
    back = ours(solved("04.5")[2])[0]
    assert verdict(back) == "text"
    assert told(back) == ", then ".join(f"Text {text!r}" for text in SPOKEN)
