"""What two ends agree on and what it does to the bytes: RFC 7692 as hex, and extensions of our own."""

import tracemalloc
import zlib

import pytest
from helpers import Listener, both_sides, converse, echo, wire
from websockets.datastructures import Headers

from wslearn import (
    Binary,
    Deflate,
    FrameTooBig,
    HandshakeError,
    Ping,
    ProtocolViolation,
    Text,
)
from wslearn.extensions import Deflater, Extensions, Inflater
from wslearn.handshake import Response

DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
HELLO = "f248cdc9c90700"
HELLO_AGAIN = "f200110000"


def answer(extensions, *offers):
    """Return what a server answers to the lines of a request."""
    headers = Headers([("Sec-WebSocket-Extensions", offer) for offer in offers])
    return Extensions(extensions).accept(headers).header


def agree(extensions, *answers):
    """Return what a client has in use after the lines of an answer."""
    headers = Headers([("Sec-WebSocket-Extensions", line) for line in answers])
    return Extensions(extensions).agree(Response(101, headers))


# ── agreement ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("deflate", "offer", "answered"),
    [
        (Deflate(), "permessage-deflate", "permessage-deflate"),
        # Chromium and Firefox
        (Deflate(), "permessage-deflate; client_max_window_bits", "permessage-deflate"),
        # Safari, and a name that nobody here knows
        (Deflate(), "x-webkit-deflate-frame, permessage-deflate", "permessage-deflate"),
        (Deflate(), 'permessage-deflate; client_max_window_bits="10"', "client_max_window_bits=10"),
        (Deflate(), "permessage-deflate; client_no_context_takeover", "client_no_context_takeover"),
        (Deflate(), "permessage-deflate; server_no_context_takeover", "server_no_context_takeover"),
        (Deflate(), "permessage-deflate; server_max_window_bits=8", "server_max_window_bits=8"),
        (Deflate(), "permessage-deflate; server_max_window_bits=15", "server_max_window_bits=15"),
        (Deflate(server_max_window_bits=9), "permessage-deflate", "server_max_window_bits=9"),
        (Deflate(server_max_window_bits=9), "permessage-deflate; server_max_window_bits=11", "bits=9"),
        (Deflate(server_max_window_bits=11), "permessage-deflate; server_max_window_bits=9", "bits=9"),
        (Deflate(client_max_window_bits=9), "permessage-deflate", "permessage-deflate"),
        (Deflate(client_max_window_bits=9), "permessage-deflate; client_max_window_bits", "bits=9"),
        (Deflate(client_max_window_bits=9), "permessage-deflate; client_max_window_bits=8", "bits=8"),
        (Deflate(client_no_context_takeover=True), "permessage-deflate", "client_no_context_takeover"),
        (Deflate(server_no_context_takeover=True), "permessage-deflate", "server_no_context_takeover"),
        # the first that can be taken
        (Deflate(), "permessage-deflate; x, permessage-deflate", "permessage-deflate"),
    ],
)
def test_server_answers_an_offer_with_what_either_side_asks_for(deflate, offer, answered):
    line = answer([deflate], offer)
    assert line.startswith("permessage-deflate")
    assert line.endswith(answered)
    assert line.count(";") == (0 if answered == "permessage-deflate" else 1)


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate; x",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits=x",
        "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
        "Permessage-Deflate",
        "permessage-deflate;",
        "permessage-deflate; server_max_window_bits=",
        'permessage-deflate; server_max_window_bits="9',
        "",
        "=",
    ],
)
def test_server_declines_an_offer_that_is_wrong(offer):
    assert answer([Deflate()], offer) == ""
    assert answer([], offer) == ""


def test_offers_on_several_lines_are_one_list():
    assert answer([Deflate()], "permessage-deflate; x", "a, permessage-deflate") == "permessage-deflate"


