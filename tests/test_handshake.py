"""The two heads of the opening handshake, as bytes and as values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers

from wslearn import HandshakeError
from wslearn.handshake import (
    Refused,
    Request,
    Response,
    accept_key,
    asks_upgrade,
    check_request,
    check_response,
    check_upgrade,
    plain_response,
    read_body,
    read_request,
    read_response,
    upgrade_request,
    upgrade_response,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
GOOD = {
    "Host": "server.example.com",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def request(**changes: str | None) -> Request:
    headers = Headers({**GOOD, **{name.replace("_", "-"): value for name, value in changes.items()}})
    for name, value in changes.items():
        if value is None:
            del headers[name.replace("_", "-")]
    return Request("GET", "/chat", "HTTP/1.1", headers)


def refusal(call, *arguments) -> Refused:
    with pytest.raises(Refused) as told:
        call(*arguments)
    return told.value


def status_of(head: bytes) -> int:
    try:
        found = read_request(head)
        check_request(found)
        assert isinstance((found.path, found.query), tuple)
        assert len(check_upgrade(found)) >= 24
    except Refused as refused:
        return refused.status
    return 101


def test_accept_key_is_the_one_of_the_rfc():
    assert accept_key(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_request_of_the_rfc_is_read_and_written_back():
    head = (
        b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\n\r\n"
    )
    found = read_request(head)
    assert found == request()
    assert found.encode() == head


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", {}),
        ("/a%20b?x=1&x=2&y=", "/a b", {"x": ["1", "2"], "y": [""]}),
        ("//evil.example/x", "//evil.example/x", {}),
        ("//[::1", "//[::1", {}),
        ("http://server.example.com/chat?x=1", "/chat", {"x": ["1"]}),
        ("HTTPS://server.example.com", "/", {}),
        ("/to/http://evil.example/x", "/to/http://evil.example/x", {}),
        ("http://server.example.com/to/http://evil.example/x", "/to/http://evil.example/x", {}),
    ],
)
def test_target_is_a_path_or_a_whole_url(target, path, query):
    found = read_request(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert (found.path, found.query) == (path, query)


@pytest.mark.parametrize(
    ("head", "status", "message"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", 505, "HTTP/1.0: HTTP/1.1 is needed"),
        (b"GET / HTTP/2.0\r\n\r\n", 505, "HTTP/2.0: HTTP/1.1 is needed"),
        (b"PRI * HTTP/2.0\r\n\r\n", 505, "HTTP/2: HTTP/1.1 is needed"),
        (b"GET / FTP/1.1\r\n\r\n", 400, "FTP/1.1: HTTP/1.1 is needed"),
        (b"GET /\r\n\r\n", 400, "no request line: 'GET /'"),
        (b"GET chat HTTP/1.1\r\n\r\n", 400, "no request line: 'GET chat HTTP/1.1'"),
        (b"G@T / HTTP/1.1\r\n\r\n", 400, "no request line: 'G@T / HTTP/1.1'"),
        (b"\x16\x03\x01\r\n\r\n", 400, "no request line: '\\x16\\x03\\x01'"),
        (b"GET http:///chat HTTP/1.1\r\n\r\n", 400, "no request line: 'GET http:///chat HTTP/1.1'"),
        (b"GET / HTTP/1.1\nCookie:secret\r\n\r\n", 400, "line feed alone: CR LF ends a line"),
        (b"GET / HTTP/1.1\nCookie: secret\r\n\r\n", 400, "line feed alone: CR LF ends a line"),
        (b"GET / HTTP/1.1\rCookie:secret\r\n\r\n", 400, "HTTP/1.1: HTTP/1.1 is needed"),
        (b"GET / HTTP/1.1\rCookie: secret\r\n\r\n", 400, "no request line: 'GET / HTTP/1.1'"),
        (b"GET http://ann:secret@host / HTTP/1.1\r\n\r\n", 400, "no request line: 'GET http'"),
        (b"GET /?key=sec ret HTTP/1.1\r\n\r\n", 400, "no request line: 'GET /'"),
        (b"GET / HTTP/1.1?key=secret\r\n\r\n", 400, "HTTP/1.1: HTTP/1.1 is needed"),
        (b"GET / HTTP/1.1\r\nHost\r\n\r\n", 400, "no header in line 2: name and colon are needed"),
        (
            b"GET / HTTP/1.1\r\nA: b\r\nCookie : secret\r\n\r\n",
            400,
            "no header in line 3: name and colon are needed",
        ),
        (
            b"GET / HTTP/1.1\r\nCookie: a\r\n secret: b\r\n\r\n",
            400,
            "no header in line 3: name and colon are needed",
        ),
        (
            b"GET / HTTP/1.1\r\nCookie: secret\n\r\n\r\n",
            400,
            "no header in line 2: value of Cookie cannot stand there",
        ),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 129 + b"\r\n", 431, "129 headers, at most 128"),
    ],
)
def test_bad_head_is_refused_with_what_was_wrong(head, status, message):
    refused = refusal(read_request, head)
    assert (refused.status, refused.message) == (status, message)


def test_header_on_several_lines_has_all_their_values():
    headers = read_request(b"GET / HTTP/1.1\r\nOrigin: a\r\norigin: b\r\nHost: c\r\n\r\n").headers
    assert (headers["Origin"], headers.get("ORIGIN"), headers["host"]) == ("a, b", "a, b", "c")
    assert headers.get("Cookie") is None


def test_head_of_128_headers_is_read():
    assert len(read_request(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 128 + b"\r\n").headers) == 1


@given(st.binary())
def test_any_head_is_read_or_refused(head):
    assert status_of(head + b"\r\n\r\n") in (101, 400, 426, 431, 505)


HEADER_NAMES = st.sampled_from([*GOOD, "Origin", "Content-Length", "Transfer-Encoding"])
VALUES = st.sampled_from([*GOOD.values(), "0", "", "\xff", "chunked"]) | st.text(
    st.characters(min_codepoint=32, max_codepoint=255), max_size=30
)


@given(target=VALUES, headers=st.lists(st.tuples(HEADER_NAMES, VALUES), max_size=10))
def test_headers_in_any_number_are_accepted_or_refused(target, headers):
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    assert status_of(f"GET /{target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")) in (101, 400, 426)


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": "WebSocket"},
        {"Upgrade": "h2c, websocket"},
        {"Connection": "keep-alive, UPGRADE"},
        {"Content_Length": "0"},
    ],
)
def test_upgrade_and_connection_are_lists_in_any_case(changes):
    found = request(**changes)
    check_request(found)
    assert check_upgrade(found) == KEY


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"Host": None}, 400, "0 Host headers: exactly one is needed"),
        ({"Host": ""}, 400, "Host is empty: the server's name is needed"),
        ({"Content_Length": "5"}, 400, "the request has a body: none is allowed"),
        ({"Transfer_Encoding": "chunked"}, 400, "the request has a body: none is allowed"),
    ],
)
def test_request_without_host_or_with_a_body_is_refused(changes, status, message):
    refused = refusal(check_request, request(**changes))
    assert (refused.status, refused.message) == (status, message)


def test_request_with_two_hosts_is_refused():
    found = request()
    found.headers["Host"] = "other"
    assert refusal(check_request, found).message == "2 Host headers: exactly one is needed"


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        (
            {"Upgrade": None, "Connection": None},
            426,
            "this is a WebSocket: ask with Upgrade: websocket",
        ),
        ({"Upgrade": None}, 400, "Upgrade is []: websocket is needed"),
        ({"Upgrade": "h2c"}, 400, "Upgrade is ['h2c']: websocket is needed"),
        ({"Connection": "close"}, 400, "Connection is ['close']: upgrade is needed"),
        ({"Sec_WebSocket_Version": None}, 426, "Sec-WebSocket-Version is []: 13 is needed"),
        ({"Sec_WebSocket_Version": "8"}, 426, "Sec-WebSocket-Version is ['8']: 13 is needed"),
        ({"Sec_WebSocket_Key": None}, 400, "0 Sec-WebSocket-Key headers: exactly one is needed"),
        ({"Sec_WebSocket_Key": "?"}, 400, "Sec-WebSocket-Key is '?': base64 is needed"),
        ({"Sec_WebSocket_Key": "\xff"}, 400, "Sec-WebSocket-Key is 'ÿ': base64 is needed"),
        ({"Sec_WebSocket_Key": "dGVzdA=="}, 400, "Sec-WebSocket-Key is 4 bytes: 16 are needed"),
    ],
)
def test_bad_upgrade_is_refused_with_what_was_wrong(changes, status, message):
    refused = refusal(check_upgrade, request(**changes))
    assert (refused.status, refused.message) == (status, message)
    if status == 426:
        assert refused.headers == {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"}


def test_request_asks_for_an_upgrade_by_either_header():
    assert asks_upgrade(request(Connection=None))
    assert asks_upgrade(request(Upgrade=None))
    assert not asks_upgrade(request(Upgrade=None, Connection="keep-alive"))


def test_answers_say_what_they_are():
    assert upgrade_response(KEY, "chat").encode() == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
    )
    assert plain_response(404, "nowhere").encode() == (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: 7\r\nConnection: close\r\n\r\nnowhere"
    )
    assert plain_response(426, "", {"Upgrade": "websocket"}).headers["Connection"] == "close, Upgrade"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("A b", "c"),
        ("", "c"),
        ("A", "b\r\nC: d"),
        ("A", "☃"),
        ("Host", "other"),
        ("upgrade", "h2c"),
        ("Sec-WebSocket-Protocol", "chat"),
        ("sec-websocket-extensions", "permessage-deflate"),
        (5, "c"),
    ],
)
def test_header_that_cannot_stand_in_a_request_is_a_value_error(name, value):
    with pytest.raises(ValueError, match=r"cannot stand in a request|the handshake has its own"):
        upgrade_request("server", "/", KEY, [], {name: value})


def response(**changes: str | None) -> Response:
    answer = upgrade_response(KEY)
    for name, value in changes.items():
        name = name.replace("_", "-")
        if name in answer.headers:
            del answer.headers[name]
        if value is not None:
            answer.headers[name] = value
    return answer


def test_good_answer_gives_the_chosen_subprotocol():
    assert check_response(response(), KEY, []) is None
    assert check_response(response(Sec_WebSocket_Protocol="b"), KEY, ["a", "b"]) == "b"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Upgrade": None}, "Upgrade is [] in the answer: websocket is needed"),
        (
            {"Upgrade": "websocket, h2c"},
            "Upgrade is ['websocket, h2c'] in the answer: websocket is needed",
        ),
        ({"Connection": "close"}, "Connection is ['close'] in the answer: upgrade is needed"),
        (
            {"Sec_WebSocket_Accept": "x"},
            "Sec-WebSocket-Accept is ['x']: 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' answers our key",
        ),
        ({"Sec_WebSocket_Protocol": "c"}, "subprotocol ['c']: ['a'] were offered"),
    ],
)
def test_bad_answer_fails_the_connection(changes, message):
    with pytest.raises(HandshakeError) as told:
        check_response(response(**changes), KEY, ["a"])
    assert str(told.value) == message
    assert told.value.status == 101


@pytest.mark.parametrize("head", [b"", b"HTTP/2 200\r\n\r\n", b"HTTP/1.1 2000\r\n\r\n", b"SSH-2.0\r\n\r\n"])
def test_answer_that_is_no_http_is_a_value_error(head):
    with pytest.raises(ValueError, match=r"no HTTP/1\.1 status line"):
        read_response(head)


BODIES = {
    "of a length": ("Content-Length: 3", b"abc", b"abcd"),
    "in chunks": ("Transfer-Encoding: chunked", b"abc", b"1\r\na\r\n2;x=y\r\nbc\r\n0\r\n\r\n"),
}


def test_a_length_beyond_all_numbers_is_none():
    head = read_response(f"HTTP/1.1 500 Oh\r\nContent-Length: {'9' * 5000}\r\n\r\n".encode())
    assert read_body(head, b"abc", ended=False) is None
    assert read_body(head, b"abc", ended=True) == b"abc"


@pytest.mark.parametrize(("header", "body", "data"), BODIES.values(), ids=BODIES)
def test_body_is_read_when_it_is_complete_or_the_stream_has_ended(header, body, data):
    head = read_response(f"HTTP/1.1 500 Oh\r\n{header}\r\n\r\n".encode())
    assert read_body(head, data, ended=False) == body
    assert read_body(head, data[:2], ended=False) is None
    assert read_body(head, data[:5], ended=True) in (body, b"a")
    assert read_body(head, data, ended=False, limit=2) == body[:2]


def test_body_without_a_length_ends_with_the_stream():
    head = read_response(b"HTTP/1.1 500 Oh\r\n\r\n")
    assert read_body(head, b"abc", ended=False) is None
    assert read_body(head, b"abc", ended=True) == b"abc"
    assert read_body(head, b"abcdef", ended=False, limit=5) == b"abcde"


@pytest.mark.parametrize("status", [100, 204, 304])
def test_answer_of_a_status_without_a_body_is_whole_at_its_blank_line(status):
    head = read_response(f"HTTP/1.1 {status} x\r\nContent-Length: 5\r\n\r\n".encode())
    assert read_body(head, b"", ended=False) == b""
