"""Objects to frames and back; a Converter is two functions, so these tests are bytes and values."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass
from datetime import UTC, date, datetime, time
from enum import Enum
from typing import Annotated, Any, Literal, NewType, TypedDict
from uuid import UUID

import cbor2
import msgpack
import pydantic
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from wslearn import (
    Application,
    Binary,
    CborConverter,
    ConverterNotFound,
    DeserializeError,
    JsonConverter,
    MessagePackConverter,
    ProtobufConverter,
    Text,
    WebSockets,
    connect,
    simulate,
)

JSON = JsonConverter()
CBOR = CborConverter()
MESSAGE_PACK = MessagePackConverter()
PROTOBUF = ProtobufConverter()
CONVERTERS = [JSON, CBOR, MESSAGE_PACK, PROTOBUF]


@dataclass
class Point:
    x: int
    y: float = 0.0


@dataclass
class Line:
    points: list[Point]
    name: str | None = None
    tags: dict[str, int] = field(default_factory=dict)


class Model:
    """What pydantic's models look like from here."""

    def __init__(self, value: int) -> None:
        self.value = value

    @classmethod
    def model_validate(cls, value: Any) -> "Model":
        if not isinstance(value, dict) or set(value) != {"value"}:
            raise ValueError("1 validation error for Model")
        return cls(value["value"])

    def model_dump(self, mode: str) -> dict[str, int]:
        assert mode == "json"
        return {"value": self.value}


@pytest.mark.parametrize(
    ("value", "payload"),
    [
        (Point(1), '{"x":1,"y":0.0}'),
        (Line([Point(1, 2.5)], tags={"a": 1}), '{"points":[{"x":1,"y":2.5}],"name":null,"tags":{"a":1}}'),
        ([Point(1), Model(5)], '[{"x":1,"y":0.0},{"value":5}]'),
        ("ü", '"ü"'),
        (None, "null"),
    ],
)
def test_value_is_written_as_compact_json_in_a_text_frame(value, payload):
    assert JSON.serialize(value) == Text(payload)


@pytest.mark.parametrize("value", [{1, 2}, b"x", object(), float("nan"), float("inf")])
def test_value_that_cannot_stand_in_json_is_an_error_of_the_caller(value):
    with pytest.raises((TypeError, ValueError)):
        JSON.serialize(value)


@pytest.mark.parametrize(
    ("payload", "kind", "value"),
    [
        ('{"x": 1}', Point, Point(1)),
        ('{"x": 1, "y": 2}', Point, Point(1, 2.0)),
        ('{"points": [{"x": 1}], "name": "l"}', Line, Line([Point(1)], "l")),
        ('{"points": [], "name": null}', Line, Line([])),
        ("[1, 2]", list[int], [1, 2]),
        ('{"a": [1]}', dict[str, list[int]], {"a": [1]}),
        ("[1]", list, [1]),
        ("1", float, 1.0),
        ("1", int | str, 1),
        ('"a"', int | str, "a"),
        ("null", Any, None),
        ("true", bool, True),
    ],
)
def test_json_is_read_as_the_type_that_was_asked_for(payload, kind, value):
    assert JSON.deserialize(Text(payload), kind) == value


def test_models_validate_themselves():
    assert JSON.deserialize(Text('{"value": 5}'), Model).value == 5
    with pytest.raises(DeserializeError, match="JSON of another shape: value: 1 validation error for Model"):
        JSON.deserialize(Text("[]"), Model)


@pytest.mark.parametrize(
    ("payload", "kind", "message"),
    [
        ("{}", Point, "value lacks ['x']: Point has ['x', 'y']"),
        ('{"x": 1, "z": 2}', Point, "value has ['z']: Point has ['x', 'y']"),
        ('{"x": "1"}', Point, "value.x is '1': int is needed"),
        ('{"x": true}', Point, "value.x is True: int is needed"),
        ("[]", Point, "value is []: dict is needed"),
        ('{"points": [{"x": 1}, 5]}', Line, "value.points[1] is 5: dict is needed"),
        ('{"points": [], "tags": {"a": "b"}}', Line, "value.tags['a'] is 'b': int is needed"),
        ("null", int | str, "value is None: int is needed; value is None: str is needed"),
        (str(10**400), float, "too large for a float"),
    ],
)
def test_other_shape_is_named_with_its_place(payload, kind, message):
    with pytest.raises(DeserializeError) as told:
        JSON.deserialize(Text(payload), kind)
    assert message in str(told.value)
    assert (told.value.frame, told.value.code) == (Text(payload), 1007)


@pytest.mark.parametrize(
    "payload", ["", "{", "[1,]", "NaN", "-Infinity", "'a'", "[" * 100_000, "1" * 5000, '\x00"\x00a'], ids=len
)
def test_malformed_json_is_a_deserialize_error(payload):
    with pytest.raises(DeserializeError, match="malformed JSON: ") as told:
        JSON.deserialize(Text(payload), object)
    assert told.value.code == 1007


