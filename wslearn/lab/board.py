"""A board of 30 conformance cases that turn from red to green as a server grows (RFC 6455).

Each case is one conversation on a simulated wire with any `async def server(reader, writer)`: bytes go out,
and what comes back is compared with what is due. Which server it is, and how it was built, is the lesson's.
"""

from __future__ import annotations

import asyncio
import inspect
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from html import escape
from itertools import islice
from typing import Any, NamedTuple, NoReturn

import traitlets

from wslearn import simulate
from wslearn.codec import wrap
from wslearn.dissection import dissect_handshake
from wslearn.handshake import END, accept_key
from wslearn.lab.answers import frames_in, said
from wslearn.lab.exercises import in_words
from wslearn.lab.ladder import Ladder
from wslearn.lab.timeline import Timeline
from wslearn.lab.two_servers import REQUEST
from wslearn.lab.view import View, module, style
from wslearn.simulation import SimulatedNetwork
from wslearn.trace import WireTrace

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LATENCY = 0.01
"""Seconds, one way."""
PAUSE = 0.05
"""Seconds between two chunks that a case sends."""
WAIT = 1.0
"""Seconds for an answer, behind the last chunk."""
PATIENCE = 15.0
"""Seconds in which a server has to be done with a client that is gone, or that never comes to the point."""
STUCK = 2.0
"""Seconds of real time for a case, which takes a few thousandths."""
LOOPS = "it goes round and round, and waits for nothing"
SHOWN = 16
"""Bytes of a row."""
ROWS = 12
"""Rows of a trace."""
WORDS = 40
"""Characters for a frame."""

KEY, OTHER_KEY = bytes.fromhex("37 fa 21 3d"), bytes.fromhex("0a 0b 0c 0d")
NONCE = "dGhlIHNhbXBsZSBub25jZQ=="
BALL = "⚽".encode()


@dataclass(frozen=True)
class Case:
    """One conversation, and what is due in it.

    Args:
        section: of RFC 6455, where `rule` stands.
        request: what the client says first, one item for each chunk.
        chunks: what it says behind an answer of 101, likewise.
        status: of the answer that is due; None where any will do, or none.
        lines: what stands in that answer, name and value.
        due: the bytes of the frames that are due.
        close: the code of a Close that is due behind them, with any reason; then TCP ends.
        ends: the server ends TCP within 15 s, whatever it says before.
        resets: the client's connection is reset, and the server has to be done with it.
    """

    number: int
    name: str
    section: str
    rule: str
    request: tuple[bytes, ...] = (REQUEST,)
    chunks: tuple[bytes, ...] = ()
    status: int | None = 101
    lines: tuple[tuple[str, str], ...] = ()
    due: bytes = b""
    close: int | None = None
    ends: bool = False
    resets: bool = False

    @property
    def sitting(self) -> int:
        """The sitting of lesson 14 that turns it green, from 1."""
        return (self.number - 1) // 10 + 1


def _said(first: int, payload: bytes, key: bytes = KEY) -> bytes:
    return wrap(first, payload, key)


def _asked(*changes: tuple[bytes, bytes]) -> tuple[bytes, ...]:
    """Return a request with some of its bytes replaced."""
    request = REQUEST
    for old, new in changes:
        request = request.replace(old, new)
    return (request,)


def _many(size: int) -> bytes:
    return bytes(n % 251 for n in range(size))


def _bytewise(wire: bytes) -> tuple[bytes, ...]:
    return tuple(wire[at : at + 1] for at in range(len(wire)))


ACCEPT = ("sec-websocket-accept", accept_key(NONCE))
ANOTHER = "x3JJHMbDL1EzLkh9GBhXDw=="
SITTINGS = {
    1: "handshake, header, unmask, echo",
    2: "lengths, chunks, fragments, UTF-8, ping",
    3: "closing, limits, bad peers",
}

