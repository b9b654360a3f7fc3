"""One conversation on one connection: sending, receiving, closing (RFC 6455, sections 5 to 7) and pings.

A session is the protocol of its transport: bytes come in through `data_received`, go out through one
method that also hands them to the trace, and errors become close codes in one place. What is on the
wire is the codec's, what waits is the channels'; who opened the connection is the server's or client's.

    open ── a Close of ours is decided ──▶ closing ── written ──▶ closed ── FIN, or the deadline ──▶ lost
      └──── the peer's Close, or its fault: nothing more is parsed; ours waits until the handler asks
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

from websockets.datastructures import Headers

from wslearn.channels import CLOSE, Incoming
from wslearn.codec import FIN, RSV, FrameReader, encode, wrap
from wslearn.errors import (
    ChannelClosed,
    ChannelOverflow,
    ConverterNotFound,
    DeserializeError,
    FrameTooBig,
    PingTimeout,
    ProtocolViolation,
)
from wslearn.frames import (
    MAX_REASON,
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
    may_be_sent,
)
from wslearn.options import Options
from wslearn.trace import Trace

log = logging.getLogger(__name__)

T = TypeVar("T")
Side = Literal["client", "server"]
Handler = Callable[[Any], Awaitable[object]]

NORMAL = CloseReason(CloseCode.NORMAL_CLOSURE)
LIVE = ("masking", "max_frame_size", "ping_period", "timeout")

LATE = 0.05
"""Seconds after which a timer that fires shows that our own loop was blocked."""

MAX_CONTROLS = 64
"""Control frames that wait while the transport is full; RFC 6455, section 5.5.3 needs only the newest."""


def chance(loop: asyncio.AbstractEventLoop) -> Callable[[int], bytes]:
    """Return the source of masking keys, nonces and ping payloads: a simulation's, or the system's."""
    return cast(Callable[[int], bytes], getattr(loop, "token_bytes", secrets.token_bytes))


def run_in(loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *arguments: object) -> None:
    """Call in a loop: at once if it runs here, in its next turn from elsewhere, never if it is closed."""
    if asyncio._get_running_loop() is loop:
        callback(*arguments)
        return
    try:
        loop.call_soon_threadsafe(callback, *arguments)
    except RuntimeError:
        log.debug("the loop is closed: %s is only stored", arguments)


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


class Live:
    """An option of one session: checked by the same rules as on the server, followed at once."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, session: RawSession | None, owner: type) -> Any:
        return self if session is None else session._values[self.name]

    def __set__(self, session: RawSession, value: Any) -> None:
        checked = Options.checks[self.name](self.name, value)
        before = session._values[self.name]
        session._values[self.name] = checked
        run_in(session._loop, session._option_changed, self.name, before)


class CloseReasonAwaitable:
    """Why the session ended, to be awaited any number of times."""

    __slots__ = ("_future", "_session")

    def __init__(self, session: RawSession, future: asyncio.Future[CloseReason]) -> None:
        self._session = session
        self._future = future

    def __await__(self) -> Generator[Any, None, CloseReason]:
        self._session._awaits_end()
        return asyncio.shield(self._future).__await__()

    def __repr__(self) -> str:
        known = repr(self._future.result()) if self._future.done() else "not yet known"
        return f"<close_reason: {known}>"


