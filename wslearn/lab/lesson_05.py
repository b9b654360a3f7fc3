"""Lesson 05: a photo, a slider for chunks, and the exercises on messages (RFC 6455, sections 5.4 and 8.1).

Judged is what our server makes of the frames, with that of websockets beside it. The cry in fragments and
the photo's way stand in the notebook.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

from ipywidgets import Layout, VBox

from wslearn import Application, Binary, Pong, Session, Text, Trace, WebSockets, connect, simulate
from wslearn.codec import read_header, wrap
from wslearn.lab.answers import frames_in, told
from wslearn.lab.conversation import Conversation
from wslearn.lab.exercises import Exercise, Verdict, almost, compare_bytes, compare_values, not_yet, right
from wslearn.lab.plots import beats, number_slider
from wslearn.lab.predictions import Prediction
from wslearn.lab.two_servers import ours, theirs
from wslearn.simulation import SimulatedNetwork

KEY = bytes.fromhex("37 fa 21 3d")
PHOTO = random.Random(5).randbytes(2**20)
"""A photo of the goal, 1 MiB; like all photos it looks like chance."""


class ChunkSlider(VBox):  # type: ignore[misc]
    """The lanes of a conversation that passes again, in chunks of another size, when the slider is let go.

    Args:
        passed: takes the bytes of a chunk, at most, and returns the trace, in a fraction of a second.
        value: where the slider begins.
        most: where it ends; it starts at 1.
    """

    def __init__(self, passed: Callable[[int], Trace], value: int, most: int) -> None:
        self._passed = passed
        self.view = self._lanes(value)
        self._slider = number_slider("bytes in a chunk", value, 1, most, self._moved)
        super().__init__([self._slider, self.view], layout=Layout(align_items="stretch"))

    def _lanes(self, size: int) -> Conversation:
        return Conversation(self._passed(size), kinds=("text", "ping", "pong"), lanes=True)

    def _moved(self, change: Any) -> None:
        old, self.view = self.view, self._lanes(change["new"])
        self.children = [self._slider, self.view]
        old.close()

    def __repr__(self) -> str:
        return self.view.plain()

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        shown = super()._repr_mimebundle_(**options)
        return {**shown, "text/plain": repr(self), "text/html": self.view.html()}


# ── judges ───────────────────────────────────────────────────────────────────────────────────────

SEVEN = bytes.fromhex(
    "01 05 32 3a 31 20 e2 80 02 9a bd 02 02 07 43 89 03 68 69 3f 00 00 8a 02 6f 6b 80 02 15 2a"
)
DUE = ("the first message", "the answer", "the second message")


def split(wire: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the first byte and the payload of each unmasked frame."""
    at = 0
    while header := read_header(wire, at):
        start, end = at + header.size, at + header.size + header.length
        yield wire[at], wire[start:end]
        at = end


def judge_seven(answer: Any) -> Verdict:
    """Compare with the payloads that come back from an echo server, whose pong may overtake a message."""
    if not isinstance(answer, tuple | list) or len(answer) != len(DUE):
        return not_yet(f"three rows of bytes are needed, this is {answer!r}")
    wire = b"".join(wrap(first, payload, KEY) for first, payload in split(SEVEN))
    back = ours(wire)[0]
    answered = {frame[0] & 0x0F: found.unmasked for frame, found in frames_in(back)}
    payloads = [answered[opcode] for opcode in (Text.kind, Pong.kind, Binary.kind)]
    for number, (name, got, want) in enumerate(zip(DUE, answer, payloads, strict=True)):
        found = compare_bytes(got.encode() if isinstance(got, str) else got, want)
        if not found:
            return Verdict("almost" if number else found.state, f"{name}: {found.text}")
    witness = "the same" if theirs(wire)[0] == back else told(theirs(wire)[0])
    return right(f"{told(back)} came back from our server, from websockets {witness}")


SEQUENCES = {
    "A": ((0x01, b"GO"), (0x89, b"hi?"), (0x80, b"AL")),
    "B": ((0x01, b"GO"), (0x00, b"OO"), (0x82, b"AL")),
    "C": ((0x01, b"\xe2\x9a"), (0x80, b"\xbd")),
    "D": ((0x01, b"Goal "), (0x00, b"\xe2G"), (0x80, b"!")),
    "E": ((0x81, b"GO"), (0x80, b"AL")),
}