CASES = (
    Case(
        1,
        "101 with the accept key",
        "4.2.2",
        "The answer to a good request is 101, with the accept key of its nonce.",
        lines=(ACCEPT,),
    ),
    Case(
        2,
        "names in any case, values in a list",
        "4.2.1",
        "Names of headers have no case, and Connection may hold more than upgrade.",
        request=_asked(
            (b"Upgrade: websocket", b"UPGRADE: WebSocket"),
            (b"Connection: Upgrade", b"connection: keep-alive, Upgrade"),
            (b"Sec-WebSocket-Key", b"sec-websocket-key"),
            (NONCE.encode(), ANOTHER.encode()),
        ),
        lines=(("sec-websocket-accept", accept_key(ANOTHER)),),
    ),
    Case(
        3,
        "another version is told which one",
        "4.4",
        "A version other than 13 is answered with 426, and with the version that is spoken.",
        request=_asked((b"Version: 13", b"Version: 8")),
        status=426,
        lines=(("sec-websocket-version", "13"),),
    ),
    Case(
        4,
        "a request without a key",
        "4.2.1",
        "A request without Sec-WebSocket-Key is a bad one: 400.",
        request=_asked((b"Sec-WebSocket-Key: " + NONCE.encode() + b"\r\n", b"")),
        status=400,
    ),
    Case(
        5,
        "a request without Host",
        "4.2.1",
        "A request says which server it means: without Host it is a bad one, 400.",
        request=_asked((b"Host: server\r\n", b"")),
        status=400,
    ),
    Case(
        6,
        "a Connection without upgrade",
        "4.2.1",
        "Upgrade counts where Connection names it too; without that the request is a bad one: 400.",
        request=_asked((b"Connection: Upgrade", b"Connection: keep-alive")),
        status=400,
    ),
    Case(
        7,
        "a request in two pieces",
        "4.2.1",
        "A request ends with its empty line, and not with a chunk.",
        request=(REQUEST[:40], REQUEST[40:]),
        lines=(ACCEPT,),
    ),
    Case(
        8,
        "a text comes back, and bytes do",
        "5.6",
        "A message is unmasked and sent back as what it was: the opcode of a text is 1, of bytes 2.",
        chunks=(_said(0x81, b"Hello"), _said(0x82, b"\x02\x01\xff")),
        due=wrap(0x81, b"Hello") + wrap(0x82, b"\x02\x01\xff"),
    ),
    Case(
        9,
        "each frame with its own key",
        "5.3",
        "The key of a frame begins with its first byte of payload, and is over with its last.",
        chunks=(_said(0x81, b"GOAL!"), _said(0x81, b"2:1", OTHER_KEY)),
        due=wrap(0x81, b"GOAL!") + wrap(0x81, b"2:1"),
    ),
    Case(
        10,
        "no byte, and 125 bytes",
        "5.2",
        "A length up to 125 stands in the second byte, and 0 is a length: an empty text is a message.",
        chunks=(_said(0x81, b""), _said(0x82, _many(125))),
        due=wrap(0x81, b"") + wrap(0x82, _many(125)),
    ),
    Case(
        11,
        "126 bytes",
        "5.2",
        "From 126 on, the length stands in two bytes more.",
        chunks=(_said(0x82, _many(126)),),
        due=wrap(0x82, _many(126)),
    ),
    Case(
        12,
        "65,535 and 65,536 bytes",
        "5.2",
        "Two bytes hold a length up to 65,535, from 65,536 on it takes eight: the shortest form is due.",
        chunks=(_said(0x82, _many(65_535)), _said(0x82, _many(65_536))),
        due=wrap(0x82, _many(65_535)) + wrap(0x82, _many(65_536)),
    ),
    Case(
        13,
        "a length in more bytes than it needs",
        "5.2",
        "The shortest form of a length has to be used: Close 1002.",
        chunks=(b"\x81\xfe\x00\x05" + _said(0x81, b"Hello")[2:],),
        close=1002,
    ),
    Case(
        14,
        "a frame byte by byte",
        "5.2",
        "A frame is whole when its header and its payload are there, in however many chunks.",
        chunks=_bytewise(_said(0x81, b"Hello")),
        due=wrap(0x81, b"Hello"),
    ),
    Case(
        15,
        "three frames in one chunk",
        "5.2",
        "Behind the payload of a frame the next one may begin, in the same chunk.",
        chunks=(_said(0x81, b"1:0") + _said(0x81, b"1:1") + _said(0x81, b"2:1"),),
        due=wrap(0x81, b"1:0") + wrap(0x81, b"1:1") + wrap(0x81, b"2:1"),
    ),
    Case(
        16,
        "a text in three fragments",
        "5.4",
        "Fragments up to the one with FIN are one message.",
        chunks=(_said(0x01, b"GO"), _said(0x00, b"OO"), _said(0x80, b"AL")),
        due=wrap(0x81, b"GOOOAL"),
    ),
    Case(
        17,
        "a character in two fragments",
        "8.1",
        "UTF-8 is checked over the message: a fragment may end inside a character.",
        chunks=(_said(0x01, BALL[:1]), _said(0x80, BALL[1:])),
        due=wrap(0x81, BALL),
    ),
    Case(
        18,
        "a ping, and a pong that nobody asked for",
        "5.5.2",
        "A ping is answered with a pong of the same payload, and a pong with nothing.",
        chunks=(_said(0x8A, b"hi") + _said(0x89, b"hi?"),),
        due=wrap(0x8A, b"hi?"),
    ),
    Case(
        19,
        "pings between and in fragments",
        "5.4",
        "A control frame may come between fragments, and is answered first. In fragments itself: Close 1002.",
        chunks=(_said(0x01, b"GO"), _said(0x89, b"hi?"), _said(0x80, b"AL"), _said(0x09, b"hi?")),
        due=wrap(0x8A, b"hi?") + wrap(0x81, b"GOAL"),
        close=1002,
    ),
    Case(
        20,
        "a text that is no UTF-8",
        "8.1",
        "A text that is no UTF-8 fails the connection: Close 1007.",
        chunks=(_said(0x81, b"\xc3("),),
        close=1007,
    ),
    Case(
        21,
        "an empty Close, and then nothing",
        "5.5.1",
        "A Close may be empty, and so is its answer; what stands behind it is not read, and TCP ends.",
        chunks=(_said(0x88, b"") + _said(0x81, b"Hello?"),),
        due=wrap(0x88, b""),
        ends=True,
    ),
    Case(
        22,
        "a Close of one byte",
        "5.5.1",
        "A code has two bytes: a Close of one byte is answered with 1002.",
        chunks=(_said(0x88, b"\x03"),),
        close=1002,
    ),
    Case(
        23,
        "a Close with a code that is never sent",
        "7.4.1",
        "1005 is a note that an end makes for itself: on the wire it is answered with 1002.",
        chunks=(_said(0x88, b"\x03\xed"),),
        close=1002,
    ),
    Case(
        24,
        "a frame without a mask",
        "5.1",
        "A server closes the connection of a client that does not mask: Close 1002.",
        chunks=(wrap(0x81, b"Hello"),),
        close=1002,
    ),
    Case(
        25,
        "a reserved bit",
        "5.2",
        "A reserved bit that no extension has claimed fails the connection: Close 1002.",
        chunks=(_said(0xC1, b"Hello"),),
        close=1002,
    ),
    Case(
        26,
        "a ping of 126 bytes",
        "5.5",
        "A control frame has at most 125 bytes of payload: Close 1002.",
        chunks=(_said(0x89, _many(126)),),
        close=1002,
    ),
    Case(
        27,
        "an opcode that nobody has defined",
        "5.2",
        "Opcodes 3 to 7 and 11 to 15 are reserved, and fail the connection: Close 1002.",
        chunks=(_said(0x83, b"Hello"),),
        close=1002,
    ),
    Case(
        28,
        "a frame of 100 GiB, announced",
        "10.4",
        "What is too big is refused when it is announced, before any payload: Close 1009.",
        chunks=(b"\x82\xff" + (100 * 2**30).to_bytes(8, "big") + KEY,),
        close=1009,
    ),
    Case(
        29,
        "a reset inside a frame",
        "7.1.5",
        "A connection may end without a Close. The server is done with it, and raises nothing.",
        chunks=(_said(0x81, b"Hello")[:8],),
        resets=True,
    ),
    Case(
        30,
        "a handshake that never ends",
        "10.4",
        "A client that never comes to the point holds memory: its connection is ended within 15 s.",
        request=(REQUEST[:40],),
        status=None,
        ends=True,
    ),
)