class Outgoing:
    """What waits to be sent while the peer, or the network, takes no more."""

    __slots__ = ("_session", "capacity", "items", "suspended")

    def __init__(self, session: RawSession, capacity: float) -> None:
        self._session = session
        self.capacity = capacity
        self.items: deque[bytes] = deque()
        self.suspended: deque[tuple[bytes, asyncio.Future[None]]] = deque()

    async def send(self, frame: str | bytes | Frame) -> None:
        """Send a frame, as `session.send` does."""
        await self._session.send(frame)

    def try_send(self, frame: str | bytes | Frame) -> bool:
        """Send a frame if that needs no waiting; tell whether it was taken."""
        return self._session._try_send(frame)

    def __len__(self) -> int:
        return len(self.items)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<outgoing: {len(self)} of {self.capacity}>"

    @property
    def full(self) -> bool:
        return len(self.items) >= self.capacity

    def next(self) -> bytes:
        """Take the oldest item; the first sender that waits moves up."""
        item = self.items.popleft()
        while self.suspended and not self.full:
            waiting, turn = self.suspended.popleft()
            if not turn.done():
                self.items.append(waiting)
                turn.set_result(None)
        return item

    def drop(self, error: Exception) -> None:
        """Forget what waits; suspended senders get the error."""
        self.items.clear()
        while self.suspended:
            _, turn = self.suspended.popleft()
            if not turn.done():
                turn.set_exception(error)


