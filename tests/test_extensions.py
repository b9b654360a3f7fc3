"""What two ends agree on and what it does to the bytes: RFC 7692 as hex, and extensions of our own."""

import asyncio
import re
import tracemalloc
import zlib

import pytest
from helpers import Listener, both_sides, converse, echo, wire
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import Frame as TheirFrame
from websockets.frames import Opcode as TheirOpcode
from websockets.headers import build_extension, parse_extension

from wslearn import (
    Application,
    Binary,
    ChannelClosed,
    Channels,
    CloseReason,
    Codec,
    Deflate,
    Extension,
    FrameTooBig,
    HandshakeError,
    Ping,
    ProtocolViolation,
    Text,
    WebSockets,
    bounded,
    connect,
    connect_raw,
    simulate,
)
from wslearn.extensions import Deflater, Extensions, Inflater
from wslearn.handshake import Refused, Response

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
    ],
)
def test_server_declines_an_offer_that_is_wrong(offer):
    assert answer([Deflate()], offer) == ""
    assert answer([], offer) == ""


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate;",
        "permessage-deflate; server_max_window_bits=",
        'permessage-deflate; server_max_window_bits="9',
        'permessage-deflate; server_max_window_bits="1 0"',
        "permessage-deflate, a b",
        "",
        "=",
    ],
)
@pytest.mark.parametrize("extensions", [[Deflate()], []])
def test_offer_against_the_grammar_is_refused_with_400(offer, extensions):
    with pytest.raises(Refused, match=r"400, .*Sec-WebSocket-Extensions.*RFC 6455, section 9\.1") as refused:
        answer(extensions, offer)
    assert refused.value.status == 400


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
    bomb = (compressor.compress(bytes(2**20)) + compressor.flush(zlib.Z_FULL_FLUSH)) * 1024
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