# ── one conversation ─────────────────────────────────────────────────────────────────────────────


class Came(NamedTuple):
    """What came of a conversation: bytes, whether the server ended TCP, and what it raised."""

    head: bytes
    body: bytes
    ended: bool
    is_done: bool
    error: str
    trace: WireTrace


class _Reader(asyncio.StreamReader):
    """A reader that ends a server which reads on and on behind the end of the stream."""

    _behind = 0

    async def read(self, n: int = -1) -> bytes:
        if self.at_eof():
            self._behind += 1
            if self._behind > 1000:
                raise RuntimeError("read() has returned b'' 1,000 times: the stream is over")
        return await super().read(n)


@contextmanager
def _no_longer_than(limit: float) -> Iterator[None]:
    """Raise a RuntimeError in code that goes round and round without waiting, where signals can."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> NoReturn:
        raise RuntimeError(LOOPS)

    previous = signal.signal(signal.SIGALRM, stop)
    # again and again, for Python ignores what is raised while it collects garbage
    signal.setitimer(signal.ITIMER_REAL, limit, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def converse(server: Handler, case: Case) -> Came:
    """Let a server serve one client, the one of a case."""

    async def scene(net: SimulatedNetwork) -> Came:
        loop, errors, served = asyncio.get_running_loop(), [], []

        async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await server(reader, writer)
            except OSError as error:
                errors.append(type(error).__name__)
            # Whatever a learner's code raises is told, and the next case goes on.
            except Exception as error:
                errors.append(in_words(error))
            served.append(True)

        def factory() -> asyncio.StreamReaderProtocol:
            return asyncio.StreamReaderProtocol(_Reader(loop=loop), guarded, loop=loop)

        await loop.create_server(factory, "server", 80)
        head, body, ended = await _talk(case)
        error = "".join(errors[:1])
        if LOOPS in error:
            return Came(b"", b"", ended, True, error, WireTrace())
        return Came(head, body, ended, bool(served), error, net.trace)

    with _no_longer_than(STUCK):
        return simulate(scene, latency=LATENCY)


async def _talk(case: Case) -> tuple[bytes, bytes, bool]:
    """Return the head of the answer, the bytes behind it, and whether the server ended TCP."""
    reader, writer = await asyncio.open_connection("server", 80)
    wait = PATIENCE if case.status is None else WAIT
    await _write(writer, case.request)
    data = asyncio.create_task(_read_all(reader))
    await asyncio.sleep(5 * LATENCY)
    await _write(writer, case.chunks)
    if case.resets:
        writer.transport.abort()
        await asyncio.sleep(PATIENCE)
    await asyncio.wait([data], timeout=wait)
    ended = data.done()
    writer.close()
    head, end, body = (await data).partition(END)
    return head + end, body, ended


async def _write(writer: asyncio.StreamWriter, chunks: Sequence[bytes]) -> None:
    for chunk in chunks:
        writer.write(chunk)
        await asyncio.sleep(PAUSE)


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    data = b""
    with suppress(ConnectionError):
        while chunk := await reader.read(65_536):
            data += chunk
    return data


# ── the judgement ────────────────────────────────────────────────────────────────────────────────


class Finding(NamedTuple):
    """What is wrong about a conversation, or nothing, and the first byte of the frames that differs."""

    text: str = ""
    at: int | None = None


def judge(case: Case, came: Came) -> Finding:
    """Compare what came with what is due: the answer to the request first, then frames, then the end."""
    if came.error:
        return Finding(f"the server raised {came.error}")
    if case.status is not None and (wrong := _unlike_answer(case, came.head)):
        return Finding(wrong)
    if case.status == 101 and not case.resets and (found := _unlike_frames(case, came.body)).text:
        return found
    if case.resets and not came.is_done:
        return Finding(f"{PATIENCE:.0f} s after the reset the server still waits")
    if (case.ends or case.close) and not came.ended:
        return Finding("the connection is still open: end it with writer.close()")
    return Finding()


def _unlike_answer(case: Case, head: bytes) -> str:
    """Return what is wrong about the answer to the request, or nothing."""
    answer = dissect_handshake(head)
    if not head:
        return f"nothing comes back for the request, due is {case.status}"
    if not answer.complete:
        return "the answer to the request has no empty line at its end"
    if answer.value("status") != str(case.status):
        return f"the answer has the status {answer.value('status')}, due is {case.status}"
    for name, value in case.lines:
        if (said := answer.value(name)) != value:
            return f"{name} is {said or 'missing'}, due is {value}"
    return ""


def _unlike_frames(case: Case, body: bytes) -> Finding:
    """Return the first byte that is not due; the reason of a Close is free, and so its length."""
    due = _due(case, body)
    for at, (got, want) in enumerate(zip(body, due, strict=False)):
        if got != want:
            return Finding(f"byte {at} is {got:02x}, due is {want:02x}: {_heard(body)}", at)
    if len(body) < len(due):
        much = "nothing" if not body else f"{len(body):,} of {len(due):,} bytes"
        return Finding(f"{much} came; {_heard(due)} is due", len(body))
    if len(body) > len(due):
        return Finding(f"behind what is due comes {_heard(body[len(due) :])}", len(due))
    return Finding()


def _heard(data: bytes) -> str:
    """Return the first frames in these bytes, in a few words."""
    frames = [said(frame) for _, frame in islice(frames_in(data), 4)]
    short = [words if len(words) <= WORDS else f"{words[:WORDS]}…" for words in frames[:3]]
    return ", then ".join(short) + (" …" if len(frames) > 3 else "")


def _due(case: Case, body: bytes) -> bytes:
    """Return the bytes that are due, with the reason of a Close as it came."""
    if case.close is None:
        return case.due
    at = len(case.due)
    code = case.close.to_bytes(2, "big")
    payload = body[at + 2 : at + 2 + body[at + 1]] if len(body) > at + 1 and body[at + 1] < 126 else b""
    return case.due + wrap(0x88, code + payload[2:])


# ── the board ────────────────────────────────────────────────────────────────────────────────────

LEFT = "text-align:left"
FILLS = {True: "#009e73", False: "#d55e00"}


def sign(good: bool, words: tuple[str, str]) -> str:
    """Return a table's cell with a sign and a word, green or red."""
    mark = f"✓ {words[0]}" if good else f"✗ {words[1]}"
    return f'<td style="{LEFT};background:{FILLS[good]};color:#000"><b>{mark}</b></td>'


