"""One conversation on one connection: sending, receiving, closing (RFC 6455, sections 5 to 7) and pings.

A session is the protocol of its transport: bytes come in through `data_received`, go out through one
method that also hands them to the trace, and errors become close codes in one place. What is on the
wire is the codec's, what waits is the channels'; who opened the connection is the server's or client's.

    open ──▶ our Close is decided ──▶ it is written ──▶ both have passed ──▶ FIN ──▶ the connection is lost
             (maybe held until the    (nothing more     (or the deadline)
             handler has come to it)   is written)

Any of these steps may be skipped when the stream ends. `close_reason` is the first Close that passed.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal, NoReturn, TypeVar, cast

from websockets.datastructures import Headers

from wslearn.channels import CLOSE, Incoming, Outgoing, Turn, call_all
from wslearn.codec import (
    CONTINUATION,
    FIN,
    OPCODE,
    RSV,
    FrameReader,
    Pieces,
    Utf8,
    check_close,
    encode,
    wrap,
)
from wslearn.converters import Converter
from wslearn.errors import (
    ChannelClosed,
    ChannelOverflow,
    ConverterNotFound,
    DeserializeError,
    FrameTooBig,
    PingTimeout,
    ProtocolViolation,
)
from wslearn.extensions import Extension, Extensions
from wslearn.frames import (
    Binary,
    By,
    Close,
    CloseCode,
    CloseReason,
    ControlFrame,
    Frame,
    Ping,
    Pong,
    Text,
    fitting,
)
from wslearn.options import Options, stamp
from wslearn.trace import Trace

log = logging.getLogger(__name__)

T = TypeVar("T")
E = TypeVar("E", bound=Extension)
Side = Literal["client", "server"]
Handler = Callable[[Any], Awaitable[object]]
Message = str | bytes | Frame

NORMAL = CloseReason(CloseCode.NORMAL_CLOSURE)
GOOD_BYE = Close(NORMAL)
GOING_AWAY = CloseReason(CloseCode.GOING_AWAY, "Server is going down")
WHOLE = frozenset((FIN | Text.kind, FIN | Binary.kind))
"""First bytes of messages in one frame, which no extension has changed."""
DECIDED = {
    CloseCode.PROTOCOL_ERROR,
    CloseCode.INVALID_DATA,
    CloseCode.MESSAGE_TOO_BIG,
    CloseCode.INTERNAL_ERROR,
}
"""Close codes of ours after which nothing that the peer says changes the reason."""

HIGH_WATER = 64 * 1024
"""Bytes that the transport holds before messages wait in `outgoing`."""
SHORT = 1024
"""Bytes of a frame that may be written together with others."""
READ_SIZE = 512 * 1024
"""Bytes that are read at once at most, twice what asyncio takes: a big frame comes in fewer pieces."""
TURN = 64
"""Messages after which who sends and never waits leaves others their turn."""
TLS_TURN = 4
"""The same under TLS, whose transport does not tell that the one below has failed."""
LATE = 0.05
"""Seconds after which a timer that fires shows that our own loop was blocked."""
QUIET_TURNS = 10
"""Turns of the loop that must bring nothing before a pong is missing: a proxy in this loop needs some."""


class Weight(IntEnum):
    """Why we say Close; as long as it is not written, a heavier one takes the place of a lighter one."""

    COURSE = 0
    """The peer's Close is answered, or the handler is done."""
    CHOICE = 1
    """The application, or its server, ends it."""
    FAULT = 2
    """The peer broke a rule, or is silent."""


def chance(loop: asyncio.AbstractEventLoop) -> Callable[[int], bytes]:
    """Return the source of masking keys, nonces and ping payloads: a simulation's, or the system's."""
    return cast("Callable[[int], bytes]", getattr(loop, "token_bytes", secrets.token_bytes))


