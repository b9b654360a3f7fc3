"""The opening handshake of RFC 6455, section 4: two HTTP heads as values, and the rules they obey.

Pure functions of bytes: who reads and writes them brings the sockets, the key and the deadline.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, unquote

from websockets.datastructures import Headers

from wslearn.errors import HandshakeError

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MAX_HEAD = 64 * 1024
MAX_HEADERS = 128
OFFERS = ("sec-websocket-protocol", "sec-websocket-extensions")
END = b"\r\n\r\n"

UPGRADE = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
)
TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
NAME = re.compile(rf"({TOKEN.pattern}):")
HEADER = re.compile(rf"{NAME.pattern}[ \t]*({VALUE.pattern})")
ABSOLUTE = re.compile(r"https?://[^/?#]+", re.IGNORECASE)
CONTROL = re.compile(r"[\x00-\x20\x7f]")
HOST = re.compile(r"(\[[-\w.~%!$&'()*+,;=:]+\]|[-\w.~%!$&'()*+,;=]+)(:[0-9]*)?", re.ASCII)
LENGTH = re.compile(r"[0-9]{1,18}")
VERSION = re.compile(r"HTTP/[0-9](\.[0-9])?")
UNSAID = re.compile(r"[?\r]|://[^/]*@")
BARE_LF = "line feed alone: CR LF ends a line"


class Fields(Headers):
    """The headers of a head that was read; the value of a name on several lines is all of them.

    Source: RFC 9110, section 5.3.
    """

    def __init__(self) -> None:
        # empty, without looking for what to begin with
        self.clear()

    def __getitem__(self, name: str) -> str:
        # "combine the field lines ... by appending each subsequent field line value to the initial
        # field line value in order, separated by a comma"
        if values := self.get_all(name):
            return ", ".join(values)
        raise KeyError(name)


class Refused(Exception):
    """The server's answer to a request that it does not upgrade.

    Args:
        status: the HTTP status.
        message: what was wrong; becomes the body.
        headers: headers that this status needs.
    """

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass(slots=True)
class Request:
    """A request head; its target stands as on the wire, a path or a whole URL."""

    method: str
    target: str
    version: str
    headers: Headers = field(default_factory=Headers)

    @property
    def path(self) -> str:
        """The path of the target, without escapes."""
        return unquote(self.escaped_path) or "/"

    @property
    def escaped_path(self) -> str:
        """The path as on the wire."""
        path = self.target.partition("?")[0]
        return path if path.startswith("/") else ABSOLUTE.sub("", path, 1)

    @property
    def query(self) -> dict[str, list[str]]:
        """The query parameters, each with all its values."""
        query = self.target.partition("?")[2]
        return parse_qs(query, keep_blank_values=True) if query else {}

    def encode(self) -> bytes:
        return _head(f"{self.method} {self.target} {self.version}", self.headers)


@dataclass(slots=True)
class Response:
    """A response head and what follows it."""

    status: int
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    def encode(self) -> bytes:
        return _head(f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}", self.headers) + self.body


def _head(first: str, headers: Headers) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in headers.raw_items())]
    return "\r\n".join(lines).encode("latin-1") + END


def accept_key(key: str) -> str:
    """Return the Sec-WebSocket-Accept that answers a Sec-WebSocket-Key.

    Source: RFC 6455, section 4.2.2, step 5.4.
    """
    # "concatenating the value ... with the string "258EAFA5-...", taking the SHA-1 hash of this
    # concatenated value to obtain a 20-byte value and base64-encoding ... this 20-byte hash"
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def read_request(head: bytes) -> Request:
    """Read a request head that ends with its blank line.

    Raises:
        Refused: 400, 431 or 505 (RFC 9112, sections 2 to 5).
    """
    first, *lines = _lines(head)
    if "\n" in first:
        raise Refused(400, BARE_LF)
    match first.split(" "):
        case [method, target, version] if TOKEN.fullmatch(method) and is_target(target):
            if version != "HTTP/1.1":
                status = 505 if VERSION.fullmatch(version) else 400
                raise Refused(status, f"{_without_secrets(version)}: HTTP/1.1 is needed")
        case ["PRI", "*", _]:
            raise Refused(505, "HTTP/2: HTTP/1.1 is needed")
        case _:
            raise Refused(400, f"no request line: {_without_secrets(first)!r}")
    if len(lines) > MAX_HEADERS:
        raise Refused(431, f"{len(lines)} headers, at most {MAX_HEADERS}")
    try:
        return Request(method, target, version, _read_headers(lines))
    except ValueError as error:
        raise Refused(400, str(error)) from None


def _without_secrets(text: str) -> str:
    """Return what may be said of a request line: a body is recorded, and a URL may hold secrets."""
    return UNSAID.split(text, 1)[0][:80]


def read_response(head: bytes) -> Response:
    """Read a response head that ends with its blank line.

    Raises:
        ValueError: it is none of HTTP/1.1.
    """
    first, *lines = _lines(head)
    match = re.fullmatch(r"HTTP/1\.[01] (\d{3})( .*)?", first)
    if match is None:
        raise ValueError(f"no HTTP/1.1 status line: {first[:80]!r}")
    return Response(int(match[1]), _read_headers(lines))


def _lines(head: bytes) -> list[str]:
    return head.removesuffix(END).decode("latin-1").split("\r\n")


def is_target(target: str) -> bool:
    """Tell whether a request may be for this: a path, or a whole URL."""
    # "Request-URI ... MUST match the /resource name/" or be an absolute http/https URI (4.1)
    is_one = target.startswith("/") or ABSOLUTE.match(target) is not None
    return is_one and CONTROL.search(target) is None


def _read_headers(lines: Sequence[str]) -> Headers:
    headers = Fields()
    for number, line in enumerate(lines, 2):
        found = HEADER.fullmatch(line)
        if found is None:
            # its text may hold a secret, and a body is recorded
            named = NAME.match(line)
            what = f"value of {named[1]} cannot stand there" if named else "name and colon are needed"
            raise ValueError(f"no header in line {number}: {what}")
        name, value = found.groups()
        headers.set_insecure(name, value.rstrip(" \t"))  # it was checked here
    return headers


def tokens(headers: Headers, name: str) -> list[str]:
    """Return the comma-separated values of a header, over all its lines."""
    lines = headers.get_all(name)
    if len(lines) == 1 and "," not in lines[0]:
        # as nearly always
        token = lines[0].strip()
        return [token] if token else []
    return [token.strip() for line in lines for token in line.split(",") if token.strip()]


def check_request(request: Request) -> None:
    """Hold a request to the RFC's rules before it is routed.

    Raises:
        Refused: 400 without exactly one good Host, or for a GET with a body (RFC 6455, section 4.2.1).
    """
    hosts = request.headers.get_all("Host")
    if len(hosts) != 1:
        raise Refused(400, f"{len(hosts)} Host headers: exactly one is needed")
    if not hosts[0]:
        # "A |Host| header field containing the server's authority."
        raise Refused(400, "Host is empty: the server's name is needed")
    if HOST.fullmatch(hosts[0]) is None:
        # "to any request message that contains ... a Host header field with an invalid field value" (RFC
        # 9112, 3.2)
        raise Refused(400, f"Host is {hosts[0][:80]!r}: a name, maybe with a port, is needed")
    if request.method != "GET":
        return
    lengths = request.headers.get_all("Content-Length")
    if not set(lengths) <= {"0"} or "Transfer-Encoding" in request.headers:
        raise Refused(400, "the request has a body: none is allowed")


def asks_upgrade(request: Request) -> bool:
    """Tell whether the request asks for another protocol at all."""
    return "Upgrade" in request.headers or "upgrade" in [
        token.lower() for token in tokens(request.headers, "Connection")
    ]


def check_upgrade(request: Request) -> str:
    """Return the key of a request for a WebSocket.

    Raises:
        Refused: 400 or 426, with the header that is wrong (RFC 6455, section 4.2.1).
    """
    for name, token in (("Upgrade", "websocket"), ("Connection", "upgrade")):
        # "containing a value "websocket" ... treated as an ASCII case-insensitive value"
        if token not in [found.lower() for found in tokens(request.headers, name)]:
            if not asks_upgrade(request):
                raise _upgrade_required("this is a WebSocket: ask with Upgrade: websocket")
            raise Refused(400, f"{name} is {request.headers.get_all(name)}: {token} is needed")
    versions = request.headers.get_all("Sec-WebSocket-Version")
    if versions != ["13"]:
        raise _upgrade_required(f"Sec-WebSocket-Version is {versions}: 13 is needed")
    return _read_key(request.headers.get_all("Sec-WebSocket-Key"))


def _upgrade_required(message: str) -> Refused:
    # "MUST send an Upgrade header field in a 426 response" (RFC 9110, 15.5.22)
    return Refused(426, message, Upgrade="websocket", Sec_WebSocket_Version="13")


def _read_key(keys: list[str]) -> str:
    if len(keys) != 1:
        raise Refused(400, f"{len(keys)} Sec-WebSocket-Key headers: exactly one is needed")
    try:
        size = len(base64.b64decode(keys[0], validate=True))
    except ValueError:
        raise Refused(400, f"Sec-WebSocket-Key is {keys[0]!r}: base64 is needed") from None
    if size != 16:
        # "a base64-encoded value that, when decoded, is 16 bytes in length"
        raise Refused(400, f"Sec-WebSocket-Key is {size} bytes: 16 are needed")
    return keys[0]


def upgrade_head(key: str, protocol: str | None = None, extensions: str = "") -> bytes:
    """Return the answer that opens the session (RFC 6455, section 4.2.2), as it travels.

    Args:
        extensions: those in use, as they stand in the header.
    """
    head = UPGRADE + accept_key(key)
    if protocol is not None:
        head += f"\r\nSec-WebSocket-Protocol: {protocol}"
    if extensions:
        head += f"\r\nSec-WebSocket-Extensions: {extensions}"
    return head.encode("latin-1") + END


def upgrade_response(key: str, protocol: str | None = None, extensions: str = "") -> Response:
    """Return the answer that opens the session, as a client reads it."""
    return read_response(upgrade_head(key, protocol, extensions))


def plain_response(status: int, body: str | bytes, headers: dict[str, str] | None = None) -> Response:
    """Return an answer that ends the connection."""
    data = body.encode() if isinstance(body, str) else body
    kind = "text/plain; charset=utf-8" if isinstance(body, str) else "application/octet-stream"
    fields = Headers(headers or {})
    fields["Content-Type"] = kind
    fields["Content-Length"] = str(len(data))
    # "A sender of Upgrade MUST also send an "Upgrade" connection option" (RFC 9110, 7.8)
    fields["Connection"] = "close, Upgrade" if "Upgrade" in fields else "close"
    return Response(status, fields, data)


def check_protocol(protocol: str) -> None:
    """Check a subprotocol that we mean to offer or to choose.

    Raises:
        ValueError: it is no token (RFC 6455, section 4.1).
    """
    if not _matches(TOKEN, protocol):
        raise ValueError(f"subprotocol {protocol!r}: one word without spaces or commas is needed")


def _matches(pattern: re.Pattern[str], text: object) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def upgrade_request(
    host: str,
    target: str,
    key: str,
    protocols: Sequence[str],
    headers: Mapping[str, str],
    extensions: str = "",
) -> Request:
    """Return the request that a client sends (RFC 6455, section 4.1).

    Args:
        extensions: those offered, as they stand in the header.

    Raises:
        ValueError: a header cannot stand in a request.
    """
    fields = Headers()
    fields["Host"] = host
    fields["Upgrade"] = "websocket"
    fields["Connection"] = "Upgrade"
    fields["Sec-WebSocket-Key"] = key
    fields["Sec-WebSocket-Version"] = "13"
    if protocols:
        fields["Sec-WebSocket-Protocol"] = ", ".join(protocols)
    if extensions:
        fields["Sec-WebSocket-Extensions"] = extensions
    for name, value in headers.items():
        if name in fields or str(name).lower() in OFFERS:
            raise ValueError(f"header {name!r}: the handshake has its own")
        if not _matches(TOKEN, name) or not _matches(VALUE, value):
            raise ValueError(f"header {name!r}: {value!r} cannot stand in a request")
        fields[name] = value
    return Request("GET", target, "HTTP/1.1", fields)


def check_response(response: Response, key: str, protocols: Sequence[str], body: bytes = b"") -> str | None:
    """Return the subprotocol that the server chose, or None; its extensions are not looked at.

    Raises:
        HandshakeError: the connection has to be failed (RFC 6455, section 4.1).
    """

    def refuse(message: str | None) -> HandshakeError:
        return HandshakeError(response.status, response.headers, body, message)

    if response.status != 101:
        raise refuse(None)
    for name, token in (("Upgrade", "websocket"), ("Connection", "upgrade")):
        found = [each.lower() for each in tokens(response.headers, name)]
        # Connection is to "contain a token", Upgrade to be "an ASCII case-insensitive match" (4.1)
        if token not in found or (name == "Upgrade" and len(found) != 1):
            raise refuse(f"{name} is {response.headers.get_all(name)} in the answer: {token} is needed")
    if response.headers.get_all("Sec-WebSocket-Accept") != [accept_key(key)]:
        accepts = response.headers.get_all("Sec-WebSocket-Accept")
        raise refuse(f"Sec-WebSocket-Accept is {accepts}: {accept_key(key)!r} answers our key")
    chosen = response.headers.get_all("Sec-WebSocket-Protocol")
    if len(chosen) > 1 or (chosen and chosen[0] not in protocols):
        raise refuse(f"subprotocol {chosen}: {list(protocols)} were offered")
    return chosen[0] if chosen else None


def read_body(response: Response, data: bytes, ended: bool, limit: int = MAX_HEAD) -> bytes | None:
    """Return the body behind a head, cut at a limit, or None while it is still arriving.

    Args:
        ended: whether the stream has ended behind `data`.
        limit: in bytes.
    """
    lengths = response.headers.get_all("Content-Length")
    if "chunked" in [coding.lower() for coding in tokens(response.headers, "Transfer-Encoding")]:
        body, whole = _read_chunks(data)
    elif response.status < 200 or response.status in (204, 304):
        # "terminated by the first empty line after the header fields" (RFC 9112, 6.3)
        body, whole = b"", True
    elif lengths and LENGTH.fullmatch(lengths[0]):
        body = data[: int(lengths[0])]
        whole = len(body) == int(lengths[0])
    else:
        body, whole = data, False
    return body[:limit] if whole or ended or len(data) > limit else None


def _read_chunks(data: bytes) -> tuple[bytes, bool]:
    """Return what has arrived of a chunked body, and whether that is all (RFC 9112, section 7.1)."""
    body = b""
    while match := re.match(rb"([0-9A-Fa-f]{1,8})[^\r\n]*\r\n", data):
        size = int(match[1], 16)
        if size == 0:
            return body, True
        body += data[match.end() : match.end() + size]
        data = data[match.end() + size + 2 :]
    return body, False