def judge_sequences(answer: Any) -> Verdict:
    """Send each sequence frame by frame, and look at which frame a Close comes."""
    happened = [_happens(frames) for frames in SEQUENCES.values()]
    if isinstance(answer, tuple | list):
        answer = [str(word).strip() for word in answer]
        if strange := [word for word in answer if not re.fullmatch(r"legal|\d{4} at \d+", word)]:
            return not_yet(f"{strange[0]!r} is neither 'legal' nor a code and its frame, as '1002 at 1'")
    good = "one message at a time, UTF-8 over all of it, and control frames wherever they like"
    return compare_values(answer, happened, good, tuple(f"sequence {name}" for name in SEQUENCES))


def _happens(frames: Iterable[tuple[int, bytes]]) -> str:
    """Return "legal", or the close code and the frame, counted from 1, that earned it."""
    wire, begun = b"", []
    for first, payload in frames:
        wire += wrap(first, payload, KEY)
        begun.append(wire)
    for number, back in enumerate(ours(*begun), 1):
        if said := told(back).partition("Close ")[2]:
            return f"{said[:4]} at {number}"
    return "legal"


Parts = list[tuple[bool, int, bytes]]
CASES: dict[str, tuple[Parts, list[Any]]] = {
    "two messages in one frame each": (
        [(True, 1, b"GOAL"), (True, 2, b"\x02\x01")],
        [(1, b"GOAL"), (2, b"\x02\x01")],
    ),
    "a text in three frames": ([(False, 1, b"GO"), (False, 0, b"OO"), (True, 0, b"AL")], [(1, b"GOOOAL")]),
    "a ping between two fragments": (
        [(False, 1, b"GO"), (True, 9, b"hi?"), (True, 0, b"AL")],
        [(9, b"hi?"), (1, b"GOAL")],
    ),
    "a message behind one in fragments": (
        [(False, 2, b"\x07"), (True, 0, b"\x08"), (True, 1, b"GOAL")],
        [(2, b"\x07\x08"), (1, b"GOAL")],
    ),
    "empty fragments": ([(False, 1, b""), (False, 0, b""), (True, 0, b"")], [(1, b"")]),
    "a character in two frames": ([(False, 1, b"\xe2\x9a"), (True, 0, b"\xbd")], [(1, b"\xe2\x9a\xbd")]),
    "bytes that are no UTF-8, in a binary message": (
        [(False, 2, b"\xe2\x9a"), (True, 0, b"G")],
        [(2, b"\xe2\x9aG")],
    ),
    "a message without its end": ([(True, 10, b"ok"), (False, 1, b"GO")], [(10, b"ok")]),
    "a continuation, and no message is open": ([(True, 0, b"AL"), (True, 1, b"GOAL")], [1002]),
    "a continuation behind a whole message": ([(True, 1, b"GO"), (True, 0, b"AL")], [(1, b"GO"), 1002]),
    "a text inside a message": ([(False, 1, b"GO"), (True, 1, b"AL")], [1002]),
    "a binary frame inside a text": ([(False, 1, b"GO"), (False, 2, b"AL")], [1002]),
    "a ping in fragments": ([(True, 1, b"GO"), (False, 9, b"hi?")], [(1, b"GO"), 1002]),
    "a wrong second half of a character": ([(False, 1, b"\xe2\x9a"), (True, 0, b"G")], [1007]),
    "a text that ends inside a character": ([(False, 1, b"GO"), (True, 0, b"\xe2\x9a")], [1007]),
    "a wrong byte in one frame": ([(True, 9, b""), (True, 1, b"\xff")], [(9, b""), 1007]),
}


def judge_assemble(assemble: Any) -> Verdict:
    """Compare with what is due for each case, and look that nothing waits for what comes later."""
    if not callable(assemble):
        return not_yet(f"a function is needed, this is {assemble!r}")
    for number, (name, (frames, want)) in enumerate(CASES.items()):
        passed = assemble(iter(frames))
        if passed is None or passed is ...:
            return Verdict("not tried", "nothing comes out yet: yield what is due")
        got = list(passed)
        if got != want:
            state = almost if number * 2 >= len(CASES) else not_yet
            return state(f"{name}: {frames} gives {got}, due is {want}")
    if isinstance(passed, list | tuple):
        return almost(
            "all is as it should be, only too late: a list is there when all frames are."
            " Let the function yield, so that a ping is answered when it comes"
        )
    return right(f"{len(CASES)} cases, as our server reads them")


TEXTS = (
    "Kick-off",
    "2:1",
    "",
    "Half an hour is over, and the trainers begin to shout. " * 3,
    "⚽",
    "GOAL by Ana",
)
RECEIVED = b"".join(wrap(0x81, text.encode()) for text in TEXTS)
CHUNKS = range(1, 21)


def in_chunks(wire: bytes, size: int) -> list[bytes]:
    """Return the bytes as reads of this size would give them."""
    return [wire[at : at + size] for at in range(0, len(wire), size)]