def test_binary_frame_is_a_deserialize_error_of_its_own_code():
    with pytest.raises(DeserializeError, match="Binary frame: JSON comes as Text") as told:
        JSON.deserialize(Binary(b"{}"), dict)
    assert told.value.code == 1003


@pytest.mark.parametrize("kind", [5, set[int], TypedDict("Typed", {"x": int})], ids=repr)
def test_type_that_is_none_is_an_error_of_the_caller(kind):
    Holder = make_dataclass("Holder", [("x", kind), ("y", int)])  # noqa: N806
    for text, asked in (("1", kind), ('{"x": 1}', Holder)):
        with pytest.raises(TypeError, match=r"type .*: dataclasses, pydantic models, list, dict, tuple"):
            JSON.deserialize(Text(text), asked)


def test_session_without_a_converter_says_what_to_write_and_takes_no_message():
    seen = []

    async def scene(net):
        app = Application()
        app.install(WebSockets)

        @app.websocket("/")
        async def convert(session):
            seen.append(session.converter)
            with pytest.raises(ConverterNotFound, match="write install"):
                await session.send_serialized(Point(1))
            with pytest.raises(ConverterNotFound):
                await session.receive_deserialized(Point)
            seen.append(await session.incoming.receive())

        server = await app.start("server", 80)
        async with connect(server.url()) as session:
            await session.send("{}")
            await session.close_reason

    simulate(scene)
    assert seen == [None, Text("{}")]


def test_objects_travel_both_ways():
    async def scene(net):
        app = Application()
        app.install(WebSockets, content_converter=JSON)

        @app.websocket("/")
        async def shift(session):
            point = await session.receive_deserialized(Point)
            await session.send_serialized(Point(point.x + 1, point.y))

        server = await app.start("server", 80)
        async with connect(server.url(), content_converter=JSON) as session:
            await session.send_serialized(Point(1, 2.5))
            return await session.receive_deserialized(Point)

    assert simulate(scene) == Point(2, 2.5)
    assert repr(JSON) == "JsonConverter()"


# ── all four formats ─────────────────────────────────────────────────────────────────────────────────


class Foot(Enum):
    LEFT = "left"
    RIGHT = "right"


@dataclass
class Place:
    x: float
    y: float = 0.5


@dataclass
class Goal:
    minute: int
    who: str | None = None
    own: bool = False
    place: Place | None = None
    passes: list[Place] = field(default_factory=list)
    by_name: dict[str, Place] = field(default_factory=dict)
    before: "Goal | None" = None
    half: int = field(init=False, default=0)


@dataclass(slots=True)
class Slotted:
    name: str


@dataclass(kw_only=True)
class ByName:
    minute: int
    who: str = "x"


@dataclass
class Nothing:
    pass


@dataclass
class Kick:
    foot: Foot
    at: datetime
    day: date
    hour: time
    ball: UUID
    other: Foot | None = None
    feet: dict[str, Foot] = field(default_factory=dict)


NOON = datetime(2026, 7, 19, 12, tzinfo=UTC)
BALL = UUID("12345678-1234-5678-1234-567812345678")
KICK = Kick(Foot.LEFT, NOON, NOON.date(), NOON.time(), BALL, Foot.RIGHT, {"a": Foot.LEFT})


class GoalModel(pydantic.BaseModel):
    minute: int
    who: str | None = None
    passes: list[int] = []


GOALS = [
    Goal(7),
    Goal(90, "Müller", True, Place(1), [Place(2, 3), Place(4)], {"a": Place(5)}, Goal(7)),
    GoalModel(minute=7, passes=[1, 2]),
    Slotted("x"),
    ByName(minute=7),
    Nothing(),
    KICK,
]

all_formats = pytest.mark.parametrize("converter", CONVERTERS, ids=repr)


@all_formats
@pytest.mark.parametrize("value", GOALS)
def test_object_comes_back_equal_in_every_format(converter, value):
    frame = converter.serialize(value)
    assert isinstance(frame, Text if converter is JSON else Binary)
    assert converter.deserialize(frame, type(value)) == value


@pytest.mark.parametrize("converter", [JSON, CBOR, MESSAGE_PACK], ids=repr)
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, None),
        ([1, None], list[int | None]),
        ([Place(1.0)], list[Place]),
        ({"a": {"b": [True]}}, dict[str, dict[str, list[bool]]]),
        ((1, "a"), tuple[int, str]),
        ((1, 2, 3), tuple[int, ...]),
        ((1,), tuple),
        (Foot.LEFT, Foot),
        ("left", Literal["left", "right"]),
        ([1], Sequence[int]),
        ({"a": [1]}, Mapping[str, Sequence[int]]),
        (7, NewType("Minute", int)),
        (5, Annotated[int, "minutes"]),
        (2**53 + 1, int),
        ("", str),
    ],
)
def test_plain_values_come_back_in_formats_that_have_them(converter, value, kind):
    assert converter.deserialize(converter.serialize(value), kind) == value