@pytest.mark.parametrize(
    ("deflate", "offer"),
    [
        (Deflate(), "permessage-deflate; client_max_window_bits"),
        (Deflate(client_max_window_bits=8), "permessage-deflate; client_max_window_bits=8"),
        (
            Deflate(9, True, True, 15, 9),
            "permessage-deflate; client_max_window_bits=15; server_no_context_takeover;"
            " client_no_context_takeover; server_max_window_bits=9",
        ),
    ],
)
def test_client_offers_what_it_asks_for_and_to_follow_the_servers_window(deflate, offer):
    assert Extensions([deflate]).offer() == offer


@pytest.mark.parametrize(
    ("deflate", "line"),
    [
        (Deflate(), "permessage-deflate"),
        (Deflate(), "permessage-deflate; server_no_context_takeover; client_max_window_bits=8"),
        (Deflate(), "permessage-deflate; client_no_context_takeover; server_max_window_bits=8"),
        (Deflate(client_no_context_takeover=True), "permessage-deflate"),
        (Deflate(client_max_window_bits=9), "permessage-deflate; client_max_window_bits=9"),
        (Deflate(server_max_window_bits=9), 'permessage-deflate; server_max_window_bits="8"'),
    ],
)
def test_client_takes_an_answer_that_gives_what_it_asked_for(deflate, line):
    (agreed,) = agree([deflate], line)
    assert isinstance(agreed, Deflate)
    assert agreed is not deflate


@pytest.mark.parametrize(
    ("deflate", "line", "message"),
    [
        (Deflate(server_no_context_takeover=True), "permessage-deflate", "does not answer"),
        (Deflate(server_max_window_bits=9), "permessage-deflate", "does not answer"),
        (Deflate(server_max_window_bits=9), "permessage-deflate; server_max_window_bits=10", "not answer"),
        (Deflate(client_max_window_bits=9), "permessage-deflate; client_max_window_bits=10", "not answer"),
        (Deflate(), "permessage-deflate; client_max_window_bits", "does not answer"),
        (Deflate(), "permessage-deflate; x=1", "extension 'permessage-deflate; x=1' does not answer"),
        (Deflate(), "permessage-deflate; server_max_window_bits=16", "does not answer"),
        (Deflate(), "permessage-deflate; server_no_context_takeover=1", "does not answer"),
        (Deflate(), "permessage-deflate; client_no_context_takeover; client_no_context_takeover", "twice"),
        (Deflate(), "permessage-deflate, permessage-deflate", "claimed twice"),
        (Deflate(), "x", "extension 'x' was not offered: permessage-deflate was"),
        (Deflate(), "permessage-deflate, x", "extension 'x' was not offered"),
        (Deflate(), "permessage-deflate;", "invalid Sec-WebSocket-Extensions header"),
        (Deflate(), "", "invalid Sec-WebSocket-Extensions header"),
    ],
)
def test_client_fails_the_connection_over_another_answer(deflate, line, message):
    with pytest.raises(HandshakeError, match=message) as told:
        agree([deflate], line)
    assert told.value.status == 101


# ── permessage-deflate, byte by byte ─────────────────────────────────────────────────────────────────


def compressed_by(side, script, handler=echo, deflate=None, lines=DEFLATE, **options):
    """Run a script against a session of ours that has agreed on compression."""
    return converse(side, script, handler, extensions=[deflate or Deflate()], lines=lines, **options)


@both_sides
@pytest.mark.parametrize(
    ("frames", "message"),
    [
        # RFC 7692, sections 7.2.3.1 to 7.2.3.6
        ([f"c1 {HELLO}"], "Hello"),
        (["41 f248cd", "80 c9c90700"], "Hello"),
        (["c1 000500faff48656c6c6f00"], "Hello"),
        (["c1 f348cdc9c9070000"], "Hello"),
        (["c1 f24805000000ffffcac9c90700"], "Hello"),
        (["c1 00"], ""),
        (["41 f248cd", "00", "89 70", "80 c9c90700"], "Hello"),
        (["41", f"80 {HELLO}"], "Hello"),
        (["81 48656c6c6f"], "Hello"),
        (["01 48656c", "80 6c6f"], "Hello"),
    ],
)
def test_message_arrives_inflated(side, frames, message):
    listen = Listener()

    async def script(peer):
        peer.say(*frames, "88")
        peer.hang_up()
        await peer.session.close_reason

    compressed_by(side, script, listen)
    assert listen.seen == [Text(message), "end"]