def judge_reader(reader: Any) -> Verdict:
    """Let it read the same bytes in chunks of 1 to 20 bytes."""
    if not callable(reader):
        return not_yet(f"a function is needed, this is {reader!r}")
    want = [text.encode() for text in TEXTS]
    for size in CHUNKS:
        got = list(reader(in_chunks(RECEIVED, size)))
        if got != want:
            state = almost if size > 1 else not_yet
            return state(f"chunks of {size}: {_first_wrong(got, want)}")
    return right(f"{len(TEXTS)} messages, whatever the size of the chunks: only the headers tell borders")


def _first_wrong(got: list[Any], want: list[bytes]) -> str:
    for number, (read, due) in enumerate(zip(got, want, strict=False), 1):
        if read != due:
            return f"message {number} has {len(due)} bytes and begins {due[:10]!r}, this is {str(read)[:60]}"
    return f"{len(got)} messages, and {len(want)} are due"


PATIENCE = 60
"""Virtual seconds in which the photo has to be there."""


def judge_photo(send_photo: Any) -> Verdict:
    """Let it send the photo over 1 Mbit/s, while the server pings every quarter of a second."""
    if not inspect.iscoroutinefunction(send_photo):
        return not_yet(f"a function is needed that begins with async def, this is {send_photo!r}")
    try:
        messages, longest = simulate(
            lambda net: _upload(net, send_photo), latency=0.02, bandwidth=1_000_000, seed=5
        )
    except TimeoutError:
        return not_yet(f"after {PATIENCE} s the photo is not there: has a last fragment FIN 1?")
    if not messages:
        return not_yet("nothing was sent")
    if messages != [PHOTO]:
        sizes = ", ".join(f"{len(data):,}" for data in messages[:3])
        return not_yet(f"{len(messages)} messages came, of {sizes} bytes; one is due, equal to the photo")
    told = f"the longest round trip of a ping was {longest:.2f} s"
    if longest > 1:
        return almost(f"the photo is there, and {told}; at most 1 s is allowed")
    return right(f"1 message of {len(PHOTO):,} bytes, equal to the photo, and {told}")


async def _upload(
    net: SimulatedNetwork, send_photo: Callable[[Session, bytes], Awaitable[object]]
) -> tuple[list[bytes], float]:
    """Return the messages that came, and the longest round trip in seconds."""
    app, messages, whole = Application(), [], asyncio.Event()
    app.install(WebSockets, ping_period=0.25)

    @app.websocket("/photos")
    async def photos(session: Session) -> None:
        async for frame in session.incoming:
            if isinstance(frame, Text):
                whole.set()
            messages.append(frame.data)

    server = await app.start("server", 80)
    async with asyncio.timeout(PATIENCE):
        async with connect(server.url("/photos")) as phone:
            await asyncio.sleep(0.5)
            await send_photo(phone, PHOTO)
            await phone.send("offside")
            await whole.wait()
    trips = [beat.pong - beat.ping for beat in beats(net.trace) if beat.pong is not None]
    return messages[:-1], max(trips)


PREDICTIONS = [
    Prediction(
        "05.a",
        "A text comes in three fragments, with a ping before the last one. What comes back first?",
        "the pong",
        "the text is not complete yet, and a ping is answered when it comes",
        choices=("the text", "the pong", "a Close: nothing may stand there"),
    ),
    Prediction(
        "05.b",
        "The bytes of those four frames arrive in chunks of 1 byte. How many frames does the server read?",
        4,
        "a frame ends where its header says, and not where a chunk ends",
        unit="frames",
    ),
    Prediction(
        "05.c",
        "The photo has 1 MiB, the link takes 1 Mbit/s. How long does the slowest ping take, there and back?",
        "about 8 s",
        "its pong waits until the whole frame of the photo has left",
        choices=("0.04 s, as always", "about 1 s", "about 8 s"),
    ),
]

