"""Heads taken apart line by line: each rule of RFC 6455, section 4 with the bits that break it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wslearn import Field, HandshakeDissection, dissect_handshake
from wslearn.handshake import accept_key, plain_response, upgrade_response

NONCE = "dGhlIHNhbXBsZSBub25jZQ=="
REQUEST = (
    b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n"
    b"Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
RESPONSE = upgrade_response(NONCE, "chat").encode()


def on_the_wire(head: HandshakeDissection, field: Field) -> bytes:
    return head.wire[field.start // 8 : (field.start + field.length) // 8]


def test_request_of_the_rfc_has_its_fields_in_wire_order() -> None:
    head = dissect_handshake(REQUEST + b"\x81\x00")
    assert [(field.name, field.value) for field in head.fields] == [
        ("method", "GET"),
        ("target", "/chat"),
        ("version", "HTTP/1.1"),
        ("Host", "server.example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", NONCE),
        ("Origin", "http://example.com"),
        ("Sec-WebSocket-Protocol", "chat, superchat"),
        ("Sec-WebSocket-Version", "13"),
    ]
    assert (head.kind, head.violations, head.rest, head.complete) == ("request", (), b"\x81\x00", True)
    assert head.wire == REQUEST
    assert on_the_wire(head, head.fields[1]) == b"/chat"
    assert on_the_wire(head, head.fields[6]) == b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="


def test_response_has_its_status_and_its_headers() -> None:
    head = dissect_handshake(RESPONSE, NONCE)
    assert [field.name for field in head.fields[:4]] == ["version", "status", "reason", "Upgrade"]
    assert head.value("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert (head.kind, head.violations, head.complete) == ("response", (), True)


@pytest.mark.parametrize(
    ("old", "new", "message", "place"),
    [
        (b"GET", b"POST", "method is 'POST': GET is needed", b"POST"),
        (b"HTTP/1.1", b"HTTP/1.0", "version is 'HTTP/1.0': HTTP/1.1 is needed", b"HTTP/1.0"),
        (b"Host: server.example.com\r\n", b"", "no Host header: exactly one is needed", b"\r\n"),
        (b"Upgrade: websocket\r\n", b"", "no Upgrade header: websocket is needed", b"\r\n"),
        (b"websocket\r", b"h2c\r", "Upgrade is 'h2c': websocket is needed", b"Upgrade: h2c"),
        (b": Upgrade", b": close", "Connection is 'close': Upgrade is needed", b"Connection: close"),
        (b": dGhl", b": !!", "Sec-WebSocket-Key is '!!IHNhbXBsZSBub25jZQ==': base64 is needed", None),
        (b": dGhl", b": ", "Sec-WebSocket-Key is 13 bytes: 16 are needed", None),
        (b": 13", b": 8", "Sec-WebSocket-Version is '8': 13 is needed", b"Sec-WebSocket-Version: 8"),
        (b", superchat", b", chat", "subprotocols are ['chat', 'chat']: tokens, each once, are needed", None),
        (
            b"chat, ",
            b"chat,, ",
            "subprotocols are ['chat', '', 'superchat']: tokens, each once, are needed",
            None,
        ),
        (b"Origin:", b"Origin", "no header line: 'Origin http://example.com'", b"Origin http://example.com"),
        (b"Origin", b"Host: b\r\nOrigin", "2 Host headers: exactly one is needed", b"Host: b"),
        (b"/chat ", b"chat ", "no request line: 'GET chat HTTP/1.1'", b"GET chat HTTP/1.1"),
    ],
)
def test_broken_request_names_the_rule_and_the_line(
    old: bytes, new: bytes, message: str, place: bytes | None
) -> None:
    head = dissect_handshake(REQUEST.replace(old, new, 1))
    [violation] = head.violations
    assert (violation.message, violation.section) == (message, "4.1")
    if place is not None:
        assert head.wire[violation.start // 8 :][: violation.length // 8] == place


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"Upgrade: websocket\r\n", b"", "no Upgrade header: websocket is needed"),
        (b": Upgrade", b": keep-alive", "Connection is 'keep-alive': Upgrade is needed"),
        (b": s3pP", b": S3pP", f"'{accept_key(NONCE)}' answers the key"),
        (b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", b"", "no Sec-WebSocket-Accept header"),
        (b": chat", b": chat\r\nSec-WebSocket-Protocol: b", "a second subprotocol: at most one is chosen"),
        (b"HTTP/1.1 101", b"HTTP/1.1 abc", "no HTTP/1.1 status line"),
    ],
)
def test_broken_response_names_the_rule(old: bytes, new: bytes, message: str) -> None:
    [violation] = dissect_handshake(RESPONSE.replace(old, new, 1), NONCE).violations
    assert message in violation.message
    assert violation.section == "4.2.2"


def test_accept_is_judged_by_its_form_where_the_key_is_unknown() -> None:
    other = RESPONSE.replace(b": s3pP", b": S3pP")
    assert dissect_handshake(other).violations == ()
    [violation] = dissect_handshake(RESPONSE.replace(b": s3pP", b": ")).violations
    assert violation.message == "Sec-WebSocket-Accept is 17 bytes: 20 are needed"


def test_refusal_breaks_no_rule() -> None:
    head = dissect_handshake(plain_response(404, "no such path").encode())
    assert (head.violations, head.rest) == ((), b"no such path")
    assert head.fields[1].meaning == "not found: the connection stays HTTP"


@pytest.mark.parametrize("data", [REQUEST, RESPONSE], ids=["request", "response"])
def test_half_a_head_is_taken_apart_as_far_as_it_goes_and_breaks_no_rule(data: bytes) -> None:
    for size in range(1, len(data)):
        head = dissect_handshake(data[:size])
        assert (head.wire, head.rest, head.complete) == (data[:size], b"", False)
        assert head.missing == "the blank line that ends the head"
        assert [violation.message for violation in head.violations] == []
    assert dissect_handshake(data).complete


def test_head_without_an_end_is_read_to_64_kib() -> None:
    head = dissect_handshake(bytes(2**24))
    assert (len(head.wire), len(head.rest), head.complete) == (2**16, 2**24 - 2**16, False)
    assert len(repr(head)) < 3000


def test_a_header_that_is_called_like_a_part_of_the_first_line_is_a_header() -> None:
    data = REQUEST.replace(b"Origin:", b"method:").replace(b"Host:", b"Version: 7\r\nHost:")
    assert dissect_handshake(data).violations == ()


@given(
    st.one_of(st.binary(max_size=60), st.binary(max_size=30).map(lambda tail: b"HTTP/1.1 101 a\r\n" + tail))
)
def test_no_bytes_can_make_it_fail(data: bytes) -> None:
    head = dissect_handshake(data)
    assert head.wire + head.rest == data
    assert repr(head)
    assert "<table>" in head._repr_html_()
    for place in (*head.fields, *head.violations):
        assert 0 <= place.start < place.start + place.length <= 8 * len(head.wire)


def test_it_prints_as_a_table_and_html_escapes_what_came() -> None:
    head = dissect_handshake(b"GET /<b> HTTP/1.1\r\nHost: a\r\n")
    assert (
        repr(head)
        == """\
request: 28 bytes, incomplete
field    bytes        value       meaning                                                       RFC 6455
method   bytes 0–2    'GET'       a handshake is a GET                                          4.1
target   bytes 4–7    '/<b>'      which of the server's resources is meant                      4.1
version  bytes 9–16   'HTTP/1.1'  the version of HTTP                                           4.1
Host     bytes 19–25  'a'         whom the request is for, as one address may serve many names  4.1
missing: the blank line that ends the head"""
    )
    assert "/&lt;b&gt;" in head._repr_html_()
    assert repr(dissect_handshake(b"")) == "no handshake: 0 bytes"


def test_place_of_a_broken_rule_is_told_by_line_and_bytes() -> None:
    head = dissect_handshake(b"GET / HTTP/1.0\r\nHost: a\r\nno header\r\n\r\n")
    assert [head.told(each).partition("), ")[2] for each in head.violations[:3]] == [
        "line 1, bytes 6–13",
        "line 3, bytes 25–33",
        "before the blank line",
    ]