def test_what_is_compressed_is_chosen_by_size_and_by_condition():
    def is_wanted(frame):
        asked.append(frame)
        return b"!" not in frame.data

    async def handler(session):
        for message in ("abcde", "abcdef", "abcdef!"):
            await session.send(message)
        await session.send(Text("abcde", fin=False))
        await session.send(Text("fghijkl"))
        await session.send(Text("abcdef", fin=False))
        await session.send(Text("!"))
        await session.incoming.receive()

    async def script(peer):
        firsts = [(await peer.hear())[:2] for _ in range(7)]
        assert firsts == ["81", "c1", "81", "01", "80", "41", "80"]
        peer.say("88")

    asked = []
    compressed_by("server", script, handler, Deflate(compress_if=is_wanted, compress_if_bigger_than=5))
    assert asked == [Text("abcdef"), Text("abcdef!"), Text("abcdef", fin=False)]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Deflate(), "Deflate()"),
        (
            Deflate(level=0, client_no_context_takeover=True),
            "Deflate(level=0, client_no_context_takeover=True)",
        ),
        (
            Deflate(server_max_window_bits=9, compress_if_bigger_than=0),
            "Deflate(server_max_window_bits=9, compress_if_bigger_than=0)",
        ),
    ],
)
def test_deflate_prints_what_it_was_given(value, shown):
    assert repr(value) == shown


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"level": 10}, ValueError, "level is 10: whole numbers from -1 to 9 are allowed"),
        ({"level": -2}, ValueError, "level is -2"),
        ({"level": True}, TypeError, "level is True"),
        ({"client_no_context_takeover": 1}, TypeError, "client_no_context_takeover is 1: True or False"),
        ({"server_no_context_takeover": None}, TypeError, "server_no_context_takeover is None"),
        (
            {"client_max_window_bits": 7},
            ValueError,
            "client_max_window_bits is 7: whole numbers from 8 to 15, or None, are allowed",
        ),
        ({"server_max_window_bits": 16}, ValueError, "server_max_window_bits is 16"),
        ({"server_max_window_bits": "9"}, TypeError, "server_max_window_bits is '9'"),
        ({"compress_if": True}, TypeError, "compress_if is True: a function of a frame"),
        ({"compress_if_bigger_than": -1}, ValueError, "compress_if_bigger_than is -1"),
        ({"compress_if_bigger_than": float("nan")}, TypeError, "compress_if_bigger_than is nan"),
    ],
)
def test_bad_value_of_deflate_is_named_with_what_is_allowed(options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        Deflate(**options)


# ── any messages, any parameters ─────────────────────────────────────────────────────────────────────

bits = st.none() | st.integers(8, 15)
deflates = st.builds(
    Deflate,
    level=st.integers(-1, 9),
    client_no_context_takeover=st.booleans(),
    server_no_context_takeover=st.booleans(),
    client_max_window_bits=bits,
    server_max_window_bits=bits,
    compress_if_bigger_than=st.none() | st.integers(0, 10),
)
# repeated, so that there is something to look back to
parts = st.builds(lambda data, times: data * times, st.binary(max_size=300), st.integers(1, 5))
messages = st.lists(st.lists(parts, min_size=1, max_size=4), max_size=6)


def frames_of(message):
    """Return the frames of a message, one for each part."""
    frames = [Binary(part, fin=n == len(message) - 1) for n, part in enumerate(message)]
    for frame in frames[1:]:
        frame.opcode = 0
    return frames


def joined(frames):
    """Return a message as a session joins it."""
    return Binary(b"".join(frame.data for frame in frames), rsv1=frames[0].rsv1)


@given(deflates, deflates, messages, messages)
def test_any_messages_come_back_equal_under_any_parameters(ours, theirs, there, back):
    headers = Headers([("Sec-WebSocket-Extensions", Extensions([ours]).offer())])
    accepted = Extensions([theirs]).accept(headers)
    (client,), (server,) = agree([ours], accepted.header), accepted
    for sender, receiver, sent in ((client, server, there), (server, client, back)):
        for message in sent:
            frames = [sender.codec.encode(frame) for frame in frames_of(message)]
            assert not any(frame.rsv1 for frame in frames[1:])
            assert receiver.codec.decode(joined(frames), None) == Binary(b"".join(message))


@settings(max_examples=20)
@given(deflates, deflates, messages)
def test_any_messages_are_echoed_by_a_session_under_any_parameters(ours, theirs, sent):
    async def handler(session):
        for message in sent:
            for frame in frames_of(message):
                await session.send(frame)
            await session.send(Ping(b""))
            assert await session.incoming.receive() == Binary(b"".join(message))

    talk(handler, ours=[ours], theirs=[theirs])


@given(st.integers(8, 15), st.integers(-1, 9), messages)
def test_sender_looks_back_no_further_than_its_window(window, level, sent):
    deflater, inflater = Deflater(window, True, level), zlib.decompressobj(-window)
    for message in sent:
        data = b"".join(message) * 3
        assert inflater.decompress(deflater.deflate(data, True) + b"\0\0\xff\xff") == data


# ── websockets as oracle ─────────────────────────────────────────────────────────────────────────────

oracle_bits = st.none() | st.integers(9, 15)


def pairs_in(header):
    """Return the parameters in a header as websockets has them."""
    ((_, pairs),) = parse_extension(header)
    return pairs


def as_theirs(frame):
    return TheirFrame(TheirOpcode(frame.opcode), frame.data, frame.fin, frame.rsv1)


def exchange(ours, theirs, sent):
    """Send messages both ways between a codec of ours and an extension of websockets."""
    for message in sent:
        whole, frames = b"".join(message), frames_of(message)
        for frame in frames:
            encoded = ours.encode(frame)
            encoded.opcode = frame.opcode
            assert theirs.decode(as_theirs(encoded)).data == frame.data
        answers = [theirs.encode(as_theirs(frame)) for frame in frames]
        assert ours.decode(joined(answers), len(whole)) == Binary(whole)


@given(deflates, st.booleans(), st.booleans(), bits, oracle_bits | st.just(True), messages)
def test_websockets_as_client_understands_us(deflate, one, other, server_bits, client_bits, sent):
    deflate.client_max_window_bits = None
    factory = ClientPerMessageDeflateFactory(one, other, server_bits, client_bits)
    (accepted,) = Extensions([deflate]).accept(
        Headers(
            [("Sec-WebSocket-Extensions", build_extension([(factory.name, factory.get_request_params())]))]
        )
    )
    answer = Extensions([accepted]).header
    exchange(accepted.codec, factory.process_response_params(pairs_in(answer), []), sent)


@given(deflates, st.booleans(), st.booleans(), oracle_bits, bits, messages)
def test_websockets_as_server_understands_us(deflate, one, other, server_bits, client_bits, sent):
    if deflate.server_max_window_bits == 8:
        # which websockets cannot compress with, and declines
        deflate.server_max_window_bits = 9
    factory = ServerPerMessageDeflateFactory(one, other, server_bits, client_bits)
    offer = pairs_in(Extensions([deflate]).offer())
    answer, theirs = factory.process_request_params(offer, [])
    (agreed,) = agree([deflate], build_extension([(factory.name, answer)]))
    exchange(agreed.codec, theirs, sent)


# ── extensions of our own ────────────────────────────────────────────────────────────────────────────


class Log(Codec):
    """Writes down what passes."""

    def __init__(self, lines):
        self.lines = lines

    def encode(self, frame):
        self.lines.append(f"out: {frame!r}")
        return frame

    def decode(self, message, limit):
        self.lines.append(f"in, at most {limit}: {message!r}")
        return message


class FrameLog(Extension):
    """Logs the frames of all sessions whose other end has it too."""

    name = "x-frame-log"

    def __init__(self):
        self.lines = []

    def accept(self, offered):
        return {}, Log(self.lines)


class Mark(Extension):
    """Puts a letter behind each message, and sets a bit for it."""

    def __init__(self, letter, bit):
        self.name = f"x-mark-{letter}"
        self.rsv = {bit}
        self.letter = letter

        self.codec = Marking(letter.encode(), f"rsv{bit}")

    def offer(self):
        return {"letter": self.letter}


class Marking(Codec):
    def __init__(self, letter, bit):
        self.letter, self.bit = letter, bit

    def encode(self, frame):
        if frame.opcode:
            setattr(frame, self.bit, True)
        if frame.fin:
            frame.data += self.letter
        return frame

    def decode(self, message, limit):
        assert message.data.endswith(self.letter)
        message.data = message.data.removesuffix(self.letter)
        setattr(message, self.bit, False)
        return message


def talk(handler, *, ours=(), theirs=(), raw=False, join=connect, **options):
    """Let a client use a session with a server; return what the client's handler returns, and the trace."""

    async def scene(net):
        app = Application()
        app.install(WebSockets, extensions=theirs, ping_period=None)

        @(app.websocket_raw if raw else app.websocket)("/")
        async def serve(session):
            await echo(session)

        server = await app.start("server", 80)
        async with join("ws://server/", extensions=ours, **options) as session:
            found = await handler(session)
        return found, server.trace

    return simulate(scene)


async def say_hello(session):
    await session.send("Hello")
    return await session.incoming.receive()


def test_frame_log_sees_what_is_sent_and_what_is_delivered():
    log = FrameLog()

    async def handler(session):
        await session.send(Text("He", fin=False))
        await session.send(Ping(b"unseen"))
        session.max_frame_size = 100
        await session.send(Text("llo"))
        assert await session.incoming.receive() == Text("Hello")
        assert session.extension(FrameLog).lines is log.lines
        return session.extensions

    extensions, trace = talk(handler, ours=[log], theirs=[FrameLog()])
    assert repr(extensions) == "[<FrameLog: x-frame-log>]"
    assert b"\r\nSec-WebSocket-Extensions: x-frame-log\r\n" in trace.handshakes[0].response
    assert log.lines == ["out: Text('He', fin=False)", "out: Text('llo')", "in, at most 100: Text('Hello')"]


def test_messages_go_out_in_order_and_come_in_in_reverse_order():
    marks = [Mark("a", 3), Mark("b", 2)]
    found, trace = talk(say_hello, ours=marks, theirs=marks)
    assert found == Text("Hello")
    (request, response) = (frame.frame for frame in trace.frames[:2])
    assert request == response == Text("Helloab", rsv2=True, rsv3=True)


def test_the_order_is_that_of_the_servers_answer():
    log, marks = [], [Mark("a", 3), Mark("b", 2)]

    async def handler(session):
        log.extend(extension.name for extension in session.extensions)
        return await say_hello(session)

    found, trace = talk(handler, ours=marks[::-1], theirs=marks)
    assert (found, log) == (Text("Hello"), ["x-mark-a", "x-mark-b"])
    assert trace.frames[0].frame.data == b"Helloab"


def test_compression_and_a_log_on_either_side_of_it():
    inner, outer = FrameLog(), FrameLog()
    inner.name, outer.name = "x-inner", "x-outer"
    extensions = [inner, Deflate(), outer]
    found, _ = talk(say_hello, ours=extensions, theirs=extensions)
    assert found == Text("Hello")
    assert inner.lines[0] == "out: Text('Hello')"
    assert outer.lines[0].startswith("out: Text(b'\\xf2H")
    assert outer.lines[0].endswith("rsv1=True)")


def test_each_extension_sees_which_frame_is_a_continuation():
    async def handler(session):
        await session.send(Text("Hel", fin=False))
        await session.send(Text("lo"))
        return await session.incoming.receive()

    extensions = [Deflate(), Mark("a", 2)]
    found, trace = talk(handler, ours=extensions, theirs=extensions)
    assert found == Text("Hello")
    assert [frame.wire[0] for frame in trace.frames[:3]] == [0x61, 0x80, 0xE1]


class Count(Codec):
    """Writes a number into each frame that it sends."""

    sent = 0

    def encode(self, frame):
        self.sent += 1
        return Text(f"{frame.read_text()} {self.sent}")


class Counting(Extension):
    """The shortest extension: a name and a codec."""

    name = "x-count"
    codec = Count()


def test_a_name_and_a_codec_are_an_extension_and_each_session_counts_by_itself():
    async def handler(session):
        assert session.extension(Counting).codec is not Counting.codec
        return [(await say_hello(session)).read_text() for _ in range(2)]

    for _ in range(2):
        found, trace = talk(handler, ours=[Counting()], theirs=[Counting()])
        assert found == ["Hello 1 1", "Hello 2 2"]
        assert b"\r\nSec-WebSocket-Extensions: x-count\r\n" in trace.handshakes[0].response
    assert Counting.codec.sent == 0


@pytest.mark.parametrize("offer", ["x-count; fast", "x-count; fast=1", "x-counts", "X-Count"])
def test_offer_unlike_its_own_is_declined_by_an_extension_that_does_not_negotiate(offer):
    assert answer([Counting()], offer) == ""
    with pytest.raises(HandshakeError, match=r"does not answer|was not offered"):
        agree([Counting()], offer)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [([Deflate()], []), ([], [Deflate()]), ([Mark("a", 2)], [Mark("b", 2)]), ([FrameLog()], [Deflate()])],
)
def test_what_only_one_end_has_is_not_used(ours, theirs):
    async def handler(session):
        assert session.extensions == []
        assert session.extension_or_none(Extension) is None
        with pytest.raises(LookupError, match="no Deflate in this session"):
            session.extension(Deflate)
        return await say_hello(session)

    found, trace = talk(handler, ours=ours, theirs=theirs)
    assert found == Text("Hello")
    assert b"Extensions" not in trace.handshakes[0].response
    assert trace.frames[0].frame == Text("Hello")


