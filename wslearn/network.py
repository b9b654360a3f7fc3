"""A network in memory: named hosts, and between them connections that keep TCP's promises (RFC 9293).

Here are wires, their two ends and their faults, on whatever loop runs: all times are the loop's. What the
bytes mean is not known here; who wants to see them gives a `tap`.
"""

from __future__ import annotations

import asyncio
import errno
import math
import random
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from copy import copy
from datetime import timedelta
from types import EllipsisType
from typing import Any, Literal, NamedTuple

Seconds = float | timedelta
Side = Literal["client", "server"]
Direction = Literal["both", "outgoing", "incoming"]
Flag = Literal["", "SYN", "SYN-ACK", "ACK", "FIN", "RST"]
Address = tuple[str, int]
ProtocolFactory = Callable[[], asyncio.BaseProtocol]

WINDOW = 64 * 1024
"""Bytes that a connection takes each way before writing pauses, and that outlive a close."""
FLIGHT = 16 * WINDOW
"""Bytes in flight where bandwidth is unlimited: who sends for ever would put them all on the wire at once."""
SEGMENT_SIZE = 1460
"""Bytes in one segment where bandwidth is limited: Ethernet's 1500 less 40 of headers (RFC 9293, 3.7.1)."""
READ_SIZE = 256 * 1024
"""Bytes that a protocol receives at once at most, as from asyncio's sockets."""
FIRST_PORT = 49152
PORTS = 65536 - FIRST_PORT
"""The dynamic ports (RFC 6335, section 6)."""

ONE_WAY: dict[Direction, tuple[Direction, ...]] = {
    "both": ("outgoing", "incoming"),
    "outgoing": ("outgoing",),
    "incoming": ("incoming",),
}

_host: ContextVar[str] = ContextVar("host", default="client")


