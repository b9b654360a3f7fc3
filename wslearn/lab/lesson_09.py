"""Lesson 09: one object in the bytes of many formats, and the exercises on content converters.

Judged is what a session of ours does with a converter or a payload, with websockets beside it where bytes
pass. Converters of one's own, and the page that changes a number, stand in the notebook.
"""

from __future__ import annotations

import asyncio
import json
import random
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from html import escape
from itertools import pairwise
from textwrap import wrap
from typing import Any

from websockets.asyncio.client import connect as connect_websockets
from websockets.typing import Subprotocol

from wslearn import (
    Application,
    Binary,
    CborConverter,
    ChannelClosed,
    DeserializeError,
    Frame,
    JsonConverter,
    Session,
    Text,
    WebSockets,
    connect,
    connect_raw,
    simulate,
)
from wslearn.converters import Converter, ProtobufConverter
from wslearn.lab.exercises import (
    NOT_TRIED,
    Exercise,
    Verdict,
    almost,
    compare_bytes,
    name_first,
    not_yet,
    right,
)
from wslearn.lab.predictions import Prediction
from wslearn.simulation import SimulatedNetwork


@dataclass
class Goal:
    minute: int
    team: str
    scorer: str
    own_goal: bool


@dataclass
class Position:
    """A player's number, and where he is on the pitch, in metres."""

    id: int
    x: float
    y: float


@dataclass
class Positions:
    players: list[Position]


@dataclass
class Line:
    name: str
    text: str


def positions(many: int = 22) -> list[Position]:
    """Return players on a pitch of 105 × 68 m, at whole quarters of a metre, the same every time."""
    chance = random.Random(9)
    return [Position(n + 1, chance.randrange(420) / 4, chance.randrange(272) / 4) for n in range(many)]


CHAT = (
    "I have been coming here for thirty years and I have never seen a keeper throw the ball to the other "
    "team, twice, and then complain about the rain. Anyway: Iñaki, if you read this, marry me."
)

# ── the view ─────────────────────────────────────────────────────────────────────────────────────

ABREAST = 4
"""Bytes in a line of a cell, so that four fields stand in 700 pixels."""
# Okabe and Ito's, light ones: black letters stand on each with a contrast of 5 or more.
FILLS = ("#56b4e9", "#f0e442", "#e69f00", "#cc79a7", "#b8b8b8")


class FormatRows:
    """One flat dataclass as the bytes of several formats: a row for each, its fields in equal colours.

    Args:
        value: its fields are numbers, texts and truth values.
        converters: by the name of the format.
    """

    def __init__(self, value: Any, converters: Mapping[str, Converter]) -> None:
        self._names = [field.name for field in fields(value)]
        self._rows = {name: _parts(value, converter) for name, converter in converters.items()}

    def __repr__(self) -> str:
        lines = []
        for name, (rest, *parts, end) in self._rows.items():
            lines.append(f"{name}: {sum(map(len, (rest, *parts, end)))} bytes")
            shown = [("", rest), *zip(self._names, parts, strict=True), ("", end)]
            lines += [f"  {field:9} {_both(part)}" for field, part in shown if part or field]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        left = "text-align:left;vertical-align:top"
        heads = "".join(
            f'<th style="{left};color:#000;background:{fill}">{escape(name)}</th>'
            for name, fill in zip(self._names, FILLS, strict=False)
        )
        rows = "".join(
            f'<tr><th style="{left}">{escape(name)}<br>{sum(map(len, parts))} bytes</th>'
            + "".join(_cell(part, fill) for part, fill in zip(parts, ("", *FILLS), strict=False))
            + "</tr>"
            for name, parts in ((name, _with_end(parts)) for name, parts in self._rows.items())
        )
        return f"<table><tr><th></th><th></th>{heads}</tr>{rows}</table>"


def _with_end(parts: list[bytes]) -> list[bytes]:
    """Return the parts with what stands behind the last field put to it."""
    return [*parts[:-2], parts[-2] + parts[-1]]


