"""A frame to change bit by bit and to send as it stands, and what the peer says to it (RFC 6455, section 5).

Here are the editor and its line to the peer; what an edit does to bytes is in `edits`, and what came back
reads as in `answers`.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from contextlib import suppress
from html import escape
from typing import Any, Self

import traitlets

from wslearn.client import read_url
from wslearn.dissection import Sender, dissect, read_hex
from wslearn.errors import ChannelClosed, HandshakeError
from wslearn.handshake import END, check_response, read_response, upgrade_request
from wslearn.lab.answers import came, entry, told, verdict
from wslearn.lab.edits import field_at, flip, with_bit, with_digit, with_field, words
from wslearn.lab.frame_inspector import SENT, diagram, dissection_data
from wslearn.lab.timeline import behind
from wslearn.lab.view import PERIOD, PRE, View, module, style
from wslearn.session import RawSession, chance

OPEN_TIMEOUT = 10.0
# How many bytes of an answer are kept, and how many of its frames are shown.
KEPT, SHOWN = 2**14, 20

Peer = str | RawSession | Callable[[bytes], bytes]


class FrameEditor(View):
    """Shows a frame whose bits, bytes and fields can be changed, and sends it to a peer.

    Args:
        wire: the bytes to begin with, a frame or not.
        peer: a `ws://` URL, to which each frame goes on a new connection or, with `keep`, on one that stays
            open; or the open session of a client, which stays its owner's; or a function that sends bytes and
            returns what came back; None shows no button.
        wait: seconds after which nothing more is waited for.
        sender: who sends the frame; with None no state of the mask is a violation.

    Raises:
        TypeError: `wire` is not bytes.
        ValueError: `peer` is no URL of a WebSocket or no session to send on, or `wait` is not positive.
    """

    _esm = module("inspect", "frame_editor")
    _css = style("frame_inspector", "frame_editor")
    frame = traitlets.Dict().tag(sync=True)
    note = traitlets.Dict().tag(sync=True)
    answer = traitlets.Dict().tag(sync=True)
    peer = traitlets.Unicode().tag(sync=True)
    keep = traitlets.Bool(False).tag(sync=True)
    connects = traitlets.Bool(False).tag(sync=True)
    _line: _Line | _Tap | None = None
    _sending: asyncio.Task[str] | None = None

    def __init__(
        self,
        wire: bytes,
        peer: Peer | None = None,
        *,
        wait: float = 1.0,
        sender: Sender | None = "client",
        keep: bool = False,
    ) -> None:
        dissect(wire, sender)
        if not wait > 0:
            raise ValueError(f"wait is {wait}: seconds above 0 are needed")
        self.wait = wait
        self._sender = sender
        self._wires = [bytes(wire)]
        self._peer = peer
        self._sent = b""
        self._back = b""
        self._pause = PERIOD
        self._waits = False
        self._telling: asyncio.TimerHandle | None = None
        self._loop = _running_loop()
        super().__init__(keep=keep, peer=_named(peer), connects=isinstance(peer, str))
        self.on_msg(self._on_message)
        self._show()

    @property
    def wire(self) -> bytes:
        """The bytes as they stand now."""
        return self._wires[-1]

    # ── editing ──────────────────────────────────────────────────────────────────────────────────

    def flip(self, bit: int) -> None:
        """Turn one bit over; bit 0 is the first on the wire."""
        self._edit(flip(self.wire, bit), self._place(bit))

    def set_field(self, name: str, text: str) -> None:
        """Write a field as it would be typed: a number, a key in hex, a payload.

        Raises:
            ValueError: no bits of this field can say it.
        """
        self._edit(with_field(self.wire, name, text), name.replace("_", " "))

    def set_bytes(self, text: str) -> None:
        """Write all bytes in hex.

        Raises:
            ValueError: it is no hex; the bytes stay as they are.
        """
        self._edit(read_hex(text) if text.strip() else b"", "all bytes")

    def undo(self) -> None:
        """Take the last edit back."""
        if len(self._wires) > 1:
            del self._wires[-1]
            self._show("taken back")

    def start_over(self) -> None:
        """Go back to the bytes that the editor began with."""
        self._edit(self._wires[0], "as it was")

    def _edit(self, wire: bytes, what: str) -> None:
        if wire == self.wire:
            self._show(f"{what}: no change")
            return
        before, self._wires = self.wire, [*self._wires, wire]
        self._show(f"{what}: {_changed(before, wire)}")

    def _place(self, bit: int) -> str:
        frame = dissect(self.wire, self._sender)
        inside = bit < 8 * len(frame.wire)
        return f"bit {bit}, {words(field_at(frame, bit)) if inside else 'behind the frame'}"

    def _show(self, said: str = "") -> None:
        frame = dissect(self.wire, self._sender)
        if self.wire != self._sent:
            self.answer = {}
        behind = {"hex": self.wire[:SENT].hex(), "size": len(self.wire), "rest": len(frame.rest)}
        self.frame = dissection_data(frame) | behind
        self.note = {"said": said, "wrong": False}

    def _on_message(self, _: Any, content: dict[str, Any], buffers: Any) -> None:
        """Do what the view asks for; what cannot be done is said in its own line."""
        try:
            self._act(content)
        except ValueError as error:
            self._complain(str(error))
        except IndexError:
            self._complain("these bits are gone: the frame has become shorter")

    def _act(self, content: dict[str, Any]) -> None:
        match content:
            case {"flip": int(bit)}:
                self.flip(bit)
            case {"bit": [int(bit), 0 | 1 as value]}:
                self._edit(with_bit(self.wire, bit, value), self._place(bit))
            case {"digit": [int(byte), 0 | 1 as half, int(value)]}:
                self._edit(with_digit(self.wire, byte, half, value), f"byte {byte}")
            case {"field": [str(name), str(text)]}:
                self.set_field(name, text)
            case {"bytes": str(text)}:
                self.set_bytes(text)
            case {"do": "undo"}:
                self.undo()
            case {"do": "start over"}:
                self.start_over()
            case {"do": "send"}:
                self._send_from_anywhere()

    def _complain(self, text: str) -> None:
        self.note = {"said": text, "wrong": True}

    # ── sending ──────────────────────────────────────────────────────────────────────────────────

    async def send(self) -> str:
        """Send the bytes as they stand; return what came back within `wait` seconds, in words."""
        self._sent, self._back = self.wire, b""
        try:
            await self._exchange()
        except (OSError, HandshakeError, ChannelClosed, asyncio.IncompleteReadError) as error:
            self.answer = {}
            self._complain(f"not sent: {_failure(error)}")
            return ""
        return told(self._back)

    async def _exchange(self) -> None:
        match self._peer:
            case None:
                raise OSError("the editor has no peer")
            case str() | RawSession() as peer:
                await self._exchange_with(await self._open_line(peer))
            case ask:
                self._back = ask(self._sent)
                self._tell(f"{self._count()} sent")

    async def _exchange_with(self, line: _Line | _Tap) -> None:
        try:
            self._waits = True
            self._tell("waiting", line)
            line.write(self._sent)
            with suppress(TimeoutError):
                async with asyncio.timeout(self.wait):
                    await line.ended.wait()
            self._tell_no_more()
            self._tell(f"{self._count()} sent, {self.wait:g} s waited", line)
        finally:
            self._waits = False
            self._tell_no_more()
            if line.ended.is_set() or not self.keep:
                self._hang_up()

    def _count(self) -> str:
        return "1 byte" if len(self._sent) == 1 else f"{len(self._sent)} bytes"

    async def _open_line(self, peer: str | RawSession) -> _Line | _Tap:
        if self._line is not None and (not self.keep or self._line.ended.is_set()):
            self._hang_up()
        if isinstance(peer, RawSession):
            self._hang_up()
            self._line = _Tap(peer, self._heard, min(PERIOD, self.wait / 4))
        elif self._line is None:
            async with asyncio.timeout(OPEN_TIMEOUT):
                self._line = await _Line.open(peer, self._heard)
        return self._line

    def _heard(self, data: bytes) -> None:
        """Keep what came back, and show it soon; many chunks are shown at once."""
        self._back += data[: KEPT - len(self._back)]
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(self._pause, self._tell_more)

    def _tell_more(self) -> None:
        started = asyncio.get_running_loop().time()
        self._telling = None
        self._tell("waiting for more" if self._waits else "came later", self._line)
        self._pause = max(PERIOD, 20 * (asyncio.get_running_loop().time() - started))

    def _tell_no_more(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None

    def _tell(self, state: str, line: _Line | _Tap | None = None) -> None:
        if self.wire != self._sent:  # the answer to bytes that are no longer shown
            return
        over = line is not None and line.ended.is_set()
        is_open = line is not None and not over and self.keep
        self.answer = {
            **entry(verdict(self._back)),
            "came": came(self._back)[:SHOWN],
            "state": "the connection has ended" if over else state,
            "open": is_open,
        }

    def _send_from_anywhere(self) -> None:
        if self._loop is None:
            self._complain("no loop runs where this editor was made: make it in a cell of a notebook")
            return
        try:
            self._loop.call_soon_threadsafe(self._start_sending)
        except RuntimeError:
            self._complain("the loop of this editor is closed: run its cell again")

    def _start_sending(self) -> None:
        """Send in the loop; what was waited for before is waited for no longer."""
        if self._sending is not None:
            self._sending.cancel()
        self._sending = asyncio.create_task(self.send())

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def close(self) -> None:
        """Close the view and its connection."""
        if self._sending is not None:
            self._sending.cancel()
        self._hang_up()
        super().close()

    # ── without a kernel ─────────────────────────────────────────────────────────────────────────

    def plain(self) -> str:
        """Return the table of the frame and what came back."""
        return "\n".join([repr(dissect(self.wire, self._sender)), *self._came()])

    def html(self) -> str:
        """Return RFC 6455's picture of the frame filled in, the table of its fields, and what came back."""
        frame = dissect(self.wire, self._sender)
        back = "".join(f"<p>{escape(line)}</p>" for line in self._came())
        return f"{PRE}{escape(diagram(frame))}</pre>{frame._repr_html_()}{back}"

    def _came(self) -> list[str]:
        return [f"came back: {told(self._back)}"] if self.answer else []


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _named(peer: Peer | None) -> str:
    if isinstance(peer, str):
        return read_url("peer", peer, "ws").target
    if isinstance(peer, RawSession):
        return f"{_checked(peer).call.shown_path}, session {peer.number}"
    name = "" if peer is None else getattr(peer, "__name__", "")
    return name if peer is None or name.isidentifier() else "the server"


