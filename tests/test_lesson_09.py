import struct

import pytest

from wslearn import (
    Binary,
    CborConverter,
    DeserializeError,
    JsonConverter,
    MessagePackConverter,
    ProtobufConverter,
)
from wslearn.lab.exercises import exercise
from wslearn.lab.lesson_09 import GOAL, PAYLOADS, FormatRows, Goal, page_reads, positions

pytestmark = pytest.mark.usefixtures("own_folder")

ALL = {
    "JSON": JsonConverter(),
    "CBOR": CborConverter(),
    "MessagePack": MessagePackConverter(),
    "Protocol Buffers": ProtobufConverter(),
}


def said(number, answer):
    return repr(exercise(number).check(answer))


# the view of formats


def test_rows_cut_each_format_into_the_same_fields():
    shown = FormatRows(Goal(7, "A", "B", True), ALL)
    assert repr(shown).splitlines()[:5] == [
        "JSON: 52 bytes",
        "            7b  {",
        '  minute    22 6d 69 6e 75 74 65 22 3a 37  "minute":7',
        '  team      2c 22 74 65 61 6d 22 3a 22 41 22  ,"team":"A"',
        '  scorer    2c 22 73 63 6f 72 65 72 22 3a 22 42 22  ,"scorer":"B"',
    ]
    assert repr(shown).splitlines()[-4:] == [
        "  minute    08 07  ··",
        "  team      12 01 41  ··A",
        "  scorer    1a 01 42  ··B",
        "  own_goal  20 01  ··",
    ]


@pytest.mark.parametrize("name", ALL)
def test_rows_hold_every_byte_once(name):
    lines = repr(FormatRows(GOAL, {name: ALL[name]})).splitlines()[1:]
    shown = "".join(line[12:].partition("  ")[0] for line in lines if "no bytes" not in line)
    assert bytes.fromhex(shown) == ALL[name].serialize(GOAL).data


def test_rows_as_html_give_a_field_one_colour_and_escape_its_bytes():
    html = FormatRows(Goal(7, "<b>", "B", True), ALL)._repr_html_()
    assert html.count("background:#f0e442") == 1 + len(ALL)
    assert "&lt;b&gt;" in html
    assert "<b>" not in html


def test_positions_stand_on_the_pitch_and_fit_floats_of_32_bits():
    assert len(positions(100)) == 100
    for each in positions(100):
        assert struct.unpack(">ff", struct.pack(">ff", each.x, each.y)) == (each.x, each.y)
        assert 0 <= each.x <= 105
        assert 0 <= each.y <= 68


# 09.1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"min": 7}, "✓ right: a1 is a map of one pair"),
        ({"min": "7"}, "◐ almost: one half of {'min': '7'} fits"),
        ({"mi": 7}, "◐ almost: one half"),
        ({"min": 7.0}, "◐ almost: one half"),
        (["min", 7], "✗ not yet: ['min', 7] is not what our converter reads"),
        ('{"min": 7}', "✗ not yet"),
    ],
)
def test_bytes_of_cbor_are_an_object(answer, expected):
    assert said("09.1", answer).startswith(expected)


# 09.2

GOOD = dict.fromkeys(PAYLOADS, ("DeserializeError", True)) | {
    "A": ("accepted", True),
    "B": ("accepted", True),
    "F": ("neither", False),
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "✓ right: five leave the session alive"),
        ({"A": ["accepted", True]}, "✓ right"),
        ({"B": ("DeserializeError", True)}, "◐ almost: 5 of 6 fit; B: an object has no order"),
        ({"C": ("accepted", True)}, "◐ almost: 5 of 6 fit; C: '7' is a text"),
        ({"D": ("DeserializeError", False)}, "◐ almost: 5 of 6 fit; D: JSON comes in text frames"),
        ({"F": ("DeserializeError", True)}, "◐ almost: 5 of 6 fit; F: ff cannot stand in UTF-8"),
        (dict.fromkeys("CDE", ("accepted", True)), "✗ not yet: 3 of 6 fit; C:"),
        ({"E": (..., True)}, "○ not tried"),
        ({"G": ("accepted", True)}, "✗ not yet: a dictionary with A, B, C, D, E, F is needed"),
    ],
)
def test_payloads_are_what_a_session_makes_of_them(change, expected):
    assert said("09.2", GOOD | change).startswith(expected)


# 09.3


