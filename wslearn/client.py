"""The client: `connect`, its half of the handshake, and coming back after a cut.

What a session does with its connection is the session's; here is how one is opened and left.
"""

from __future__ import annotations

import asyncio
import errno
import ssl as tls
from base64 import b64encode
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar, cast
from urllib.parse import quote, unquote, urlsplit

from websockets.datastructures import Headers

from wslearn.errors import HandshakeError
from wslearn.frames import CloseCode
from wslearn.handshake import (
    END,
    MAX_HEAD,
    Request,
    Response,
    check_protocol,
    check_response,
    read_body,
    read_response,
    upgrade_request,
)
from wslearn.options import ClientOptions
from wslearn.session import Call, RawSession, Session, chance, failure
from wslearn.trace import Trace

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds before a client comes back: doubled each time, and a random half of it taken away."""

S = TypeVar("S", bound=RawSession)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a URL points: host and port, the authority as it stands in Host, path and query."""

    scheme: str
    host: str
    port: int
    authority: str
    target: str
    user: str | None = None


SAFE = "%/?:@!$&'()*+,;=-._~[]"
"""What stands in a path or a query as it is, escapes included."""
DEFAULT_PORTS = {"ws": 80, "wss": 443, "http": 80}


class Connecting(Generic[S]):
    """A connection about to open: await it, enter it, or iterate to come back after each end."""

    kind: type[S]

    def __init__(
        self,
        url: str,
        *,
        protocols: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        ssl: tls.SSLContext | None = None,
        proxy: str | None = None,
        trace: Trace | None = None,
        **options: Any,
    ) -> None:
        self.url = url
        self._place = read_url("url", url, "ws", "wss")
        if self._place.user is not None:
            raise ValueError("url has a user name: give an Authorization header in headers instead")
        if ssl is not None and self._place.scheme == "ws":
            raise ValueError(f"url is {url!r} and ssl is given: wss://host:port/path is needed")
        self._proxy = None if proxy is None else read_url("proxy", proxy, "http")
        self._protocols = _check_protocols(protocols)
        self._headers = dict(headers or {})
        self._options = ClientOptions(**options)
        self._request("key")
        self._ssl = ssl or (tls.create_default_context() if self._place.scheme == "wss" else None)
        self._trace = trace
        self._session: S | None = None

    def __await__(self) -> Generator[Any, None, S]:
        return self._open().__await__()

    async def __aenter__(self) -> S:
        self._session = await self._open()
        self._session.incoming.owner = asyncio.current_task()
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await _leave(self._session, error)

    async def __aiter__(self) -> AsyncIterator[S]:
        attempt = 0
        while True:
            try:
                session = await self._open()
            except (OSError, HandshakeError) as error:
                if not _may_pass(error):
                    raise
                await self._pause(attempt)
                attempt += 1
                continue
            attempt = 0
            session.incoming.owner = asyncio.current_task()
            try:
                yield session
            finally:
                await _leave(session, None)
            reason = await session.close_reason
            # 7.2.3: "The first reconnect attempt SHOULD be delayed by a random amount of time."
            if reason.code != CloseCode.NORMAL_CLOSURE:
                await self._pause(0)
                attempt = 1

    async def _pause(self, attempt: int) -> None:
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempt, 10))
        part = chance(asyncio.get_running_loop())(1)[0] / 256
        await asyncio.sleep(longest * (0.5 + part / 2))

    async def _open(self) -> S:
        """Open TCP, shake hands, and return the session.

        Raises:
            OSError: TCP was refused.
            TimeoutError: `open_timeout` has passed.
            HandshakeError: the server's answer is no valid 101.
        """
        seconds = self._options.open_timeout
        opening = self._opening()
        try:
            async with asyncio.timeout(seconds) as limit:
                await self._connect(opening)
                return await opening.session
        except BaseException as error:
            opening.cut()
            if isinstance(error, TimeoutError) and limit.expired():
                text = f"no handshake with {self.url} within open_timeout={seconds:g} s"
                raise TimeoutError(text) from None
            raise

    def _opening(self) -> Opening[S]:
        loop = asyncio.get_running_loop()
        key = b64encode(chance(loop)(16)).decode()
        trace = self._trace if self._trace is not None else Trace()
        trace.begin(loop.time())
        return Opening(self.kind, self._request(key), key, self._protocols, trace, self._options)

    def _request(self, key: str) -> Request:
        place = self._place
        offer = self.kind._negotiable(self._options).offer()
        return upgrade_request(place.authority, place.target, key, self._protocols, self._headers, offer)

    async def _connect(self, opening: Opening[S]) -> None:
        """Open TCP for a handshake, through the proxy if there is one."""
        loop, host = asyncio.get_running_loop(), self._place.host
        name = host if self._ssl else None
        if self._proxy is None:
            await _dial(lambda: opening, self._place, ssl=self._ssl, server_hostname=name)
            return
        tunnel = Tunnel(self._place, self._proxy)
        try:
            transport = await _dial(lambda: tunnel, self._proxy)
            await tunnel.opened
        except BaseException:
            tunnel.cut()
            raise
        transport.set_protocol(opening)
        if self._ssl is not None:
            secure = await loop.start_tls(transport, opening, self._ssl, server_hostname=host)
            transport = cast(asyncio.Transport, secure)
        opening.connection_made(transport)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"


