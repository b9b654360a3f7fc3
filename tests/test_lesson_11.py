import pytest

from wslearn import Codec, Deflate, Extension, Text
from wslearn.lab.exercises import exercise
from wslearn.lab.lesson_11 import ANSWERS, encrypted, mebibytes, our_outcome, score_messages, their_outcome

pytestmark = pytest.mark.usefixtures("own_folder")

GOOD = {
    "A": ("legal", "none"),
    "B": ("decline", "server_max_window_bits"),
    "C": ("fail", "server_no_context_takeover"),
    "D": ("fail", "server_max_window_bits"),
    "E": ("legal", "none"),
}


def said(number, answer):
    return repr(exercise(number).check(answer))


def test_score_messages_have_about_the_same_size():
    sizes = {len(message) for message in score_messages()}
    assert (len(score_messages()), sizes) == (20, {65, 66})


@pytest.mark.parametrize("size", [0, 5, 125])
def test_tls_hides_what_a_frame_says_and_not_how_long_it_is(size):
    frame = bytes([0x82, size]) + b"g" * size
    assert len(encrypted(frame)) == len(frame) + 22
    assert b"gg" not in encrypted(frame)


# 11.1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (("Hello", "RSV1"), "✓ right: c1 is 1100 0001"),
        (("Hello", "rsv 1"), "✓ right"),
        (("Hello", "RSV2"), "◐ almost: the text is right; 'RSV2'"),
        (("Hello", "RSV-1"), "✓ right"),
        ((b"Hello", "RSV1"), "◐ almost: b'Hello' are the bytes of the text"),
        (("hello", "RSV1"), "✗ not yet: the text is not 'hello'"),
        ("Hello", "✗ not yet: a text and the name of a bit are needed"),
    ],
)
def test_inflated_frame_is_a_text_and_a_bit(answer, expected):
    assert said("11.1", answer).startswith(expected)


# 11.2


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((5, 7), "✓ right: 5 bytes point back at the first Hello, 7 spell it again"),
        ((7, 9), "✗ not yet: 0 of 2 fit; context kept: 7 is not it"),
        ((5, 5), "◐ almost: 1 of 2 fit; context not kept: 5 is not it"),
        (5, "✗ not yet: two numbers of bytes are needed"),
    ],
)
def test_second_hello_is_what_our_server_sends(answer, expected):
    assert said("11.2", answer).startswith(expected)


# 11.3


def test_formula_gives_the_250_mebibytes_of_the_course():
    assert (mebibytes(15, 8), mebibytes(9, 4)) == (250, 9.765625)


@pytest.mark.parametrize("choice", [(9, 4), (10, 3), (11, 2), (11, 1)])
def test_windows_and_levels_below_ten_mebibytes_are_right(choice):
    assert said("11.3", (250, *choice)).startswith("✓ right")
    assert said("11.3", (250.0, *map(float, choice))).startswith("✓ right")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((262, 9, 4), "✗ not yet: 262 MiB"),
        ((250, 15, 8), "◐ almost: 250 MiB it is; your choice needs 250.0 MiB"),
        ((250, 11, 3), "◐ almost: 250 MiB it is; your choice needs 11.7 MiB"),
        ((250, 8, 4), "◐ almost: 250 MiB it is; zlib takes a window of 9 to 15 bits"),
        ((250, 9, 10), "◐ almost: 250 MiB it is; zlib takes"),
        ((250, 9), "✗ not yet: (MiB, window bits, memory level) is needed"),
    ],
)
def test_other_memories_are_told_apart(answer, expected):
    assert said("11.3", answer).startswith(expected)


# 11.4


@pytest.mark.parametrize("name", GOOD)
def test_both_libraries_judge_offers_and_answers_alike(name):
    outcome = GOOD[name][0]
    assert (our_outcome(*ANSWERS[name]), their_outcome(*ANSWERS[name])) == (outcome, outcome)