def seconds(name: str, value: Seconds) -> float:
    """Return a duration in seconds, 0 or more and finite; a timedelta is one too."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is {value!r}: seconds from 0 up are allowed")
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} is {value!r}: seconds from 0 up are allowed")
    return float(value)


def rate(name: str, value: float | None) -> float | None:
    """Return bits per second, above 0 and finite, or None for no limit."""
    allowed = "bits per second above 0, or None for no limit, are allowed"
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is {value!r}: {allowed}")
    if not 0 < value < math.inf:
        raise ValueError(f"{name} is {value!r}: {allowed}")
    return float(value)


class Faults:
    """What a link does to bytes, settable at any time.

    Args:
        latency: the way of a segment, one way, in seconds.
        jitter: at most this much is added to each way, in seconds, evenly spread; order is kept.
        bandwidth: bits per second each way of each connection; None for no limit.
        seed: where jitter comes from; the n-th segment is as lucky for each jitter.
    """

    def __init__(
        self,
        latency: Seconds = 0,
        jitter: Seconds = 0,
        bandwidth: float | None = None,
        seed: int | str = 0,
    ) -> None:
        self.latency = self.jitter = 0.0
        self.bandwidth: float | None = None
        self._chance = random.Random(f"{seed}/faults")
        self.set(latency=latency, jitter=jitter, bandwidth=bandwidth)

    def set(
        self,
        *,
        latency: Seconds | EllipsisType = ...,
        jitter: Seconds | EllipsisType = ...,
        bandwidth: float | EllipsisType | None = ...,
    ) -> None:
        """Change what is given, and keep the rest.

        Raises:
            TypeError, ValueError: a value is not allowed; then nothing changes.
        """
        new_latency = self.latency if latency is ... else seconds("latency", latency)
        new_jitter = self.jitter if jitter is ... else seconds("jitter", jitter)
        self.bandwidth = self.bandwidth if bandwidth is ... else rate("bandwidth", bandwidth)
        self.latency, self.jitter = new_latency, new_jitter

    def delay(self) -> float:
        """Return how long the next segment travels, in seconds."""
        return self.latency + self.jitter * self._chance.random()

    @property
    def segment_size(self) -> int:
        """How many bytes travel as one."""
        return READ_SIZE if self.bandwidth is None else SEGMENT_SIZE

    def __repr__(self) -> str:
        bandwidth = "unlimited" if self.bandwidth is None else f"{self.bandwidth:g} bit/s"
        return f"latency {self.latency:g} s, jitter {self.jitter:g} s, bandwidth {bandwidth}"


class Segment:
    """What travels as one: bytes or a flag of TCP, when it was written and when it was received."""

    __slots__ = ("arrival", "data", "flag", "received", "sent")

    def __init__(self, flag: Flag, data: bytes, sent: float) -> None:
        self.flag = flag
        self.data = data
        self.sent = sent
        self.arrival = math.inf
        self.received: float | None = None

    def __repr__(self) -> str:
        received = "not received" if self.received is None else f"received {self.received:g} s"
        return f"<Segment {self.flag or f'{len(self.data)} bytes'}, sent {self.sent:g} s, {received}>"


Tap = Callable[[int, Side, Segment], None]


class Wire:
    """One direction of a connection: segments wait in `outbox`, travel in `flight`, lie in `inbox`."""

    def __init__(self, network: Network, side: Side, sender: Endpoint, receiver: Endpoint) -> None:
        self._network = network
        self._side: Side = side
        self.sender = sender
        self.receiver = receiver
        self.faults = network.faults_between(sender.host, receiver.host)
        self.outbox: deque[Segment] = deque()
        self.flight: deque[Segment] = deque()
        self.inbox: deque[Segment] = deque()
        self.waiting = 0
        self.unread = 0
        self._flying = 0
        self._leaving: asyncio.Handle | None = None
        self._landing: asyncio.Handle | None = None
        self._busy_since: float | None = None
        self._bandwidth: float | None = None
        self._bits = 0
        self._last_left = -1.0
        self._last_arrival = 0.0
        self._ended = False

    @property
    def buffered(self) -> int:
        """Bytes that wait to leave, and bytes that have arrived and nobody reads."""
        return self.waiting + self.unread

    @property
    def is_full(self) -> bool:
        """Whether so much travels that a writer pauses; a bandwidth limits it by itself."""
        return self._flying > FLIGHT and self.faults.bandwidth is None

    def send(self, flag: Flag, data: bytes = b"") -> None:
        """Let bytes or a flag wait for their turn; after a reset nothing follows."""
        if self._ended:
            return
        now, tap = self.sender.loop.time(), self._network.tap
        for piece in self._pieces(data) if len(data) > SEGMENT_SIZE else (data,):
            segment = Segment(flag, piece, now)
            self.outbox.append(segment)
            self.waiting += len(piece)
            if tap:
                tap(self.sender.number, self._side, segment)
        self.start()

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield the parts of a write that travel as one each."""
        size = self.faults.segment_size
        return (data[start : start + size] for start in range(0, len(data), size))

    def reset(self) -> None:
        """Send a reset behind what a closed socket still sends; the rest never leaves."""
        while self.outbox and self.waiting > WINDOW:
            self.waiting -= len(self.outbox.pop().data)
        self.send("RST")
        self._ended = True

    def start(self) -> None:
        """Begin to send what waits, unless a fault holds it."""
        if self._leaving or not self.outbox or self._network.holds(self):
            return
        bandwidth = self.faults.bandwidth
        if bandwidth != self._bandwidth:
            self._bandwidth, self._busy_since = bandwidth, None
        if bandwidth is not None:
            self._leave_in_turn(bandwidth)
        elif self.waiting <= WINDOW and self._last_left < self.sender.loop.time():
            self._leave()
        else:
            # in the next turn, with the rest of a burst, which fills the buffer until then
            self._leaving = self.sender.call_soon(self._leave)

    def stop(self) -> None:
        """Send nothing more; what has left travels on. The segment on its way out starts over later."""
        if self._leaving:
            self._leaving.cancel()
        self._leaving = self._busy_since = None

    def follow(self) -> None:
        """Send what waits under the faults that now hold."""
        self.faults = self._network.faults_between(self.sender.host, self.receiver.host)
        if self._bandwidth != self.faults.bandwidth:
            self.stop()
            self.start()

    def recall(self) -> None:
        """Send nothing more; what has left is lost, and TCP will send it again."""
        self.stop()
        if self._landing:
            self._landing.cancel()
        self._landing = None
        self._last_arrival = 0.0
        self.waiting, self._flying = self.waiting + self._flying, 0
        self.outbox.extendleft(reversed(self.flight))
        self.flight.clear()
        self.sender.watch_buffer()

    def cut_short(self) -> None:
        """Lose all that is not read, and show the receiver a reset."""
        self.recall()
        self.end()
        self.discard()
        self.inbox.append(Segment("RST", b"", self.receiver.loop.time()))
        self.receiver.call_soon(self.receiver.read)

    def end(self) -> None:
        """Forget what waits to leave, and send nothing any more."""
        self.stop()
        self.outbox.clear()
        self.waiting = 0
        self._ended = True

    def discard(self) -> None:
        """Forget what has arrived and nobody has read."""
        self.inbox.clear()
        self.unread = 0
        self.sender.watch_buffer()

    def take(self) -> Segment:
        """Take the oldest segment that has arrived."""
        segment = self.inbox.popleft()
        if segment.data:
            self.unread -= len(segment.data)
            self.sender.watch_buffer()
        return segment

    def _leave_in_turn(self, bandwidth: float) -> None:
        if self._busy_since is None:
            self._busy_since, self._bits = self.sender.loop.time(), 0
        self._bits += 8 * len(self.outbox[0].data)
        # Counted from the begin of the burst, not from segment to segment, so that no rounding adds up.
        self._leaving = self.sender.call_at(self._busy_since + self._bits / bandwidth, self._leave)

    def _leave(self) -> None:
        self._leaving = None
        faults = self.faults
        outbox = self.outbox
        self._last_left = now = self.sender.loop.time()
        for _ in range(len(outbox) if faults.bandwidth is None else 1):
            segment = outbox.popleft()
            self.waiting -= len(segment.data)
            self._flying += len(segment.data)
            arrival = now + faults.delay()
            if arrival < self._last_arrival:
                arrival = self._last_arrival
            self._last_arrival = segment.arrival = arrival
            self.flight.append(segment)
        if not self._landing:
            self._expect()
        if outbox:
            self.start()
        else:
            self._busy_since = None
        self.sender.watch_buffer()

    def _expect(self) -> None:
        self._landing = self.receiver.call_at(self.flight[0].arrival, self._land)

    def _land(self) -> None:
        self._landing = None
        flight, now, was_full = self.flight, self.receiver.loop.time(), self.is_full
        while flight and flight[0].arrival <= now:
            segment = flight.popleft()
            self._flying -= len(segment.data)
            if segment.flag == "RST":
                self.receiver.read()
                self.discard()
            self.inbox.append(segment)
            self.unread += len(segment.data)
        if flight and not self._landing:
            self._expect()
        self.receiver.read()
        if self.inbox or was_full:
            self.sender.watch_buffer()


