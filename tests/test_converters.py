"""Objects to JSON and back; a Converter is two functions, so these tests are bytes and values."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from wslearn import (
    Application,
    Binary,
    ConverterNotFound,
    DeserializeError,
    JsonConverter,
    Text,
    WebSockets,
    connect,
    simulate,
)

JSON = JsonConverter()


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
    with pytest.raises(DeserializeError, match="JSON of another shape: 1 validation error for Model"):
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


def test_type_that_is_none_is_an_error_of_the_caller():
    with pytest.raises(TypeError, match="type 5: dataclasses, pydantic models, list, dict and plain types"):
        JSON.deserialize(Text("1"), 5)


def test_session_without_a_converter_says_what_to_write_and_takes_no_message():
    seen = []

    async def scene(net):
        app = Application()
        app.install(WebSockets)

        @app.websocket("/")
        async def convert(session):
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
    assert seen == [Text("{}")]


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