@pytest.mark.parametrize(("raw", "join"), [(True, connect), (False, connect_raw), (True, connect_raw)])
def test_raw_sessions_have_none(raw, join):
    async def handler(session):
        assert session.extensions == []
        found = await say_hello(session)
        await session.close()
        return found

    found, trace = talk(handler, ours=[Deflate()], theirs=[Deflate()], raw=raw, join=join)
    assert found == Text("Hello")
    assert b"Extensions" not in trace.handshakes[0].response
    assert (b"Extensions" in trace.handshakes[0].request) == (join is connect)


def test_state_belongs_to_one_session():
    async def scene(net):
        app = Application()
        app.install(WebSockets, extensions=[Deflate()])
        app.websocket("/")(echo)
        server = await app.start("server", 80)
        for _ in range(2):
            async with connect("ws://server/", extensions=[Deflate()]) as session:
                assert await say_hello(session) == Text("Hello")
        return [frame.frame.data.hex() for frame in server.trace.frames if frame.opcode == 1]

    assert simulate(scene) == [HELLO] * 4


@pytest.mark.parametrize(
    ("extensions", "message"),
    [
        ([Deflate(), Mark("a", 1)], "RSV1 is claimed twice, by Deflate() and by <Mark: x-mark-a>"),
        ([Mark("a", 2), Mark("b", 2)], "RSV2 is claimed twice, by <Mark: x-mark-a> and by <Mark: x-mark-b>"),
        ([Deflate(), Deflate(level=9)], "is claimed twice, by Deflate() and by Deflate(level=9)"),
        ([Mark("a b", 2)], "name of a Mark is 'x-mark-a b': a token is needed"),
        ([Extension()], "name of a Extension is None: a token is needed"),
        ([Mark("a", 4)], "rsv of a Mark is {4}: some of (1, 2, 3) are needed"),
    ],
)
def test_extensions_that_cannot_stand_together_are_named_at_install(extensions, message):
    for install in (Application().install, lambda _, **options: connect("ws://server/", **options)):
        with pytest.raises(ValueError, match=re.escape(message)):
            install(WebSockets, extensions=extensions)