@pytest.mark.parametrize("converter", [CBOR, MESSAGE_PACK], ids=repr)
@pytest.mark.parametrize("value", [b"\x00\xff", {1: "a"}, float("inf")])
def test_bytes_and_keys_of_numbers_come_back_in_binary_formats(converter, value):
    assert converter.deserialize(converter.serialize(value), type(value)) == value


@pytest.mark.parametrize(
    ("converter", "wire"),
    [
        # the same bytes as other writers of these formats make
        (JSON, b'{"minute":7,"who":"x"}'.hex()),
        (CBOR, "a2666d696e757465076377686f6178"),
        (MESSAGE_PACK, "82a66d696e75746507a377686fa178"),
        (PROTOBUF, "0807120178"),
    ],
    ids=repr,
)
def test_each_format_has_its_bytes(converter, wire):
    @dataclass
    class Short:
        minute: int
        who: str | None

    assert converter.serialize(Short(7, "x")).data.hex() == wire


def test_generated_messages_go_as_they_are():
    frame = PROTOBUF.serialize(Timestamp(seconds=5))
    assert frame == Binary(bytes.fromhex("0805"))
    assert PROTOBUF.deserialize(frame, Timestamp) == Timestamp(seconds=5)


@all_formats
def test_the_wrong_kind_of_frame_has_a_code_of_its_own(converter):
    frame = Binary(b"{}") if converter is JSON else Text("{}")
    with pytest.raises(DeserializeError, match=rf"{type(frame).__name__} frame: .* comes as ") as told:
        converter.deserialize(frame, Goal)
    assert (told.value.code, told.value.frame) == (1003, frame)


@pytest.mark.parametrize(
    ("converter", "payload"),
    [
        (CBOR, ""),
        (CBOR, "ff"),
        (CBOR, "a101"),
        (CBOR, "0102"),
        (CBOR, "61ff"),
        (CBOR, "81" * 1000),
        (CBOR, "d82361 28".replace(" ", "")),
        (MESSAGE_PACK, ""),
        (MESSAGE_PACK, "c1"),
        (MESSAGE_PACK, "0102"),
        (MESSAGE_PACK, "a1ff"),
        (MESSAGE_PACK, "91" * 2000),
        (MESSAGE_PACK, "819000"),
        (MESSAGE_PACK, "818000"),
        (PROTOBUF, "ff"),
        (PROTOBUF, "08"),
        (PROTOBUF, "1201ff"),
    ],
)
def test_malformed_payload_is_a_deserialize_error(converter, payload):
    frame = Binary(bytes.fromhex(payload))
    with pytest.raises(DeserializeError, match=f"malformed {converter.format}: ") as told:
        converter.deserialize(frame, Goal)
    assert (told.value.code, told.value.frame) == (1007, frame)


WRONG = {"minute": 7, "passes": [{"x": 1.0}, {"x": "far"}]}


@pytest.mark.parametrize(
    ("converter", "data"), [(JSON, None), (CBOR, cbor2.dumps(WRONG)), (MESSAGE_PACK, msgpack.packb(WRONG))]
)
def test_another_shape_is_named_with_its_place_and_what_was_expected(converter, data):
    frame = JSON.serialize(WRONG) if data is None else Binary(data)
    message = rf"^{converter.format} of another shape: value\.passes\[1\]\.x is 'far': float is needed$"
    with pytest.raises(DeserializeError, match=message):
        converter.deserialize(frame, Goal)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ("120178 1805", None),
        ("1005", "value has the fields [2], of another type or number: {1: 'minute', 2: 'who', 3: 'own'"),
        ("4005", "value has the fields [8]"),
        ("22021805", "value.place has the fields [3], of another type or number: {1: 'x', 2: 'y'} are known"),
    ],
)
def test_fields_that_a_class_does_not_have_are_another_shape(payload, message):
    frame = Binary(bytes.fromhex(payload))
    if message is None:
        assert PROTOBUF.deserialize(frame, Goal) == Goal(0, "x", own=True)
        return
    with pytest.raises(DeserializeError) as told:
        PROTOBUF.deserialize(frame, Goal)
    assert message in str(told.value)