def _cell(part: bytes, fill: str) -> str:
    colours = f"color:#000;background:{fill};" if fill else ""
    lines = [part[at : at + ABREAST].hex(" ") for at in range(0, len(part), ABREAST)]
    # as wide as four bytes in hex
    lines += [escape(text) for text in wrap(_characters(part), 3 * ABREAST - 1)]
    shown = "<br>".join(lines) or ("no bytes" if fill else "")
    return f'<td style="text-align:left;vertical-align:top;font-family:monospace;{colours}">{shown}</td>'


def _characters(part: bytes) -> str:
    return "".join(chr(byte) if 32 < byte < 127 else "·" for byte in part)


def _both(part: bytes) -> str:
    return f"{part.hex(' ')}  {_characters(part)}" if part else "no bytes"


def _parts(value: Any, converter: Converter) -> list[bytes]:
    """Return what stands in front of the fields, each field, and what stands behind them."""
    whole = converter.serialize(value).data
    given = asdict(value)
    # Protocol Buffers leave out what is zero; the other formats take a dictionary of any length
    needs_all = isinstance(converter, ProtobufConverter)
    sizes = []
    for many in range(len(given) + 1):
        kept = dict(list(given.items())[:many])
        zeros = {name: type(part)() for name, part in given.items()}
        shown = type(value)(**zeros | kept) if needs_all else kept
        sizes.append(len(converter.serialize(shown).data))
    end = len(whole) - (1 if whole[-1:] == b"}" else 0)
    cuts = [0, *(size - (len(whole) - end) for size in sizes), len(whole)]
    return [whole[start:stop] for start, stop in pairwise(cuts)]


# ── judges ───────────────────────────────────────────────────────────────────────────────────────


def judge_object(answer: Any) -> Verdict:
    """Compare with what our converter reads."""
    want = CborConverter().deserialize(Binary(bytes.fromhex("a1 63 6d 69 6e 07")), object)
    if repr(answer) == repr(want):
        return right("a1 is a map of one pair, 63 a text of three bytes, 07 the number itself")
    if isinstance(answer, dict) and (answer.keys() == {"min"} or list(answer.values()) == [7]):
        return almost(f"one half of {answer!r} fits: a key and a value stand behind a1")
    return not_yet(f"{answer!r} is not what our converter reads; a1 begins a map of one pair")


@dataclass
class Short:
    min: int
    team: str


PAYLOADS: dict[str, Frame] = {
    "A": Text('{"min": 7, "team": "Rovers"}'),
    "B": Text('{"team":"Rovers","min":7}'),
    "C": Text('{"min":"7","team":"Rovers"}'),
    "D": Binary(b'{"min":7,"team":"Rovers"}'),
    "E": Text('{"min":7,"team":"Rovers"'),
    "F": Text(b'{"min":7,"team":"\xff"}'),
}
RULES = {
    "A": "blanks between parts mean nothing in JSON",
    "B": "an object has no order",
    "C": "'7' is a text where a number is needed, and the converter guesses nothing",
    "D": "JSON comes in text frames; this one is binary",
    "E": "the last brace is missing",
    "F": "ff cannot stand in UTF-8: the protocol ends the session before any converter looks",
}


def judge_payloads(answer: Any) -> Verdict:
    """Send each payload to a server that catches `DeserializeError`, and look what becomes of it."""
    if not isinstance(answer, dict) or answer.keys() != PAYLOADS.keys():
        return not_yet(f"a dictionary with {', '.join(PAYLOADS)} is needed, this is {answer!r}")
    happened = {name: outcome(frame) for name, frame in PAYLOADS.items()}
    given = {name: tuple(pair) if isinstance(pair, list) else pair for name, pair in answer.items()}
    wrong = {name: RULES[name] for name in PAYLOADS if given[name] != happened[name]}
    if not wrong:
        return right("five leave the session alive; only broken UTF-8 is the protocol's own affair")
    return name_first(wrong, len(PAYLOADS))