@pytest.mark.parametrize("extensions", [None, 5, Deflate(), [Deflate], ["permessage-deflate"]])
def test_what_is_no_list_of_extensions_is_a_type_error(extensions):
    with pytest.raises(TypeError, match=r"Deflate\(\)"):
        Application().install(WebSockets, extensions=extensions)


def test_extensions_are_given_once():
    options = Application().install(WebSockets, extensions=[Deflate()])
    with pytest.raises(AttributeError, match="extensions cannot change any more"):
        options.extensions = []


class Broken(Extension):
    """Fails where it is told to."""

    name = "x-broken"

    def __init__(self, where):
        self.where = where

    def accept(self, offered):
        return self.at("accept") or ({}, BrokenCodec(self))

    def agree(self, accepted):
        return self.at("agree") or ({}, BrokenCodec(self))

    def at(self, where):
        if where == self.where:
            raise RuntimeError(where)


class BrokenCodec(Codec):
    def __init__(self, broken):
        self.broken = broken

    def encode(self, frame):
        self.broken.at("encode")
        return frame

    def decode(self, message, limit):
        self.broken.at("decode")
        return message


def test_extension_that_fails_in_the_servers_handshake_is_a_500(caplog):
    with pytest.raises(HandshakeError) as told:
        talk(say_hello, ours=[Broken(None)], theirs=[Broken("accept")])
    assert (told.value.status, told.value.body) == (500, b"RuntimeError\n")
    assert "an extension failed in the handshake of /" in caplog.text