class RawSession(asyncio.Protocol):
    """A session that shows every frame and does nothing by itself: no pings, no pongs, no Close echo.

    The limits and the rules of the codec hold here too. `masking` and `max_frame_size` may be
    assigned at any time, from any thread.
    """

    masking = Live()
    max_frame_size = Live()
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
    ) -> None:
        self.call = call
        self.protocol = protocol
        self.trace = trace
        self.number = number
        self._options = options
        self._values = {name: getattr(options, name) for name in LIVE}
        self._loop = asyncio.get_running_loop()
        self._chance = chance(self._loop)
        self._transport = transport
        self._side: Side = side
        self._peer: Side = "client" if side == "server" else "server"
        self._reader = FrameReader(
            side == "server", options.max_frame_size, whole_messages=self.whole_messages
        )
        channels = options.channels
        self.incoming: Incoming[Frame] = Incoming(channels.incoming.capacity, self._room, self._asked)
        self.outgoing = Outgoing(self, channels.outgoing.capacity)
        self._future: asyncio.Future[CloseReason] = self._loop.create_future()
        self._writers: list[asyncio.Future[None]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._on_lost: Callable[[RawSession], None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._unfinished: type[Frame] | None = None
        self._refusal: ChannelClosed | None = None
        self._reason: CloseReason | None = None
        self._close_payload = b""
        self._heard = False
        self._paused = False
        self._stopped = False
        self._deaf = False
        self._deferred = False
        self._final = False
        self._fin = False
        self._eof = False
        self._gone = False
        self._handler_ended = False
        self._close_sent = False
        self._close_received = False
        self._lost = False

    # ── what an application calls ────────────────────────────────────────────────────────────────

    @property
    def close_reason(self) -> CloseReasonAwaitable:
        """Await it to learn why the session ended and who said so; it always completes."""
        return CloseReasonAwaitable(self, self._future)

    async def send(self, message: str | bytes | Frame) -> None:
        """Send a text, bytes or a frame; waits only while the peer takes no more.

        After a data frame with `fin=False`, data of the same class goes out as continuations.

        Raises:
            ChannelClosed: our Close has been said.
            ChannelOverflow: the channel is full and its `on_overflow` is CLOSE.
            ValueError: other data inside an unfinished message (RFC 6455, section 5.4).
        """
        if self._close_due:
            self._refuse()
        if isinstance(message, ControlFrame):
            await self._send_control(message)
            return
        wire = self._encode(message)
        if not self._paused:
            self._write(wire)
        else:
            await self._enqueue(wire)

    async def close(self, reason: CloseReason = NORMAL) -> None:
        """Say Close, once; return when it is written, without waiting for the peer's.

        Raises:
            ValueError: the code may not be sent (RFC 6455, section 7.4); nothing is written.
        """
        if not isinstance(reason, CloseReason):
            raise TypeError(f"reason is {reason!r}: a CloseReason is needed")
        self._check_code(reason.code)
        self._say(reason.said("local"), Close(reason).data)
        await self._written()

    async def close_exceptionally(self, error: BaseException) -> None:
        """Say Close 1011 with the name of the error's type, and nothing else of it."""
        self._say_failure(error)
        await self._written()

    async def flush(self) -> None:
        """Wait until everything sent so far has been handed to the transport."""
        while self.outgoing.items and not self._lost:
            await self._turn()

    def launch(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine beside the handler; it is cancelled when handler or session ends.

        Its own error ends the session with 1011.
        """
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)
        return task

    def cancel(self) -> None:
        """End the session now: tasks are cancelled and the connection is cut."""
        self._cancel_tasks()
        self._cut()

    def __repr__(self) -> str:
        state = "lost" if self._lost else "closing" if self._reason else "open"
        said = f", {self._reason!r}" if self._reason else ""
        return f"<{type(self).__name__} {self.number}: {self._side} of {self.call.path}, {state}{said}>"

    # ── sending ──────────────────────────────────────────────────────────────────────────────────

    @property
    def _close_due(self) -> bool:
        """Whether nothing may be sent any more."""
        return self._close_sent or self._lost

    def _write(self, wire: bytes) -> None:
        """Hand bytes to the transport and to the trace: the only place that does."""
        if not self._transport.is_closing():
            self.trace.record(self._loop.time(), self.number, self._side, wire)
            self._transport.write(wire)

    def _encode(self, message: str | bytes | Frame) -> bytes:
        """Return the bytes of a data frame, as a continuation where a message is unfinished."""
        kind: type[Frame]
        if isinstance(message, str):
            kind, first, payload = Text, FIN | Text.kind, message.encode()
        elif isinstance(message, Frame):
            kind, payload = type(message), message.data
            first = message.kind | encode(message)[0] & (FIN | RSV)
        elif isinstance(message, bytes | bytearray | memoryview):
            kind, first, payload = Binary, FIN | Binary.kind, bytes(message)
        else:
            raise TypeError(f"message is {message!r}: a str, bytes or a Frame is needed")
        if self._unfinished is not None:
            first = self._continue(kind, first)
        self._unfinished = None if first & FIN else kind
        return wrap(first, payload, self._chance(4) if self._values["masking"] else None)

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

    async def _enqueue(self, wire: bytes) -> None:
        if not self.outgoing.full:
            self.outgoing.items.append(wire)
            return
        if self._options.channels.outgoing.on_overflow is CLOSE:
            error = ChannelOverflow("outgoing", self.outgoing.capacity)
            self._overflow(error)
            raise error
        turn = self._loop.create_future()
        self.outgoing.suspended.append((wire, turn))
        await turn

    def _try_send(self, message: str | bytes | Frame) -> bool:
        if self._close_due:
            self._refuse()
        if isinstance(message, ControlFrame):
            raise TypeError(f"{message!r}: try_send takes data, send takes control frames too")
        if self._paused and self.outgoing.full:
            return False
        wire = self._encode(message)
        if self._paused:
            self.outgoing.items.append(wire)
        else:
            self._write(wire)
        return True

    async def _send_control(self, frame: ControlFrame) -> None:
        """Write the frame as it is, in its turn; a Close is the last one."""
        wire = encode(frame, self._key())
        if self._paused:
            await self._enqueue(wire)
        else:
            self._write(wire)
        if isinstance(frame, Close):
            self._close_sent = True
            self._first_close(frame, "local")
            self._room()

    def _first_close(self, frame: Close, by: By) -> None:
        """Keep the reason of the first Close that passes."""
        reason = frame.read_reason() or CloseReason(CloseCode.NO_STATUS_RCVD)
        self._reason = self._reason or reason.said(by)
        self._complete()

    def _key(self) -> bytes | None:
        return self._chance(4) if self._values["masking"] else None

    def _refuse(self) -> None:
        if self._refusal is None:
            self._refusal = ChannelClosed(self._reason or CloseReason(CloseCode.ABNORMAL_CLOSURE))
        raise self._refusal.with_traceback(None)

    async def _turn(self) -> None:
        turn = self._loop.create_future()
        self._writers.append(turn)
        await turn

    async def _written(self) -> None:
        while not self._close_sent and not self._lost:
            await self._turn()

    def _wake_writers(self) -> None:
        writers, self._writers = self._writers, []
        for turn in writers:
            if not turn.done():
                turn.set_result(None)

    def _drain(self) -> None:
        """Write what waits, until the transport has enough again."""
        while self.outgoing.items and not self._paused:
            self._write(self.outgoing.next())
        if not self.outgoing.items:
            self._write_close()
            if self._fin:
                self._end_tcp()
        self._wake_writers()

    # ── receiving ────────────────────────────────────────────────────────────────────────────────

    def _parse(self) -> None:
        """Take frames from the reader until it, or the room in `incoming`, is used up."""
        while not self._deaf:
            if self._must_stop():
                if not self._stopped:
                    self._stop_reading()
                return
            try:
                frame = self._reader.next()
            except (ProtocolViolation, FrameTooBig) as error:
                self._fail(error)
                return
            if frame is None:
                return
            self._received(frame)

    def _must_stop(self) -> bool:
        return (
            self.incoming.full
            and self._options.channels.incoming.on_overflow is not CLOSE
            and not self._close_sent
            and not self._handler_ended
        )

    def _received(self, frame: Frame) -> None:
        self._deliver(frame)
        if isinstance(frame, Close):
            self._deaf = self._close_received = True
            self._first_close(frame, "peer")

    def _deliver(self, frame: Frame) -> None:
        if not self.incoming.full:
            self.incoming.put(frame)
        elif not self._close_sent and not self._handler_ended:
            self._overflow(ChannelOverflow("incoming", self.incoming.capacity))

    def _stop_reading(self) -> None:
        self._stopped = True
        self._transport.pause_reading()

    def _resume_reading(self) -> None:
        self._stopped = False
        self._transport.resume_reading()

    def _room(self) -> None:
        """Go on reading where `incoming` has room again, first with what is already here."""
        if not self._stopped or self._must_stop():
            return
        self._parse()
        if not self._must_stop():
            self._resume_reading()

    # ── the end ──────────────────────────────────────────────────────────────────────────────────

    def _check_code(self, code: int) -> None:
        """Raw sessions send any code."""

    def _say(
        self,
        reason: CloseReason,
        payload: bytes,
        *,
        final: bool = False,
        fin: bool = False,
        defer: bool = False,
    ) -> None:
        """Decide how the session ends, and write our Close as soon as it may be written.

        Args:
            final: the reason stands when our Close is written, whatever the peer says.
            fin: the server ends TCP right behind it.
            defer: the Close waits until the handler has asked for what stands before the end.
        """
        if self._close_sent or self._lost:
            return
        if self._reason is None or ((reason.by == "peer" or fin) and not self._deferred):
            self._deferred = defer and self._reason is None
            self._reason, self._close_payload = reason, payload
            self._final, self._fin = final, fin
        else:
            self._deferred = False
        self._begin_deadline()
        self._closing()
        self._write_close()

    def _begin_deadline(self) -> None:
        if self._deadline is None and not self._gone:
            self._deadline = self._loop.call_later(self._options.close_timeout, self._cut)

    def _closing(self) -> None:
        """Stop what only an open session does."""

    def _say_failure(self, error: BaseException) -> None:
        reason = CloseReason(CloseCode.INTERNAL_ERROR, type(error).__name__[:MAX_REASON], "local")
        self._say(reason, Close(reason).data, final=True)

    def _fail(self, error: ProtocolViolation | FrameTooBig) -> None:
        """Answer what the peer did wrong, behind the messages that came before it."""
        log.debug("session %d: %d: %s", self.number, error.code, error)
        self._deaf = True
        idle = self.incoming.idle
        self.incoming.end(error)
        if self._close_sent:
            self._complete()
            self._end_tcp()
            return
        reason = CloseReason(error.code, _cut_text(str(error)), "local")
        self._say(reason, Close(reason).data, final=True, fin=True, defer=not idle)

    def _overflow(self, error: ChannelOverflow) -> None:
        log.debug("session %d: 1011: %s", self.number, error)
        self.incoming.end(error)
        reason = CloseReason(CloseCode.INTERNAL_ERROR, "Channel overflow", "local")
        if error.channel == "outgoing":
            self._drop_outgoing(reason)
        self._say(reason, Close(reason).data, final=True)

    def _asked(self) -> None:
        """Write the Close that waited until the handler came to the end."""
        if self._deferred:
            self._deferred = False
            self._write_close()

    def _awaits_end(self) -> None:
        """Note that who took the newest message now waits for nothing but the end."""
        incoming = self.incoming
        if incoming.in_hand is not None and not len(incoming) and incoming.in_hand is asyncio.current_task():
            incoming.in_hand = None
            self._asked()

    def _write_close(self) -> None:
        due = self._reason is not None and not self._deferred
        if not due or self._close_sent or self._lost or self.outgoing.items:
            return
        self._write(wrap(FIN | Close.kind, self._close_payload, self._key()))
        self._close_sent = True
        self._wake_writers()
        if self._final or self._close_received:
            self._complete()
        if self._fin or self._close_received:
            # "the server MUST close the connection immediately" (7.1.1)
            self._end_tcp()
        self._room()

    def _complete(self) -> None:
        if self._future.done():
            return
        reason = self._reason or CloseReason(CloseCode.ABNORMAL_CLOSURE, by="network")
        self._reason = reason
        self._future.set_result(reason)
        self.incoming.end(ChannelClosed(reason))
        self.trace.event(self._loop.time(), self.number, "closed", repr(reason))

    def _end_tcp(self) -> None:
        """Send FIN as the server and go on reading until the peer's; the client waits for it."""
        if self._gone:
            return
        if self._eof:
            self._transport.close()
        elif self._side == "server" and self._transport.can_write_eof():
            self._transport.write_eof()
        elif self._side == "server":
            self._transport.close()
        if self._stopped:
            self._resume_reading()

    def _cut(self) -> None:
        """End everything at the deadline."""
        if self._gone:
            return
        self._deferred = False
        self._reason = self._reason or CloseReason(CloseCode.ABNORMAL_CLOSURE, by="local")
        self._drop_outgoing()
        if may_be_sent(self._reason.code):
            self._write_close()
        self._complete()
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    def _drop_outgoing(self, reason: CloseReason | None = None) -> None:
        reason = reason or self._reason or CloseReason(CloseCode.ABNORMAL_CLOSURE, by="network")
        self.outgoing.drop(ChannelClosed(reason))

    def _stream_ended(self) -> None:
        if self._lost:
            return
        self._lost = self._deaf = True
        self._deferred = False
        self._complete()
        self._drop_outgoing()
        self._closing()
        self._wake_writers()

    def _going_away(self) -> None:
        """Say 1001, and tell the handler at once: the server stops."""
        reason = CloseReason(CloseCode.GOING_AWAY, "Server is going down", "local")
        self._say(reason, Close(reason).data)
        self.incoming.end(ChannelClosed(self._reason or reason))

    # ── the handler ──────────────────────────────────────────────────────────────────────────────

    async def _serve(self, handler: Handler) -> None:
        """Run the handler; here its errors become close codes."""
        reason = CloseReason(CloseCode.NORMAL_CLOSURE, "", "local")
        try:
            await handler(self)
        except asyncio.CancelledError as error:
            self._say_failure(error)
            raise
        except DeserializeError as error:
            log.debug("session %d: %d: %s", self.number, error.code, error)
            reason = CloseReason(error.code, _cut_text(str(error)), "local")
        except Exception as error:
            if not self._is_own(error):
                log.exception("session %d: the handler of %s failed", self.number, self.call.path)
                self._say_failure(error)
            else:
                log.debug("session %d: the handler ended with %s", self.number, error)
        finally:
            self._end_of_handler(reason)

    def _is_own(self, error: Exception) -> bool:
        """Tell whether an error is how this session itself told its handler that it is over."""
        kinds = (ChannelClosed, ProtocolViolation, FrameTooBig, PingTimeout, ChannelOverflow)
        return isinstance(error, kinds) and self._reason is not None

    def _end_of_handler(self, reason: CloseReason) -> None:
        """Send FIN behind what was sent, without a Close."""
        self._leave()
        self._reason = self._reason or CloseReason(CloseCode.ABNORMAL_CLOSURE, by="local")
        self._complete()
        self._begin_deadline()
        # Nothing is written behind our FIN, not even a server's 1001.
        self._fin = self._close_sent = True
        if self._side == "client" and not self.outgoing.items:
            self._transport.close()
        elif not self.outgoing.items:
            self._end_tcp()
        self._room()

    def _leave(self) -> None:
        """Note that nobody reads `incoming` any more."""
        self._handler_ended = True
        self.incoming.in_hand = None
        self._cancel_tasks()

    async def _until_gone(self) -> None:
        """Wait until the connection is closed, at the latest by the deadline."""
        while not self._gone:
            await self._turn()

    def _task_ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if not isinstance(error, Exception) or not self._is_own(error):
            log.error("session %d: a launched task failed", self.number, exc_info=error)
            self._say_failure(error)

    def _cancel_tasks(self) -> None:
        for task in list(self._tasks):
            task.cancel()

    # ── options, as they change ──────────────────────────────────────────────────────────────────

    def _option_changed(self, name: str, before: object) -> None:
        detail = f"{name}: {before} → {self._values[name]}"
        self.trace.event(self._loop.time(), self.number, "option changed", detail)
        self._follow(name)

    def _adopt(self, name: str) -> None:
        """Take over a value that was assigned to the server's options."""
        if name in self._values:
            self._values[name] = getattr(self._options, name)
            self._follow(name)

    def _follow(self, name: str) -> None:
        if name == "max_frame_size":
            self._reader.max_frame_size = self._values[name]

    # ── what the handshake calls ─────────────────────────────────────────────────────────────────

    def _begin(self, rest: bytes) -> None:
        """Take over the transport, with what arrived behind the handshake's head."""
        self._transport.set_protocol(self)
        self.trace.event(self._loop.time(), self.number, "opened", self.call.path)
        if rest:
            self._reader.feed(rest)
            self._parse()

    # ── what the transport calls ─────────────────────────────────────────────────────────────────

    def data_received(self, data: bytes) -> None:
        self.trace.record(self._loop.time(), self.number, self._peer, data)
        self._heard = True
        if not self._deaf:
            self._reader.feed(data)
            self._parse()

    def eof_received(self) -> bool:
        self._eof = True
        if self._deferred:
            return True
        self._stream_ended()
        return False

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._drain()

    def connection_lost(self, error: Exception | None) -> None:
        self._stream_ended()
        self._gone = True
        self._wake_writers()
        self._cancel_tasks()
        if self._deadline is not None:
            self._deadline.cancel()
        if self._on_lost is not None:
            self._on_lost(self)


class Session(RawSession):
    """A session that answers pings, sends its own, joins fragments and says Close by itself.

    `ping_period`, `timeout`, `max_frame_size` and `masking` may be assigned at any time, from any
    thread; `latency` is the newest round trip in seconds, None before the first pong.
    """

    ping_period = Live()
    timeout = Live()
    whole_messages = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.latency: float | None = None
        self._parts: list[bytes] = []
        self._opening: Frame | None = None
        self._controls: deque[bytes] = deque(maxlen=MAX_CONTROLS)
        self._heartbeat = Heartbeat(self)
        self._heartbeat.restart()

    @property
    def converter(self) -> Any:
        """The option `content_converter`.

        Raises:
            ConverterNotFound: there is none.
        """
        if self._options.content_converter is None:
            raise ConverterNotFound
        return self._options.content_converter

    async def send_serialized(self, value: object) -> None:
        """Send an object through the content converter.

        Raises:
            ConverterNotFound: there is none.
        """
        await self.send(self.converter.serialize(value))

    async def receive_deserialized(self, kind: type[T]) -> T:
        """Receive one message as an object of the type; the session goes on after an error.

        Raises:
            ConverterNotFound: there is none; no message is taken.
            DeserializeError: wrong kind of frame, malformed payload or wrong shape.
        """
        converter = self.converter
        return cast(T, converter.deserialize(await self.incoming.receive(), kind))

    def cancel(self) -> None:
        """End the session now: tasks are cancelled, a Close 1000 is tried, the connection is cut."""
        self._cancel_tasks()
        reason = CloseReason(CloseCode.NORMAL_CLOSURE, "", "local")
        self._say(reason, Close(reason).data)
        self._cut()

    # ── control frames ───────────────────────────────────────────────────────────────────────────

    @property
    def _close_due(self) -> bool:
        """Whether our Close is written, or on its way."""
        return self._close_sent or self._lost or (self._reason is not None and not self._deferred)

    async def _send_control(self, frame: ControlFrame) -> None:
        if not isinstance(frame, Close):
            self._overtake(encode(frame, self._key()))
            return
        reason = frame.read_reason() or CloseReason(CloseCode.NO_STATUS_RCVD)
        if frame.data:
            self._check_code(reason.code)
        self._say(reason.said("local"), frame.data)
        await self._written()

    def _overtake(self, wire: bytes) -> None:
        """Send a control frame before the messages that wait."""
        if self._paused:
            self._controls.append(wire)
        else:
            self._write(wire)

    def _drain(self) -> None:
        while self._controls and not self._paused and not self._close_sent:
            self._write(self._controls.popleft())
        self._heartbeat.room()
        super()._drain()

    def _check_code(self, code: int) -> None:
        if not may_be_sent(code):
            raise ValueError(
                f"close code {code}: 1000 to 1003, 1007 to 1014 and 3000 to 4999 may be sent"
                " (RFC 6455, section 7.4)"
            )

    def _received(self, frame: Frame) -> None:
        match frame:
            case Text() | Binary():
                self._join(frame)
            case Ping():
                # "it MUST send a Pong frame in response, unless it already received a Close
                # frame ... SHOULD respond ... as soon as is practical" (5.5.2)
                if not self._close_sent:
                    self._overtake(encode(Pong(frame.data), self._key()))
            case Pong():
                self._heartbeat.pong(frame.data)
            case Close():
                self._peer_closed(frame)

    def _join(self, frame: Frame) -> None:
        """Deliver a message when its last fragment is here."""
        if frame.fin and self._opening is None:
            self._deliver(frame)
            return
        if self._opening is None:
            self._opening = frame
        self._parts.append(frame.data)
        if frame.fin:
            message, self._opening = self._opening, None
            message.data, message.fin = b"".join(self._parts), True
            self._parts.clear()
            self._deliver(message)

    def _peer_closed(self, frame: Close) -> None:
        self._deaf = self._close_received = True
        reason = frame.read_reason() or CloseReason(CloseCode.NO_STATUS_RCVD)
        if self._close_sent:
            self._complete()
            self._end_tcp()
            return
        idle = self.incoming.idle
        self.incoming.end(ChannelClosed(reason.said("peer")))
        self._say(reason.said("peer"), frame.data, defer=not idle)

    # ── pings, and what stops them ───────────────────────────────────────────────────────────────

    def _closing(self) -> None:
        self._heartbeat.stop()

    def _stop_reading(self) -> None:
        super()._stop_reading()
        self._heartbeat.stand_still()

    def _resume_reading(self) -> None:
        super()._resume_reading()
        self._heartbeat.go_on()

    def _follow(self, name: str) -> None:
        super()._follow(name)
        if name in ("ping_period", "timeout") and self._reason is None and not self._lost:
            self._heartbeat.restart()

    def _ping_timed_out(self) -> None:
        error = PingTimeout(self.timeout)
        log.debug("session %d: 1011: %s", self.number, error)
        self.trace.event(self._loop.time(), self.number, "ping timeout", f"after {self.timeout:g} s")
        self._deaf = True
        self.incoming.end(error)
        reason = CloseReason(CloseCode.INTERNAL_ERROR, "Ping timeout", "local")
        self._drop_outgoing(reason)
        self._controls.clear()
        self._say(reason, Close(reason).data, final=True, fin=True)

    def _end_of_handler(self, reason: CloseReason) -> None:
        self._leave()
        self._say(reason, Close(reason).data)
        self._room()


class Heartbeat:
    """The pings of one session: wait the period, ping, wait for the matching pong, begin again.

    The wait for a pong stands still while our own full `incoming` stops the reading.
    """

    __slots__ = ("_due", "_left", "_payload", "_ping", "_sent", "_session", "_timer")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._timer: asyncio.TimerHandle | None = None
        self._ping: bytes | None = None
        self._payload: bytes | None = None
        self._sent = 0.0
        self._due = 0.0
        self._left: float | None = None

    def restart(self) -> None:
        """Forget an outstanding ping and wait one whole period."""
        self.stop()
        if self._session.ping_period is not None:
            self._timer = self._session._loop.call_later(self._session.ping_period, self._beat)

    def stop(self) -> None:
        self._ping = self._payload = self._left = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def room(self) -> None:
        """Send the ping that waited for the transport."""
        if self._ping is not None and not self._session._paused:
            ping, self._ping = self._ping, None
            self._hand_over(ping)

    def pong(self, payload: bytes) -> None:
        """Take a pong; only the one with the outstanding payload counts."""
        if self._payload is None or payload != self._payload or self._ping is not None:
            return
        self._session.latency = self._session._loop.time() - self._sent
        self.restart()

    def stand_still(self) -> None:
        if self._payload is not None and self._left is None and self._ping is None:
            self._left = max(0.0, self._due - self._session._loop.time())
            self._cancel_timer()

    def go_on(self) -> None:
        if self._left is not None:
            left, self._left = self._left, None
            self._wait(left)

    def _beat(self) -> None:
        self._payload = b"[ping " + self._session._chance(32).hex().encode() + b" ping]"
        ping = encode(Ping(self._payload), self._session._key())
        if self._session._paused:
            self._ping = ping
        else:
            self._hand_over(ping)

    def _hand_over(self, ping: bytes) -> None:
        self._session._write(ping)
        self._sent = self._session._loop.time()
        if self._session._stopped:
            self._left = self._session.timeout
        else:
            self._wait(self._session.timeout)

    def _wait(self, duration: float) -> None:
        self._due = self._session._loop.time() + duration
        self._timer = self._session._loop.call_at(self._due, self._is_due)

    def _is_due(self) -> None:
        session = self._session
        if session._loop.time() - self._due > LATE:
            self._wait(session.timeout)
            return
        session._heard = False
        self._timer = session._loop.call_later(0, self._judge)

    def _judge(self) -> None:
        """Decide when a whole turn of the loop has brought nothing more."""
        session = self._session
        if session._heard:
            session._heard = False
            self._timer = session._loop.call_later(0, self._judge)
            return
        session._ping_timed_out()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _cut_text(text: str) -> str:
    """Return as much of a text as fits a Close, in whole characters."""
    return text.encode()[:MAX_REASON].decode(errors="ignore")