@both_sides
def test_second_message_looks_back_to_the_first(side):
    async def script(peer):
        peer.say(f"c1 {HELLO}", f"c1 {HELLO_AGAIN}")
        assert [await peer.hear(), await peer.hear()] == [f"c1 {HELLO}", f"c1 {HELLO_AGAIN}"]

    compressed_by(side, script)


@both_sides
def test_message_in_fragments_has_rsv1_on_the_first_alone(side):
    async def handler(session):
        await session.send(Text("Hel", fin=False))
        await session.send(Text("", fin=False))
        await session.send(Ping(b"p"))
        with pytest.raises(ValueError, match="Binary inside an unfinished Text message"):
            await session.send(b"x")
        await session.send(Text("lo"))
        await session.send(Text(""))
        await session.incoming.receive()

    async def script(peer):
        frames = [await peer.hear() for _ in range(5)]
        assert [frame[:2] for frame in frames] == ["41", "00", "89", "80", "c1"]
        assert [frame for frame in frames if frame.startswith(("89", "c1"))] == ["89 70", "c1 00"]
        inflater = Inflater()
        parts = [bytes.fromhex(frames[n][2:]) for n in (0, 1, 3)]
        assert inflater.inflate(b"".join(parts)) == b"Hello"
        peer.say("88")

    compressed_by(side, script, handler)


@both_sides
@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        (["c1 ffff"], 1007),
        (["c1 07"], 1007),
        # 101 blocks with BFINAL, and a distance too far back
        (["c1 " + "0300" * 101], 1007),
        (["c1 4b04110000"], 1007),
        # wrong UTF-8, compressed: ff, and the first half of a character
        (["c1 fa0f00"], 1007),
        (["41 00", "c0 00"], 1002),
        (["c9 70"], 1002),
        (["a1 00"], 1002),
    ],
)
def test_what_is_no_compressed_message_ends_the_session(side, frames, reason):
    listen = Listener()

    async def script(peer):
        peer.say(*frames)
        assert (await peer.hear()).startswith(f"88 {reason:04x}")
        peer.hang_up()
        assert (await peer.session.close_reason).code == reason

    compressed_by(side, script, listen)
    (error,) = listen.seen
    assert isinstance(error, ProtocolViolation)
    assert error.code == reason


@both_sides
@pytest.mark.parametrize(("size", "fits"), [(1000, True), (1001, False), (2**20, False)])
def test_limit_holds_for_the_inflated_message(side, size, fits):
    listen = Listener()
    payload = zlib.compress(b"x" * size, wbits=-15)

    async def script(peer):
        peer.say(f"c2 {payload.hex()}00", "88")
        peer.hang_up()
        return await peer.session.close_reason

    reason = compressed_by(side, script, listen, max_frame_size=1000)
    if fits:
        assert listen.seen == [Binary(b"x" * size), "end"]
    else:
        (error,) = listen.seen
        assert isinstance(error, FrameTooBig)
        assert (reason.code, error.max_frame_size) == (1009, 1000)


def test_bomb_of_a_gibibyte_costs_no_more_memory_than_the_limit():
    compressor = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(compressor.compress(bytes(2**20)) for _ in range(1024)) + compressor.flush()
    inflater = Inflater()
    tracemalloc.start()
    with pytest.raises(FrameTooBig):
        inflater.inflate(bomb, 2**20)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**20 + len(bomb) + 2**19


@both_sides
def test_large_message_that_is_no_bomb_arrives(side):
    listen = Listener()
    message = bytes(range(256)) * 2**14
    payload = Deflater(15, True, 1).deflate(message, True)

    async def script(peer):
        peer.write(wire(f"c2 {payload.hex()}", peer.masks))
        peer.say("88")
        peer.hang_up()
        await peer.session.close_reason

    compressed_by(side, script, listen, max_frame_size=len(message))
    assert listen.seen == [Binary(message), "end"]