def outcome(frame: Frame) -> tuple[str, bool]:
    """Return what a session makes of a payload, and whether it goes on."""
    found = ["neither"]

    async def scene(net: SimulatedNetwork) -> tuple[str, bool]:
        app = Application()
        app.install(WebSockets, ping_period=None, content_converter=JsonConverter())

        @app.websocket("/goal")
        async def read(session: Session) -> None:
            try:
                await session.receive_deserialized(Short)
                found[0] = "accepted"
            except DeserializeError:
                found[0] = "DeserializeError"
            await session.send("next")

        async with app.start("server", 80), connect_raw("ws://server/goal") as viewer:
            await viewer.send(frame)
            goes_on = isinstance(await viewer.incoming.receive(), Text)
        return found[0], goes_on

    return simulate(scene)


def judge_converter(answer: Any) -> Verdict:
    """Look at the bytes both ways, at what does not fit, and at a session of 100 positions."""
    if isinstance(answer, type):
        return almost("a class; the judge needs an object of it, as in PositionConverter()")
    if not hasattr(answer, "serialize") or not hasattr(answer, "deserialize"):
        return not_yet(f"an object with serialize and deserialize is needed, this is {answer!r}")
    one = Position(210, 52.5, 34.25)
    frame, wire = answer.serialize(one), struct.pack(">Bff", 210, 52.5, 34.25)
    if frame is ... or frame is None:
        return NOT_TRIED
    if not isinstance(frame, Binary):
        return not_yet(f"serialize returns {frame!r}; nine bytes are no text: a Binary is needed")
    if len(frame.data) != len(wire):
        return not_yet(f"serialize makes {len(frame.data)} bytes of {one}: nine are needed")
    if not (found := compare_bytes(frame.data, wire)):
        return Verdict(found.state, f"{one}: {found.text}")
    back = answer.deserialize(Binary(wire), Position)
    if back != one:
        return almost(f"the bytes are right; they come back as {back!r}")
    for wrong in (Text("123456789"), Binary(wire[:8]), Binary(wire + b"\0")):
        if not _refuses(answer, wrong):
            return almost(
                f"positions come back; {wrong!r} must raise DeserializeError, or it kills a handler"
            )
    sent = positions(100)
    if simulate(partial(_travel, answer, sent)) != sent:
        return almost("both ways are right, and a session of 100 positions does not bring them back")
    total = sum(len(JsonConverter().serialize(each).data) for each in sent)
    return right(f"100 positions came back through a session: 900 bytes of payload, as JSON {total:,}")


def _refuses(converter: Any, frame: Frame) -> bool:
    try:
        converter.deserialize(frame, Position)
    except DeserializeError:
        return True
    except (ValueError, TypeError, struct.error):
        return False
    return False


async def _travel(converter: Any, sent: list[Position], net: SimulatedNetwork) -> list[Position]:
    """Return positions as they come back from an echo of objects."""
    app = Application()
    app.install(WebSockets, ping_period=None, content_converter=converter)

    @app.websocket("/positions")
    async def echo(session: Session) -> None:
        while True:
            await session.send_serialized(await session.receive_deserialized(Position))

    back = []
    join = connect("ws://server/positions", content_converter=converter)
    async with app.start("server", 80), join as session:
        for each in sent:
            await session.send_serialized(each)
            back.append(await session.receive_deserialized(Position))
    return back


GOAL = Goal(67, "Rovers", "Iñaki", False)
OPCODES = {"json": 1, "cbor": 2}
READERS: dict[str, type[Converter]] = {"json": JsonConverter, "cbor": CborConverter}


def judge_serving(answer: Any) -> Verdict:
    """Let a client of each format come, ours and that of websockets."""
    if not callable(answer):
        return not_yet(f"a function of an application is needed, this is {answer!r}")
    app = Application()
    app.install(WebSockets, ping_period=None)
    answer(app)
    if not app.routes:
        return NOT_TRIED
    for name, opcode in OPCODES.items():
        protocol, got = simulate(partial(_served, app, name))
        if protocol != name:
            return not_yet(f"the client offers {name!r}, the answer says {protocol!r}")
        if got is None or got.opcode != opcode:
            return almost(f"{name!r} is agreed; the first frame is {got!r}, opcode {opcode} is due")
        goal = READERS[name]().deserialize(got, Goal)
        if goal != GOAL:
            return almost(f"{name!r} is agreed; the goal arrives as {goal!r}")
    witness = [simulate(partial(_witness, app, name)) for name in OPCODES]
    return right(f"json in opcode 1, cbor in opcode 2; websockets agrees on {' and '.join(witness)}")


