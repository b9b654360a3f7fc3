"""Objects to frames and frames to objects: the option `content_converter`.

A converter is a pair of pure functions; which frame is taken and what an error ends is the session's.
Any class with the two will do; the four here take plain data, dataclasses and pydantic models.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import reprlib
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING
from datetime import date, datetime, time
from enum import Enum
from functools import lru_cache
from importlib import import_module
from io import BytesIO
from operator import attrgetter
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    NewType,
    NoReturn,
    Protocol,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)
from uuid import UUID

from wslearn.errors import DeserializeError
from wslearn.frames import Binary, CloseCode, Frame, Text

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


class FormatConverter:
    """One format in one kind of frame; a subclass says which, and knows the bytes.

    Args:
        dump_mode: how pydantic makes its models plain: "json" for a format without bytes and times.
    """

    format: ClassVar[str]
    frame: ClassVar[type[Frame]]
    dump_mode: ClassVar[str] = "python"
    malformed: tuple[type[Exception], ...] = (ValueError, RecursionError)

    def write(self, value: Any) -> Any:
        """Return an object as text or bytes."""
        raise NotImplementedError

    def read(self, payload: bytes, kind: Any) -> Any:
        """Return plain data: dict, list, str, numbers, None; most formats need no type for it."""
        raise NotImplementedError

    def serialize(self, value: object) -> Frame:
        """Return the frame that carries the value.

        Raises:
            TypeError, ValueError: it cannot stand in this format.
        """
        # here, where it is cheaper than when the format asks
        kind: Any = type(value)
        names = _names(kind)
        return self.frame(self.write(value if names is None else _fields_of(value, names)))

    def deserialize(self, frame: Frame, kind: type[T]) -> T:
        """Return the value in a frame.

        Raises:
            DeserializeError: wrong kind of frame, malformed payload or another shape; says where.
            TypeError: the type is none that is known.
        """
        if not isinstance(frame, self.frame):
            message = f"{type(frame).__name__} frame: {self.format} comes as {self.frame.__name__}"
            raise DeserializeError(frame, message, CloseCode.UNSUPPORTED_DATA)
        try:
            value = self.read(frame.data, kind)
        except Misfit as error:
            raise self._another_shape(frame, error) from None
        except self.malformed as error:
            raise DeserializeError(frame, f"malformed {self.format}: {error}") from None
        try:
            shaped: T = self.shape(value, kind)
        except (Misfit, RecursionError) as error:
            raise self._another_shape(frame, error) from None
        return shaped

    def shape(self, value: Any, kind: Any) -> Any:
        """Return what was read as the type that was asked for."""
        return reader(kind)(value)

    def _another_shape(self, frame: Frame, error: Exception) -> DeserializeError:
        return DeserializeError(frame, f"{self.format} of another shape: {error}")

    def plain(self, value: Any) -> Any:
        """Return an object as something that formats know, its parts as they are.

        Raises:
            TypeError: there is no such thing.
        """
        kind: Any = type(value)
        names = _names(kind)
        if names is not None:
            return _fields_of(value, names)
        if hasattr(value, "model_dump"):
            return value.model_dump(mode=self.dump_mode)
        if isinstance(value, Enum):
            return value.value
        if isinstance(value, date | time):
            return value.isoformat()
        if isinstance(value, UUID):
            return str(value)
        can = "dataclasses, pydantic models, enums, dates, times, UUIDs and plain values can"
        raise TypeError(f"{value!r} cannot stand in {self.format}: {can}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class JsonConverter(FormatConverter):
    """JSON in text frames."""

    format = "JSON"
    frame = Text
    dump_mode = "json"

    def __init__(self) -> None:
        self._encode = json.JSONEncoder(
            separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=self.plain
        ).encode
        self._decode = json.JSONDecoder(parse_constant=_refuse).decode

    def write(self, value: Any) -> str:
        if hasattr(value, "model_dump_json"):
            return str(value.model_dump_json())
        return self._encode(value)

    def read(self, payload: bytes, kind: Any) -> Any:
        if hasattr(kind, "model_validate_json"):
            return _read_model(payload, kind)
        return self._decode(payload.decode())


class CborConverter(FormatConverter):
    """CBOR in binary frames (RFC 8949); needs cbor2."""

    format = "CBOR"
    frame = Binary

    def __init__(self) -> None:
        cbor2 = _needed("cbor2", self)
        self.malformed = (cbor2.CBORError, *FormatConverter.malformed)
        self._dumps, self._load = cbor2.dumps, cbor2.load

    def write(self, value: Any) -> Any:
        return self._dumps(value, default=self._default)

    def read(self, payload: bytes, kind: Any) -> Any:
        stream = BytesIO(payload)
        value = self._load(stream)
        if stream.tell() != len(payload):
            raise ValueError(f"{len(payload) - stream.tell()} bytes behind its end")
        return value

    def _default(self, encoder: Any, value: Any) -> None:
        encoder.encode(self.plain(value))


class MessagePackConverter(FormatConverter):
    """MessagePack in binary frames; needs msgpack."""

    format = "MessagePack"
    frame = Binary

    def __init__(self) -> None:
        msgpack = _needed("msgpack", self)
        self._pack, self._unpack = msgpack.packb, msgpack.unpackb
        # a list as a key of a map, which is none of Python's
        self.malformed = (TypeError, *FormatConverter.malformed)

    def write(self, value: Any) -> Any:
        return self._pack(value, default=self.plain)

    def read(self, payload: bytes, kind: Any) -> Any:
        return self._unpack(payload, strict_map_key=False)


class ProtobufConverter(FormatConverter):
    """Protocol Buffers in binary frames; needs protobuf.

    Generated messages go as they are. A dataclass or pydantic model is a message whose fields have the
    numbers 1, 2, 3 … in the order in which they stand in the class: int is int64, float is double, an enum
    what its values are, a date, time or UUID a string.
    """

    format = "Protocol Buffers"
    frame = Binary

    def __init__(self) -> None:
        self.malformed = (_needed("google.protobuf.message", self).DecodeError,)

    def serialize(self, value: Any) -> Frame:
        if not hasattr(value, "SerializeToString"):
            kind: Any = type(value)
            form = _form(kind)
            plain = self.plain(value)
            value = form.message(**(plain if form.is_flat else self._deep(plain)))
        return Binary(value.SerializeToString())

    def read(self, payload: bytes, kind: Any) -> Any:
        message = kind if hasattr(kind, "FromString") else _form(kind).message
        return message.FromString(payload)

    def shape(self, value: Any, kind: Any) -> Any:
        return value if hasattr(kind, "FromString") else _form(kind).shape(value)

    def _deep(self, value: Any) -> Any:
        """Return an object as plain data, its parts too."""
        match value:
            case None | bool() | int() | float() | str() | bytes():
                return value
            case list():
                return [self._deep(part) for part in value]
            case dict():
                return {
                    name: part if type(part) in SCALARS else self._deep(part) for name, part in value.items()
                }
        return self._deep(self.plain(value))


def _needed(module: str, converter: object) -> Any:
    """Return a module that is installed on demand."""
    try:
        return import_module(module)
    except ImportError:
        name = type(converter).__name__
        raise ImportError(f'{name} needs {module}: pip install "wslearn[converters]"') from None


def _read_model(payload: bytes, kind: Any) -> Any:
    """Let a pydantic model read JSON by itself, which is faster."""
    try:
        return kind.model_validate_json(payload)
    except ValueError as error:
        if (first := error.errors()[0])["type"] == "json_invalid":  # type: ignore[attr-defined]
            raise ValueError(first["msg"]) from None
        raise _misfit_of_model(error) from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON (RFC 8259, section 6)")


@lru_cache(256)
def _names(kind: type) -> tuple[str, ...] | None:
    """Return the fields of a dataclass by which it can be made again; None for another class."""
    if not dataclasses.is_dataclass(kind):
        return None
    return tuple(field.name for field in dataclasses.fields(kind) if field.init)


def _fields_of(value: Any, names: tuple[str, ...]) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(value, "__dict__", {})
    if len(fields) != len(names):
        # it has slots, or more than its fields
        return {name: getattr(value, name) for name in names}
    return fields


# ── plain data as the type that was asked for ────────────────────────────────────────────────────────

Reader = Callable[[Any], Any]


class Misfit(ValueError):
    """Data of another shape: places inside it, each with what does not fit there."""

    def __init__(self, *facts: tuple[str, str]) -> None:
        super().__init__(*facts)
        self.facts = facts

    def under(self, place: str) -> Misfit:
        """Return it as seen from outside."""
        return Misfit(*((place + inner, fact) for inner, fact in self.facts))

    def __str__(self) -> str:
        return "; ".join(f"value{place}{fact}" for place, fact in self.facts)


@lru_cache(256)
def reader(kind: Any) -> Reader:
    """Return what makes plain data into the type, or raises `Misfit`.

    Raises:
        TypeError: the type is none that is known.
    """
    if kind is Any or kind is object or hasattr(kind, "FromString"):
        return lambda value: value
    if hasattr(kind, "model_validate"):
        return _model_reader(kind)
    if dataclasses.is_dataclass(kind):
        return _DataclassReader(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in READERS:
        return READERS[origin](*arguments)
    if kind is None:
        kind = types.NoneType
    if kind in TEXTS:
        return _text_reader(kind)
    if isinstance(kind, NewType):
        return reader(kind.__supertype__)
    if isinstance(kind, type) and not is_typeddict(kind):
        return _enum_reader(kind) if issubclass(kind, Enum) else _plain_reader(kind)
    known = "dataclasses, pydantic models, list, dict, tuple, Literal, enums, dates and plain types"
    raise TypeError(f"type {kind!r}: {known} are known")


def _plain_reader(kind: type) -> Reader:
    def read(value: Any) -> Any:
        return value if type(value) is kind else _expect(value, kind)

    return read


def _expect(value: Any, kind: type) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise Misfit(("", f" is {reprlib.repr(value)}: too large for a float")) from None
    if kind is tuple and isinstance(value, list):
        return tuple(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind in (int, float)):
        raise Misfit(("", f" is {reprlib.repr(value)}: {kind.__name__} is needed"))
    return value


# Source: ISO 8601, RFC 9562; CBOR has them as they are, the others as text.
TEXTS: dict[Any, Reader] = {one: one.fromisoformat for one in (datetime, date, time)} | {UUID: UUID}


def _text_reader(kind: type) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is kind:
            return value
        try:
            return TEXTS[kind](_expect(value, str))
        except ValueError:
            raise Misfit(("", f" is {reprlib.repr(value)}: {kind.__name__} is needed")) from None

    return read


def _list_reader(kind: Any = Any) -> Reader:
    read_part = reader(kind)

    def read(value: Any) -> Any:
        return [_read_at(f"[{n}]", read_part, part) for n, part in enumerate(_expect(value, list))]

    return read


def _tuple_reader(*kinds: Any) -> Reader:
    if kinds[1:] == (...,):
        read_all = _list_reader(kinds[0])
        return lambda value: tuple(read_all(list(_expect(value, tuple))))
    readers = [reader(kind) for kind in kinds]

    def read(value: Any) -> Any:
        parts = _expect(value, tuple)
        if len(parts) != len(readers):
            raise Misfit(("", f" has {len(parts)} parts: {len(readers)} are needed"))
        pairs = zip(readers, parts, strict=True)
        return tuple(_read_at(f"[{n}]", one, part) for n, (one, part) in enumerate(pairs))

    return read


def _dict_reader(key: Any = Any, kind: Any = Any) -> Reader:
    read_key, read_part = reader(key), reader(kind)

    def read(value: Any) -> Any:
        return {
            _read_at(f" has the key {name!r}, which", read_key, name): _read_at(
                f"[{name!r}]", read_part, part
            )
            for name, part in _expect(value, dict).items()
        }

    return read


def _read_at(place: str, read: Reader, value: Any) -> Any:
    try:
        return read(value)
    except Misfit as error:
        raise error.under(place) from None


def _union_reader(*kinds: Any) -> Reader:
    exact = {types.NoneType if kind is None else kind for kind in kinds if isinstance(kind, type | None)}
    readers = [reader(kind) for kind in kinds]

    def read(value: Any) -> Any:
        if type(value) in exact:
            return value
        facts: list[tuple[str, str]] = []
        for one in readers:
            try:
                return one(value)
            except Misfit as error:
                facts += error.facts
        raise Misfit(*facts)

    return read


def _literal_reader(*values: Any) -> Reader:
    def read(value: Any) -> Any:
        if not any(value == one and type(value) is type(one) for one in values):
            raise Misfit(("", f" is {reprlib.repr(value)}: {' or '.join(map(repr, values))} is needed"))
        return value

    return read


def _enum_reader(kind: type[Enum]) -> Reader:
    by_value = _literal_reader(*(one.value for one in kind))
    return lambda value: kind(by_value(value))


def _model_reader(kind: Any) -> Reader:
    """Return what lets a pydantic model validate itself."""

    def read(value: Any) -> Any:
        try:
            return kind.model_validate(value)
        except ValueError as error:
            raise _misfit_of_model(error) from None

    return read


def _misfit_of_model(error: Any) -> Misfit:
    if not hasattr(error, "errors"):
        return Misfit(("", f": {error}"))
    return Misfit(*(("".join(map(_step, one["loc"])), f": {one['msg']}") for one in error.errors()))


def _step(step: str | int) -> str:
    return f"[{step}]" if isinstance(step, int) else f".{step}"


class _DataclassReader:
    """Makes dicts into one dataclass; its fields are looked at when the first dict comes."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._fields: dict[str, tuple[Any, Reader]] = {}
        self._names: tuple[str, ...] = ()
        self._kinds: list[Any] | None = None

    def __call__(self, value: Any) -> Any:
        values = value if type(value) is dict else _expect(value, dict)
        parts = [*values.values()]
        fits = [*map(type, parts)] == self._kinds and tuple(values) == self._names
        if not fits:
            values = self._read(values)
        try:
            return self._kind(*parts) if fits else self._kind(**values)
        except TypeError:
            missing = [field.name for field in dataclasses.fields(self._kind) if _is_due(field, values)]
            if not missing:
                raise
            self._refuse("lacks", missing)
        except ValueError as error:
            raise Misfit(("", f": {error}")) from None

    def _read(self, values: dict[str, Any]) -> dict[str, Any]:
        fields, values = self._fields or self._look(), values.copy()
        for name, part in values.items():
            if name not in fields:
                self._refuse("has", [name for name in values if name not in fields])
            kind, read = fields[name]
            if type(part) is not kind:
                values[name] = _read_at(f".{name}", read, part)
        return values

    def _look(self) -> dict[str, tuple[Any, Reader]]:
        hints = _hints(self._kind)
        self._names = tuple(hints)
        self._kinds = [*hints.values()] if _takes_values(self._kind, hints) else None
        self._fields = {name: (hint, reader(hint)) for name, hint in hints.items()}
        return self._fields

    def _refuse(self, verb: str, names: list[str]) -> NoReturn:
        raise Misfit(("", f" {verb} {names}: {self._kind.__name__} has {list(self._names)}")) from None