def clock(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Return what tells a loop's time: what it asks itself, if it asks as asyncio does."""
    return time.monotonic if type(loop).time is asyncio.BaseEventLoop.time else loop.time


def run_in(loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *arguments: object) -> None:
    """Call in a loop: at once if it runs here, in its next turn from elsewhere, never if it is closed."""
    if asyncio._get_running_loop() is loop:
        callback(*arguments)
        return
    try:
        loop.call_soon_threadsafe(callback, *arguments)
    except RuntimeError:
        if not loop.is_closed():
            raise
        log.debug("the loop is closed: %s is only stored", arguments)


def end_writing(transport: asyncio.WriteTransport) -> None:
    """Send FIN, unless a reset of the peer was first: who reads will find that."""
    try:  # noqa: SIM105 - each connection comes by here
        transport.write_eof()
    except OSError:
        pass


def is_cancelled(error: BaseException) -> bool:
    """Tell whether somebody cancels the running task; a handler may raise a cancellation of its own."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


class ReadBuffer(threading.local):
    """Where all sessions of a thread read; by itself asyncio makes 256 KiB for each chunk and cuts it."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(READ_SIZE))


read_buffer = ReadBuffer()


@dataclass(slots=True)
class Call:
    """The request that opened a session.

    Args:
        path: without escapes and query.
        parameters: of the route's path, by name.
        query: each parameter with all its values.
        remote: the peer's address and port.
        attributes: free for the application.
    """

    path: str
    parameters: dict[str, str]
    query: dict[str, list[str]]
    headers: Headers
    remote: tuple[str, int] | None = None
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def shown_path(self) -> str:
        """The path as it stays on one line."""
        return self.path if self.path.isprintable() else repr(self.path)


class Live:
    """An option of one session: its own or the server's, whichever was assigned last."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, session: RawSession | None, owner: type) -> Any:
        if session is None:
            return self
        name, options = self.name, session._options
        if name not in session._own:
            return getattr(options, name)
        number, value = session._own[name]
        return value if number > options.stamp_of(name) else getattr(options, name)

    def __set__(self, session: RawSession, value: Any) -> None:
        checked = Options.checks[self.name](self.name, value)
        before = self.__get__(session, type(session))
        session._own[self.name] = (stamp(), checked)
        run_in(session._loop, session._option_changed, self.name, f"{before} → {checked}")


class Alarm:
    """The one timer of a connection, set for what is due next.

    Nearly always that is put off before it comes: a later time takes no new timer, but is waited for when
    the one that runs has rung.
    """

    __slots__ = ("_due", "_loop", "_ring", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due = 0.0
        self._ring: Callable[[], object] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def set(self, due: float, ring: Callable[[], object]) -> None:
        """Call `ring` at a time of the loop, and nothing else any more."""
        if self._timer is not None and self._timer.when() > due:
            self.cancel()
        self._due, self._ring = due, ring
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._rings)

    def cancel(self) -> None:
        """Call nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._ring = None

    def _rings(self) -> None:
        assert self._timer is not None
        assert self._ring is not None
        if self._timer.when() < self._due:
            self._timer = self._loop.call_at(self._due, self._rings)
            return
        ring, self._timer, self._ring = self._ring, None, None
        ring()


class CloseReasonAwaitable:
    """Why the session ended, to be awaited any number of times."""

    __slots__ = ("_asking", "_future", "_session")

    def __init__(self, session: RawSession, future: asyncio.Future[CloseReason]) -> None:
        self._session = session
        self._future = future
        # Who asks, not who waits: a time-out may wait in a task of its own.
        self._asking = asyncio.current_task() if asyncio._get_running_loop() else None

    def __await__(self) -> Generator[Any, None, CloseReason]:
        self._session._awaits_end(self._asking)
        return asyncio.shield(self._future).__await__()

    def __repr__(self) -> str:
        known = repr(self._future.result()) if self._future.done() else "not yet known"
        return f"<close_reason: {known}>"


class RawSession(asyncio.BufferedProtocol):
    """A session that shows every frame and does nothing by itself: no pings, no pongs, no Close echo.

    The limits and the rules of the codec hold here too. `masking`, `max_frame_size` and `close_timeout`
    may be assigned at any time, from any thread.
    """

    # No dictionary: what is misspelt is an error, and what is not is found faster.
    __slots__ = (
        "__weakref__",
        "_alarm",
        "_buffer",
        "_chance",
        "_close_received",
        "_close_sent",
        "_controls",
        "_deadline",
        "_deaf",
        "_direct",
        "_eof",
        "_farewell",
        "_fin_due",
        "_future",
        "_gathered",
        "_gone",
        "_handler_ended",
        "_heard",
        "_held",
        "_is_prompt",
        "_loop",
        "_masks",
        "_mute",
        "_now",
        "_on_lost",
        "_options",
        "_over",
        "_own",
        "_paused",
        "_peer",
        "_reader",
        "_reason",
        "_side",
        "_stopped",
        "_tasks",
        "_told",
        "_transport",
        "_turn",
        "_turns",
        "_unfinished",
        "_waiting",
        "_weight",
        "call",
        "extensions",
        "incoming",
        "number",
        "outgoing",
        "protocol",
        "trace",
    )

    masking = Live()
    max_frame_size = Live()
    close_timeout = Live()
    whole_messages = False

    def __init__(
        self,
        transport: asyncio.Transport,
        options: Options,
        trace: Trace,
        number: int,
        side: Side,
        call: Call,
        protocol: str | None = None,
        extensions: Extensions | None = None,
        alarm: Alarm | None = None,
    ) -> None:
        self.call = call
        self.protocol = protocol
        self.extensions = Extensions() if extensions is None else extensions
        self.trace = trace
        self.number = number
        self._direct = frozenset() if extensions else WHOLE
        self.incoming: Incoming[Frame] = Incoming(options.channels.incoming.capacity)
        self.outgoing: Outgoing[Message] = Outgoing(options.channels.outgoing.capacity, self)
        self._options = options
        self._own: dict[str, tuple[int, Any]] = {}
        self._loop = asyncio.get_running_loop()
        self._now = clock(self._loop)
        self._chance = chance(self._loop)
        self._buffer = read_buffer.view
        self._transport = transport
        self._side: Side = side
        self._peer: Side = "client" if side == "server" else "server"
        self._masks = options.masking
        self._reader = FrameReader(
            side == "server",
            options.max_frame_size,
            whole_messages=self.whole_messages,
            rsv=extensions.bits if extensions else 0,
        )
        self._gathered: list[bytes] | None = None
        self._future: asyncio.Future[CloseReason] = self._loop.create_future()
        self._waiting: list[asyncio.Future[None]] = []
        self._controls: list[tuple[bytes, asyncio.Future[None] | None]] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._told: list[Exception] = []
        self._alarm = Alarm(self._loop) if alarm is None else alarm
        # A socket gives one chunk in a round of the loop, and the handler goes on with it at once. A network
        # in memory may give several, and the handler finds all of them.
        self._is_prompt = transport.get_extra_info("socket") is not None
        self._turns = TURN if transport.get_extra_info("ssl_object") is None else TLS_TURN
        self._turn = self._turns
        self._on_lost: Callable[[RawSession], None] | None = None
        self._unfinished: type[Frame] | None = None
        self._reason: CloseReason | None = None
        self._farewell: Close | None = None
        self._weight = Weight.COURSE
        self._deadline = False  # the time to the cut runs
        self._held = False  # our Close waits until the handler has come to the end
        self._mute = False  # nothing more may be sent
        self._deaf = False  # nothing more is parsed
        self._paused = False  # the transport takes no more
        self._stopped = False  # we read no more, as `incoming` is full
        self._heard = False  # something has arrived since somebody looked
        self._fin_due = False  # TCP ends behind what waits
        self._close_sent = False
        self._close_received = False
        self._handler_ended = False
        self._eof = False  # the peer's FIN was read
        self._over = False  # nothing passes any more
        self._gone = False  # the transport said so

    # ── what an application calls ────────────────────────────────────────────────────────────────

    @classmethod
    def _negotiable(cls, options: Options) -> Extensions:
        """Return the extensions that such a session may have: none."""
        return Extensions()

    def extension(self, kind: type[E]) -> E:
        """Return the extension of a class, with its `parameters` as agreed and its `codec`.

        Raises:
            LookupError: the two ends have agreed on none such.
        """
        found = self.extension_or_none(kind)
        if found is None:
            raise LookupError(f"no {kind.__name__} in this session: {list(self.extensions)} were agreed")
        return found

    def extension_or_none(self, kind: type[E]) -> E | None:
        """Return the extension of a class, or None if the two ends have agreed on none such."""
        return next((one for one in self.extensions if isinstance(one, kind)), None)

    @property
    def close_reason(self) -> CloseReasonAwaitable:
        """Await it to learn why the session ended and who said so; it always completes."""
        return CloseReasonAwaitable(self, self._future)

    async def send(self, message: Message) -> None:
        """Send a text, bytes or a frame; waits only while the peer takes no more.

        After a data frame with `fin=False`, data of the same class goes out as continuations.

        Raises:
            ChannelClosed: our Close has been said.
            ChannelOverflow: the channel is full and its `on_overflow` is CLOSE.
            ValueError: other data inside an unfinished message (RFC 6455, section 5.4).
        """
        # nearly every message is whole, needs no more than its header, and finds the way free
        if (
            isinstance(message, Frame)
            and message.first in self._direct
            and not (self._mute or self._paused or self._unfinished)
        ):
            wire = wrap(message.first, message.data, self._chance(4) if self._masks else None)
        elif self._mute:
            raise self._refusal()
        elif isinstance(message, ControlFrame):
            await self._send_control(message)
            return
        elif self._paused:
            await self._send_later(message)
            return
        else:
            wire = self._encode(message)
        if not self._write(wire):
            await self._learn_the_end()
        self._turn -= 1
        if not self._turn:
            self._turn = self._turns
            await asyncio.sleep(0)

    async def close(self, reason: CloseReason = NORMAL) -> None:
        """Say Close, once; return when it is written, without waiting for the peer's.

        Raises:
            ValueError: the code may not be sent (RFC 6455, section 7.4); nothing is written.
        """
        if not isinstance(reason, CloseReason):
            raise TypeError(f"reason is {reason!r}: a CloseReason is needed")
        close = Close(reason)
        _check_ours(close)
        await self._close(close)

    async def close_exceptionally(self, error: BaseException) -> None:
        """Say Close 1011 with the name of the error's type, and nothing else of it."""
        await self._close(failure(error))

    async def flush(self) -> None:
        """Wait until everything sent so far has been handed to the transport."""
        self._hand_over()
        last = self.outgoing.taken + len(self.outgoing)
        await self._until(lambda: self.outgoing.taken >= last)

    def launch(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine beside the handler; it is cancelled when handler or session ends.

        Its own error ends the session with 1011.
        """
        task = self._loop.create_task(coroutine)
        self._tasks.append(task)
        task.add_done_callback(self._task_ended)
        if self._handler_ended or self._gone:
            task.cancel()
        return task

    def cancel(self) -> None:
        """End the session now: tasks are cancelled and the connection is cut."""
        self._cancel_tasks()
        self._cut()

    def __repr__(self) -> str:
        state = "over" if self._over else "closing" if self._farewell else "open"
        said = f", {self._reason!r}" if self._reason else ""
        return f"<{type(self).__name__} {self.number}: {self._side} of {self.call.shown_path}, {state}{said}>"

    # ── sending ──────────────────────────────────────────────────────────────────────────────────

    def _write(self, wire: bytes) -> bool:
        """Hand bytes to the transport and to the trace, the only place that does; tell if it took them."""
        transport = self._transport
        if transport.is_closing():
            return False
        if self._gathered is not None and self._gather(wire):
            return True
        self.trace.record(self._now(), self.number, self._side, wire)
        # a view, as a transport that takes a part copies the rest of what it got
        transport.write(wire if len(wire) < HIGH_WATER else memoryview(wire))
        return True

    def _gather(self, wire: bytes) -> bool:
        """Keep a short frame for those that follow, if it is one."""
        if len(wire) > SHORT or len(self._gathered or ()) == TURN:
            self._hand_over()
            return False
        assert self._gathered is not None
        self._gathered.append(wire)
        return True

    def _hand_over(self) -> None:
        """Write as one what was gathered; what follows is written at once."""
        gathered, self._gathered = self._gathered, None
        if gathered:
            self._write(b"".join(gathered))

    async def _learn_the_end(self) -> NoReturn:
        """Let a transport that has failed say so: who sends and never waits would give it no turn to."""
        await self._until_gone()
        raise self._refusal()

    def _write_unchecked(self, wire: bytes) -> None:
        """Write bytes as they stand, whatever they say, in front of what waits.

        Raises:
            ChannelClosed: our Close has been said.
        """
        if self._mute:
            raise self._refusal()
        self._write(wire)

    def _encode(self, message: Message) -> bytes:
        """Return the bytes of a data frame, as a continuation where a message is unfinished."""
        kind: type[Frame]
        if self.extensions:
            message = self._extended(message)
        if isinstance(message, Frame):
            kind, first, payload = type(message), message.first, message.data
            if not first & OPCODE:
                first |= kind.kind
        elif isinstance(message, str):
            kind, first, payload = Text, FIN | Text.kind, message.encode()
        elif isinstance(message, bytes | bytearray | memoryview):
            kind, first, payload = Binary, FIN | Binary.kind, bytes(message)
        else:
            raise _no_message(message)
        if self._unfinished is not None:
            first = self._continue(kind, first)
            self._unfinished = None
        if not first & FIN:
            self._unfinished = kind
        return wrap(first, payload, self._chance(4) if self._masks else None)

    def _extended(self, message: Message) -> Frame:
        """Return a message as its extensions, in order, have changed it."""
        frame = _as_frame(message)
        if self._unfinished is not None:
            self._continue(type(frame), 0)
            frame.opcode = CONTINUATION
        opcode = frame.opcode
        for extension in self.extensions:
            frame = extension.codec.encode(frame)
            frame.opcode = opcode
        return frame

    def _continue(self, kind: type[Frame], first: int) -> int:
        if kind is self._unfinished:
            return first & (FIN | RSV)
        assert self._unfinished is not None
        # "The fragments of one message MUST NOT be interleaved between the fragments of another
        # message" (5.4)
        raise ValueError(
            f"{kind.__name__} inside an unfinished {self._unfinished.__name__} message:"
            f" send its rest first, the last part with fin=True (RFC 6455, section 5.4)"
        )

    async def _send_later(self, message: Message) -> None:
        if not self.outgoing.full:
            self.outgoing.put(message)
        elif self._options.channels.outgoing.on_overflow is CLOSE:
            raise self._overflow("outgoing", self.outgoing.capacity)
        else:
            await self.outgoing.wait(message)

    async def _send_control(self, frame: ControlFrame) -> None:
        """Send a Ping or Pong before the messages that wait, a Close behind them."""
        if isinstance(frame, Close):
            await self._close(frame)
        elif self._paused:
            turn = self._loop.create_future()
            self._controls.append((encode(frame, self._key()), turn))
            await turn
        elif not self._write(encode(frame, self._key())):
            await self._learn_the_end()

    @staticmethod
    def _share(message: Message) -> tuple[int, bytes]:
        try:
            frame = message if isinstance(message, Frame) else _as_frame(message)
        except (TypeError, ValueError):
            return 0, b""  # each session sends it by itself, and meets the error
        if frame.first in WHOLE and isinstance(frame.data, bytes):
            return frame.first, wrap(frame.first, frame.data)
        return 0, b""

    def _try_share(self, first: int, wire: bytes) -> bool:
        if self._mute or self._paused or self._masks or self._unfinished:
            return False
        return first in self._direct and self._write(wire)

    def _try_send(self, message: Message) -> bool:
        if self._mute:
            return False
        if isinstance(message, ControlFrame):
            return self._try_send_control(message)
        if not self._paused:
            return self._write(self._encode(message))
        if self.outgoing.full:
            return False
        self.outgoing.put(message)
        return True

    def _try_send_control(self, frame: ControlFrame) -> bool:
        if isinstance(frame, Close):
            self._check_close(frame)
            self._say(frame)
        elif self._paused:
            return False
        else:
            return self._write(encode(frame, self._key()))
        return True

    def _key(self) -> bytes | None:
        return self._chance(4) if self._masks else None

    def _drain(self) -> None:
        """Write what waits until the transport has enough again: control frames, messages, our Close."""
        self._drain_controls()
        while len(self.outgoing) and not self._paused:
            self._write(self.outgoing.take())
        self._finish_writing()
        self._wake()

    def _drain_controls(self) -> None:
        while self._controls and not self._paused and not self._close_sent:
            wire, turn = self._controls.pop(0)
            if turn is not None and turn.done():
                continue
            self._write(wire)
            if turn is not None:
                turn.set_result(None)

    def _drop_outgoing(self) -> None:
        """Forget what waits to be sent; who waits with it gets the end."""
        if not (len(self.outgoing) or self._controls):
            return
        error = self._refusal()
        self.outgoing.drop(error)
        controls, self._controls = self._controls, []
        for _, turn in controls:
            if turn is not None and not turn.done():
                turn.set_exception(error)

    async def _until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds, or the connection is lost."""
        while not holds() and not self._gone:
            turn = self._loop.create_future()
            self._waiting.append(turn)
            try:
                await turn
            finally:
                if turn in self._waiting:
                    self._waiting.remove(turn)

    def _wake(self) -> None:
        """Let all who wait look again."""
        waiting, self._waiting = self._waiting, []
        for turn in waiting:
            if not turn.done():
                turn.set_result(None)

    # ── receiving ────────────────────────────────────────────────────────────────────────────────

    def _parse(self) -> None:
        """Take frames from the reader until it, or the room in `incoming`, is used up."""
        incoming, reader = self.incoming, self._reader
        while not self._deaf:
            if incoming.full and self._must_stop():
                self._stop_reading()
                return
            if reader.empty:
                return
            try:
                frame = reader.next()
            except (ProtocolViolation, FrameTooBig) as error:
                self._fail(error)
                return
            if frame is None:
                return
            # nearly every message goes straight to the handler, without the calls that tell others apart
            if frame.first not in self._direct or not incoming.put(frame):
                self._received(frame)

    def _must_stop(self) -> bool:
        return not self._discards and self._options.channels.incoming.on_overflow is not CLOSE

    @property
    def _discards(self) -> bool:
        """Whether a full `incoming` loses data, so that the peer's Close is found."""
        return self._close_sent or self._handler_ended

    def _received(self, frame: Frame) -> None:
        self._deliver(frame)
        if isinstance(frame, Close):
            self._peer_closed(frame)

    def _deliver(self, frame: Frame) -> None:
        """Give a frame or message to the handler."""
        if self.extensions:
            self._deliver_extended(frame)
        else:
            self._deliver_plain(frame)

    def _deliver_plain(self, frame: Frame) -> None:
        if not self.incoming.put(frame) and not self._discards:
            self._overflow("incoming", self.incoming.capacity)

    def _deliver_extended(self, frame: Frame) -> None:
        """Deliver a message as its extensions, in reverse order, have changed it."""
        limit, reserved = self._reader.max_frame_size, frame.first & RSV
        try:
            for extension in reversed(self.extensions):
                frame = extension.codec.decode(frame, limit)
            if limit is not None and len(frame.data) > limit:
                raise FrameTooBig(len(frame.data), limit)
            if reserved and isinstance(frame, Text) and not frame.data.isascii():
                Utf8().feed(frame.data, True)
        except (ProtocolViolation, FrameTooBig) as error:
            self._fail(error)
        except Exception as error:
            self._deaf = True
            self._say(failure(error), Weight.FAULT)  # as nothing that the peer answers is parsed
            self._failed(error, "an extension")
            self.incoming.end(self._refusal())
        else:
            self._deliver_plain(frame)

    def _stop_reading(self) -> None:
        self._stopped = True
        self._transport.pause_reading()
        self.incoming.on_room = self._room

    def _room(self) -> None:
        """Go on reading when `incoming` has room again, first with what is already here."""
        if not self._stopped or (self.incoming.full and self._must_stop()):
            return
        self._stopped = False
        self._parse()
        if not self._stopped:
            self._resume_reading()

    def _resume_reading(self) -> None:
        self._stopped = False
        self.incoming.on_room = None
        self._transport.resume_reading()

    # ── the end: our Close ───────────────────────────────────────────────────────────────────────

    async def _close(self, close: Close) -> None:
        self._check_close(close)
        self._say(close)
        await self._until(lambda: self._close_sent or self._over)

    def _check_close(self, close: Close) -> None:
        """Raw sessions send any code."""

    def _say(
        self, close: Close, weight: Weight = Weight.CHOICE, *, held: bool = False, drop: bool = False
    ) -> None:
        """Decide how the session ends, and write our Close as soon as it may be written.

        Args:
            held: it waits until the handler has asked for what stands before the end.
            drop: what waits to be sent is forgotten.
        """
        if self._close_sent or self._fin_due or self._over:
            return
        is_first = self._farewell is None
        if is_first or weight > self._weight:
            self._farewell, self._weight = close, weight
        self._held = held and is_first
        self._mute = not self._held
        self._closing()
        self._begin_deadline()
        if drop:
            self._drop_outgoing()
        self._finish_writing()

    def _closing(self) -> None:
        """Stop what only an open session does."""

    def _begin_deadline(self) -> None:
        if not (self._deadline or self._gone):
            self._deadline = True
            self._alarm.set(self._now() + self.close_timeout, self._cut)

    def _end_incoming(self, error: Exception) -> bool:
        """Set the last item of `incoming`; tell whether a message stands before it."""
        incoming = self.incoming
        waits = not incoming.idle
        incoming.end(self._tell(error))
        if waits:
            incoming.on_end = self._release
            for holder in incoming.holders:
                holder.add_done_callback(lambda _: self._release())
        return waits

    def _awaits_end(self, task: asyncio.Task[Any] | None) -> None:
        """Note that who has a message in hand waits for nothing but the end."""
        if task is not None and task in (*self.incoming.holders, self.incoming.owner):
            self.incoming.put_down(task)
            self._release()

    def _release(self) -> None:
        """Write the Close that waited, if the handler has come to the end."""
        if self._held and self.incoming.idle:
            self._held, self._mute = False, True
            self._finish_writing()

    def _finish_writing(self) -> None:
        """Write our Close, or end TCP, when nothing else waits any more."""
        if self._controls or len(self.outgoing) or self._over:
            return
        if self._farewell is not None and not self._held and not self._close_sent:
            self._write_close(self._farewell)
        if self._fin_due:
            self._complete("local")
            self._send_fin()

    def _write_close(self, close: Close) -> None:
        self._hand_over()
        if not self._write(encode(close, self._key())):
            return  # the connection is about to be lost
        self._close_sent = True
        self._reason = self._reason or _said(close, "local")
        is_last = self._close_received or self._eof
        if is_last or self._reason.code in DECIDED:
            self._complete("local")
        if is_last or self._weight is Weight.FAULT:
            self._end_tcp()
        self._wake()
        self._room()

    def _complete(self, by: By) -> None:
        """Let everybody know why the session ends, once.

        Args:
            by: whose doing it is that no Close has passed.
        """
        if self._future.done():
            return
        if self._reason is None:
            self._reason = CloseReason(CloseCode.ABNORMAL_CLOSURE, by=by)
        self._future.set_result(self._reason)
        self.trace.event(self._now(), self.number, "closed", repr(self._reason))

    # ── the end: what others do ──────────────────────────────────────────────────────────────────

    def _peer_closed(self, close: Close) -> None:
        self._deaf = self._close_received = True
        self._reason = self._reason or _said(close, "peer")
        held = self._end_incoming(ChannelClosed(self._reason))
        if not self._close_sent:
            self._answer_close(close, held)
            return
        self._complete("peer")
        self._end_tcp()

    def _answer_close(self, close: Close, held: bool) -> None:
        """Leave the answer to the handler of a raw session; the first Close is the reason."""
        self._complete("peer")

    def _fail(self, error: ProtocolViolation | FrameTooBig) -> None:
        """Answer what the peer did wrong, behind the messages that came before it."""
        log.debug("session %d: %d: %s", self.number, error.code, error)
        self._deaf = True
        held = self._end_incoming(error)
        if self._close_sent:
            self._complete("local")
            self._end_tcp()
        else:
            self._say(_close(error.code, error), Weight.FAULT, held=held)

    def _overflow(self, channel: str, capacity: float) -> ChannelOverflow:
        error = ChannelOverflow(channel, capacity)
        log.debug("session %d: 1011: %s", self.number, error)
        self.incoming.end(self._tell(error))
        close = _close(CloseCode.INTERNAL_ERROR, "Channel overflow")
        self._say(close, drop=channel == "outgoing")
        return error

    def _going_away(self) -> None:
        """Say 1001, and tell the handler at once: the server stops."""
        self._say(Close(GOING_AWAY))
        self.incoming.end(self._refusal())

    def _tell(self, error: Exception) -> Exception:
        """Remember an error of our own: a handler that lets it pass has done nothing wrong."""
        self._told.append(error)
        return error

    def _refusal(self) -> ChannelClosed:
        """Return the error for who wants to send after the end."""
        reason = self._reason or (_said(self._farewell, "local") if self._farewell else None)
        reason = reason or CloseReason(CloseCode.ABNORMAL_CLOSURE, by="local")
        for told in self._told:
            if isinstance(told, ChannelClosed) and told.reason == reason:
                return told.with_traceback(None)
        error = ChannelClosed(reason)
        self._tell(error)
        return error

    # ── the end of TCP ───────────────────────────────────────────────────────────────────────────

    def _end_tcp(self) -> None:
        """End TCP as the server; the client waits for the server's FIN.

        Source: RFC 6455, section 7.1.1.
        """
        if self._side == "server" or self._eof:
            self._send_fin()
        elif self._stopped:
            self._resume_reading()

    def _send_fin(self) -> None:
        """Send FIN and go on reading, so that no reset swallows what was sent before."""
        self._deaf = True
        self._hand_over()
        if self._eof:
            # asyncio loses a connection twice that is closed while it resumes writing
            self._loop.call_soon(self._transport.close)
        elif self._transport.is_closing():
            pass  # closed twice, a transport of TLS cannot be aborted any more
        elif self._transport.can_write_eof():
            end_writing(self._transport)
        else:
            self._transport.close()
        if self._stopped:
            self._resume_reading()

    def _cut(self, close: Close | None = None) -> None:
        """End everything, at the latest at the deadline.

        Args:
            close: said if none has been.
        """
        if self._gone:
            return
        self._hand_over()
        # before our own Close fills the buffer
        stuck = self._transport.is_closing() or self._transport.get_write_buffer_size()
        if close is not None:
            self._say(close, Weight.COURSE)
        self._held = False
        self._drop_outgoing()
        self._finish_writing()
        self._complete("local")
        self.incoming.end(self._refusal())
        if not self._transport.is_closing():
            self._transport.close()
        if stuck or not self._transport.can_write_eof():
            # TLS, which cannot end one way alone, would wait for the peer's farewell
            self._transport.abort()

    def _stream_ended(self) -> None:
        """Note that nothing more passes, in either direction."""
        if self._over:
            return
        self._over = self._mute = self._deaf = True
        self._complete("network")
        if not self.incoming.ended:
            self.incoming.end(self._refusal())
        self._drop_outgoing()
        self._closing()
        self._begin_deadline()
        self._wake()

    # ── the handler ──────────────────────────────────────────────────────────────────────────────

    async def _serve(self, handler: Handler) -> None:
        """Run the handler from the first frame to the end."""
        self.incoming.owner = asyncio.current_task()
        try:
            await handler(self)
        except GeneratorExit:
            raise
        except BaseException as error:
            if is_cancelled(error):
                self._say(Close(GOING_AWAY))
                raise
            self._handler_failed(error)
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
        finally:
            self._end_of_handler()

    def _handler_failed(self, error: BaseException) -> None:
        """Tell the log; a raw session says no Close by itself."""
        self._mute = self._fin_due = True
        self._failed(error, f"the handler of {self.call.shown_path}")

    def _failed(self, error: BaseException, what: str) -> None:
        """Let an error that nobody caught end the session; here errors become close codes."""
        if self._is_own(error):
            # what else the session told has its line already
            if all(isinstance(told, ChannelClosed) for told in self._told):
                log.debug("session %d: %s ended with %s", self.number, what, error)
        elif isinstance(error, DeserializeError):
            log.debug("session %d: %d: %s", self.number, error.code, error)
            self._say(_close(error.code, error))
        else:
            if not isinstance(error, KeyboardInterrupt | SystemExit):
                log.error("session %d: %s failed", self.number, what, exc_info=error)
            self._say(failure(error))

    def _is_own(self, error: BaseException) -> bool:
        """Tell whether an error is how this very session told that it is over."""
        if isinstance(error, BaseExceptionGroup):
            return all(self._is_own(part) for part in error.exceptions)
        return any(error is told for told in self._told)

    def _end_of_handler(self) -> None:
        """Send FIN behind what was sent, without a Close."""
        self._leave()
        self._held, self._mute, self._fin_due = False, True, True
        self._begin_deadline()
        self._finish_writing()
        self._room()

    def _leave(self) -> None:
        """Note that nobody reads `incoming` any more."""
        self._handler_ended = True
        self.incoming.holders, self.incoming.owner = [], None
        self._cancel_tasks()

    async def _until_gone(self) -> None:
        """Wait until the connection is closed, at the latest by the deadline."""
        await self._until(lambda: self._gone)

    def _task_ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.remove(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error, "a launched task")

    def _cancel_tasks(self) -> None:
        for task in list(self._tasks):
            task.cancel()

    # ── options, as they change ──────────────────────────────────────────────────────────────────

    def _option_changed(self, name: str, change: str) -> None:
        self.trace.event(self._now(), self.number, "option changed", f"{name}: {change}")
        self._follow(name)

    def _follow(self, name: str) -> None:
        """Act by a value that was assigned, here or to the server's options."""
        if name == "max_frame_size":
            self._reader.max_frame_size = self.max_frame_size
        elif name == "masking":
            self._masks = self.masking

    # ── what the handshake calls ─────────────────────────────────────────────────────────────────

    def _begin(self, rest: bytes) -> None:
        """Take over the transport, with what arrived behind the handshake's head."""
        self._transport.set_write_buffer_limits(high=HIGH_WATER)
        self._transport.set_protocol(self)
        self._wait_for_the_first_beat()
        self.trace.event(self._now(), self.number, "opened", self.call.path)
        if rest:
            self._reader.feed(rest)
            self._parse()

    def _wait_for_the_first_beat(self) -> None:
        """Raw sessions send no pings, and nothing else is due."""
        self._alarm.cancel()

    # ── what the transport calls ─────────────────────────────────────────────────────────────────

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        self.trace.record(self._now(), self.number, self._peer, data)
        self._heard = True
        if self._deaf:
            return
        called: list[Turn] = []
        incoming = self.incoming
        if self._is_prompt:
            incoming.called = called
        self._reader.feed(data)
        try:
            self._parse()
        finally:
            incoming.called = None
        if called:
            if len(incoming.items) > 1 and not self._transport.get_write_buffer_size():
                self._gathered = []  # what is answered to messages that came together
            try:
                call_all(called)
            finally:
                if self._gathered is not None:
                    self._hand_over()

    def _finish_reading(self) -> None:
        """Parse what was read before the end of the stream: it is the handler's, room or not."""
        if not self._stopped:
            return
        self._stopped, incoming = False, self.incoming
        capacity, incoming.capacity, incoming.full = incoming.capacity, math.inf, False
        self._parse()
        incoming.capacity = capacity

    def eof_received(self) -> bool:
        self._finish_reading()
        self._eof = True
        if self._still_says_close and self._transport.can_write_eof():
            self._deaf = True
            self._begin_deadline()
            self.incoming.end(self._refusal())
            return True
        self._stream_ended()
        return False

    @property
    def _still_says_close(self) -> bool:
        """Whether our Close has still to be written, or may be."""
        due = self._farewell is not None or self._close_received
        return due and not self._close_sent and not self._fin_due

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._drain()

    def connection_lost(self, error: Exception | None) -> None:
        self._finish_reading()
        self._gone = True
        self._stream_ended()
        self.trace.end(self.number)
        self._wake()
        self._cancel_tasks()
        self._alarm.cancel()
        self.outgoing.end(self._refusal())
        if self._on_lost is not None:
            self._on_lost(self)


class Session(RawSession):
    """A session that answers pings, sends its own, joins fragments and says Close by itself.

    `ping_period`, `timeout`, `max_frame_size` and `masking` may be assigned at any time, from any
    thread; `latency` is the newest round trip in seconds, None before the first pong.
    """

    __slots__ = ("_heartbeat", "_opening", "_pieces", "latency")

    ping_period = Live()
    timeout = Live()
    whole_messages = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.latency: float | None = None
        self._opening: Frame | None = None
        self._pieces: Pieces | None = None
        self._heartbeat = Heartbeat(self)

    @classmethod
    def _negotiable(cls, options: Options) -> Extensions:
        return options.extensions

    @property
    def converter(self) -> Converter | None:
        """The option `content_converter`, as it is now."""
        return self._options.content_converter

    def _find_converter(self) -> Converter:
        if self.converter is None:
            raise ConverterNotFound
        return self.converter

    async def send_serialized(self, value: object) -> None:
        """Send an object through the content converter.

        Raises:
            ConverterNotFound: there is none.
        """
        await self.send(self._find_converter().serialize(value))

    async def receive_deserialized(self, kind: type[T]) -> T:
        """Receive one message as an object of the type; the session goes on after an error.

        Raises:
            ConverterNotFound: there is none; no message is taken.
            DeserializeError: wrong kind of frame, malformed payload or wrong shape.
        """
        converter = self._find_converter()
        frame = await self.incoming.receive()
        # the option may have changed while we waited
        return (self.converter or converter).deserialize(frame, kind)

    def cancel(self) -> None:
        """End the session now: tasks are cancelled, a Close 1000 is tried, the connection is cut."""
        self._cancel_tasks()
        self._cut(GOOD_BYE)

    # ── receiving ────────────────────────────────────────────────────────────────────────────────

    def _received(self, frame: Frame) -> None:
        match frame:
            case Text() | Binary() if frame.fin and self._opening is None:
                self._deliver(frame)
            case Text() | Binary():
                self._join(frame)
            case Ping():
                self._answer(frame)
            case Pong():
                self._heartbeat.pong(frame.data)
            case Close():
                self._peer_closed(frame)

    def _join(self, frame: Frame) -> None:
        """Deliver a message when its last fragment is here."""
        if self._opening is None:
            self._opening, self._pieces = frame, Pieces()
        assert self._pieces is not None
        self._pieces.add(frame.data)
        if frame.fin:
            message, pieces = self._opening, self._pieces
            self._opening = self._pieces = None
            message.data, message.fin = pieces.join(), True
            self._deliver(message)

    def _answer(self, ping: Ping) -> None:
        """Send the Pong before the messages that wait."""
        if self._close_sent:
            return
        pong = wrap(FIN | Pong.kind, ping.data, self._key())
        if self._paused:
            # "an endpoint ... MAY elect to send a Pong frame for only the most recently processed
            # Ping frame" (5.5.3)
            self._controls = [waiting for waiting in self._controls if waiting[1] is not None]
            self._controls.append((pong, None))
        else:
            self._write(pong)

    def _answer_close(self, close: Close, held: bool) -> None:
        self._say(close, Weight.COURSE, held=held)

    # ── closing ──────────────────────────────────────────────────────────────────────────────────

    def _check_close(self, close: Close) -> None:
        _check_ours(close)

    def _closing(self) -> None:
        self._heartbeat.stop()

    def _wait_for_the_first_beat(self) -> None:
        self._heartbeat.restart()

    def _handler_failed(self, error: BaseException) -> None:
        self._failed(error, f"the handler of {self.call.shown_path}")

    def _end_of_handler(self) -> None:
        self._leave()
        self._say(GOOD_BYE, Weight.COURSE)
        self._room()

    # ── pings ────────────────────────────────────────────────────────────────────────────────────

    def _drain_controls(self) -> None:
        super()._drain_controls()
        self._heartbeat.room()

    def _stop_reading(self) -> None:
        super()._stop_reading()
        self._heartbeat.stand_still()

    def _resume_reading(self) -> None:
        super()._resume_reading()
        self._heartbeat.go_on()

    def _follow(self, name: str) -> None:
        super()._follow(name)
        if name in ("ping_period", "timeout") and self._farewell is None and not self._over:
            self._heartbeat.restart()

    def _ping_timed_out(self) -> None:
        error = PingTimeout(self.timeout)
        log.debug("session %d: 1011: %s", self.number, error)
        self.trace.event(self._now(), self.number, "ping timeout", f"after {self.timeout:g} s")
        self._deaf = True
        self.incoming.end(self._tell(error))
        self._say(_close(CloseCode.INTERNAL_ERROR, "Ping timeout"), Weight.FAULT, drop=True)


class Heartbeat:
    """The pings of one session: wait the period, ping, wait for the matching pong, begin again.

    The wait for a pong stands still while our own full `incoming` stops the reading.
    """

    __slots__ = ("_backlog", "_due", "_left", "_looks", "_payload", "_quiet", "_sent", "_session", "_unsent")

    def __init__(self, session: Session) -> None:
        # weak, so that a session which has ended is freed at once
        self._session: Session = weakref.proxy(session)
        self._payload: bytes | None = None  # of the ping that waits for its pong
        self._unsent: bytes | None = None  # the ping, as long as the transport takes no more
        self._backlog = 0  # bytes that the transport still had then
        self._sent = 0.0
        self._due = 0.0
        self._looks = 0.0  # when the timer should fire: halfway, then when the pong is due
        self._left: float | None = None  # of the wait, while it stands still
        self._quiet = 0

    def restart(self) -> None:
        """Forget an outstanding ping and wait one whole period."""
        self.stop()
        period = self._session.ping_period
        if period is None:
            self._session._alarm.cancel()
        else:
            self._session._alarm.set(self._session._now() + period, self._beat)

    def stop(self) -> None:
        """Forget an outstanding ping; what the session does next has the alarm."""
        self._payload = self._unsent = self._left = None

    def pong(self, payload: bytes) -> None:
        """Take a pong; only the one with the outstanding payload counts."""
        if payload == self._payload and self._unsent is None:
            self._session.latency = self._session._now() - self._sent
            self.restart()

    def room(self) -> None:
        """Hand over the ping that waited for the transport; only now the wait for the pong begins."""
        if self._unsent is not None and not self._session._paused:
            ping, self._unsent = self._unsent, None
            self._hand_over(ping)

    def stand_still(self) -> None:
        if self._payload is not None and self._left is None:
            self._left = max(0.0, self._due - self._session._now())
            self._session._alarm.cancel()

    def go_on(self) -> None:
        if self._left is not None:
            left, self._left = self._left, None
            self._wait(left)

    def _beat(self) -> None:
        session = self._session
        self._payload = b"[ping " + session._chance(32).hex().encode() + b" ping]"
        ping = wrap(FIN | Ping.kind, self._payload, session._key())
        if session._paused:
            self._unsent = ping
            self._watch_the_transport()
        else:
            self._hand_over(ping)

    def _watch_the_transport(self) -> None:
        """Wait for room; a transport that gets rid of nothing for as long as a pong may take is as dead."""
        self._backlog = self._session._transport.get_write_buffer_size()
        self._wait(self._session.timeout)

    def _hand_over(self, ping: bytes) -> None:
        self._session._write(ping)
        self._sent = self._session._now()
        self._wait(self._session.timeout)

    def _wait(self, seconds: float) -> None:
        if self._session._stopped:
            self._left = seconds
            self._session._alarm.cancel()
        else:
            self._due = self._session._now() + seconds
            self._look(self._due - seconds / 2)

    def _look(self, at: float) -> None:
        """Look whether the timer fires late; a loop that is free just before the end was late halfway."""
        self._looks = at
        self._session._alarm.set(at, self._is_due)

    def _is_due(self) -> None:
        if self._session._now() - self._looks > LATE:
            self._wait(self._session.timeout)
        elif self._looks < self._due:
            self._look(self._due)
        elif self._unsent and self._session._transport.get_write_buffer_size() < self._backlog:
            self._watch_the_transport()
        else:
            self._listen()

    def _listen(self) -> None:
        """Let whole turns of the loop bring what has arrived."""
        self._quiet, self._session._heard = 0, False
        self._look_again()

    def _look_again(self) -> None:
        self._session._alarm.set(self._session._now(), self._judge)

    def _judge(self) -> None:
        session = self._session
        if session._heard and session._now() < self._due + session.timeout:
            self._listen()
            return
        self._quiet += 1
        if self._quiet < QUIET_TURNS:
            self._look_again()
        else:
            session._ping_timed_out()


def _as_frame(message: Message) -> Frame:
    """Return a message as a frame of its own."""
    match message:
        case str():
            return Text(message)
        case Frame():
            return type(message)(message.data, message.fin, message.rsv1, message.rsv2, message.rsv3)
        case bytes() | bytearray() | memoryview():
            return Binary(message)
    raise _no_message(message)


def _no_message(message: object) -> TypeError:
    return TypeError(f"message is {message!r}: a str, bytes or a Frame is needed")


def _check_ours(close: Close) -> None:
    """Hold a Close that we mean to send to what may be sent.

    Raises:
        ValueError: code or message (RFC 6455, sections 7.4 and 8.1).
    """
    try:
        check_close(close.data)
    except ProtocolViolation as error:
        raise ValueError(str(error)) from None


def _said(close: Close, by: By) -> CloseReason:
    return close.read_reason(by) or CloseReason(CloseCode.NO_STATUS_RCVD, by=by)


def failure(error: BaseException) -> Close:
    return _close(CloseCode.INTERNAL_ERROR, type(error).__name__)


def _close(code: int, text: object) -> Close:
    """Return a Close with as much of a text as fits."""
    return Close(CloseReason(code, fitting(str(text))))