class connect(Connecting[Session]):  # noqa: N801 - a verb, as in all of asyncio
    """Connect to a ws or wss URL.

    `session = await connect(url)`; `async with connect(url) as session:` closes with 1000, or with
    1011 if the block raises; `async for session in connect(url):` comes back after each end: at once
    after 1000, else after a random pause, and with growing ones after refused TCP, time-outs and 5xx.

    Args:
        protocols: subprotocols to offer, the preferred one first.
        headers: more headers for the request.
        ssl: for wss; by default certificates are checked as everywhere.
        proxy: an http URL, asked to CONNECT; the environment is not.
        trace: where to record; by default the session has its own.
        options: as for `install`, with `ping_period=None` and `masking=True` by default.

    Raises:
        ValueError: the URL is no ws or wss URL.
    """

    kind = Session


class connect_raw(Connecting[RawSession]):  # noqa: N801
    """Connect as `connect` does, to a session that shows every frame and does nothing by itself."""

    kind = RawSession


class Opening(asyncio.Protocol, Generic[S]):
    """The client's half of one handshake: asks, reads the answer, and hands the connection over."""

    def __init__(
        self,
        kind: type[S],
        request: Request,
        key: str,
        protocols: Sequence[str],
        trace: Trace,
        options: ClientOptions,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.session: asyncio.Future[S] = self._loop.create_future()
        self._kind = kind
        self._request = request
        self._key = key
        self._protocols = protocols
        self._trace = trace
        self._options = options
        self._number = trace.number()
        self._chunks: list[tuple[float, bytes]] = []
        self._received = bytearray()
        self._refusal: Response | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        wire = self._request.encode()
        self._trace.record_head(self._number, "client", [(self._loop.time(), wire)], len(wire))
        self._transport.write(wire)

    def data_received(self, data: bytes) -> None:
        if self.session.done():
            return
        self._received += data
        if self._refusal is not None:
            self._read_body(ended=False)
            return
        self._chunks.append((self._loop.time(), data))
        end = self._received.find(END)
        size = len(self._received) if end < 0 else end + len(END)
        if size > MAX_HEAD:
            self._fail(HandshakeError(0, {}, b"", f"answer's head over {MAX_HEAD} bytes"))
        elif end >= 0:
            self._read(size)

    def _read(self, size: int) -> None:
        try:
            response = read_response(bytes(self._received[:size]))
        except ValueError as error:
            self._fail(HandshakeError(0, {}, bytes(self._received), str(error)))
            return
        self._trace.record_head(self._number, "server", self._chunks, size)
        self._chunks = []
        del self._received[:size]
        if response.status == 101:
            self._accept(response)
        else:
            self._refusal = response
            self._read_body(ended=False)

    def _accept(self, response: Response) -> None:
        try:
            protocol = check_response(response, self._key, self._protocols)
            extensions = self._kind._negotiable(self._options).agree(response)
        except Exception as error:  # an extension may have its own
            self._fail(error)
            return
        transport, request = self._transport, self._request
        assert transport is not None
        remote = transport.get_extra_info("peername")
        call = Call(request.path, {}, request.query, request.headers, remote and remote[:2])
        session = self._kind(
            transport, self._options, self._trace, self._number, "client", call, protocol, extensions
        )
        session._begin(bytes(self._received))
        self.session.set_result(session)

    def _read_body(self, ended: bool) -> None:
        """Fail with the server's refusal when its body is here."""
        assert self._refusal is not None
        body = read_body(self._refusal, bytes(self._received), ended)
        if body is not None:
            self._fail(HandshakeError(self._refusal.status, self._refusal.headers, body))

    def _fail(self, error: Exception) -> None:
        if self._chunks:
            self._trace.record_head(self._number, "server", self._chunks, None)
            self._chunks = []
        if not self.session.done():
            self.session.set_exception(error)
        if self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """Give up, whether the handshake is done or not."""
        _give_up(self.session, self._transport)

    def eof_received(self) -> None:
        self._stream_ended()

    def connection_lost(self, error: Exception | None) -> None:
        self._stream_ended()
        self._trace.end(self._number)

    def _stream_ended(self) -> None:
        if self.session.done():
            return
        if self._refusal is not None:
            self._read_body(ended=True)
            return
        self._fail(ConnectionResetError(errno.ECONNRESET, "the server hung up before it answered"))


class Tunnel(asyncio.Protocol):
    """A proxy that is asked to pass on everything (RFC 9110, section 9.3.6)."""

    def __init__(self, place: Place, proxy: Place) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._proxy = proxy
        self._received = bytearray()
        authority = f"{place.authority.removesuffix(f':{place.port}')}:{place.port}"
        fields = Headers(Host=authority)
        if proxy.user is not None:
            user = b64encode(unquote(proxy.user).encode()).decode()
            fields["Proxy-Authorization"] = f"Basic {user}"
        self._request = Request("CONNECT", authority, "HTTP/1.1", fields)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request.encode())

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self.opened.done():
            return
        if END in self._received:
            self._read(bytes(self._received))
        elif len(self._received) > MAX_HEAD:
            self._fail(0, Headers(), f"answer's head over {MAX_HEAD} bytes")

    def _read(self, head: bytes) -> None:
        try:
            response = read_response(head[: head.index(END) + len(END)])
        except ValueError as error:
            self._fail(0, Headers(), str(error))
            return
        if 200 <= response.status < 300:
            self.opened.set_result(None)
        else:
            self._fail(response.status, response.headers, f"answered {response.status}, not 200")

    def _fail(self, status: int, headers: Headers, message: str) -> None:
        text = f"proxy {self._proxy.authority}: {message}"
        self.opened.set_exception(HandshakeError(status, headers, b"", text))

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            text = f"proxy {self._proxy.authority} hung up before it answered"
            self.opened.set_exception(ConnectionResetError(errno.ECONNRESET, text))

    def cut(self) -> None:
        """Give up, whether the proxy has answered or not."""
        _give_up(self.opened, self._transport)