def _takes_values(kind: Any, names: Iterable[str]) -> bool:
    """Tell whether an object is made of the values in order, which is faster than by name."""
    parameters = inspect.signature(kind).parameters.values()
    in_order = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
    return len(parameters) == len(in_order) and in_order == [*names]


def _is_due(field: dataclasses.Field[Any], values: dict[str, Any]) -> bool:
    has_default = field.default is not MISSING or field.default_factory is not MISSING
    return field.init and not has_default and field.name not in values


READERS: dict[Any, Callable[..., Reader]] = {
    list: _list_reader,
    Sequence: _list_reader,
    tuple: _tuple_reader,
    dict: _dict_reader,
    Mapping: _dict_reader,
    Union: _union_reader,
    types.UnionType: _union_reader,
    Literal: _literal_reader,
    Annotated: lambda kind, *_: reader(kind),
}


# ── classes as messages of Protocol Buffers ──────────────────────────────────────────────────────────

# Source: descriptor.proto.
SCALARS = {float: 1, int: 3, bool: 8, str: 9, bytes: 12}
MESSAGE, OPTIONAL, REPEATED = 11, 1, 3


@lru_cache(256)
def _form(kind: Any) -> _Form:
    """Return the message of a class.

    Raises:
        TypeError: it, or a field of it, cannot stand in Protocol Buffers.
    """
    return _Form(kind)


