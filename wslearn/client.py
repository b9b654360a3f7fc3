"""The client: `connect`, its half of the handshake, and coming back after a cut.

What a session does with its connection is the session's; here is how one is opened and left.
"""

from __future__ import annotations

import asyncio
import errno
import ssl as tls
from base64 import b64encode
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from types import TracebackType
from typing import Any, Generic, TypeVar, cast
from urllib.parse import parse_qs, unquote, urlsplit

from wslearn.errors import HandshakeError
from wslearn.handshake import (
    END,
    MAX_HEAD,
    TOKEN,
    Request,
    Response,
    check_response,
    read_response,
    upgrade_request,
)
from wslearn.options import ClientOptions
from wslearn.session import Call, RawSession, Session, chance, failure
from wslearn.trace import Trace

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds before a client comes back: doubled each time, and a random half of it taken away."""

MAX_BODY = 64 * 1024

S = TypeVar("S", bound=RawSession)


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
        trace: Trace | None = None,
        **options: Any,
    ) -> None:
        parts = _split(url)
        self.url = url
        self._secure = parts.scheme == "wss"
        self._host = cast(str, parts.hostname)
        self._port = parts.port or (443 if self._secure else 80)
        self._netloc = parts.netloc
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._protocols = _check_protocols(protocols)
        self._headers = dict(headers or {})
        self._ssl = ssl or (tls.create_default_context() if self._secure else None)
        self._trace = trace
        self._options = ClientOptions(**options)
        self._session: S | None = None

    def __await__(self) -> Generator[Any, None, S]:
        return self._open().__await__()

    async def __aenter__(self) -> S:
        self._session = await self._open()
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
            except (OSError, TimeoutError) as error:
                attempt = await self._pause(attempt, error)
                continue
            except HandshakeError as error:
                if error.status < 500:
                    raise
                attempt = await self._pause(attempt, error)
                continue
            attempt = 0
            try:
                yield session
            finally:
                await _leave(session, None)

    async def _pause(self, attempt: int, error: Exception) -> int:
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt)
        part = chance(asyncio.get_running_loop())(1)[0] / 256
        await asyncio.sleep(longest * (0.5 + part / 2))
        return attempt + 1

    async def _open(self) -> S:
        """Open TCP, shake hands, and return the session.

        Raises:
            OSError: TCP was refused.
            TimeoutError: `open_timeout` has passed.
            HandshakeError: the server's answer is no valid 101.
        """
        seconds = self._options.open_timeout
        opening: Opening[S] | None = None
        try:
            async with asyncio.timeout(seconds):
                opening = await self._connect()
                return await opening.session
        except TimeoutError:
            if opening is None or not opening.session.done():
                raise TimeoutError(
                    f"no handshake with {self.url} within open_timeout={seconds:g} s"
                ) from None
            raise
        finally:
            if opening is not None and (opening.session.cancelled() or not opening.session.done()):
                opening.cut()

    async def _connect(self) -> Opening[S]:
        loop = asyncio.get_running_loop()
        key = b64encode(chance(loop)(16)).decode()
        request = upgrade_request(self._netloc, self._target, key, self._protocols, self._headers)
        trace = self._trace if self._trace is not None else Trace()
        trace.begin(loop.time())
        opening = Opening(self.kind, request, key, self._protocols, trace, self._options)
        name = self._host if self._ssl else None
        try:
            await loop.create_connection(
                lambda: opening, self._host, self._port, ssl=self._ssl, server_hostname=name
            )
        except ConnectionRefusedError:
            text = f"nothing listens at {self._host} port {self._port}: is the server stopped?"
            raise ConnectionRefusedError(errno.ECONNREFUSED, text) from None
        return opening

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"


class connect(Connecting[Session]):  # noqa: N801 - a verb, as in all of asyncio
    """Connect to a ws or wss URL.

    `session = await connect(url)`; `async with connect(url) as session:` closes with 1000, or with
    1011 if the block raises; `async for session in connect(url):` comes back after each end, with
    growing pauses after refused TCP, time-outs and 5xx.

    Args:
        protocols: subprotocols to offer, the preferred one first.
        headers: more headers for the request.
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
        if end >= 0:
            self._read(end + len(END))
        elif len(self._received) > MAX_HEAD:
            self._fail(HandshakeError(0, {}, b"", f"answer's head over {MAX_HEAD} bytes"))

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
        except HandshakeError as error:
            self._fail(error)
            return
        parts = urlsplit(self._request.target)
        remote = self._transport.get_extra_info("peername")
        query = parse_qs(parts.query, keep_blank_values=True)
        call = Call(unquote(parts.path), {}, query, self._request.headers, remote and remote[:2])
        session = self._kind(
            self._transport, self._options, self._trace, self._number, "client", call, protocol
        )
        session._begin(bytes(self._received))
        self.session.set_result(session)

    def _read_body(self, ended: bool) -> None:
        """Fail with the server's refusal when its body is here."""
        assert self._refusal is not None
        length = self._refusal.headers.get("Content-Length", "")
        expected = min(int(length), MAX_BODY) if length.isdecimal() else MAX_BODY
        if ended or len(self._received) >= expected:
            body = bytes(self._received[:expected])
            self._fail(HandshakeError(self._refusal.status, self._refusal.headers, body))

    def _fail(self, error: Exception) -> None:
        if self._chunks:
            self._trace.record_head(self._number, "server", self._chunks, None)
            self._chunks = []
        if not self.session.done():
            self.session.set_exception(error)
        self._transport.close()

    def cut(self) -> None:
        """End the connection now."""
        self._transport.abort()

    def eof_received(self) -> None:
        self._stream_ended()

    def connection_lost(self, error: Exception | None) -> None:
        self._stream_ended()

    def _stream_ended(self) -> None:
        if self.session.done():
            return
        if self._refusal is not None:
            self._read_body(ended=True)
            return
        self._fail(ConnectionResetError(errno.ECONNRESET, "the server hung up before it answered"))


async def _leave(session: RawSession, error: BaseException | None) -> None:
    """Close the session as its block ended, and wait until its connection is gone."""
    if error is not None:
        session._say(failure(error))
    session._end_of_handler()
    await session._until_gone()


def _split(url: str) -> Any:
    """Return the parts of a ws or wss URL (RFC 6455, section 3)."""
    needed = "ws://host:port/path or wss://host:port/path is needed"
    if not isinstance(url, str):
        raise TypeError(f"url is {url!r}: {needed}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"url is {url!r}: {error}") from None
    if parts.scheme not in ("ws", "wss") or not parts.hostname or port == 0:
        raise ValueError(f"url is {url!r}: {needed}")
    if parts.fragment:
        # "Fragment identifiers are meaningless in the context of WebSocket URIs" (3)
        raise ValueError(f"url is {url!r}: a fragment has no meaning here")
    if parts.username is not None:
        raise ValueError("url has a user name: give an Authorization header in headers instead")
    return parts


def _check_protocols(protocols: Sequence[str]) -> list[str]:
    if isinstance(protocols, str):
        raise TypeError(f"protocols is {protocols!r}: a list such as [{protocols!r}] is needed")
    for protocol in protocols:
        if not TOKEN.fullmatch(protocol):
            raise ValueError(f"subprotocol {protocol!r}: one word without spaces or commas is needed")
    if len(set(protocols)) != len(protocols):
        raise ValueError(f"protocols is {list(protocols)}: each may stand once")
    return list(protocols)