class Nine:
    form = ">Bff"

    def serialize(self, value):
        return Binary(struct.pack(self.form, value.id, value.x, value.y))

    def deserialize(self, frame, kind):
        self.look(frame)
        return kind(*struct.unpack(self.form, frame.data))

    def look(self, frame):
        if not isinstance(frame, Binary) or len(frame.data) != 9:
            raise DeserializeError(frame, "9 bytes are needed")


class LowestFirst(Nine):
    form = "<Bff"


class Signed(Nine):
    form = ">bff"


class Wide(Nine):
    form = ">Bdd"


class Trusting(Nine):
    def look(self, frame):
        pass


class Swapped(Nine):
    def deserialize(self, frame, kind):
        self.look(frame)
        number, x, y = struct.unpack(self.form, frame.data)
        return kind(number, y, x)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Nine(), "✓ right: 100 positions came back through a session: 900 bytes of payload, as JSON"),
        (Nine, "◐ almost: a class; the judge needs an object of it"),
        (LowestFirst(), "◐ almost: Position(id=210, x=52.5, y=34.25): byte 1 is 00"),
        (Wide(), "✗ not yet: serialize makes 17 bytes of Position(id=210, x=52.5, y=34.25): nine are needed"),
        (Signed(), "✗ not yet: error: "),
        (Trusting(), "◐ almost: positions come back; Text('123456789') must raise DeserializeError"),
        (Swapped(), "◐ almost: the bytes are right; they come back as Position(id=210, x=34.25, y=52.5)"),
        (JsonConverter(), "✗ not yet: serialize returns Text("),
        (9, "✗ not yet: an object with serialize and deserialize is needed"),
    ],
)
def test_converters_of_positions_hear_what_is_wrong(answer, expected):
    assert said("09.3", answer).startswith(expected)


# 09.4


def serve_with(**converters):
    def serve(app):
        for name, converter in converters.items():
            declare(app, name, converter)

    return serve


def declare(app, name, converter, value=GOAL):
    @app.websocket("/goal", protocol=None if name == "any" else name)
    async def send(session):
        if converter is not None:
            await session.send(converter.serialize(value))


def serve_another_goal(app):
    declare(app, "json", JsonConverter(), Goal(1, "A", "B", True))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            serve_with(json=JsonConverter(), cbor=CborConverter()),
            "✓ right: json in opcode 1, cbor in opcode 2",
        ),
        (serve_with(json=JsonConverter()), "✗ not yet: HandshakeError: server answered 400"),
        (
            serve_with(json=JsonConverter(), cbor=JsonConverter()),
            "◐ almost: 'cbor' is agreed; the first frame",
        ),
        (serve_with(any=JsonConverter()), "✗ not yet: the client offers 'json', the answer says None"),
        (serve_with(json=None, cbor=None), "◐ almost: 'json' is agreed; the first frame is None"),
        (serve_another_goal, "◐ almost: 'json' is agreed; the goal arrives as Goal(minute=1"),
        (lambda app: None, "○ not tried"),
        ("json", "✗ not yet: a function of an application is needed"),
    ],
)
def test_servers_are_asked_by_a_client_of_each_format(answer, expected):
    assert said("09.4", answer).startswith(expected)


# 09.5

REPAIRED = '{"id":"9007199254740993","text":"GOAL"}'


def test_page_reads_every_whole_number_as_a_float():
    assert page_reads('{"id":9007199254740993,"min":7}') == {"id": 9007199254740992, "min": 7}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((9007199254740992, REPAIRED), "✓ right: a text has no 53 bits"),
        (("9007199254740992", REPAIRED), "✓ right"),
        ((float(9007199254740993), REPAIRED), "✓ right"),
        ((9007199254740992, '{"id":"9007199254740993"}'), "◐ almost: 9007199254740992 it is, and the id is"),
        (
            (9007199254740993, REPAIRED),
            "✗ not yet: the page does not show 9007199254740993: that is what was",
        ),
        ((9007199254740994, REPAIRED), "✗ not yet: the page does not show 9007199254740994: a float is even"),
        ((9007199254740992, '{"id":9007199254740993}'), "◐ almost: 9007199254740992 it is; of the repaired"),
        ((9007199254740992, '{"id":"9007199254740992"}'), "◐ almost: 9007199254740992 it is; the page finds"),
        ((9007199254740992, {"id": "9"}), "◐ almost: 9007199254740992 it is; a text of JSON is needed"),
        ((9007199254740992, "{"), "✗ not yet: JSONDecodeError"),
        (9007199254740992, "✗ not yet: (what the page shows, the repaired message) is needed"),
    ],
)
def test_repaired_message_is_read_as_a_page_does(answer, expected):
    assert said("09.5", answer).startswith(expected)
