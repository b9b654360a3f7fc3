"""A link with faults between real sockets: a TCP proxy on the running loop (RFC 9293).

Here each connection is led through a network in memory, whose faults it gets, and out again. What the faults
do stands in `network.py`; what the bytes mean is not known here.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import weakref
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from wslearn.network import Direction, Faults, Listener, Network, ProtocolFactory, Seconds

LINGER = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
"""SO_LINGER of 0 s: an abort is a reset, not a FIN."""


class FaultyLink:
    """A way to a server with latency, jitter, a bandwidth and cuts: `async with FaultyLink(server) as link:`.

    Its two hosts are "client" and "server". Every fault may be set at any time, from any thread. It closes
    itself when nobody holds it any more.

    Args:
        server: a server with a `url()` or a `port`, or a URL.
        latency: the way of every segment, one way, in seconds.
        jitter: at most this much is added to each way, in seconds.
        bandwidth: bits per second each way of each connection; None for no limit.
        seed: where jitter comes from.

    Raises:
        TypeError, ValueError: a value is not allowed.
    """

    def __init__(
        self,
        server: Any,
        *,
        latency: Seconds = 0,
        jitter: Seconds = 0,
        bandwidth: float | None = None,
        seed: int | str = 0,
    ) -> None:
        self._server = server
        self._relay = Relay(_target(server), Faults(latency, jitter, bandwidth, seed))
        weakref.finalize(self, self._relay.abandon).atexit = False

    def __await__(self) -> Generator[Any, None, FaultyLink]:
        return self._open().__await__()

    async def __aenter__(self) -> FaultyLink:
        return await self._open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _open(self) -> FaultyLink:
        await self._relay.listen()
        return self

    @property
    def port(self) -> int:
        """The port of 127.0.0.1 where the link begins."""
        return self._relay.port

    @property
    def latency(self) -> float:
        """Seconds of one way, as set for the whole link."""
        return self._relay.network.faults.latency

    @property
    def jitter(self) -> float:
        """Seconds that a way may take longer, as set for the whole link."""
        return self._relay.network.faults.jitter

    @property
    def bandwidth(self) -> float | None:
        """Bits per second, as set for the whole link; None for no limit."""
        return self._relay.network.faults.bandwidth

    def is_cut(self, host: str = "server") -> bool:
        """Tell whether a host's cable is pulled, or one of its two ways."""
        return self._relay.network.is_cut(host)

    def is_frozen(self, host: str = "server") -> bool:
        """Tell whether a host's sockets neither read nor write."""
        return self._relay.network.is_frozen(self._relay.network.known(host))

    def url(self, path: str = "/") -> str:
        """Return the URL of a path of the server, by way of the link."""
        if not path.startswith("/"):
            raise ValueError(f"path is {path!r}: it begins with /")
        return f"{self._relay.target.scheme}://127.0.0.1:{self.port}{path}"

    def cut(self, host: str = "server", direction: Direction = "both") -> None:
        """Pull a host's cable, or one of its two ways: nothing passes, nobody is told."""
        self._fault(self._relay.network.cut, host, direction)

    def restore(self, host: str = "server", direction: Direction = "both") -> None:
        """Plug a host's cable in again: all that was held is sent again, in order."""
        self._fault(self._relay.network.restore, host, direction)

    def freeze(self, host: str = "server") -> None:
        """Let a host's sockets neither read nor write; its tasks go on."""
        self._fault(self._relay.network.freeze, host)

    def thaw(self, host: str = "server") -> None:
        """Let a host's sockets read and write again."""
        self._fault(self._relay.network.thaw, host)

    def reset(self, host: str = "server") -> None:
        """Break all connections: both ends see a reset at once, and lose what is not read."""
        self._fault(self._relay.network.reset, host)

    def set(self, host: str | None = None, direction: Direction = "both", **changes: Any) -> None:
        """Change the link, or one way of it, from the next segment on; the last change of a value wins.

        Args:
            direction: the way of what the host sends, or of what it receives.
            changes: latency, jitter and bandwidth, as in `FaultyLink`; what is not given stays.

        Raises:
            TypeError, ValueError: a value is not allowed; then nothing changes.
        """
        network = self._relay.network
        self._relay.run(network.follow, network.store(host, direction, **changes))

    async def stop(self) -> None:
        """Take no more connections, and end all that there are."""
        await self._relay.stop()

    def _fault(self, fault: Callable[..., None], host: str, *direction: Direction) -> None:
        self._relay.run(fault, self._relay.network.known(host, *direction), *direction)

    def __repr__(self) -> str:
        begin = f"{self.url()} to" if self._relay.is_open else "not open, to"
        return f"<FaultyLink {begin} {self._relay.target}: {self._relay.network.describe()}>"