def test_extension_that_fails_in_the_clients_handshake_fails_there():
    with pytest.raises(RuntimeError, match="agree"):
        talk(say_hello, ours=[Broken("agree")], theirs=[Broken(None)])


def test_codec_that_fails_when_it_encodes_fails_in_send():
    with pytest.raises(RuntimeError, match="encode"):
        talk(say_hello, ours=[Broken("encode")], theirs=[Broken(None)])


def test_codec_that_fails_behind_others_that_wait_fails_in_its_own_send():
    class Picky(FrameLog):
        def accept(self, offered):
            return {}, PickyCodec()

    class PickyCodec(Codec):
        def encode(self, frame):
            if frame.data == b"bad":
                raise RuntimeError("bad")
            return frame

    async def scene(net):
        app = Application()
        app.install(WebSockets, extensions=[FrameLog()])

        @app.websocket("/")
        async def listen(session):
            await Listener()(session)

        server = await app.start("server", 80)
        outgoing = Channels(outgoing=bounded(1))
        async with connect(server.url(), extensions=[Picky()], channels=outgoing) as session:
            net.freeze("server")
            sends = [asyncio.create_task(session.send(b"x" * 2**16)) for _ in range(6)]
            bad, good = (asyncio.create_task(session.send(data)) for data in (b"bad", b"good"))
            await asyncio.sleep(1)
            assert not bad.done()
            net.thaw("server")
            await asyncio.gather(*sends, good)
            with pytest.raises(RuntimeError, match="bad"):
                await bad
        return [frame.frame.data[:4] for frame in server.trace.frames if frame.opcode == 2]

    assert simulate(scene) == [b"xxxx"] * 6 + [b"good"]


def test_codec_that_fails_when_it_decodes_ends_the_session_with_1011(caplog):
    async def handler(session):
        with pytest.raises(ChannelClosed):
            await say_hello(session)
        return await session.close_reason

    reason, _ = talk(handler, ours=[Broken(None)], theirs=[Broken("decode")])
    assert reason == CloseReason(1011, "RuntimeError")
    assert caplog.text.count("Traceback") == 1


def test_connection_whose_codec_has_failed_ends_with_both_closes():
    async def scene(net):
        app = Application()
        app.install(WebSockets, extensions=[Broken("decode")])
        app.websocket("/")(echo)
        server = await app.start("server", 80)
        async with connect(server.url(), extensions=[Broken(None)]) as session:
            await session.send("Hello")
            assert [frame async for frame in session.incoming] == []
        return asyncio.get_running_loop().time()

    assert simulate(scene, latency=0.1) < 1


def test_message_that_a_codec_makes_too_big_is_too_big():
    class Twice(FrameLog):
        def accept(self, offered):
            return {}, Doubling()

    class Doubling(Codec):
        def decode(self, message, limit):
            return Binary(message.data * 2)

    async def handler(session):
        await session.send(b"x" * 50)
        assert len((await session.incoming.receive()).data) == 100
        await session.send(b"x" * 51)
        with pytest.raises(FrameTooBig, match="102 bytes, max_frame_size is 100"):
            await session.incoming.receive()

    talk(handler, ours=[Twice()], theirs=[FrameLog()], max_frame_size=100)
