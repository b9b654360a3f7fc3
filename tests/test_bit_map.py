import pytest

from wslearn import Close, CloseReason, Pong, Text
from wslearn.codec import encode
from wslearn.lab import BitMap
from wslearn.lab.answers import told, verdict
from wslearn.lab.edits import flip
from wslearn.lab.lesson_03 import HELLO
from wslearn.lab.two_servers import ours, theirs

CLOSE = encode(Close(CloseReason(1002, "why")))
FLIPPED = [flip(HELLO, bit) for bit in range(88)]


@pytest.fixture(scope="module")
def hello():
    return BitMap(HELLO, ours(*FLIPPED))


@pytest.mark.parametrize(("bit", "first"), [(0, "01"), (1, "c1"), (7, "80")])
def test_flip_counts_bits_from_the_left_as_the_rfc_does(bit, first):
    assert flip(HELLO, bit) == bytes.fromhex(first) + HELLO[1:]


def test_flip_of_the_last_bit_changes_the_last_byte_alone():
    assert flip(HELLO, 87) == HELLO[:-1] + b"\x59"


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (b"", "silence"),
        (encode(Text("Hello")), "text"),
        (encode(Pong(b"Hello")), "pong"),
        (CLOSE, "1002"),
        (encode(Close()), "close"),
        (encode(Text("H")) + CLOSE, "1002"),
        (b"\x83\x00", "frame with opcode 3"),
        (b"\x81", "text"),
    ],
)
def test_verdict_is_the_last_thing_that_came_back(answer, word):
    assert verdict(answer) == word


def test_told_names_every_frame_that_came_back():
    assert told(encode(Text("H")) + CLOSE) == "Text 'H', then Close 1002: why"
    assert told(encode(Text(b"\xff"))) == "Text ff"
    assert told(b"") == "silence"


def test_map_of_hello_prints_a_letter_for_each_bit(hello):
    assert hello.plain().splitlines() == [
        "88 bits, each flipped once and sent on a connection of its own",
        "byte  hex  01234567  fields",
        "   0   81  S222P222  FIN · RSV1 · RSV2 · RSV3 · opcode",
        "   1   85  2SSSS2ST  MASK · payload length",
        "   2   37  7TTTTTTT  masking key 0",
        "   3   fa  7TTTTTTT  masking key 1",
        "   4   21  7TTTTTTT  masking key 2",
        "   5   3d  7TTTTTTT  masking key 3",
        "   6   7f  7TTTTTTT  payload 0, 'H'",
        "   7   9f  7TTTTTTT  payload 1, 'e'",
        "   8   4d  7TTTTTTT  payload 2, 'l'",
        "   9   51  7TTTTTTT  payload 3, 'l'",
        "  10   58  7TTTTTTT  payload 4, 'o'",
        "",
        "T   64  a text came back",
        "7    9  Close 1007, invalid data",
        "2    8  Close 1002, protocol error",
        "S    6  nothing came back",
        "P    1  a pong came back",
    ]


def test_both_servers_have_the_same_verdict_on_every_bit_of_hello(hello):
    assert BitMap(HELLO, theirs(*FLIPPED)).verdicts == hello.verdicts


@pytest.mark.parametrize(
    ("bit", "place", "change", "came", "why"),
    [
        (0, "FIN", "1 → 0", [], "missing: the rest of the message"),
        (4, "opcode", "1 → 9", ["Pong 'Hello'"], ""),
        (8, "MASK", "1 → 0", ["Close 1002: unmasked frame from a client (RFC 6455, section 5.1)"], ""),
        (9, "payload length", "5 → 69", [], "missing: 64 of 69 bytes of payload"),
        (15, "payload length", "5 → 4", ["Text 'Hell'"], "read as the next frame: 58"),
        (23, "masking key", "37 fa 21 3d → 36 fa 21 3d", ["Text 'Ielln'"], ""),
        (55, "payload", "'Hello' → 'Iello'", ["Text 'Iello'"], ""),
    ],
)
def test_story_says_what_was_changed_and_what_came_back(hello, bit, place, change, came, why):
    story = hello.stories[bit]
    assert story["place"] == f"bit {bit}, {place}"
    assert story["change"] == change
    assert [frame["said"] for frame in story["came"]] == came
    assert story["why"] == why


def test_story_tells_both_frames_where_a_short_length_leaves_bytes_over(hello):
    story = hello.stories[13]
    assert [frame["hex"][:8] for frame in story["came"]] == ["81 01 48", "88 51 03"]
    assert story["why"] == "read as the next frame: 9f 4d 51 58"


def test_story_shows_the_bytes_that_were_sent_and_which_of_them_changed(hello):
    story = hello.stories[55]
    assert (" ".join(story["sent"]), story["byte"]) == ("81 85 37 fa 21 3d 7e 9f 4d 51 58", 6)


def test_cell_has_a_name_for_the_ear(hello):
    spoken = [cell["spoken"] for cell in hello.rows[1]["cells"]]
    assert spoken[0] == "bit 8, MASK: Close 1002, protocol error"
    assert spoken[1] == "bit 9, payload length: nothing came back"


def test_cells_show_where_a_field_begins(hello):
    assert [cell["begins"] for cell in hello.rows[0]["cells"]] == [True] * 5 + [False] * 3
    assert [cell["begins"] for cell in hello.rows[1]["cells"]] == [True] * 2 + [False] * 6


def test_letters_of_one_map_are_all_different(hello):
    letters = [entry["letter"] for entry in hello.legend]
    assert len(set(letters)) == len(letters)


def test_html_has_the_map_the_counts_and_the_stories_of_bits_without_a_text(hello):
    html = hello.html()
    assert html.count('<td style="background:') == 88
    assert "</strong> 64: a text came back</li>" in html
    assert "<summary>The 24 bits that brought no text back</summary>" in html
    assert "<li>bit 9, payload length 5 → 69: silence; missing: 64 of 69 bytes of payload</li>" in html
    assert len(html) < 20_000


def test_code_and_reason_of_a_close_have_names_of_their_own():
    closing = bytes.fromhex("88 82 00 00 00 00 03 e8")
    assert [row["fields"] for row in BitMap(closing, [b""] * 64).rows[-2:]] == [
        "status code 0",
        "status code 1",
    ]


@pytest.mark.parametrize("answers", [[], [b""] * 87, [b""] * 89])
def test_map_wants_one_answer_for_each_bit(answers):
    with pytest.raises(ValueError, match=f"{len(answers)} answers for 88 bits"):
        BitMap(HELLO, answers)


def test_map_of_no_bytes_is_refused():
    with pytest.raises(ValueError, match="0 answers for 0 bits"):
        BitMap(b"", [])


@pytest.mark.parametrize(("wire", "answers"), [("81 05", []), (b"\x81\x00", ["81"] * 16)])
def test_map_refuses_what_is_no_bytes(wire, answers):
    with pytest.raises(TypeError, match="bytes are needed"):
        BitMap(wire, answers)
