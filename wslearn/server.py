"""The application and its server: routes, the server's half of the handshake, and the end of all sessions.

What a session does with its connection is the session's; here is who gets one.
"""

from __future__ import annotations

import asyncio
import errno
import inspect
import logging
import re
import ssl as tls
import weakref
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar, cast

from wslearn.handshake import (
    BARE_LF,
    END,
    MAX_HEAD,
    Refused,
    Request,
    Response,
    asks_upgrade,
    check_protocol,
    check_request,
    check_upgrade,
    plain_response,
    read_request,
    tokens,
    upgrade_head,
)
from wslearn.options import WebSockets
from wslearn.session import Alarm, Call, Handler, RawSession, Session, end_writing, is_cancelled, run_in
from wslearn.trace import Trace

log = logging.getLogger(__name__)

H = TypeVar("H", bound=Callable[..., Awaitable[object]])

BARE = re.compile(rb"(?<!\r)\n")
# turns of the loop in which a handler may end after the cut: behind a shielded `wait_for` it takes 5
TURNS_TO_END = 10


@dataclass(slots=True)
class Route:
    """What answers on a path: a kind of session, or None for plain HTTP, and its handler."""

    path: str
    handler: Handler
    kind: type[RawSession] | None
    protocol: str | None = None
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        parameters = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.path))
        try:
            self.pattern = re.compile(parameters)
        except re.error as error:
            raise ValueError(f"path is {self.path!r}: {error}") from None

    def match(self, path: str) -> dict[str, str] | None:
        """Return the path's parameters, or None if it is another path."""
        found = self.pattern.fullmatch(path)
        return None if found is None else found.groupdict()

    def replaces(self, other: Route) -> bool:
        """Tell whether this is the same declaration once more, as by a notebook cell run twice."""
        return self._declared == other._declared

    @property
    def _declared(self) -> tuple[object, ...]:
        name = getattr(self.handler, "__qualname__", repr(self.handler))
        return self.path, self.kind, self.protocol, self.handler.__module__, name


Match = tuple[Route, dict[str, str]]
"""A route and the parameters of a path."""


class Application:
    """Routes and the options of their sessions; `start` opens a server for them.

    Declaring the same function for the same path again replaces it, also on a running server.
    """

    def __init__(self) -> None:
        self.options: WebSockets | None = None
        self.routes: list[Route] = []
        self._running: weakref.WeakSet[Listening] = weakref.WeakSet()

    def install(self, plugin: type[WebSockets], **options: Any) -> WebSockets:
        """Install the WebSockets plugin and return its options, which stay live.

        Raises:
            TypeError: an option is unknown, or its value of a wrong type.
            ValueError: an option's value is out of range.
        """
        if not (isinstance(plugin, type) and issubclass(plugin, WebSockets)):
            raise TypeError(f"plugin is {plugin!r}: write app.install(WebSockets, ping_period=15)")
        self.options = plugin(**options)
        return self.options

    def websocket(self, path: str, protocol: str | None = None) -> Callable[[H], H]:
        """Declare a route whose handler gets a `Session`.

        Args:
            path: with parameters as `{name}`, found in `session.call.parameters`.
            protocol: take only requests that offer this subprotocol.

        Raises:
            RuntimeError: WebSockets is not installed.
            ValueError: `protocol` is no token.
        """
        return self._declare(path, Session, protocol)

    def websocket_raw(self, path: str, protocol: str | None = None) -> Callable[[H], H]:
        """Declare a route whose handler gets a `RawSession`, which shows every frame."""
        return self._declare(path, RawSession, protocol)

    def get(self, path: str) -> Callable[[H], H]:
        """Declare a route whose handler gets the call and returns the body as `str` or `bytes`."""
        return self._declare(path, None, None)

    def start(self, host: str = "127.0.0.1", port: int = 0, ssl: tls.SSLContext | None = None) -> Starting:
        """Start a server on the running loop: `server = await app.start()`, or `async with`.

        A server that this application already has there is stopped first.

        Args:
            port: 0 for a free one.

        Raises:
            OSError: the port is in use.
        """
        if not isinstance(host, str):
            raise TypeError(f"host is {host!r}: a name or an address is needed, as a str")
        if isinstance(port, bool) or not isinstance(port, int):
            raise TypeError(f"port is {port!r}: a whole number from 0 to 65535 is needed")
        if not 0 <= port <= 65535:
            raise ValueError(f"port is {port}: 0 to 65535 are allowed, 0 for a free one")
        return Starting(self, host, port, ssl)

    def _declare(self, path: str, kind: type[RawSession] | None, protocol: str | None) -> Callable[[H], H]:
        if kind is not None and self.options is None:
            raise RuntimeError(
                f"the route {path!r} is declared before WebSockets is installed:"
                " write app.install(WebSockets) above it"
            )
        if not isinstance(path, str) or not path.startswith("/"):
            raise ValueError(f"path is {path!r}: it begins with /")
        if protocol is not None:
            check_protocol(protocol)

        def declare(handler: H) -> H:
            if not _is_async(handler):
                raise TypeError(f"handler of {path!r} is {handler!r}: write it as async def")
            self._add(Route(path, handler, kind, protocol))
            return handler

        return declare

    def _add(self, route: Route) -> None:
        for n, other in enumerate(self.routes):
            if route.replaces(other):
                self.routes[n] = route
                return
        self.routes.append(route)

    def __repr__(self) -> str:
        paths = ", ".join(f"{'GET' if r.kind is None else 'WebSocket'} {r.path}" for r in self.routes)
        return f"<Application: {paths or 'no routes'}>"