class Board(View):
    """Shows which of the 30 cases a server passes, and tells the story of each.

    Args:
        server: `async def server(reader, writer)`; it is served one client for each case, in simulations.
        sitting: 1 to 3 for the cases up to that sitting, ten for each.

    Raises:
        TypeError: `server` is no such function.
    """

    _esm = module("board")
    _css = style("board")
    title = traitlets.Unicode().tag(sync=True)
    groups: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)

    def __init__(self, server: Handler, sitting: int = 3) -> None:
        if not inspect.iscoroutinefunction(server):
            raise TypeError(f"server is {server!r}: async def server(reader, writer) is needed")
        self.cases = [case for case in CASES if case.sitting <= sitting]
        self.came: dict[int, Came] = {}
        for case in self.cases:
            stuck = next((came for came in self.came.values() if LOOPS in came.error), None)
            self.came[case.number] = stuck or converse(server, case)
        self.findings = {case.number: judge(case, self.came[case.number]) for case in self.cases}
        super().__init__()
        self.title = f"{len(self.green)} of {len(self.cases)} cases are green"
        self.groups = [self._group(number) for number in sorted({case.sitting for case in self.cases})]

    @property
    def green(self) -> list[int]:
        """The numbers of the cases that the server passes."""
        return [number for number, finding in self.findings.items() if not finding.text]

    @property
    def red(self) -> list[int]:
        """The numbers of the cases that it does not pass."""
        return [number for number, finding in self.findings.items() if finding.text]

    def ladder(self, number: int) -> Ladder:
        """Return the conversation of a case as a ladder."""
        return Ladder(self.came[number].trace)

    def _group(self, sitting: int) -> dict[str, Any]:
        cases = [case for case in self.cases if case.sitting == sitting]
        count = sum(not self.findings[case.number].text for case in cases)
        return {
            "name": f"{SITTINGS[sitting]}: {count} of {len(cases)}",
            "cases": [self._story(case) for case in cases],
        }

    def _story(self, case: Case) -> dict[str, Any]:
        came, finding = self.came[case.number], self.findings[case.number]
        return {
            "number": case.number,
            "name": case.name,
            "section": case.section,
            "green": not finding.text,
            "rule": case.rule,
            "found": finding.text,
            "rows": _rows(case, came, finding),
            "trace": _passed(came.trace),
        }

    def plain(self) -> str:
        """Return a line for each case, and what was found where it is red."""
        lines = [self.title]
        for group in self.groups:
            lines.append(group["name"])
            for case in group["cases"]:
                found = f": {case['found']} ({case['section']})" if case["found"] else ""
                lines.append(f"  {'✓' if case['green'] else '✗'} {case['number']:>2}  {case['name']}{found}")
        return "\n".join(lines)

    def html(self) -> str:
        """Return a row for each case, with its rule where it is red."""
        rows = "".join(
            f'<tr>{sign(case["green"], ("green", "red"))}<th scope="row">{case["number"]}</th>'
            f'<td style="{LEFT}">{escape(case["name"])}</td><td style="{LEFT}">{_why(case)}</td></tr>'
            for group in self.groups
            for case in group["cases"]
        )
        heads = "".join(f'<th scope="col" style="{LEFT}">{each}</th>' for each in ("", "", "case", "found"))
        return (
            f'<table><caption style="{LEFT}">{self.title}</caption><thead><tr>{heads}</tr></thead>'
            f"<tbody>{rows}</tbody></table>"
        )