@pytest.mark.parametrize(
    ("payload", "kind", "message"),
    [
        ('{"minute":"x","passes":[1,"y"]}', GoalModel, "value.minute: Input should be a valid integer"),
        ('{"minute":1,"passes":[1,"y"]}', GoalModel, "value.passes[1]: Input should be a valid integer"),
        ("[{}]", list[GoalModel], "value[0].minute: Field required"),
        ("[1]", tuple[int, int], "value has 1 parts: 2 are needed"),
        ('"up"', Foot, "value is 'up': 'left' or 'right' is needed"),
        ("1", Literal[True], "value is 1: True is needed"),
        ('{"1":1}', dict[int, int], "value has the key '1', which is '1': int is needed"),
        (
            '{"a":1}',
            Place | list[int],
            "value has ['a']: Place has ['x', 'y']; value is {'a': 1}: list is needed",
        ),
        ("0", None, "value is 0: NoneType is needed"),
        ('"noon"', datetime, "value is 'noon': datetime is needed"),
        ('"2026-07-19T12:00"', date, "value is '2026-07-19T12:00': date is needed"),
        ("5", time, "value is 5: time is needed"),
        ('"x"', UUID, "value is 'x': UUID is needed"),
    ],
)
def test_each_kind_of_type_names_what_it_needs(payload, kind, message):
    with pytest.raises(DeserializeError) as told:
        JSON.deserialize(Text(payload), kind)
    assert message in str(told.value)


@dataclass
class Half:
    number: int

    def __post_init__(self):
        if self.number not in (1, 2):
            raise ValueError(f"half is {self.number}: 1 or 2 are allowed")


@pytest.mark.parametrize(
    "frame",
    [Text('{"number":3}'), Binary(bytes.fromhex("a1666e756d62657203")), Binary(b"\x08\x03")],
    ids=repr,
)
def test_what_the_class_itself_refuses_is_another_shape(frame):
    converter = JSON if isinstance(frame, Text) else CBOR if len(frame.data) > 2 else PROTOBUF
    with pytest.raises(DeserializeError, match="of another shape: value: half is 3: 1 or 2 are allowed"):
        converter.deserialize(frame, Half)


def test_json_that_a_model_cannot_read_is_malformed():
    with pytest.raises(DeserializeError, match="malformed JSON: Invalid JSON: EOF"):
        JSON.deserialize(Text("{"), GoalModel)


@pytest.mark.parametrize("value", [5, [1], None, {"a": 1}, object()])
def test_protocol_buffers_hold_messages_only(value):
    with pytest.raises(TypeError, match="cannot stand in Protocol Buffers"):
        PROTOBUF.serialize(value)
    with pytest.raises(TypeError, match="cannot stand in Protocol Buffers"):
        PROTOBUF.deserialize(Binary(b""), type(value))


@given(st.binary(), st.sampled_from([Goal, GoalModel, list[int], dict, Any]))
def test_any_bytes_are_a_value_or_a_deserialize_error(data, kind):
    frames = [(JSON, Text(data)), (CBOR, Binary(data)), (MESSAGE_PACK, Binary(data))]
    for converter, frame in [*frames, (PROTOBUF, Binary(data))]:
        try:
            outcome = converter.deserialize(frame, Goal if converter is PROTOBUF else kind)
        except DeserializeError as error:
            outcome = error
        assert not isinstance(outcome, DeserializeError) or outcome.frame is frame


@pytest.mark.parametrize(
    ("converter", "module"),
    [
        (CborConverter, "cbor2"),
        (MessagePackConverter, "msgpack"),
        (ProtobufConverter, "google.protobuf.message"),
    ],
)
def test_converter_whose_library_is_missing_says_what_to_install(converter, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r'Converter needs .*: pip install "wslearn\[converters\]"'):
        converter()


class CsvConverter:
    """A converter of one's own: two functions are enough."""

    def serialize(self, value):
        return Text(",".join(value))

    def deserialize(self, frame, kind):
        return kind(frame.read_text().split(","))


def test_converters_are_switched_while_the_session_goes_on():
    async def scene(net):
        app = Application()
        app.install(WebSockets, content_converter=JSON)

        @app.websocket("/")
        async def ask(session):
            for _ in range(5):
                try:
                    seen.append(await session.receive_deserialized(list))
                except DeserializeError as error:
                    seen.append(str(error))
            await session.send_serialized(["bye"])

        server = await app.start("server", 80)
        async with connect(server.url()) as session:
            await session.send("[1]")
            await session.send(b"[1]")
            await session.send("[1")
            await asyncio.sleep(1)
            server.options.content_converter = CsvConverter()
            await session.send("a,b")
            await asyncio.sleep(1)
            server.options.content_converter = CBOR
            await session.send(b"\x81\x01")
            return await session.incoming.receive()

    seen = []
    assert simulate(scene) == Binary(b"\x81cbye")
    assert seen[0] == [1]
    assert seen[1] == "Binary frame: JSON comes as Text"
    assert seen[2].startswith("malformed JSON: ")
    assert seen[3:] == [["a", "b"], [1]]