def _is_async(handler: object) -> bool:
    return inspect.iscoroutinefunction(handler)


class Starting:
    """A server about to start: await it, or use it as an asynchronous context."""

    def __init__(self, app: Application, host: str, port: int, ssl: tls.SSLContext | None) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._ssl = ssl
        self._server: Server | None = None

    def __await__(self) -> Generator[Any, None, Server]:
        return self._start().__await__()

    async def __aenter__(self) -> Server:
        self._server = await self._start()
        return self._server

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        await self._server.stop()

    async def _start(self) -> Server:
        listening = Listening(self._app, self._host, self._port)
        for other in list(self._app._running):
            taken = (other.address, (other.address[0], other.port))
            if other.loop is listening.loop and listening.address in taken:
                await other.stop()
        await listening.listen(self._ssl)
        self._app._running.add(listening)
        return Server(listening)


class Server:
    """A running server; it closes itself when nobody holds it any more."""

    # what is misspelt is an error
    __slots__ = ("__weakref__", "_listening")

    def __init__(self, listening: Listening) -> None:
        self._listening = listening
        weakref.finalize(self, listening.abandon).atexit = False

    @property
    def port(self) -> int:
        return self._listening.port

    @property
    def options(self) -> WebSockets:
        return self._listening.options

    @property
    def trace(self) -> Trace:
        """The trace of all its sessions."""
        return self._listening.trace

    @property
    def sessions(self) -> list[RawSession]:
        """The sessions that are open, the oldest first."""
        return list(self._listening.sessions.values())

    def url(self, path: str = "/") -> str:
        """Return the ws or wss URL of a path."""
        if not path.startswith("/"):
            raise ValueError(f"path is {path!r}: it begins with /")
        return f"{self._listening.origin}{path}"

    async def stop(self) -> None:
        """Say 1001 to all sessions; return when they are over, at most `close_timeout` + 1 s later."""
        await self._listening.stop()

    async def serve_forever(self) -> None:
        """Wait until the server is stopped."""
        await self._listening.stopped.wait()

    def __repr__(self) -> str:
        state = "stopped" if self._listening.stopped.is_set() else f"{len(self.sessions)} sessions"
        return f"<Server {self.url()}: {state}>"