def _why(case: dict[str, Any]) -> str:
    section = f"RFC 6455, section {case['section']}"
    if case["green"]:
        return f"as {section} asks"
    return f"{escape(case['found'])}. {escape(case['rule'])} ({section})"


def _rows(case: Case, came: Came, finding: Finding) -> list[dict[str, Any]]:
    """Return what was sent, what is due and what came, in bytes around the first one that differs."""
    at = finding.at or 0
    due = _due(case, came.body)
    rows = [_row("sent", b"".join(case.chunks), 0, None)] if case.chunks else []
    if due or came.body:
        rows += [_row("due", due, at, finding.at), _row("came", came.body, at, finding.at)]
    return rows


def _row(name: str, data: bytes, at: int, mark: int | None) -> dict[str, Any]:
    begin = max(0, at - SHOWN // 2)
    shown = data[begin : begin + SHOWN]
    return {
        "name": name,
        "bytes": [f"{byte:02x}" for byte in shown],
        "mark": -1 if mark is None else mark - begin,
        "before": begin,
        "behind": max(0, len(data) - begin - SHOWN),
        "size": len(data),
    }


def _passed(trace: WireTrace) -> list[list[str]]:
    """Return what passed, as time, sender and words."""
    items = [item for item in Timeline(trace).items if item.sender]
    rows = [
        [f"{item.time:.2f} s", str(item.sender), f"{item.kind} {item.said}".strip()] for item in items[:ROWS]
    ]
    return [*rows, [f"… {len(items) - ROWS} more", "", ""]] if len(items) > ROWS else rows