def _give_up(answer: asyncio.Future[Any], transport: asyncio.Transport | None) -> None:
    answer.cancel()  # nobody waits for it any more, and asyncio logs no failure of it
    if transport is not None and not transport.is_closing():
        transport.abort()


async def _leave(session: RawSession, error: BaseException | None) -> None:
    """Close the session as its block ended, and wait until its connection is gone."""
    if error is not None and not session._is_own(error):
        session._say(failure(error))
    session._end_of_handler()
    await session._until_gone()


def _may_pass(error: Exception) -> bool:
    """Tell whether a failure to connect may be another one later."""
    if isinstance(error, HandshakeError):
        return error.status >= 500
    return not isinstance(error, tls.SSLCertVerificationError)


async def _dial(factory: Any, place: Place, **options: Any) -> asyncio.Transport:
    """Open TCP, or TLS.

    Raises:
        OSError: it was refused.
    """
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.create_connection(factory, place.host, place.port, **options)
    except OSError as error:
        # one OSError stands for the several addresses of a host
        refused = isinstance(error, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in str(error)
        if not refused:
            raise
        text = f"nothing listens at {place.host} port {place.port}: is the server stopped?"
        raise ConnectionRefusedError(errno.ECONNREFUSED, text) from None
    return transport


def read_url(name: str, url: str, *schemes: str) -> Place:
    """Return the parts of a URL (RFC 6455, section 3).

    Args:
        name: what the URL is, for the error.

    Raises:
        TypeError, ValueError: it is no URL with one of the schemes.
    """
    needed = " or ".join(f"{scheme}://host:port/path" for scheme in schemes) + " is needed"
    if not isinstance(url, str):
        raise TypeError(f"{name} is {url!r}: {needed}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host = host if host.isascii() else host.encode("idna").decode()
    except ValueError as error:
        raise ValueError(f"{name} is {url!r}: {error}") from None
    if parts.scheme not in schemes or not host or port == 0:
        raise ValueError(f"{name} is {url!r}: {needed}")
    if parts.fragment:
        # "Fragment identifiers are meaningless in the context of WebSocket URIs" (3)
        raise ValueError(f"{name} is {url!r}: a fragment has no meaning here")
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port is None else f"{shown}:{port}"
    target = quote(parts.path or "/", safe=SAFE) + (
        f"?{quote(parts.query, safe=SAFE)}" if parts.query else ""
    )
    user = parts.netloc.rpartition("@")[0] if parts.username is not None else None
    return Place(parts.scheme, host, port or DEFAULT_PORTS[parts.scheme], authority, target, user)


def _check_protocols(protocols: Sequence[str]) -> list[str]:
    if isinstance(protocols, str):
        raise TypeError(f"protocols is {protocols!r}: a list such as [{protocols!r}] is needed")
    for protocol in protocols:
        check_protocol(protocol)
    if len(set(protocols)) != len(protocols):
        raise ValueError(f"protocols is {list(protocols)}: each may stand once")
    return list(protocols)