async def _served(app: Application, name: str, net: SimulatedNetwork) -> tuple[str | None, Frame | None]:
    async with app.start("server", 80), connect("ws://server/goal", protocols=[name]) as viewer:
        try:
            return viewer.protocol, await asyncio.wait_for(viewer.incoming.receive(), 1)
        except (TimeoutError, ChannelClosed):
            return viewer.protocol, None


async def _witness(app: Application, name: str, net: SimulatedNetwork) -> str:
    join = connect_websockets("ws://server/goal", subprotocols=[Subprotocol(name)], proxy=None)
    async with app.start("server", 80), join as viewer:
        await viewer.recv()
        return str(viewer.subprotocol)


BIG = 9007199254740993


def page_reads(text: str) -> Any:
    """Return JSON as a page's JavaScript reads it, whose numbers are all floats of 64 bits."""
    return json.loads(text, parse_int=lambda digits: int(float(digits)))


def judge_big_number(answer: Any) -> Verdict:
    """Read the repaired message as a page does, after a session of ours has carried it."""
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return not_yet(f"(what the page shows, the repaired message) is needed, this is {answer!r}")
    shown, message = answer
    if str(int(shown) if isinstance(shown, float) else shown) != str(page_reads(str(BIG))):
        near = "that is what was sent" if str(shown) == str(BIG) else "a float is even there"
        return not_yet(f"the page does not show {shown!r}: {near}, and 53 bits hold no odd number so large")
    if not isinstance(message, str):
        return almost(f"{shown} it is; a text of JSON is needed, this is {message!r}")
    read = page_reads(message)
    kept = read.get("id") if isinstance(read, dict) else None
    if isinstance(kept, int):
        return almost(f"{shown} it is; of the repaired message the page makes {kept}: still a number")
    if kept != str(BIG):
        return almost(f"{shown} it is; the page finds {kept!r} as the id of {message!r}")
    if read.get("text") != "GOAL":
        return almost(f"{shown} it is, and the id is whole; the text 'GOAL' is no longer in {message!r}")
    return right("a text has no 53 bits: an id is a name, and nobody adds two of them")


PREDICTIONS = [
    Prediction(
        "09.a",
        "In which format does the goal take the fewest bytes?",
        "Protocol Buffers",
        "both ends have the names of the fields already, and only numbers of fields travel",
        choices=("JSON", "CBOR", "MessagePack", "Protocol Buffers"),
    ),
    Prediction(
        "09.b",
        "22 positions as plain lists of numbers such as [7, 52.5, 34.25]: which one is smaller?",
        "JSON, a text",
        "52.5 is four characters, and nine bytes as a float of 64 bits",
        choices=("JSON, a text", "CBOR, a binary format"),
    ),
    Prediction(
        "09.c",
        "A page gets the id 9007199254740993 as a JSON number. What is its last digit then?",
        2,
        "JavaScript's numbers have 53 bits, and this one needs 54",
    ),
]