class Listening:
    """What a server is while it runs; never refers to the `Server` that stands for it."""

    def __init__(self, app: Application, host: str, port: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.address = (host, port)
        self.port = port
        self.origin = ""
        self.routes = app.routes
        self.options = app.options or WebSockets()
        self.trace = Trace()
        self.sessions: dict[int, RawSession] = {}
        self.openings: dict[Opening, None] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.stopped = asyncio.Event()
        self.stopping: asyncio.Task[None] | None = None
        self.listener: asyncio.Server | None = None

    async def listen(self, ssl: tls.SSLContext | None) -> None:
        """Open the port.

        Raises:
            OSError: it is in use.
        """
        host, port = self.address
        self.trace.begin(self.loop.time())
        limit = self.options.open_timeout if ssl else None
        try:
            self.listener = await self.loop.create_server(
                lambda: Opening(self), host, port, ssl=ssl, ssl_handshake_timeout=limit, start_serving=False
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                text = f"port {port} of {host} is in use: stop its server, or take port=0 for a free one"
                raise OSError(errno.EADDRINUSE, text) from None
            raise
        self.port = self.listener.sockets[0].getsockname()[1]
        shown = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        shown = f"[{shown}]" if ":" in shown else shown
        self.origin = f"{'wss' if ssl else 'ws'}://{shown}:{self.port}"
        self.options.follow(self)
        try:
            await self.listener.start_serving()
        except BaseException:
            # who is cancelled here holds no server that could be stopped
            self.close()
            raise

    def option_changed(self, name: str, before: object) -> None:
        """Let all open sessions follow, in the loop's own turn."""
        run_in(self.loop, self._follow, name, before)

    def _follow(self, name: str, before: object) -> None:
        detail = f"{name}: {before} → {getattr(self.options, name)}"
        self.trace.event(self.loop.time(), None, "option changed", detail)
        for session in list(self.sessions.values()):
            session._follow(name)

    def open(self, session: RawSession, handler: Handler, rest: bytes) -> None:
        """Run a session from its first frame to its end."""
        self.sessions[session.number] = session
        session._on_lost = self.forget
        task = self.loop.create_task(session._serve(handler))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        session._begin(rest)

    def forget(self, session: RawSession) -> None:
        self.sessions.pop(session.number, None)

    def close(self) -> None:
        """Take no more connections, and say 1001 to all sessions."""
        self.options.unfollow(self)
        if self.listener is not None:
            self.listener.close()
        for opening in list(self.openings):
            if opening._task is None or opening._task is not asyncio.current_task():
                opening.cut()
        for session in list(self.sessions.values()):
            session._going_away()
        self.stopped.set()

    async def stop(self) -> None:
        """Close, and wait for sessions and handlers."""
        self.close()
        tasks = {task for task in self.tasks if task is not asyncio.current_task()}
        gone = [self.loop.create_task(session._until_gone()) for session in self.sessions.values()]
        waiting = tasks | set(gone)
        if waiting:
            await asyncio.wait(waiting, timeout=self.options.close_timeout)
        for session in list(self.sessions.values()):
            session._cut()
        for _ in range(TURNS_TO_END if waiting else 0):
            # a handler that waited for `close_reason`, itself or in tasks of its own, has it now
            await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        if waiting:
            await asyncio.wait(waiting, timeout=1)

    def abandon(self) -> None:
        """Stop, from wherever the last reference went."""
        try:
            self.loop.call_soon_threadsafe(self._stop_alone)
        except RuntimeError:
            log.debug("the loop of %s is closed, and its server with it", self.origin)

    def _stop_alone(self) -> None:
        if not self.stopped.is_set():
            if self.listener is not None:
                self.listener.close()  # a loop that ends now cancels the task before its first step
            self.stopping = self.loop.create_task(self.stop())


class Opening(asyncio.Protocol):
    """The server's half of one handshake: reads a head, answers, and hands the connection over."""

    def __init__(self, listening: Listening) -> None:
        self._listening = listening
        self._loop = listening.loop
        self._began = self._loop.time()  # TLS takes its part of `open_timeout`
        self._number = listening.trace.number()
        self._chunks: list[tuple[float, bytes]] = []
        self._head = bytearray()
        self._answered = False
        self._ended = False  # the peer's FIN was read
        self._alarm = Alarm(self._loop)
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._listening.stopped.is_set():
            # accepted before the end, and TLS took its time
            self._transport.abort()
            return
        self._listening.openings[self] = None
        self._seconds = self._listening.options.open_timeout
        self._alarm.set(self._began + self._seconds, self._too_slow)

    def _too_slow(self) -> None:
        self._refuse(Refused(408, f"no request within open_timeout={self._seconds:g} s"))

    def data_received(self, data: bytes) -> None:
        if self._answered:
            return
        self._chunks.append((self._loop.time(), data))
        searched = max(0, len(self._head) - len(END) + 1)
        self._head += data
        end = self._head.find(END, searched)
        size = len(self._head) if end < 0 else end + len(END)
        if size > MAX_HEAD:
            long_line = self._head.find(b"\r\n", 0, MAX_HEAD) < 0
            what = "request line" if long_line else "request head"
            self._refuse(Refused(414 if long_line else 431, f"{what} over {MAX_HEAD} bytes"))
        elif end >= 0:
            self._read(size)
        elif BARE.search(self._head, searched):
            self._refuse(Refused(400, BARE_LF))

    def _read(self, size: int) -> None:
        """Answer the request whose head has `size` bytes."""
        try:
            request = read_request(bytes(self._head[:size]))
        except Refused as refused:
            self._refuse(refused)
            return
        self._listening.trace.record_head(self._number, "client", self._chunks, size)
        self._chunks = []
        try:
            check_request(request)
            self._route(request, bytes(self._head[size:]))
        except Refused as refused:
            self._refuse(refused)

    def _route(self, request: Request, rest: bytes) -> None:
        """Find who answers.

        Raises:
            Refused: nobody does.
        """
        path = request.path
        sockets: list[Match] = []
        plain: list[Match] = []
        for route in self._listening.routes:
            if (parameters := route.match(path)) is not None:
                (plain if route.kind is None else sockets).append((route, parameters))
        if not (sockets or plain):
            raise Refused(404, f"no route {request.escaped_path}")
        if request.method != "GET":
            raise Refused(405, f"method {request.method}: GET is needed", Allow="GET")
        if plain and not (sockets and asks_upgrade(request)):
            route, parameters = plain[0]
            self._alarm.cancel()
            self._answered = True
            self._task = self._loop.create_task(self._get(route, self._call(request, parameters)))
            return
        self._upgrade(request, sockets, rest)

    def _upgrade(self, request: Request, sockets: list[Match], rest: bytes) -> None:
        key = check_upgrade(request)
        self._check_origin(request)
        route, parameters = self._choose(request, sockets)
        limit = self._listening.options.max_sessions
        if limit is not None and len(self._listening.sessions) >= limit:
            raise Refused(503, f"full: max_sessions is {limit}")
        self._open(route, parameters, request, key, rest)

    def _open(
        self, route: Route, parameters: dict[str, str], request: Request, key: str, rest: bytes
    ) -> None:
        """Answer 101 and let the session begin."""
        options, kind = self._listening.options, route.kind
        assert kind is not None
        try:
            extensions = kind._negotiable(options).accept(request.headers)
        except Refused:
            raise
        except Exception as error:
            log.exception("an extension failed in the handshake of %s", request.path)
            raise Refused(500, type(error).__name__) from None
        head = upgrade_head(key, route.protocol, extensions.header)
        self._write(head, len(head))
        self._listening.openings.pop(self, None)
        session = kind(
            self._transport,
            options,
            self._listening.trace,
            self._number,
            "server",
            self._call(request, parameters),
            route.protocol,
            extensions,
            self._alarm,
        )
        self._listening.open(session, route.handler, rest)

    def _check_origin(self, request: Request) -> None:
        allowed = self._listening.options.origins
        if allowed is None:
            return
        origin = request.headers.get("Origin")
        if origin is not None and origin not in allowed:
            raise Refused(403, f"Origin is {origin}: {', '.join(allowed) or 'none'} allowed")

    @staticmethod
    def _choose(request: Request, sockets: list[Match]) -> Match:
        for route, parameters in sockets:
            if route.protocol is None or route.protocol in tokens(request.headers, "Sec-WebSocket-Protocol"):
                return route, parameters
        offered = tokens(request.headers, "Sec-WebSocket-Protocol")
        needed = ", ".join(str(route.protocol) for route, _ in sockets)
        raise Refused(400, f"Sec-WebSocket-Protocol is {offered}: {needed} is needed")

    def _call(self, request: Request, parameters: dict[str, str]) -> Call:
        remote = self._transport.get_extra_info("peername")
        return Call(request.path, parameters, request.query, request.headers, remote and remote[:2])

    async def _get(self, route: Route, call: Call) -> None:
        try:
            body = await route.handler(call)
            if not isinstance(body, str | bytes):
                raise TypeError(f"handler of {route.path!r} returned {body!r}: str or bytes are needed")
            response = plain_response(200, body)
        except (Exception, asyncio.CancelledError) as error:
            if is_cancelled(error):
                raise
            log.exception("the handler of %s failed", call.shown_path)
            response = plain_response(500, type(error).__name__)
        self._finish(response)

    def _refuse(self, refused: Refused) -> None:
        self._answered = True
        self._give_up_head()
        log.debug("connection %d: %d: %s", self._number, refused.status, refused.message)
        self._finish(plain_response(refused.status, refused.message + "\n", refused.headers))

    def _finish(self, response: Response) -> None:
        """Answer and end the connection so that no reset swallows the answer."""
        if self._transport.is_closing():
            return
        wire = response.encode()
        self._write(wire, len(wire) - len(response.body))
        self._alarm.set(self._loop.time() + self._listening.options.close_timeout, self.cut)
        if self._transport.can_write_eof() and not self._ended:
            end_writing(self._transport)
        else:
            self._transport.close()

    def _write(self, wire: bytes, size: int) -> None:
        """Write an answer whose head has `size` bytes."""
        self._listening.trace.record_head(self._number, "server", [(self._loop.time(), wire)], size)
        self._transport.write(wire)

    def _give_up_head(self) -> None:
        """Keep the length of a head that is none."""
        self._listening.trace.record_head(self._number, "client", self._chunks, None)
        self._chunks = []

    def cut(self) -> None:
        """End the connection now."""
        if not self._transport.is_closing():
            self._transport.abort()

    def eof_received(self) -> bool:
        if self._head and not self._answered:
            self._refuse(Refused(400, "the request ends before its blank line"))
        is_working = self._task is not None and not self._task.done()
        self._ended = True
        return is_working and self._transport.can_write_eof()

    def connection_lost(self, error: Exception | None) -> None:
        self._listening.openings.pop(self, None)
        self._alarm.cancel()
        if self._chunks or self._answered:
            self._give_up_head()
            self._listening.trace.end(self._number)
        if self._task is not None:
            self._task.cancel()