@pytest.mark.parametrize(
    "change",
    [
        {"A": ["legal", None]},
        {"B": ("decline", "server_max_window_bits=16")},
        {"D": ("fail", "server_max_window_bits=12")},
    ],
)
def test_parameter_may_be_written_with_its_value_and_none_without_quotes(change):
    assert said("11.4", GOOD | change).startswith("✓ right")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"A": ("fail", "server_no_context_takeover")}, "◐ almost: 4 of 5 fit; A: our endpoint does not"),
        ({"B": ("fail", "server_max_window_bits")}, "◐ almost: 4 of 5 fit; B: our endpoint does not"),
        ({"C": ("fail", "client_max_window_bits")}, "◐ almost: 4 of 5 fit; C: 'fail' is right, 'client"),
        ({"E": ("legal", "server_max_window_bits")}, "◐ almost: 4 of 5 fit; E: 'legal' is right, and what"),
        ({"D": ("ok", "none")}, "◐ almost: 4 of 5 fit; D: 'ok' is none of"),
        ({"E": "legal"}, "◐ almost: 4 of 5 fit; E: a pair such as"),
        ({"E": (..., ...)}, "○ not tried"),
        (dict.fromkeys("ACD", ("decline", "none")), "✗ not yet: 2 of 5 fit; A: our endpoint"),
        ({"F": ("legal", "none")}, "✗ not yet: a dictionary with A, B, C, D, E is needed"),
    ],
)
def test_offers_that_are_judged_wrongly_hear_the_rule(change, expected):
    assert said("11.4", GOOD | change).startswith(expected)


# 11.5


class Flipping(Codec):
    def encode(self, frame):
        return type(frame)(self.flip(frame.data), frame.fin, rsv2=self.marks(frame))

    def decode(self, message, limit):
        return type(message)(self.back(message.data)) if message.rsv2 else message

    def flip(self, data):
        return bytes(255 - byte for byte in data)

    def back(self, data):
        return self.flip(data)

    def marks(self, frame):
        return frame.opcode != 0


class Heedless(Flipping):
    def decode(self, message, limit):
        return type(message)(self.flip(message.data))


class TextAlone(Flipping):
    def decode(self, message, limit):
        return Text(self.flip(message.data)) if message.rsv2 else message


class OneWay(Flipping):
    def back(self, data):
        return data


class Reversed(Flipping):
    def flip(self, data):
        return data[::-1]


class OnEach(Flipping):
    def marks(self, frame):
        return True


class Unmarked(Flipping):
    def marks(self, frame):
        return False

    def decode(self, message, limit):
        return message


class Flip(Extension):
    name = "x-flip"
    rsv = (2,)

    def __init__(self, codec):
        self.makes = codec

    def accept(self, offered):
        return {}, self.makes()


class Shy(Flip):
    def accept(self, offered):
        return None


class Renamed(Flip):
    name = "x-flop"


class Longer(Flip):
    name = "x-flip2"


class Third(Flip):
    rsv = (3,)


class Greedy(Flip):
    rsv = (1, 2)


class Modest(Flip):
    rsv = ()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Flip(Flipping), "✓ right: 'Goal!' passes as a1 05 b8 90 9e 93 de"),
        (Flip, "◐ almost: a class; the judge needs an object of it"),
        ("x-flip", "✗ not yet: an object of a class that extends Extension is needed"),
        (Shy(Flipping), "✗ not yet: the request offers 'x-flip', the response says '-'"),
        (Renamed(Flipping), "✗ not yet: the request offers 'x-flop', the response says 'x-flop'"),
        (Flip(Codec), "◐ almost: agreed, and the first byte is 81"),
        (Flip(OneWay), "✗ not yet: ChannelClosed: the session is closed: CloseReason(1007"),
        (Longer(Flipping), "✗ not yet: the request offers 'x-flip2', the response says 'x-flip2'"),
        (Flip(Heedless), "◐ almost: agreed and flipped; a text that comes without RSV2 is not flipped"),
        (Flip(TextAlone), "◐ almost: agreed; message 5, b'\\x00"),
        (Flip(Reversed), "◐ almost: agreed; message 6, 'Kick-off', does not come back: '-offKick' does"),
        (Flip(OnEach), "✗ not yet"),
        (Third(Flipping), "✗ not yet: rsv is (3,); RSV2 is to be claimed"),
        (Greedy(Flipping), "✗ not yet: rsv is (1, 2)"),
        (Modest(Flipping), "✗ not yet: rsv is ()"),
        (Flip(Unmarked), "✗ not yet"),
        (Deflate(), "✗ not yet: rsv is (1,)"),
    ],
)
def test_extensions_hear_what_passes(answer, expected):
    assert said("11.5", answer).startswith(expected)