State = Literal["connecting", "open", "closing", "lost"]


class Endpoint(asyncio.Transport):
    """One end of a connection: an asyncio transport whose wire is memory.

    Its protocol is called by the loop only, in the context of the `connect` or `start` it comes from.
    """

    def __init__(
        self,
        network: Network,
        loop: asyncio.AbstractEventLoop,
        number: int,
        context: Context,
        here: Address,
        there: Address,
    ) -> None:
        super().__init__({"sockname": here, "peername": there})
        self.loop = loop
        self.context = context
        self.address = here
        self.peer_address = there
        self.host = here[0]
        self.state: State = "connecting"
        self.number = number
        self.connected: asyncio.Future[None] | None = None
        self.outbound: Wire
        self.inbound: Wire
        self._network = network
        self._listener: Listener | None = None
        self._protocol: Any = None
        self._reading = True
        self._writing_paused = False
        self._watching = False
        self._wrote_eof = False
        self._ending = False
        self._high, self._low = WINDOW, WINDOW // 4

    # what asyncio asks of a transport

    def get_protocol(self) -> Any:
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def is_closing(self) -> bool:
        return self._ending or self.state == "closing" or self.state == "lost" or self.loop.is_closed()

    def is_reading(self) -> bool:
        return self._reading and not self.is_closing()

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if self._reading:
            return
        self._reading = True
        if self.inbound.inbox:
            self.call_soon(self.read)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if type(data) is not bytes:
            data = _as_bytes(data)
        if self._wrote_eof:
            raise RuntimeError("cannot write after write_eof()")
        if not data or self.is_closing():
            return
        outbound = self.outbound
        outbound.send("", data)
        if outbound.waiting + outbound.unread > self._high or outbound.is_full:
            self._pause_writing()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if self._wrote_eof or self.is_closing():
            return
        self._wrote_eof = True
        self.outbound.send("FIN")

    def get_write_buffer_size(self) -> int:
        return self.outbound.buffered

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = WINDOW if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high is {high!r} and low is {low!r}: high >= low >= 0 is allowed")
        self._high, self._low = high, low
        self.watch_buffer()

    def close(self) -> None:
        if self.is_closing():
            return
        if self.state == "connecting":
            self.abort()
            return
        self.state = "closing"
        self.watch_buffer()

    def abort(self) -> None:
        if self._ending or self.loop.is_closed():
            return
        self.outbound.reset()
        self._end(None)

    # what the wire asks of it

    def call_soon(self, callback: Callable[[], object]) -> asyncio.Handle:
        """Call back from the loop, in this end's own context."""
        return self.loop.call_soon(callback, context=self.context)

    def call_at(self, when: float, callback: Callable[[], object]) -> asyncio.Handle:
        """Call back at a time of the loop, in this end's own context."""
        try:
            return self.loop.call_at(when, callback, context=self.context)
        except ValueError:  # Pyodide's loop refuses a time that has just passed.
            return self.call_soon(callback)

    def watch_buffer(self) -> None:
        """See to it that the protocol hears of a buffer that has become full, or has room again."""
        if not self._watching and self._has_news():
            self._watching = True
            self.call_soon(self._tell_news)

    def read(self) -> None:
        """Take what has arrived, until reading pauses."""
        inbound = self.inbound
        while inbound.inbox and self._reads(inbound.inbox[0]):
            self._receive(inbound.take())

    def open(self, protocol: Any) -> None:
        """Begin to serve a protocol."""
        if self.is_closing():
            raise ConnectionResetError(errno.ECONNRESET, f"connection reset by {self.peer_address[0]!r}")
        self.state = "open"
        self._protocol = protocol
        self._call(protocol.connection_made, self)

    def vanish(self) -> None:
        """End without a word to the peer."""
        self.outbound.recall()
        self.outbound.end()
        self._end(None)

    def _has_news(self) -> bool:
        if self._ending:
            return False
        size, is_full = self.outbound.waiting + self.outbound.unread, self.outbound.is_full
        if self.state == "open":
            return size <= self._low and not is_full if self._writing_paused else size > self._high or is_full
        return self.state == "closing" and size <= WINDOW

    def _tell_news(self) -> None:
        self._watching = False
        if not self._has_news():
            return
        if self.state == "closing":
            self._end(None)
        elif self._writing_paused:
            self._writing_paused = False
            self._call(self._protocol.resume_writing)
        else:
            self._pause_writing()

    def _pause_writing(self) -> None:
        if not self._writing_paused:
            self._writing_paused = True
            self._call(self._protocol.pause_writing)

    def _reads(self, segment: Segment) -> bool:
        if self.host in self._network.frozen:
            return False
        if segment.flag == "RST" or self.state == "lost":
            return True
        return not segment.data if self.is_closing() else self._reading

    def _receive(self, segment: Segment) -> None:
        if not segment.flag and self.state != "lost":
            segment.received = self.loop.time()
            self._call(self._protocol.data_received, segment.data)
        elif segment.flag == "RST":
            self.outbound.end()
            self._end(self._reset_error())
        elif self.state == "lost":
            if segment.data:
                self.outbound.reset()
        elif segment.flag == "SYN":
            self._answer()
        elif segment.flag == "SYN-ACK":
            if self.connected and not self.connected.done():
                self.connected.set_result(None)
        elif segment.flag == "ACK":
            self._accept()
        elif segment.flag == "FIN":
            self._read_eof()

    def _answer(self) -> None:
        self._listener = self._network.listener(self.address)
        if self._listener is None:
            self.abort()
            return
        self.context = self._listener.context.copy()
        self.outbound.send("SYN-ACK")

    def _accept(self) -> None:
        if self._listener is None or not self._listener.is_serving():
            self.abort()
            return
        self._listener.attach(self)
        protocol = self._call(self._listener.protocol_factory)
        if not self._ending:
            self.open(protocol)

    def _read_eof(self) -> None:
        if not self.is_closing() and not self._call(self._protocol.eof_received):
            self.close()

    def _reset_error(self) -> ConnectionError:
        peer = "{}:{}".format(*self.peer_address)
        if self.state == "connecting":
            return ConnectionRefusedError(errno.ECONNREFUSED, f"connection refused: nobody listens at {peer}")
        return ConnectionResetError(errno.ECONNRESET, f"connection reset by {peer}")

    def _call(self, method: Callable[..., Any], *arguments: object) -> Any:
        try:
            return method(*arguments)
        except Exception as error:  # As asyncio's transports do: report it, and end the connection.
            message = f"{getattr(method, '__qualname__', method)} failed"
            self.loop.call_exception_handler({"message": message, "exception": error, "transport": self})
            self._end(error)

    def _end(self, error: Exception | None) -> None:
        if self._ending:
            return
        self._ending = True
        self.loop.call_soon(self._lose, error, context=self.context)

    def _lose(self, error: Exception | None) -> None:
        if self.inbound.unread:
            # Nobody reads a closed socket: what lies there makes its end a reset (RFC 9293, section 3.6.1).
            self.outbound.reset()
        elif not self._wrote_eof:
            self.outbound.send("FIN")
        self.inbound.discard()
        self.state = "lost"
        self._network.forget(self)
        if self.connected and not self.connected.done() and error is not None:
            self.connected.set_exception(error)
        try:
            if self._protocol is not None:
                self._protocol.connection_lost(error)
        finally:
            if self._listener is not None:
                self._listener.detach(self)

    def __repr__(self) -> str:
        here, there = ("{}:{}".format(*address) for address in (self.address, self.peer_address))
        return f"<Endpoint {here} to {there}, {self.state}>"