EXERCISES = [
    Exercise(
        "05.1",
        1,
        "C",
        task=(
            "Seven frames, shown without their masks, go to a server that sends every message back. Write"
            " three rows of bytes: the first message, the answer that is due between the two, and the second"
            " message; payloads only."
        ),
        judge=judge_seven,
        hints=(
            "Take the first byte of each frame apart: FIN is its first digit 8 or 0, the opcode its second.",
            "01 and 80 make a text; 02, 00 and 80 a binary message. 89 is a ping, 8a a pong.",
            "The text is 32 3a 31 20 e2 and 9a bd. The ping is answered with its own payload; a pong is not.",
        ),
        starter="""
wire = bytes.fromhex(
    "01 05 32 3a 31 20 e2  80 02 9a bd  02 02 07 43  89 03 68 69 3f"
    "00 00  8a 02 6f 6b  80 02 15 2a"
)
answer = (..., ..., ...)
""",
        solution="""
answer = (
    bytes.fromhex("32 3a 31 20 e2 9a bd"),
    bytes.fromhex("68 69 3f"),
    bytes.fromhex("07 43 15 2a"),
)
""",
    ),
    Exercise(
        "05.2",
        2,
        "P",
        task=(
            "What does our server say to each of these five sequences, A to E? Write `'legal'`, or the close"
            " code and the frame that earns it, counted from 1, as in `'1002 at 1'`."
        ),
        judge=judge_sequences,
        hints=(
            "For each frame ask: is a message open? What may come then, and what not?",
            "A control frame may come at any time. A continuation needs an open message, a new message none.",
            "C cuts a character, which is allowed. In D the byte behind e2 is no part of a character.",
        ),
        starter="answer = (..., ..., ..., ..., ...)",
        solution='answer = ("legal", "1002 at 3", "legal", "1007 at 2", "1002 at 2")',
    ),
    Exercise(
        "05.3",
        2,
        "B",
        task=(
            "Write `assemble(frames)`. A frame is a tuple `(fin, opcode, payload)`, unmasked. Yield"
            " `(opcode, payload)` for each control frame as it comes, and for each message when it is"
            " complete. Where the order is wrong, or a control frame has no FIN, yield 1002 and end; where a"
            " text is not UTF-8 1007."
        ),
        judge=judge_assemble,
        hints=(
            "Keep two things from frame to frame: the opcode of the open message, and its payload so far.",
            "Opcodes from 8 on are yielded at once, with fin. Opcode 0 needs an open message, 1 and 2 none.",
            "When fin is true: try payload.decode() if the message is a text, yield it, and open no message.",
        ),
        starter="""
def assemble(frames):
    for fin, opcode, payload in frames:
        ...

answer = assemble
""",
        solution="""
def assemble(frames):
    kind, data = None, b""
    for fin, opcode, payload in frames:
        if opcode >= 8 and fin:
            yield opcode, payload
            continue
        if opcode >= 8 or (opcode == 0) != (kind is not None):
            yield 1002
            return
        kind, data = kind or opcode, data + payload
        if not fin:
            continue
        try:
            kind == 1 and data.decode()
        except UnicodeDecodeError:
            yield 1007
            return
        yield kind, data
        kind, data = None, b""

answer = assemble
""",
    ),
    Exercise(
        "05.4",
        2,
        "D",
        task=(
            "`messages(reads)` takes each read for one frame. It works as long as every read has one whole"
            " frame. Repair it: the list of payloads is the same for chunks of every size from 1 to 20"
            " bytes. The frames come from a server, unmasked, and each is a whole message."
        ),
        judge=judge_reader,
        hints=(
            "A read may have half a header, or two frames and a half. Where can the rest wait?",
            "Put each read behind what is left over, and take whole frames off the front.",
            "read_header(buffer) is None while the header is cut. A frame is whole when"
            " len(buffer) >= header.size + header.length.",
        ),
        setup="from wslearn.codec import read_header",
        starter="""
def messages(reads):
    found = []
    for data in reads:
        header = read_header(data)
        found.append(data[header.size :])
    return found

answer = messages
""",
        solution="""
def messages(reads):
    found, buffer = [], b""
    for data in reads:
        buffer += data
        while (header := read_header(buffer)) and len(buffer) >= header.size + header.length:
            end = header.size + header.length
            found.append(buffer[header.size : end])
            buffer = buffer[end:]
    return found

answer = messages
""",
    ),
    Exercise(
        "05.5",
        3,
        "B",
        task=(
            "Write `async def send_photo(session, photo)` for a phone with 1 Mbit/s. The photo arrives as"
            " one message, equal to the last byte. The server pings four times a second, and no ping takes"
            " more than 1 s there and back."
        ),
        judge=judge_photo,
        hints=(
            "A pong can leave between two frames, never within one.",
            "Send slices of the photo as Binary frames with fin=False, and the last with fin=True.",
            "photo[at : at + 16384] for at in range(0, len(photo), 16384);"
            " fin is at + 16384 >= len(photo). await each send.",
        ),
        setup="from wslearn import Binary",
        starter="""
async def send_photo(session, photo):
    await session.send(photo)

answer = send_photo
""",
        solution="""
async def send_photo(session, photo):
    for at in range(0, len(photo), 16_384):
        last = at + 16_384 >= len(photo)
        await session.send(Binary(photo[at : at + 16_384], fin=last))

answer = send_photo
""",
    ),
]
