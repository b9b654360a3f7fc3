"""The handshake as a view: heads side by side, the four steps, the cut, and what breaks a rule."""

import asyncio

import pytest

from wslearn import Application, HandshakeError, Trace, WebSockets, connect, simulate
from wslearn.handshake import plain_response, upgrade_request, upgrade_response
from wslearn.lab import Handshake
from wslearn.lab.handshake import steps

NONCE = "dGhlIHNhbXBsZSBub25jZQ=="
REQUEST = upgrade_request("server", "/chat", NONCE, ["chat"], {}).encode()
RESPONSE = upgrade_response(NONCE, "chat").encode()

PLAIN = """\
request, 179 bytes                                   response, 159 bytes
GET /chat HTTP/1.1                                   HTTP/1.1 101 Switching Protocols
Host: server                                         Upgrade: websocket
Upgrade: websocket                                   Connection: Upgrade
Connection: Upgrade                                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==          Sec-WebSocket-Protocol: chat
Sec-WebSocket-Version: 13                            ── after 159 bytes HTTP ends, and frames follow ──
Sec-WebSocket-Protocol: chat
── after 179 bytes HTTP ends, and frames follow ──

1 the key as it is sent     dGhlIHNhbXBsZSBub25jZQ==
2 the GUID behind it        dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11
3 SHA-1 of these, 20 bytes  b3 7a 4f 2c c0 62 4f 16 90 f6 46 06 cf 38 59 45 b2 be c4 ea
4 in base64, the answer     s3pPLMBiTxaQ9kYGzzhZRbK+xOo=  equals the header"""


def test_heads_stand_side_by_side_above_the_steps():
    assert Handshake(REQUEST, RESPONSE).plain() == PLAIN


def test_html_is_a_table_a_list_of_steps_and_the_meaning_of_each_line():
    html = Handshake(REQUEST, RESPONSE).html()
    assert html == Handshake(REQUEST, RESPONSE).html()
    assert html.count("<th ") == 2 + (5 + 9) + (5 + 7)
    assert "<li>the key as it is sent: <code>dGhlIHNhbXBsZSBub25jZQ==</code></li>" in html
    assert "<summary>What each line means</summary>" in html


def test_html_escapes_what_came():
    assert "<b>" not in Handshake(b"GET /<b> HTTP/1.1\r\nHost: <b>\r\n\r\n").html()


def test_answer_to_another_key_is_said_in_the_last_step():
    last = steps(NONCE, "abc")[-1]
    assert (last["value"], last["fits"]) == ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=  the header says 'abc'", False)
    assert steps(None, "abc") == []


def test_lines_and_steps_that_belong_together_have_one_name():
    request, response = Handshake(REQUEST, RESPONSE).sides
    assert [line["pair"] for line in request["lines"]] == [
        "",
        "",
        "upgrade",
        "connection",
        "key",
        "",
        "protocol",
    ]
    assert [line["pair"] for line in response["lines"]] == ["", "upgrade", "connection", "key", "protocol"]


def test_lines_stand_at_their_bits_and_say_what_they_mean():
    host = Handshake(REQUEST).sides[0]["lines"][1]
    assert REQUEST[host["start"] // 8 :][: host["length"] // 8] == b"Host: server"
    assert host["parts"][0]["meaning"].startswith("whom the request is for")


def test_broken_rules_stand_below_the_heads():
    view = Handshake(REQUEST.replace(b"Upgrade: websocket\r\n", b""), RESPONSE.replace(b": s3pP", b": S3pP"))
    assert [len(side["violations"]) for side in view.sides] == [1, 1]
    missing, wrong = view.plain().splitlines()[-2:]
    assert missing == (
        "violation: no Upgrade header: websocket is needed (RFC 6455, section 4.1), before the blank line"
    )
    assert wrong.endswith("answers the key (RFC 6455, section 4.2.2), line 4, bytes 75–124")


@pytest.mark.parametrize(
    ("request_head", "titles"),
    [
        (b"", ["no request yet", "no response yet"]),
        (b"GET / HT", ["request, 8 bytes, incomplete", "no response yet"]),
        (b"\x81\x05Hello", ["request, 7 bytes, incomplete", "no response yet"]),
    ],
)
def test_what_is_no_head_is_shown_as_far_as_it_goes(request_head, titles):
    assert [side["title"] for side in Handshake(request_head).sides] == titles


@pytest.mark.parametrize("bad", ["GET / HTTP/1.1", None, 5])
def test_what_is_no_bytes_is_refused_in_one_line(bad):
    with pytest.raises(TypeError, match="bytes are needed"):
        Handshake(bad)
    with pytest.raises(TypeError, match="bytes are needed"):
        Handshake(REQUEST, bad)


def test_refusal_leaves_http_where_it_was():
    view = Handshake(REQUEST, plain_response(404, "no such path").encode())
    assert [side["cut"] for side in view.sides] == [
        "after 179 bytes the head ends, and HTTP stays",
        "after 106 bytes the head ends, and HTTP stays",
    ]
    assert "from" not in view.plain()


async def scene(net):
    app = Application()
    app.install(WebSockets, ping_period=None)

    @app.websocket("/echo")
    async def echo(session):
        async for frame in session.incoming:
            await session.send(frame)

    async with app.start("server", 80) as server:
        view = Handshake(server.trace)
        grown = [view.sides[0]["title"]]
        for path in ("/echo", "/nowhere"):
            try:
                async with connect(f"ws://server{path}", headers={"Cookie": "a=secret"}) as session:
                    await session.send("Hello")
                    await session.incoming.receive()
            except HandshakeError:
                pass
            await asyncio.sleep(0.1)
            grown.append(view.plain())
        return grown, server.trace


def test_view_of_a_trace_follows_the_last_connection_and_shows_its_first_frames():
    (empty, echo, nowhere), trace = simulate(scene, latency=0.01, seed=1)
    assert empty == "no request yet"
    assert "Text 'Hello'" in echo
    assert "── after 129 bytes HTTP ends, and frames follow ──" in echo
    assert "HTTP/1.1 404 Not Found" in nowhere
    assert Handshake(trace, session=1).plain() == echo
    assert Handshake(trace.handshakes[1]).plain() == nowhere
    assert "secret" not in echo + nowhere


def test_view_of_a_trace_without_a_handshake_waits():
    assert Handshake(Trace()).plain() == "no request yet   no response yet"