class Target(NamedTuple):
    """Where a link leads."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}/"


def _target(server: Any) -> Target:
    """Return where a server is, which may say it by a URL or by a port of 127.0.0.1."""
    url = server.url() if callable(getattr(server, "url", None)) else server
    if isinstance(port := getattr(server, "port", None), int) and url is server:
        url = f"ws://127.0.0.1:{port}/"
    needed = f"server is {server!r}: a server, or a URL such as 'ws://127.0.0.1:8000', is needed"
    if not isinstance(url, str):
        raise TypeError(needed)
    ports = {"ws": 80, "wss": 443, "http": 80, "https": 443}
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.hostname and parts.scheme in ports:
            return Target(parts.scheme, parts.hostname, parts.port or ports[parts.scheme])
    raise ValueError(needed)


class Relay:
    """What a link is while it runs; never refers to the `FaultyLink` that stands for it."""

    def __init__(self, target: Target, faults: Faults) -> None:
        self.target = target
        self.network = Network(faults)
        self.network.add_host("server")
        self.halves: dict[Half, None] = {}
        self.loop: asyncio.AbstractEventLoop | None = None
        self.listener: asyncio.Server | None = None
        self._exit: Listener | None = None

    @property
    def is_open(self) -> bool:
        return self.listener is not None and bool(self.listener.sockets)

    @property
    def port(self) -> int:
        """The port where the link begins.

        Raises:
            RuntimeError: it is not open.
        """
        if self.listener is None or not self.is_open:
            raise RuntimeError("the link is not open: write `async with FaultyLink(server) as link:`")
        port: int = self.listener.sockets[0].getsockname()[1]
        return port

    async def listen(self) -> None:
        """Open both ends: the one for clients, and in memory the one that goes on to the server."""
        if self.listener is not None:
            return
        self.loop = asyncio.get_running_loop()
        self._exit = await self.network.create_server(lambda: Half(self, self._reach_server), "server", 0)
        self.listener = await self.loop.create_server(lambda: Half(self, self._cross), "127.0.0.1", 0)

    def run(self, callback: Callable[..., None], *arguments: object) -> None:
        """Call in the link's loop: at once if it runs here or not yet, else in its next turn."""
        if self.loop is None or self.loop is asyncio._get_running_loop():
            callback(*arguments)
            return
        with suppress(RuntimeError):  # The loop is closed, and all connections with it.
            self.loop.call_soon_threadsafe(callback, *arguments)

    def close(self) -> None:
        """Take no more connections, and cut all that there are."""
        if self.listener is None or self._exit is None:
            return
        self.listener.close()
        self._exit.close()
        self.network.shut_down()
        for half in list(self.halves):
            half.transport.abort()

    async def stop(self) -> None:
        self.close()
        if self.listener is not None:
            await self.listener.wait_closed()

    def abandon(self) -> None:
        """Close, from wherever the last reference went."""
        self.run(self.close)

    async def _cross(self, factory: ProtocolFactory) -> None:
        assert self._exit is not None
        with self.network.host("client"):
            await self.network.create_connection(factory, *self._exit.address)

    async def _reach_server(self, factory: ProtocolFactory) -> None:
        assert self.loop is not None
        await self.loop.create_connection(factory, self.target.host, self.target.port)


Reach = Callable[[ProtocolFactory], Coroutine[Any, Any, None]]


class Half(asyncio.Protocol):
    """One of two transports that are joined: what it receives, the other one sends.

    Args:
        reach: how the half that is first here connects the other one; None for that one.
    """

    def __init__(self, relay: Relay, reach: Reach | None = None, other: Half | None = None) -> None:
        self.transport: asyncio.Transport
        self._relay = relay
        self._reach = reach
        self._other = other
        self._reaching: asyncio.Task[None] | None = None
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._relay.halves[self] = None
        if self._other is not None:
            self._other._join(self)
            return
        self.transport.pause_reading()
        self._reaching = asyncio.get_running_loop().create_task(self._reach_out())

    async def _reach_out(self) -> None:
        assert self._reach is not None
        try:
            await self._reach(lambda: Half(self._relay, other=self))
        except OSError:
            self._reset()

    def _join(self, other: Half) -> None:
        self._other = other
        self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        assert self._other is not None
        if not self._other.transport.is_closing():
            self._other.transport.write(data)

    def pause_writing(self) -> None:
        assert self._other is not None
        self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        assert self._other is not None
        self._other.transport.resume_reading()

    def eof_received(self) -> bool:
        """Pass FIN on; the way back stays open until it ends too."""
        assert self._other is not None
        self._ended = True
        with suppress(OSError):  # a reset of that end was first: who reads will find it
            self._other.transport.write_eof()
        if self._other._ended:
            self._other.transport.close()
            self.transport.close()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self._relay.halves.pop(self, None)
        if self._reaching is not None:
            self._reaching.cancel()
        if error is not None and self._other is not None:
            self._other._reset()

    def _reset(self) -> None:
        real: socket.socket | None = self.transport.get_extra_info("socket")
        if real is not None and not self.transport.is_closing():
            real.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
        self.transport.abort()