EXERCISES = [
    Exercise(
        "09.1",
        1,
        "C",
        task="A binary frame holds CBOR: `a1 63 6d 69 6e 07`. Write the object as Python has it.",
        judge=judge_object,
        hints=(
            "The three high bits of a byte are the kind: 0 a number, 3 a text, 5 a map. "
            "The others are its value or length.",
            "a1 is 101 00001: a map of one pair. 63 is 011 00011: a text of three bytes.",
            "6d 69 6e are the letters m, i, n; 07 is the number 7.",
        ),
        starter="answer = ...",
        solution='answer = {"min": 7}',
    ),
    Exercise(
        "09.2",
        1,
        "P",
        task=(
            "A session reads `min`, a whole number, and `team`, a text, from JSON, and catches "
            "`DeserializeError`. What becomes of each frame: 'accepted', 'DeserializeError' or 'neither'? "
            "And does the session go on, True or False?"
        ),
        judge=judge_payloads,
        hints=(
            "Two are fine: what means nothing in JSON, blanks and the order of keys, does no harm.",
            "Three are a DeserializeError: a wrong kind of frame, a wrong type, a text that stops too soon.",
            "One never reaches the converter. Which bytes may a text frame not have?",
        ),
        starter="""
# A  Text    {"min": 7, "team": "Rovers"}
# B  Text    {"team":"Rovers","min":7}
# C  Text    {"min":"7","team":"Rovers"}
# D  Binary  {"min":7,"team":"Rovers"}
# E  Text    {"min":7,"team":"Rovers"
# F  Text    {"min":7,"team":"?"}  where ? is the byte ff
answer = {name: (..., ...) for name in "ABCDEF"}
""",
        solution="""
answer = {
    "A": ("accepted", True),
    "B": ("accepted", True),
    "C": ("DeserializeError", True),
    "D": ("DeserializeError", True),
    "E": ("DeserializeError", True),
    "F": ("neither", False),
}
""",
    ),
    Exercise(
        "09.3",
        2,
        "B",
        task=(
            "Write a converter for `Position` in nine bytes: the id in one, x and y in four each, as floats "
            "of 32 bits, the highest byte first. What is no such frame raises `DeserializeError`. The judge "
            "looks at the bytes both ways, then at a session of 100 positions."
        ),
        judge=judge_converter,
        hints=(
            "Python's struct knows such rows of bytes: struct.pack and struct.unpack with a format.",
            'The format is ">Bff": highest byte first, one byte, two floats of 32 bits.',
            "In deserialize look first: if not isinstance(frame, Binary) or len(frame.data) != 9, "
            'raise DeserializeError(frame, "9 bytes are needed"). Then Position(*struct.unpack(...)).',
        ),
        starter="""
class PositionConverter:
    def serialize(self, value):
        return ...

    def deserialize(self, frame, kind):
        return ...

answer = PositionConverter()
""",
        solution="""
class PositionConverter:
    def serialize(self, value):
        return Binary(struct.pack(">Bff", value.id, value.x, value.y))

    def deserialize(self, frame, kind):
        if not isinstance(frame, Binary) or len(frame.data) != 9:
            raise DeserializeError(frame, "a position is 9 bytes in a binary frame")
        return kind(*struct.unpack(">Bff", frame.data))

answer = PositionConverter()
""",
    ),
    Exercise(
        "09.4",
        2,
        "B",
        task=(
            "Write `serve(app)`: it declares `/goal` so that a client that offers the subprotocol `json` "
            "gets `goal` as JSON, and one that offers `cbor` gets it as CBOR. The judge looks at the header "
            "of the answer and at the opcode of the first frame, for two clients."
        ),
        judge=judge_serving,
        hints=(
            "A path may have several routes: @app.websocket(path, protocol=...) takes those that offer it.",
            "A converter is an object with a function: JsonConverter().serialize(goal) is a frame.",
            'Two routes for "/goal", with protocol="json" and protocol="cbor"; each sends its own frame.',
        ),
        starter="""
goal = Goal(67, "Rovers", "Iñaki", False)

def serve(app):
    ...

answer = serve
""",
        solution="""
goal = Goal(67, "Rovers", "Iñaki", False)

def serve(app):
    @app.websocket("/goal", protocol="json")
    async def as_json(session):
        await session.send(JsonConverter().serialize(goal))

    @app.websocket("/goal", protocol="cbor")
    async def as_cbor(session):
        await session.send(CborConverter().serialize(goal))

answer = serve
""",
    ),
    Exercise(
        "09.5",
        3,
        "D",
        task=(
            'The server sends `{"id":9007199254740993,"text":"GOAL"}`, and a page answers to another id. '
            "Write which id the page shows. Then repair the message: a text of JSON, in which a page finds "
            "the `id` whole."
        ),
        judge=judge_big_number,
        hints=(
            "A number in JavaScript is a float of 64 bits, 53 of them for digits. Python has it as float.",
            "int(float(9007199254740993)) is what the page shows.",
            "The page must not take the id for a number at all. What else can JSON hold?",
        ),
        starter="""
answer = (..., '{"id":9007199254740993,"text":"GOAL"}')  # shown id, repaired message
""",
        solution="""
answer = (9007199254740992, '{"id":"9007199254740993","text":"GOAL"}')
""",
    ),
]