def _checked(session: RawSession) -> RawSession:
    if session._side == "server":
        raise ValueError(f"peer is {session!r}: a client's session is needed")
    if session._mute:
        raise ValueError(f"peer is {session!r}: an open session is needed")
    return session


def _changed(before: bytes, after: bytes) -> str:
    """Return which bytes an edit has changed."""
    if len(before) != len(after):
        return f"{len(before)} bytes → {len(after)} bytes"
    differ = [at for at in range(len(before)) if before[at] != after[at]]
    old, new = (bytes(wire[at] for at in differ[:8]).hex(" ") for wire in (before, after))
    return f"{old} → {new}"


def _failure(error: Exception) -> str:
    match error:
        case ConnectionRefusedError():
            return "nothing listens there, is the server stopped?"
        case asyncio.IncompleteReadError():
            return "the connection ended before the handshake did"
        case TimeoutError():
            return f"no handshake in {OPEN_TIMEOUT:g} s"
    return str(error)


class _Line:
    """A connection behind its handshake: bytes go out and come back as they are, whatever they say."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: Callable[[bytes], None]
    ) -> None:
        self.ended = asyncio.Event()
        self._writer = writer
        self._listening = asyncio.create_task(self._listen(reader, heard))

    @classmethod
    async def open(cls, url: str, heard: Callable[[bytes], None]) -> Self:
        """Connect and shake hands.

        Raises:
            OSError: nobody listens, or it takes too long.
            HandshakeError: the server refuses, or answers something else.
        """
        place = read_url("peer", url, "ws")
        reader, writer = await asyncio.open_connection(place.host, place.port)
        key = base64.b64encode(chance(asyncio.get_running_loop())(16)).decode()
        writer.write(upgrade_request(place.authority, place.target, key, [], {}).encode())
        try:
            check_response(read_response(await reader.readuntil(END)), key, [])
        except BaseException:
            writer.close()
            raise
        return cls(reader, writer, heard)

    def write(self, wire: bytes) -> None:
        self._writer.write(wire)

    def close(self) -> None:
        self._listening.cancel()
        self._writer.close()

    async def _listen(self, reader: asyncio.StreamReader, heard: Callable[[bytes], None]) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(2**16):
                heard(data)
        self.ended.set()
        heard(b"")


class _Tap:
    """An open session: bytes go out as they are, and what comes back is read in its trace, not taken away."""

    def __init__(self, session: RawSession, heard: Callable[[bytes], None], pause: float) -> None:
        self.ended = asyncio.Event()
        self._session = session
        self._seen = session.trace.frames
        self._listening = asyncio.create_task(self._listen(heard, pause))

    def write(self, wire: bytes) -> None:
        self._session._write_unchecked(wire)

    def close(self) -> None:
        self._listening.cancel()

    async def _listen(self, heard: Callable[[bytes], None], pause: float) -> None:
        while not self._session._over:
            await asyncio.sleep(pause)
            if back := b"".join(self._new()):
                heard(back)
        self.ended.set()
        heard(b"")

    def _new(self) -> Iterator[bytes]:
        """Yield the frames that the server has sent in this session since somebody looked."""
        seen, self._seen = self._seen, self._session.trace.frames
        for frame in behind(self._seen, seen):
            if (frame.session, frame.sender) == (self._session.number, "server"):
                yield frame.wire