class _Form:
    """The message of one dataclass or pydantic model, with those of the classes in it."""

    def __init__(self, kind: Any) -> None:
        protobuf = import_module("google.protobuf.descriptor_pb2")
        self._file = protobuf.FileDescriptorProto(name="wslearn.proto", package="wslearn", syntax="proto3")
        self._names: dict[Any, str] = {}
        self._fields: dict[str, list[tuple[str, bool]]] = {}
        name = self._add(kind)
        hints = _hints(kind)
        self.is_flat = all(hint in SCALARS for hint in hints.values())
        self._kind = kind
        self._values = _values_of(tuple(hints))
        self._takes_values = self.is_flat and _takes_values(kind, hints)
        pool = import_module("google.protobuf.descriptor_pool").DescriptorPool()
        pool.AddSerializedFile(self._file.SerializeToString())
        factory = import_module("google.protobuf.message_factory")
        self.message: Any = factory.GetMessageClass(pool.FindMessageTypeByName(name.removeprefix(".")))
        self._unknown: Any = import_module("google.protobuf.unknown_fields").UnknownFieldSet

    def _add(self, kind: Any) -> str:
        """Return the full name of a class's message, described if it is new."""
        if kind not in self._names:
            fields = _hints(kind)
            message = self._file.message_type.add(name=f"{kind.__name__}{len(self._names) or ''}")
            self._names[kind] = f".wslearn.{message.name}"
            for number, (name, hint) in enumerate(fields.items(), 1):
                self._add_field(message, name, number, hint)
            self._fields[message.name] = [(field.name, _has_presence(field)) for field in message.field]
        return self._names[kind]

    def _add_field(self, message: Any, name: str, number: int, hint: Any) -> None:
        hint, is_optional = _without_none(hint)
        field = message.field.add(name=name, number=number, label=OPTIONAL)
        match get_origin(hint), get_args(hint):
            case (origin, (part,)) if origin is list:
                field.label = REPEATED
                self._set_type(field, part)
            case (origin, (key, part)) if origin is dict:
                # "map<key_type, value_type> map_field = N" is a repeated message with two fields
                entry = message.nested_type.add(name=f"{name}Entry")
                entry.options.map_entry = True
                self._set_type(entry.field.add(name="key", number=1, label=OPTIONAL), key)
                self._set_type(entry.field.add(name="value", number=2, label=OPTIONAL), part)
                field.label, field.type = REPEATED, MESSAGE
                field.type_name = f".wslearn.{message.name}.{entry.name}"
            case _:
                self._set_type(field, hint)
                if is_optional and field.type != MESSAGE:
                    field.oneof_index, field.proto3_optional = len(message.oneof_decl), True
                    message.oneof_decl.add(name=f"_{name}")

    def _set_type(self, field: Any, kind: Any) -> None:
        if (kind := _scalar_of(kind)) in SCALARS:
            field.type = SCALARS[kind]
        else:
            field.type, field.type_name = MESSAGE, self._add(kind)

    def shape(self, message: Any) -> Any:
        """Return a message as an object of the class.

        Raises:
            Misfit: it has fields that the class does not know, or the class refuses what they say.
        """
        if not self._takes_values:
            return reader(self._kind)(self._read(message))
        self._check(message)
        try:
            # values of other types are in no such message
            return self._kind(*self._values(message))
        except ValueError as error:
            raise Misfit(("", f": {error}")) from None

    def _check(self, message: Any) -> None:
        if len(unknown := self._unknown(message)):
            numbers = {field.number: field.name for field in message.DESCRIPTOR.fields}
            found = [field.field_number for field in unknown]
            raise Misfit(("", f" has the fields {found}, of another type or number: {numbers} are known"))

    def _read(self, message: Any) -> dict[str, Any]:
        """Return a message as plain data; None for what is not in it."""
        self._check(message)
        plain = {}
        for name, has_presence in self._fields[message.DESCRIPTOR.name]:
            part = None if has_presence and not message.HasField(name) else getattr(message, name)
            plain[name] = part if type(part) in SCALARS else _read_at(f".{name}", self._plain, part)
        return plain

    def _plain(self, part: Any) -> Any:
        if hasattr(part, "DESCRIPTOR"):
            return self._read(part)
        if hasattr(part, "items"):
            return {name: self._plain(one) for name, one in part.items()}
        return part if isinstance(part, SCALAR) else [self._plain(one) for one in part]