class ListeningSocket(NamedTuple):
    """What `Listener.sockets` holds: the address, in the words of a socket."""

    address: Address
    family: socket.AddressFamily = socket.AF_INET

    def getsockname(self) -> Address:
        """Return host and port."""
        return self.address


class Listener(asyncio.AbstractServer):
    """A server at one address: who connects there gets a protocol from its factory."""

    def __init__(
        self,
        network: Network,
        loop: asyncio.AbstractEventLoop,
        address: Address,
        protocol_factory: ProtocolFactory,
    ) -> None:
        self.address = address
        self.context = copy_context()
        self.protocol_factory = protocol_factory
        self._network = network
        self._loop = loop
        self._endpoints: dict[Endpoint, None] = {}
        self._serving = self._closed = False
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def sockets(self) -> tuple[ListeningSocket, ...]:
        """The one address, or nothing after `close`."""
        return () if self._closed else (ListeningSocket(self.address),)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def is_serving(self) -> bool:
        return self._serving

    async def start_serving(self) -> None:
        if self._closed:
            raise RuntimeError(f"{self!r} is closed")
        self._serving = True

    async def serve_forever(self) -> None:
        await self.start_serving()
        try:
            await self._loop.create_future()
        finally:
            self.close()

    def close(self) -> None:
        if self._closed:
            return
        self._serving, self._closed = False, True
        self._network.release(self)
        self._wake()

    async def wait_closed(self) -> None:
        """Wait until the server is closed and its last connection has ended."""
        if self._closed and not self._endpoints:
            return
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter

    def attach(self, endpoint: Endpoint) -> None:
        """Count a connection as open."""
        self._endpoints[endpoint] = None

    def detach(self, endpoint: Endpoint) -> None:
        """Count a connection as ended."""
        self._endpoints.pop(endpoint, None)
        self._wake()

    def _wake(self) -> None:
        if not self._closed or self._endpoints:
            return
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "serving" if self._serving else "not serving"
        return f"<Listener {self.address[0]}:{self.address[1]}, {state}, connections: {len(self._endpoints)}>"


