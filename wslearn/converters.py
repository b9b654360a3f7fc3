"""Objects to frames and frames to objects: the option `content_converter`.

A converter is a pair of pure functions; which frame is taken and what an error ends is the session's.
"""

from __future__ import annotations

import dataclasses
import json
import reprlib
import types
from typing import Any, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

from wslearn.errors import DeserializeError
from wslearn.frames import CloseCode, Frame, Text

T = TypeVar("T")


class Converter(Protocol):
    """What the option `content_converter` needs."""

    def serialize(self, value: object) -> Frame:
        """Return the frame that carries the value."""

    def deserialize(self, frame: Frame, kind: type[T]) -> T:
        """Return the value that the frame carries.

        Raises:
            DeserializeError: wrong kind of frame, malformed payload or wrong shape.
        """


class JsonConverter:
    """JSON in text frames; dataclasses and pydantic models as types."""

    def serialize(self, value: object) -> Text:
        """Return the value as JSON.

        Raises:
            TypeError, ValueError: it cannot stand in JSON.
        """
        separators = (",", ":")
        return Text(
            json.dumps(value, separators=separators, ensure_ascii=False, allow_nan=False, default=_plain)
        )

    def deserialize(self, frame: Frame, kind: type[T]) -> T:
        """Return the value in a text frame.

        Raises:
            DeserializeError: wrong kind of frame, malformed JSON or another shape.
            TypeError: the type is none that is known.
        """
        if not isinstance(frame, Text):
            message = f"{type(frame).__name__} frame: JSON comes as Text"
            raise DeserializeError(frame, message, CloseCode.UNSUPPORTED_DATA)
        try:
            value = json.loads(frame.read_text(), parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise DeserializeError(frame, f"malformed JSON: {error}") from None
        try:
            shaped: T = shape(value, kind)
        except (ValueError, RecursionError) as error:
            raise DeserializeError(frame, f"JSON of another shape: {error}") from None
        return shaped

    def __repr__(self) -> str:
        return "JsonConverter()"


def _plain(value: Any) -> Any:
    """Return an object as something that JSON knows, its parts as they are."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"{value!r} cannot stand in JSON: dataclasses, pydantic models and plain values can")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON (RFC 8259, section 6)")


def shape(value: Any, kind: Any, place: str = "value") -> Any:
    """Return plain data as the type that was asked for.

    Args:
        place: where the value stands, for the error.

    Raises:
        ValueError: the data has another shape; names the place and both.
    """
    if kind is Any or kind is object:
        return value
    if hasattr(kind, "model_validate"):
        return kind.model_validate(value)
    if dataclasses.is_dataclass(kind):
        return _shape_dataclass(value, kind, place)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _shape_union(value, arguments, place)
    if origin is list:
        _expect(value, list, place)
        return [shape(part, arguments[0], f"{place}[{n}]") for n, part in enumerate(value)]
    if origin is dict:
        _expect(value, dict, place)
        return {name: shape(part, arguments[1], f"{place}[{name!r}]") for name, part in value.items()}
    if isinstance(kind, type):
        return _expect(value, kind, place)
    raise TypeError(f"type {kind!r}: dataclasses, pydantic models, list, dict and plain types are known")


def _shape_dataclass(value: Any, kind: Any, place: str) -> Any:
    _expect(value, dict, place)
    hints = get_type_hints(kind)
    known = {field.name: field for field in dataclasses.fields(kind) if field.init}
    strange = sorted(set(value) - set(known))
    if strange:
        raise ValueError(f"{place} has {strange}: {kind.__name__} has {list(known)}")
    missing = [
        name
        for name, field in known.items()
        if name not in value
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ValueError(f"{place} lacks {missing}: {kind.__name__} has {list(known)}")
    return kind(**{name: shape(part, hints[name], f"{place}.{name}") for name, part in value.items()})


def _shape_union(value: Any, choices: tuple[Any, ...], place: str) -> Any:
    errors = []
    for choice in choices:
        try:
            return shape(value, choice, place)
        except ValueError as error:
            errors.append(str(error))
    raise ValueError("; ".join(errors))


def _expect(value: Any, kind: type, place: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return _as_float(value, place)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind in (int, float)):
        raise ValueError(f"{place} is {reprlib.repr(value)}: {kind.__name__} is needed")
    return value


def _as_float(value: int, place: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{place} is {reprlib.repr(value)}: too large for a float") from None