SCALAR = (*SCALARS, types.NoneType)


def _scalar_of(kind: Any) -> Any:
    """Return what stands for a type in a message; most types stand for themselves."""
    if kind in TEXTS:
        return str
    if isinstance(kind, type) and issubclass(kind, Enum):
        kinds = {type(one.value) for one in kind}
        return kinds.pop() if len(kinds) == 1 else kind
    return kind


def _hints(kind: Any) -> dict[str, Any]:
    """Return the fields of a dataclass or pydantic model with their types."""
    if hasattr(kind, "model_fields"):
        return {name: field.annotation for name, field in kind.model_fields.items()}
    names = _names(kind)
    if names is None:
        known = (
            "generated messages, dataclasses, pydantic models, and in them list, dict, int, float, bool, str"
        )
        more = "bytes, None, enums of one of these, dates, times and UUIDs can"
        raise TypeError(f"type {kind!r} cannot stand in Protocol Buffers: {known}, {more}")
    hints = get_type_hints(kind)
    return {name: hints[name] for name in names}


def _values_of(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """Return what reads attributes, as fast as it can be."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda message: tuple(getattr(message, name) for name in names)


def _has_presence(field: Any) -> bool:
    """Tell whether a message knows of a field that it has none, as of None."""
    return bool(field.proto3_optional or (field.type == MESSAGE and field.label == OPTIONAL))


def _without_none(hint: Any) -> tuple[Any, bool]:
    """Return a type without the None that may stand for it, and whether it may."""
    if get_origin(hint) not in (Union, types.UnionType):
        return hint, False
    kinds = [kind for kind in get_args(hint) if kind is not types.NoneType]
    return (kinds[0], True) if len(kinds) == 1 else (hint, False)