class Network:
    """Hosts, the connections between them, and the faults of their links.

    Args:
        faults: what every link does to bytes.
        tap: called with the number of the connection, from 1, the side that sends, and each segment, when
            it is written; the segment learns later when it was received.
    """

    def __init__(self, faults: Faults | None = None, tap: Tap | None = None) -> None:
        self.faults = faults or Faults()
        self.tap = tap
        self._hosts: dict[str, None] = {"client": None}
        self._of_hosts: dict[tuple[str, Direction, str], float | None] = {}
        self._cut: set[tuple[str, Direction]] = set()
        self.frozen: set[str] = set()
        self._listeners: dict[Address, Listener] = {}
        self._connections: dict[int, tuple[Endpoint, Endpoint]] = {}
        self._count = 0
        self._next_port: dict[str, int] = {}
        self._taken: set[Address] = set()

    @contextmanager
    def host(self, name: str) -> Iterator[None]:
        """Let who connects inside `with` be this host; outside it is "client"."""
        token = _host.set(self.add_host(name))
        try:
            yield
        finally:
            _host.reset(token)

    def add_host(self, name: str) -> str:
        """Make a host known, and return its name."""
        if not isinstance(name, str):
            raise TypeError(f"host is {name!r}: a name is needed, such as 'server'")
        if not name:
            raise ValueError(f"host is {name!r}: a name is needed, such as 'server'")
        self._hosts[name] = None
        return name

    def cut(self, host: str, direction: Direction = "both") -> None:
        """Pull the host's cable, or one of its two ways: nothing passes, nobody is told."""
        self._cut |= _ways(self.known(host, direction), direction)
        self.note("cut", _named(host, direction))
        for wire in self._wires():
            if self._is_cut(wire):
                wire.recall()

    def restore(self, host: str, direction: Direction = "both") -> None:
        """Plug the host's cable in again: all that was held is sent again, in order."""
        self._cut -= _ways(self.known(host, direction), direction)
        self.note("restored", _named(host, direction))
        self._start_wires()

    def freeze(self, host: str) -> None:
        """Let the host's sockets neither read nor write; its tasks go on."""
        self.frozen.add(self.known(host))
        self.note("frozen", host)
        for wire in self._wires():
            if wire.sender.host == host:
                wire.stop()

    def thaw(self, host: str) -> None:
        """Let the host's sockets read and write again."""
        self.frozen.discard(self.known(host))
        self.note("thawed", host)
        self._start_wires()
        for endpoint in self._endpoints():
            if endpoint.host == host:
                endpoint.call_soon(endpoint.read)

    def reset(self, host: str) -> None:
        """Break the host's connections: both ends see a reset at once, and lose what is not read."""
        self.note("reset", self.known(host))
        for wire in self._wires():
            if host in (wire.sender.host, wire.receiver.host):
                wire.cut_short()

    def set(self, host: str | None = None, direction: Direction = "both", **changes: Any) -> None:
        """Change all links or those of one host, from the next segment on; the last change of a value wins.

        Args:
            direction: of a host's links, the way of what it sends, or of what it receives.
            changes: latency, jitter and bandwidth, as in `Faults`; what is not given stays.

        Raises:
            TypeError, ValueError: a value is not allowed; then nothing changes.
        """
        self.follow(self.store(host, direction, **changes))

    def store(self, host: str | None, direction: Direction, **changes: Any) -> str:
        """Change what links do; what is on the wires follows later. Return the change in words."""
        if host is None:
            if direction != "both":
                raise ValueError(f"direction is {direction!r}: name the host that it is of")
            self.faults.set(**changes)
            self._of_hosts = {key: value for key, value in self._of_hosts.items() if key[2] not in changes}
            return repr(self.faults)
        faults = copy(self.faults)
        faults.set(**changes)
        ways = _ways(self.known(host, direction), direction)
        changed = {(*way, name): getattr(faults, name) for way in sorted(ways) for name in changes}
        kept = {key: value for key, value in self._of_hosts.items() if key not in changed}
        self._of_hosts = kept | changed
        return f"{_named(host, direction)}: {faults!r}"

    def follow(self, change: str) -> None:
        """Let what waits on the wires follow a change of the faults."""
        self.note("link changed", change)
        for wire in self._wires():
            wire.follow()

    def known(self, host: str, direction: Direction = "both") -> str:
        """Return a host's name.

        Raises:
            ValueError: there is no such host, or no such direction.
        """
        if direction not in ONE_WAY:
            raise ValueError(f"direction is {direction!r}: {', '.join(map(repr, ONE_WAY))} are allowed")
        if not isinstance(host, str) or host not in self._hosts:
            raise ValueError(f"no host {host!r}: known are {self._names()}")
        return host

    def is_cut(self, host: str) -> bool:
        """Tell whether a host's cable is pulled, or one of its two ways."""
        return any(name == self.known(host) for name, _ in self._cut)

    def note(self, fault: str, detail: str) -> None:
        """Hear of a fault that was set; here nobody writes it down."""

    # what a loop asks of it

    async def create_server(
        self, protocol_factory: ProtocolFactory, host: str, port: int, start_serving: bool = True
    ) -> Listener:
        """Listen at a host's port; 0 is the next free one from 49152."""
        self.add_host(host)
        port = port or self._free_port(host)
        if (host, port) in self._listeners:
            raise OSError(
                errno.EADDRINUSE,
                f"port {port} of host {host!r} is in use: stop its server, or take port 0 for a free one",
            )
        listener = Listener(self, asyncio.get_running_loop(), (host, port), protocol_factory)
        self._listeners[host, port] = listener
        if start_serving:
            await listener.start_serving()
        return listener

    async def create_connection(
        self, protocol_factory: ProtocolFactory, host: str, port: int
    ) -> tuple[Endpoint, Any]:
        """Connect to a listener; this takes one round trip."""
        if host not in self._hosts:
            raise OSError(errno.EHOSTUNREACH, f"no host {host!r}: known are {self._names()}")
        client = self._join(_host.get(), (host, port))
        client.connected = client.loop.create_future()
        client.outbound.send("SYN")
        try:
            await client.connected
            protocol = protocol_factory()
            client.outbound.send("ACK")
            client.context.run(client.open, protocol)
        finally:
            if client.state == "connecting":
                client.abort()
        return client, protocol

    # what wires and endpoints ask of it

    def faults_between(self, sender: str, receiver: str) -> Faults:
        """Return what the way from one host to another does to bytes."""
        if not self._of_hosts:
            return self.faults
        faults = copy(self.faults)  # with the one source of chance
        for (host, direction, name), value in self._of_hosts.items():
            if (host, direction) in ((sender, "outgoing"), (receiver, "incoming")):
                setattr(faults, name, value)
        return faults

    def holds(self, wire: Wire) -> bool:
        """Tell whether a fault keeps a wire's sender from sending."""
        frozen, cut = self.frozen, self._cut
        return bool(frozen or cut) and (wire.sender.host in frozen or self._is_cut(wire))

    def is_frozen(self, host: str) -> bool:
        """Tell whether the host's sockets do nothing."""
        return host in self.frozen

    def listener(self, address: Address) -> Listener | None:
        """Return who serves at an address, if anybody."""
        listener = self._listeners.get(address)
        return listener if listener and listener.is_serving() else None

    def release(self, listener: Listener) -> None:
        """Free a listener's address."""
        self._listeners.pop(listener.address, None)

    def forget(self, endpoint: Endpoint) -> None:
        """Let go of a connection of which both ends are lost."""
        self._taken.discard(endpoint.address)
        client, server = self._connections[endpoint.number]
        if client.state == server.state == "lost":
            del self._connections[endpoint.number]

    def shut_down(self) -> None:
        """End every connection; nothing passes any more."""
        for endpoint in self._endpoints():
            endpoint.vanish()

    def _join(self, here: str, server: Address) -> Endpoint:
        loop = asyncio.get_running_loop()
        client = (here, self._free_port(here))
        self._taken.add(client)
        self._count += 1
        caller = Endpoint(self, loop, self._count, copy_context(), client, server)
        callee = Endpoint(self, loop, self._count, Context(), server, client)
        caller.outbound = callee.inbound = Wire(self, "client", caller, callee)
        callee.outbound = caller.inbound = Wire(self, "server", callee, caller)
        self._connections[self._count] = (caller, callee)
        return caller

    def _free_port(self, host: str) -> int:
        for _ in range(PORTS):
            number = self._next_port.get(host, 0)
            self._next_port[host] = number + 1
            address = (host, FIRST_PORT + number % PORTS)
            if address not in self._listeners and address not in self._taken:
                return address[1]
        raise OSError(errno.EADDRNOTAVAIL, f"all {PORTS} ports from {FIRST_PORT} of host {host!r} are taken")

    def _names(self) -> str:
        return ", ".join(map(repr, self._hosts))

    def _is_cut(self, wire: Wire) -> bool:
        here, there = wire.sender.host, wire.receiver.host
        return here != there and ((here, "outgoing") in self._cut or (there, "incoming") in self._cut)

    def _endpoints(self) -> list[Endpoint]:
        return [endpoint for pair in self._connections.values() for endpoint in pair]

    def _wires(self) -> list[Wire]:
        return [endpoint.outbound for endpoint in self._endpoints()]

    def _start_wires(self) -> None:
        for wire in self._wires():
            wire.start()

    def __repr__(self) -> str:
        return f"<Network {self.describe()}>"

    def describe(self) -> str:
        """Return the faults, the hosts and the number of connections."""
        hosts = ", ".join(host + self._marks(host) for host in self._hosts)
        return f"{self.faults}; hosts: {hosts}; connections: {len(self._connections)}"

    def _marks(self, host: str) -> str:
        cut = [way for way in ONE_WAY["both"] if (host, way) in self._cut]
        mark = " (cut)" if len(cut) == 2 else f" ({cut[0]} cut)" if cut else ""
        return mark + " (frozen)" * (host in self.frozen)


def _as_bytes(data: object) -> bytes:
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"data is {type(data).__name__}: bytes are needed")
    return bytes(data)


def _ways(host: str, direction: Direction) -> set[tuple[str, Direction]]:
    return {(host, way) for way in ONE_WAY[direction]}


def _named(host: str, direction: Direction) -> str:
    return host if direction == "both" else f"{host}, {direction}"
