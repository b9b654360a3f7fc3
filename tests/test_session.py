"""Every row of the closing table, the order of what is written, channels, pings: against bare bytes."""

import asyncio
import errno
import logging

import pytest
from helpers import Listener, Peer, both_sides, converse, echo, meet, text, wire

from wslearn import (
    CLOSE,
    Application,
    Binary,
    ChannelClosed,
    ChannelOverflow,
    Channels,
    Close,
    CloseReason,
    DeserializeError,
    FrameTooBig,
    JsonConverter,
    Ping,
    PingTimeout,
    Pong,
    ProtocolViolation,
    Text,
    WebSockets,
    bounded,
    connect,
    simulate,
)

BYE = CloseReason(4000, "bye")
BYE_FRAME = "88 0fa0627965"


def one_frame_of(message: str, code: int = 1011) -> str:
    return f"88 {code:04x}{message.encode().hex()}"


# ── the closing table ────────────────────────────────────────────────────────────────────────────


@both_sides
def test_peers_close_with_a_code_is_answered_with_the_same_once(side):
    listen = Listener()

    async def script(peer):
        peer.say(BYE_FRAME)
        heard = await peer.hear_all() if side == "server" else [await peer.hear()]
        peer.hang_up()
        reason = await peer.session.close_reason
        assert (heard, reason, reason.by) == ([BYE_FRAME], BYE, "peer")

    converse(side, script, listen)
    assert listen.seen == ["end"]


@both_sides
def test_peers_empty_close_is_answered_empty_and_is_1005_by_peer(side):
    listen = Listener()

    async def script(peer):
        peer.write("8800" if side == "client" else "8880 00000000")
        assert await peer.hear() == "88"
        peer.hang_up()
        reason = await peer.session.close_reason
        assert (reason, reason.by) == (CloseReason(1005), "peer")

    converse(side, script, listen)
    assert listen.seen == ["end"]


@both_sides
@pytest.mark.parametrize(
    "payload", ["03", "0000", "03e7", "03ec", "03ed", "03ee", "03f7", "03f8", "0bb7", "1388", "ffff"]
)
def test_close_of_one_byte_or_with_a_forbidden_code_is_answered_with_1002(side, payload):
    listen = Listener()

    async def script(peer):
        peer.say(f"88 {payload}")
        assert (await peer.hear()).startswith("88 03ea")
        reason = await peer.session.close_reason
        assert (reason.code, reason.by) == (1002, "local")
        peer.hang_up()

    converse(side, script, listen)
    (error,) = listen.seen
    assert isinstance(error, ProtocolViolation)
    assert error.code == 1002


@both_sides
@pytest.mark.parametrize("say", ["close", "send"])
def test_close_and_send_of_a_close_write_it_once_and_incoming_stays_readable(side, say):
    seen = []

    async def leave(session):
        if say == "close":
            await session.close(BYE)
            await session.close(CloseReason(4001))
        else:
            await session.send(Close(BYE))
        with pytest.raises(ChannelClosed) as told:
            await session.send("too late")
        seen.append(told.value.reason)
        seen.extend([frame async for frame in session.incoming])

    async def script(peer):
        assert await peer.hear() == BYE_FRAME
        peer.say(text("still here"), BYE_FRAME)
        if side == "server":
            assert await peer.hear() == "FIN"
        peer.hang_up()
        reason = await peer.session.close_reason
        assert (reason, reason.by) == (BYE, "local")

    converse(side, script, leave)
    assert seen == [BYE, Text("still here")]


@both_sides
def test_when_both_close_at_once_each_sends_its_own_and_ours_was_first(side):
    async def leave(session):
        await session.close(BYE)

    async def scene(net):
        peer = await meet(side, leave)
        peer.say("88 03e8")
        assert await peer.hear() == BYE_FRAME
        peer.hang_up()
        reason = await peer.session.close_reason
        assert (reason, reason.by) == (BYE, "local")
        assert await peer.hear() == "FIN"

    simulate(scene, latency=1)


@both_sides
def test_close_while_the_peers_close_waits_goes_out_and_theirs_was_first(side):
    async def leave(session):
        await session.incoming.receive()
        await asyncio.sleep(1)
        await session.close(BYE)

    async def script(peer):
        peer.say(text("hello"), "88 03e9")
        assert await peer.hear() == BYE_FRAME
        peer.hang_up()
        reason = await peer.session.close_reason
        assert (reason, reason.by) == (CloseReason(1001), "peer")

    converse(side, script, leave)


@both_sides
def test_handler_that_returns_says_1000(side):
    async def leave(session):
        await session.send("hello")

    async def script(peer):
        assert [await peer.hear(), await peer.hear()] == [text("hello"), "88 03e8"]
        peer.say("88 03e8")
        peer.hang_up()
        reason = await peer.session.close_reason
        assert (reason, reason.by) == (CloseReason(1000), "local")

    converse(side, script, leave)


def test_handler_that_raises_says_1011_with_the_name_only_and_logs_one_traceback(caplog):
    async def fail(session):
        await session.incoming.receive()
        raise ZeroDivisionError("secret")

    async def script(peer):
        peer.say(text("x"))
        assert await peer.hear() == one_frame_of("ZeroDivisionError")
        reason = await peer.session.close_reason
        assert (reason, reason.by) == (CloseReason(1011, "ZeroDivisionError"), "local")
        peer.say("88 03f3")
        assert await peer.hear() == "FIN"

    converse("server", script, fail)
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError(), BaseExceptionGroup("several", [asyncio.CancelledError()])], ids=repr
)
def test_handler_that_raises_a_cancellation_of_its_own_says_1011_and_logs_one_traceback(caplog, error):
    async def fail(session):
        raise error

    async def script(peer):
        assert await peer.hear() == one_frame_of(type(error).__name__)
        peer.say("88 03f3")
        peer.hang_up()

    converse("server", script, fail)
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.exc_info[1] is error


def test_handler_that_is_interrupted_says_1011_and_the_interrupt_goes_on():
    async def interrupt(session):
        await session.incoming.receive()
        raise KeyboardInterrupt

    traces = []

    async def script(peer):
        traces.append(peer.session.trace)
        peer.say(text("x"))
        await peer.hear()

    with pytest.raises(KeyboardInterrupt):
        converse("server", script, interrupt)
    assert traces[0].frames[-1].frame == Close(CloseReason(1011, "KeyboardInterrupt"))


def test_client_whose_block_raises_says_1011_and_the_exception_goes_on():
    async def fail(session):
        raise ZeroDivisionError("secret")

    async def script(peer):
        assert await peer.hear() == one_frame_of("ZeroDivisionError")
        peer.hang_up()
        with pytest.raises(ZeroDivisionError):
            await peer.handler

    converse("client", script, fail)


@both_sides
@pytest.mark.parametrize("how", ["FIN", "reset"])
def test_end_of_stream_without_close_is_1006_by_network_and_nothing_is_written(side, how):
    listen = Listener()

    async def script(peer):
        peer.say(text("hello"))
        await asyncio.sleep(1)
        if how == "FIN":
            peer.end()
            assert await peer.hear_all() == []
        else:
            peer.net.reset("server")
        reason = await peer.session.close_reason
        assert (reason, reason.by) == (CloseReason(1006), "network")
        with pytest.raises(ChannelClosed, match="1006"):
            await peer.session.send("x")

    converse(side, script, listen)
    assert listen.seen == [Text("hello"), "end"]


@both_sides
def test_end_of_stream_after_our_own_close_is_ours(side):
    async def leave(session):
        await session.close(BYE)

    async def script(peer):
        assert await peer.hear() == BYE_FRAME
        peer.end()
        reason = await peer.session.close_reason
        assert (reason, reason.by) == (BYE, "local")

    converse(side, script, leave)


VIOLATIONS = {
    "rsv1": ("c1", b"x", "5.2"),
    "rsv2": ("a1", b"x", "5.2"),
    "rsv3": ("91", b"x", "5.2"),
    "rsv1 of a ping": ("c9", b"", "5.2"),
    "opcode 3": ("83", b"", "5.2"),
    "opcode 11": ("8b", b"", "5.2"),
    "fragmented ping": ("09", b"", "5.5"),
    "ping of 126 bytes": ("89", bytes(126), "5.5"),
    "continuation of nothing": ("80", b"x", "5.4"),
}


@both_sides
@pytest.mark.parametrize(("first", "payload", "section"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_violation_is_answered_with_1002_and_raised_with_its_section(side, first, payload, section):
    assert_violation(side, wire(f"{first} {payload.hex()}", masked=side == "server"), 1002, section)


@both_sides
def test_text_inside_an_unfinished_message_is_answered_with_1002(side):
    masked = side == "server"
    assert_violation(side, wire("01 61", masked) + wire("81 62", masked), 1002, "5.4")


@both_sides
def test_wrong_mask_bit_is_answered_with_1002(side):
    assert_violation(side, wire("81 61", masked=side == "client"), 1002, "5.1")


@both_sides
@pytest.mark.parametrize(
    "length", ["7e 007d", "7f 000000000000ffff", "7f 8000000000000000", "7f ffffffffffffffff"]
)
def test_length_not_minimal_or_over_63_bits_is_answered_with_1002(side, length):
    mark, rest = length.split()
    second = int(mark, 16) | (0x80 if side == "server" else 0)
    assert_violation(side, bytes([0x82, second]) + bytes.fromhex(rest), 1002, "5.2")


INVALID = {
    "a whole text": "81 61ff62",
    "an unfinished character": "81 c3",
    "a surrogate": "81 eda080",
    "a close reason": "88 03e8ff",
}


@both_sides
@pytest.mark.parametrize("frame", INVALID.values(), ids=INVALID)
def test_invalid_utf8_is_answered_with_1007(side, frame):
    assert_violation(side, wire(frame, masked=side == "server"), 1007, "8.1")


@both_sides
@pytest.mark.parametrize("begin", ["8164", "0164"], ids=["whole", "fragment"])
def test_invalid_utf8_is_found_at_its_first_byte_in_a_frame_still_arriving(side, begin):
    if side == "server":
        begin = f"{begin[:2]}e4 00000000"
    assert_violation(side, bytes.fromhex(begin) + b"caf\xc3\x28", 1007, "8.1")


@both_sides
def test_invalid_utf8_across_fragments_is_answered_with_1007(side):
    masked = side == "server"
    assert_violation(side, wire("01 c3", masked) + wire("80 28", masked), 1007, "8.1")


def assert_violation(side: str, data: bytes, code: int, section: str) -> None:
    listen = Listener()

    async def script(peer):
        peer.write(data)
        heard = await peer.hear()
        assert heard.startswith(f"88 {code:04x}")
        reason = await peer.session.close_reason
        assert (reason.code, reason.by) == (code, "local")
        assert heard == one_frame_of(reason.message, code)
        if side == "server":
            assert await peer.hear() == "FIN"
        peer.hang_up()

    converse(side, script, listen)
    (error,) = listen.seen
    assert isinstance(error, ProtocolViolation)
    assert (error.code, error.section) == (code, section)


@both_sides
def test_frame_of_exactly_max_frame_size_is_admitted_and_one_byte_more_gets_1009(side):
    listen = Listener()

    async def script(peer):
        peer.say("82 " + bytes(100).hex())
        # only the header: nothing of the payload is read
        peer.write("82e5 00000000" if side == "server" else "8265")
        assert (await peer.hear()).startswith("88 03f1")
        reason = await peer.session.close_reason
        assert (reason.code, reason.by) == (1009, "local")
        peer.hang_up()

    converse(side, script, listen, max_frame_size=100)
    message, error = listen.seen
    assert message == Binary(bytes(100))
    assert isinstance(error, FrameTooBig)
    assert (error.frame_size, error.max_frame_size) == (101, 100)


@both_sides
def test_message_over_max_frame_size_gets_1009_at_the_header_of_the_fragment(side):
    listen = Listener()

    async def script(peer):
        peer.say("02 " + bytes(60).hex(), "00 " + bytes(40).hex(), "00 00")
        assert (await peer.hear()).startswith("88 03f1")
        peer.hang_up()

    converse(side, script, listen, max_frame_size=100)
    (error,) = listen.seen
    assert (error.frame_size, error.max_frame_size) == (101, 100)


@both_sides
def test_control_frames_are_exempt_from_max_frame_size(side):
    async def script(peer):
        peer.say("89 " + bytes(125).hex(), "81 61", BYE_FRAME)
        assert await peer.hear() == "8a " + bytes(125).hex()
        assert [await peer.hear(), await peer.hear()] == ["81 61", BYE_FRAME]
        peer.hang_up()

    converse(side, script, echo, max_frame_size=1)


@both_sides
def test_overflow_of_incoming_gets_1011_and_the_handler_the_queued_ones_and_the_error(side):
    listen = Listener()

    async def slow(session):
        await asyncio.sleep(1)
        await listen(session)

    async def script(peer):
        peer.say(*map(text, "abcd"))
        assert await peer.hear() == one_frame_of("Channel overflow")
        reason = await peer.session.close_reason
        assert (reason, reason.by) == (CloseReason(1011, "Channel overflow"), "local")
        peer.say("88 03f3")
        peer.hang_up()
        await asyncio.wait([peer.handler])

    converse(side, script, slow, channels=Channels(incoming=bounded(3, CLOSE)))
    *frames, error = listen.seen
    assert frames == [Text("a"), Text("b"), Text("c")]
    assert isinstance(error, ChannelOverflow)
    assert error.capacity == 3


def overflow_of_outgoing(session, size: int = 100_000):
    async def overflow():
        while True:
            await session.send(bytes(size))

    return overflow()


@both_sides
def test_overflow_of_outgoing_raises_in_send_and_gets_1011(side):
    async def shout(session):
        with pytest.raises(ChannelOverflow, match="outgoing overflowed: it holds 2"):
            await overflow_of_outgoing(session)
        with pytest.raises(ChannelClosed):
            await session.send("more")
        with pytest.raises(ChannelOverflow):
            await session.incoming.receive()

    async def script(peer):
        reason = await peer.session.close_reason
        assert (reason, reason.by) == (CloseReason(1011, "Channel overflow"), "local")
        assert (await peer.hear_all())[-1] == one_frame_of("Channel overflow")
        peer.hang_up()
        await asyncio.wait_for(peer.handler, 20)

    converse(side, script, shout, channels=Channels(outgoing=bounded(2, CLOSE)))


def test_server_stop_says_1001_and_ends_incoming_and_returns_when_all_is_over():
    listen = Listener()

    async def script(peer):
        stopping = asyncio.create_task(peer.server.stop())
        assert await peer.hear() == one_frame_of("Server is going down", 1001)
        assert listen.seen == ["end"]
        peer.say("88 03e9")
        assert await peer.hear() == "FIN"
        peer.hang_up()
        await stopping
        reason = await peer.session.close_reason
        assert (reason, reason.by) == (CloseReason(1001, "Server is going down"), "local")
        assert asyncio.get_running_loop().time() == 0

    converse("server", script, listen)


@pytest.mark.parametrize("stubborn", [False, True])
def test_server_stop_cancels_a_handler_after_close_timeout_and_returns_within_a_second_more(stubborn):
    async def work(session):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if stubborn:
                await asyncio.sleep(3600)
            raise

    async def script(peer):
        await peer.server.stop()
        assert peer.handler.cancelled() is not stubborn
        return asyncio.get_running_loop().time()

    assert converse("server", script, work, close_timeout=3) == (4 if stubborn else 3)


def test_server_stop_lets_a_handler_learn_the_close_reason_that_it_waits_for():
    learned = []

    async def work(session):
        learned.append(await session.close_reason)

    async def work_in_tasks(session):
        await asyncio.shield(asyncio.wait_for(work(session), 60))

    async def script(peer):
        await peer.server.stop()
        assert not peer.handler.cancelled()
        return now()

    assert converse("server", script, work, close_timeout=3) == 3
    assert converse("server", script, work_in_tasks, close_timeout=3) == 3
    assert learned == [CloseReason(1001, "Server is going down")] * 2


def test_server_stop_cuts_a_session_that_would_wait_longer():
    async def script(peer):
        peer.session.close_timeout = 60
        await peer.server.stop()
        assert peer.server.sessions == []
        assert await peer.session.close_reason == CloseReason(1001, "Server is going down")
        return now()

    assert converse("server", script, close_timeout=3) == 3


def test_server_stop_from_a_handler_of_its_own_returns():
    async def stop(session):
        await app_of["server"].stop()
        app_of["seen"] = session.incoming.try_receive()

    app_of = {}

    async def script(peer):
        app_of["server"] = peer.server
        assert await peer.hear() == one_frame_of("Server is going down", 1001)
        peer.say("88 03e9")
        peer.hang_up()
        await peer.handler

    async def wait_then_stop(session):
        await session.incoming.receive()
        await stop(session)

    async def begin(peer):
        app_of["server"] = peer.server
        peer.say(text("stop"))
        await script(peer)

    converse("server", begin, wait_then_stop)
    assert app_of["seen"] is None


# ── the end is the last item of incoming ─────────────────────────────────────────────────────────

ENDS = {
    "close": ("88 03e9", "88 03e9"),
    "violation": ("83", "88 03ea"),
    "wrong utf-8": ("81 ff", "88 03ef"),
    "too big": ("82 " + bytes(101).hex(), "88 03f1"),
}


@both_sides
@pytest.mark.parametrize(("end", "answer"), ENDS.values(), ids=ENDS)
def test_messages_before_the_end_are_answered_before_our_close(side, end, answer):
    async def slow_echo(session):
        async for frame in session.incoming:
            await asyncio.sleep(1)
            await session.send(frame)

    async def script(peer):
        peer.say(text("a"), text("b"), text("c"), end, text("never parsed"))
        heard = [await peer.hear() for _ in range(4)]
        assert heard[:3] == [text("a"), text("b"), text("c")]
        assert heard[3].startswith(answer)
        assert asyncio.get_running_loop().time() == 3
        peer.hang_up()

    converse(side, script, slow_echo, max_frame_size=100)


@both_sides
@pytest.mark.parametrize(("end", "answer"), ENDS.values(), ids=ENDS)
def test_our_close_is_written_at_once_when_no_message_waits(side, end, answer):
    async def sleep(session):
        await session.incoming.receive()
        receiving = asyncio.create_task(session.incoming.receive())
        await asyncio.wait([receiving])
        await asyncio.sleep(100)

    async def script(peer):
        peer.say(text("a"))
        await asyncio.sleep(1)
        peer.say(end)
        assert (await peer.hear()).startswith(answer)
        assert asyncio.get_running_loop().time() == 1
        peer.hang_up()

    converse(side, script, sleep, max_frame_size=100)


@both_sides
@pytest.mark.parametrize(("end", "answer"), ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("reads", [True, False])
def test_our_close_waits_at_most_close_timeout_for_the_handler(side, end, answer, reads):
    async def sleep(session):
        if reads:
            await session.incoming.receive()
        await asyncio.sleep(100)

    async def script(peer):
        peer.say(text("a"), end)
        assert (await peer.hear()).startswith(answer)
        assert asyncio.get_running_loop().time() == 4
        assert await peer.hear() == "FIN"
        assert (await peer.session.close_reason).code == int(answer[3:7], 16)

    converse(side, script, sleep, max_frame_size=100, close_timeout=4)


@both_sides
def test_our_close_is_written_when_the_handler_ends_with_messages_unread(side):
    async def read_one(session):
        await session.incoming.receive()
        await asyncio.sleep(1)

    async def script(peer):
        peer.say(text("a"), text("b"), "88 03e9")
        assert await peer.hear() == "88 03e9"
        assert asyncio.get_running_loop().time() == 1
        peer.hang_up()

    converse(side, script, read_one)


@both_sides
@pytest.mark.parametrize("within", [None, 5])
def test_our_close_is_written_when_who_has_the_last_message_awaits_close_reason(side, within):
    reasons = []

    async def read_one(session):
        await session.incoming.receive()
        await asyncio.sleep(1)
        reasons.append(await asyncio.wait_for(session.close_reason, within))
        reasons.append(await session.close_reason)

    async def script(peer):
        peer.say(text("a"), "88 03e9")
        assert await peer.hear() == "88 03e9"
        assert asyncio.get_running_loop().time() == 1
        peer.hang_up()
        await peer.handler

    converse(side, script, read_one)
    assert reasons == [CloseReason(1001)] * 2


def test_our_close_is_written_when_the_task_that_has_the_last_message_ends():
    reasons = []

    async def greet(session):
        await session.send("a")
        await asyncio.sleep(1)
        await session.close(BYE)
        reasons.append(await session.close_reason)
        assert asyncio.get_running_loop().time() == 1

    async def scene(net):
        app = Application()
        app.install(WebSockets)
        app.websocket("/")(greet)
        async with app.start("server", 80) as server:
            session = await connect(server.url())
            cell = asyncio.create_task(session.incoming.receive())
            await cell
            await asyncio.sleep(2)

    simulate(scene)
    assert reasons == [BYE]


@both_sides
def test_message_received_within_a_time_out_is_answered_before_our_close(side):
    async def slow_echo(session):
        while True:
            frame = await asyncio.wait_for(session.incoming.receive(), 5)
            await asyncio.sleep(2)
            await session.send(frame)

    async def script(peer):
        peer.say(text("a"))
        await asyncio.sleep(1)
        peer.say("88 03e9")
        assert [await peer.hear(), await peer.hear()] == [text("a"), "88 03e9"]
        assert asyncio.get_running_loop().time() == 2
        peer.hang_up()

    converse(side, script, slow_echo)


@both_sides
def test_messages_in_the_hands_of_several_tasks_are_answered_before_our_close(side):
    async def slow_echo(session, seconds):
        async for frame in session.incoming:
            await asyncio.sleep(seconds)
            await session.send(frame)

    async def two(session):
        await asyncio.gather(slow_echo(session, 3), slow_echo(session, 2))

    async def script(peer):
        peer.say(text("a"), text("b"))
        await asyncio.sleep(1)
        peer.say("88 03e9")
        assert [await peer.hear() for _ in range(3)] == [text("b"), text("a"), "88 03e9"]
        peer.hang_up()

    converse(side, script, two)


@both_sides
def test_send_still_works_while_our_close_waits_and_not_any_more_afterwards(side):
    async def answer(session):
        frame = await session.incoming.receive()
        await asyncio.sleep(1)
        await session.send(frame)
        assert session.incoming.try_receive() is None
        with pytest.raises(ChannelClosed, match="1001"):
            await session.send("more")

    async def script(peer):
        peer.say(text("a"), "88 03e9")
        assert [await peer.hear(), await peer.hear()] == [text("a"), "88 03e9"]
        peer.hang_up()
        await peer.handler

    converse(side, script, answer)


def test_our_close_is_still_written_when_the_peer_has_sent_fin_behind_its_own():
    async def slow_echo(session):
        async for frame in session.incoming:
            await asyncio.sleep(1)
            await session.send(frame)

    async def script(peer):
        peer.say(text("a"), "88 03e9")
        peer.end()
        assert await peer.hear_all() == [text("a"), "88 03e9"]

    converse("server", script, slow_echo)


def test_reset_between_our_close_and_our_fin_is_no_error_of_the_handler(caplog):
    def write_eof():
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    async def script(peer):
        peer.session._transport.write_eof = write_eof
        peer.say(text("a"), "88 03e9")
        assert [await peer.hear(), await peer.hear()] == [text("a"), "88 03e9"]
        peer.hang_up()
        await peer.handler

    caplog.set_level(logging.WARNING)
    converse("server", script)
    assert caplog.messages == []


# ── order, and the end of TCP ────────────────────────────────────────────────────────────────────


async def fill(session, count: int = 100, size: int = 4096) -> None:
    """Send more than a link takes that nobody reads."""
    for number in range(count):
        await session.send(bytes([number]) * size)


def never_reads(peer: Peer) -> None:
    peer.writer.transport.pause_reading()


@both_sides
def test_messages_arrive_in_the_order_of_sending_whatever_waits(side):
    channels = Channels(outgoing=bounded(2))

    async def shout(session):
        sending = [asyncio.create_task(session.send(bytes([n]) * 9000)) for n in range(200)]
        await asyncio.gather(*sending)

    async def script(peer):
        await asyncio.sleep(5)
        heard = [(await peer.hear())[3:5] for _ in range(200)]
        assert heard == [f"{n:02x}" for n in range(200)]
        peer.hang_up()

    converse(side, script, shout, channels=channels)


@both_sides
def test_ping_and_pong_overtake_messages_that_wait(side):
    async def shout(session):
        sending = asyncio.create_task(fill(session))
        await asyncio.sleep(1)
        await asyncio.gather(session.send(Ping(b"mine")), sending)
        await session.close_reason

    async def script(peer):
        await asyncio.sleep(2)
        waiting = len(peer.session.outgoing)
        assert waiting > 10
        peer.say("89 6f6e65", "89 74776f")
        await asyncio.sleep(1)
        heard = [await peer.hear() for _ in range(102)]
        ping, pong = heard.index("89 6d696e65"), heard.index("8a 74776f")
        assert ping < 100 - waiting + 1
        assert pong == ping + 1
        peer.hang_up()

    converse(side, script, shout)


@both_sides
def test_close_goes_after_everything_sent_before_it_and_nothing_after_it(side):
    async def shout(session):
        sending = asyncio.create_task(fill(session))
        await asyncio.sleep(1)
        closing = asyncio.create_task(session.close(BYE))
        await asyncio.sleep(0)
        with pytest.raises(ChannelClosed, match="4000"):
            await session.send("too late")
        await asyncio.gather(sending, closing)

    async def script(peer):
        await asyncio.sleep(2)
        peer.say("89")
        heard = [await peer.hear() for _ in range(102)]
        assert heard.pop(-1) == BYE_FRAME
        heard.remove("8a")
        assert [frame[3:5] for frame in heard] == [f"{n:02x}" for n in range(100)]
        peer.say("89", "88 03e8")
        if side == "server":
            assert await peer.hear() == "FIN"
        peer.hang_up()

    converse(side, script, shout)


@both_sides
def test_close_goes_after_a_ping_that_waits(side):
    async def shout(session):
        await session.send(bytes(300_000))
        pinging = asyncio.create_task(session.send(Ping(b"mine")))
        await asyncio.sleep(1)
        await asyncio.gather(session.close(BYE), pinging)

    async def script(peer):
        await asyncio.sleep(2)
        assert [await peer.hear() for _ in range(3)][1:] == ["89 6d696e65", BYE_FRAME]
        peer.hang_up()

    converse(side, script, shout)


@both_sides
def test_close_waits_at_most_close_timeout_for_the_messages_before_it(side):
    async def shout(session):
        sending = asyncio.create_task(fill(session))
        await asyncio.sleep(1)
        await session.close(BYE)
        with pytest.raises(ChannelClosed):
            await sending
        times.append(asyncio.get_running_loop().time())

    times = []

    async def script(peer):
        never_reads(peer)
        reason = await peer.session.close_reason
        assert (reason, reason.by) == (BYE, "local")
        assert asyncio.get_running_loop().time() == 4
        await peer.handler

    converse(side, script, shout, close_timeout=3)
    assert times == [4]


@both_sides
def test_peers_close_is_answered_behind_what_waits_to_be_sent(side):
    async def shout(session):
        sending = asyncio.create_task(fill(session))
        listening = asyncio.create_task(Listener()(session))
        await asyncio.wait([sending, listening])

    async def script(peer):
        await asyncio.sleep(1)
        peer.say("88 03e9")
        heard = [await peer.hear() for _ in range(101)]
        assert heard[-1] == "88 03e9"
        peer.hang_up()
        assert (await peer.session.close_reason).by == "peer"

    converse(side, script, shout)


def test_server_sends_fin_after_both_closes_and_waits_for_the_peers():
    async def script(peer):
        peer.say("88 03e8")
        assert [await peer.hear(), await peer.hear()] == ["88 03e8", "FIN"]
        await asyncio.sleep(2)
        assert peer.server.sessions == [peer.session]
        peer.say(text("nobody reads this"))
        peer.end()
        await asyncio.sleep(0.1)
        assert peer.server.sessions == []

    converse("server", script)


def test_server_cuts_at_the_deadline_when_the_peer_sends_no_fin():
    async def script(peer):
        peer.say("88 03e8")
        assert [await peer.hear(), await peer.hear()] == ["88 03e8", "FIN"]
        await asyncio.sleep(2.9)
        assert peer.server.sessions == [peer.session]
        await asyncio.sleep(0.2)
        assert peer.server.sessions == []

    converse("server", script, close_timeout=3)


def test_client_waits_for_the_servers_fin_and_cuts_at_the_deadline():
    async def script(peer):
        peer.say("88 03e8")
        assert await peer.hear() == "88 03e8"
        assert await peer.hear() == "FIN"
        return asyncio.get_running_loop().time()

    assert converse("client", script, close_timeout=3) == 3


@both_sides
def test_close_reason_is_known_after_close_timeout_though_the_peer_says_nothing(side):
    async def leave(session):
        await session.close(BYE)
        assert await asyncio.wait_for(session.close_reason, 100) == BYE

    async def script(peer):
        never_reads(peer)
        assert await peer.session.close_reason == BYE
        return asyncio.get_running_loop().time()

    assert converse(side, script, leave, close_timeout=3) == 3


@both_sides
def test_deadline_is_counted_once_from_the_decision(side):
    async def slow(session):
        await session.incoming.receive()
        await asyncio.sleep(2)
        await session.close(BYE)
        await asyncio.sleep(2)

    async def script(peer):
        peer.say(text("a"), "88 03e9")
        assert await peer.hear() == BYE_FRAME
        assert asyncio.get_running_loop().time() == 2
        never_reads(peer)
        await peer.session._until_gone()
        return asyncio.get_running_loop().time()

    assert converse(side, script, slow, close_timeout=3) == 3


def test_close_reason_can_be_awaited_with_a_time_out_any_number_of_times():
    async def script(peer):
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(peer.session.close_reason, 1)
        waiting = [asyncio.ensure_future(peer.session.close_reason) for _ in range(3)]
        await asyncio.sleep(0)
        peer.say(BYE_FRAME)
        assert await asyncio.gather(*waiting) == [BYE] * 3
        assert repr(peer.session.close_reason) == "<close_reason: CloseReason(4000, 'bye', by='peer')>"

    converse("server", script)


# ── errors that leave a handler ──────────────────────────────────────────────────────────────────


def warnings_in(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("end", [*ENDS.values(), ("FIN", "")], ids=[*ENDS, "end of stream"])
@pytest.mark.parametrize("grouped", [False, True])
def test_errors_of_its_own_session_count_as_the_handlers_return(caplog, end, grouped):
    async def receive_for_ever(session):
        while True:
            await session.incoming.receive()

    async def receive_in_a_group(session):
        async with asyncio.TaskGroup() as group:
            group.create_task(receive_for_ever(session))

    async def script(peer):
        if end[0] == "FIN":
            peer.end()
        else:
            peer.say(end[0])
        await peer.hear_all()
        peer.hang_up()
        await asyncio.wait([peer.handler])

    caplog.set_level(logging.DEBUG)
    converse("server", script, receive_in_a_group if grouped else receive_for_ever, max_frame_size=100)
    assert warnings_in(caplog) == []
    assert len([line for line in caplog.messages if line.startswith("session 1: ")]) == 1


@both_sides
@pytest.mark.parametrize("raw", [False, True])
def test_errors_of_its_own_session_say_no_other_close_when_they_leave_a_handler(side, raw):
    async def receive_for_ever(session):
        while True:
            await session.incoming.receive()

    async def scene(net):
        peer = await meet(side, receive_for_ever, raw=raw)
        peer.say(BYE_FRAME)
        heard = await peer.hear()
        peer.hang_up()
        return heard

    assert simulate(scene) == ("FIN" if raw else BYE_FRAME)


def test_violation_is_one_debug_line_with_code_and_section(caplog):
    async def script(peer):
        peer.say("83")
        await peer.hear_all()

    caplog.set_level(logging.DEBUG, "wslearn")
    converse("server", script)
    assert caplog.messages == [
        "session 1: 1002: unknown opcode: 3, known are 0, 1, 2, 8, 9 and 10 (RFC 6455, section 5.2)"
    ]


@both_sides
def test_control_frame_too_long_is_named_with_its_length(side):
    listen = Listener()

    async def script(peer):
        peer.say("89 " + bytes(126).hex())
        await peer.hear()
        peer.hang_up()

    converse(side, script, listen)
    assert str(listen.seen[0]) == ("control frame too long: 126 bytes, at most 125 (RFC 6455, section 5.5)")


def test_closed_channel_of_another_session_is_an_error_like_any_other(caplog):
    async def forward(session):
        async with connect("ws://server/inner") as inner:
            await session.incoming.receive()
            await inner.send("x")

    async def scene(net):
        peer = await meet("server", forward)
        peer.say(text("a"))
        return await peer.hear_all()

    async def failing(session):
        other = ChannelClosed(CloseReason(1000))
        await session.incoming.receive()
        raise other

    async def script(peer):
        peer.say(text("a"))
        assert await peer.hear() == one_frame_of("ChannelClosed")

    converse("server", script, failing)
    assert len(warnings_in(caplog)) == 1


@pytest.mark.parametrize(
    ("frame", "code"), [("81 7b", 1007), ("81 2278222c", 1007), ("82 7b7d", 1003)], ids=str
)
def test_uncaught_deserialize_error_says_1007_or_1003_in_one_debug_line(caplog, frame, code):
    async def convert(session):
        await session.receive_deserialized(dict[str, int])

    async def script(peer):
        peer.say(frame)
        assert (await peer.hear()).startswith(f"88 {code:04x}")

    caplog.set_level(logging.DEBUG, "wslearn")
    converse("server", script, convert, content_converter=JsonConverter())
    assert warnings_in(caplog) == []
    assert len(caplog.messages) == 1


def test_caught_deserialize_error_leaves_the_session_open():
    async def convert(session):
        with pytest.raises(DeserializeError):
            await session.receive_deserialized(dict[str, int])
        await session.send_serialized(await session.receive_deserialized(dict[str, int]))

    async def script(peer):
        peer.say("82 7b7d", text('{"a": 1}'))
        assert await peer.hear() == text('{"a":1}')

    converse("server", script, convert, content_converter=JsonConverter())


def test_handler_is_not_cancelled_when_its_session_ends_and_its_next_send_raises():
    async def work(session):
        await asyncio.sleep(60)
        with pytest.raises(ChannelClosed, match="1006"):
            await session.send("done")

    async def script(peer):
        peer.hang_up()
        await peer.handler
        assert asyncio.get_running_loop().time() == 60

    converse("server", script, work)


def test_launched_task_is_cancelled_when_the_handler_ends():
    tasks = []

    async def launch(session):
        tasks.append(session.launch(asyncio.sleep(100)))
        await asyncio.sleep(1)

    async def script(peer):
        assert await peer.hear() == "88 03e8"
        assert asyncio.get_running_loop().time() == 1
        tasks.append(peer.session.launch(asyncio.sleep(100)))
        await asyncio.wait(tasks)

    converse("server", script, launch)
    assert all(task.cancelled() for task in tasks)


@both_sides
def test_launched_task_is_cancelled_when_the_session_ends(side):
    tasks = []

    async def launch(session):
        tasks.append(session.launch(asyncio.sleep(100)))
        await asyncio.sleep(50)

    async def script(peer):
        peer.hang_up()
        await peer.session.close_reason
        await asyncio.wait(tasks)
        assert asyncio.get_running_loop().time() < 1

    converse(side, script, launch)
    assert tasks[0].cancelled()


def test_error_of_a_launched_task_says_1011_and_logs_one_traceback(caplog):
    async def fail():
        raise ZeroDivisionError("secret")

    async def launch(session):
        session.launch(fail())
        await Listener()(session)

    async def script(peer):
        assert await peer.hear() == one_frame_of("ZeroDivisionError")
        peer.say("88 03f3")
        peer.hang_up()
        await peer.handler

    converse("server", script, launch)
    assert warnings_in(caplog) == ["session 1: a launched task failed"]


@both_sides
def test_cancel_tries_a_close_1000_and_cuts(side):
    async def cancel(session):
        task = session.launch(asyncio.sleep(100))
        await session.incoming.receive()
        session.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    async def script(peer):
        peer.say(text("a"))
        assert await peer.hear_all() == ["88 03e8"]
        assert await peer.session.close_reason == CloseReason(1000)
        assert asyncio.get_running_loop().time() == 0

    converse(side, script, cancel)


@both_sides
def test_close_exceptionally_says_1011_with_the_name_and_incoming_stays_readable(side):
    listen = Listener()

    async def fail(session):
        await session.close_exceptionally(ZeroDivisionError("secret"))
        await listen(session)

    async def script(peer):
        assert await peer.hear() == one_frame_of("ZeroDivisionError")
        assert await peer.session.close_reason == CloseReason(1011, "ZeroDivisionError")
        peer.say(text("a"), "88 03f3")
        peer.hang_up()
        await peer.handler

    converse(side, script, fail)
    assert listen.seen == [Text("a"), "end"]


# ── what may be sent ─────────────────────────────────────────────────────────────────────────────


@both_sides
@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000])
def test_code_that_may_not_be_sent_is_a_value_error_before_anything_is_written(side, code):
    async def leave(session):
        with pytest.raises(ValueError, match=f"close code {code}: 1000 to 1003"):
            await session.close(CloseReason(code))
        with pytest.raises(ValueError, match=f"close code {code}: 1000 to 1003"):
            await session.send(Close(CloseReason(code)))
        await session.send("still open")

    async def script(peer):
        assert [await peer.hear(), await peer.hear()] == [text("still open"), "88 03e8"]
        peer.hang_up()

    converse(side, script, leave)


@both_sides
def test_fragments_go_out_as_continuations_until_fin_and_other_data_is_a_value_error(side):
    async def send(session):
        await session.send(Text("a", fin=False))
        for other in (b"x", Binary(b"x")):
            with pytest.raises(ValueError, match="Binary inside an unfinished Text message"):
                await session.send(other)
        await session.send(Ping(b"p"))
        await session.send(Text("b", fin=False))
        await session.send("c")
        await session.send(b"d")

    async def script(peer):
        heard = [await peer.hear() for _ in range(6)]
        assert heard == ["01 61", "89 70", "00 62", "80 63", "82 64", "88 03e8"]
        peer.hang_up()

    converse(side, script, send)


def test_send_that_is_cancelled_while_it_waits_leaves_no_message_open():
    channels = Channels(outgoing=bounded(1))

    async def send(session):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await fill(session)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await session.send(Text("lost", fin=False))
        await session.send("whole")

    async def script(peer):
        await asyncio.sleep(3)
        heard = await peer.hear_all()
        assert heard[-2:] == [text("whole"), "88 03e8"]
        assert {frame[:2] for frame in heard[:-2]} == {"82"}

    async def scene(net):
        peer = await meet("server", send, channels=channels)
        reading = asyncio.create_task(script(peer))
        await asyncio.sleep(3)
        peer.say("88 03e8")
        await reading

    simulate(scene)


@both_sides
@pytest.mark.parametrize("message", [None, 5, ["a"], object()])
def test_message_of_another_type_is_a_type_error(side, message):
    async def send(session):
        with pytest.raises(TypeError, match="a str, bytes or a Frame is needed"):
            await session.send(message)

    async def script(peer):
        assert await peer.hear() == "88 03e8"
        peer.hang_up()

    converse(side, script, send)


@pytest.mark.parametrize("masking", [True, False])
@both_sides
def test_masking_decides_whether_we_mask_and_is_live(side, masking):
    async def send(session):
        await session.send("a")
        session.masking = not masking
        await session.send("b")

    async def script(peer):
        first = await peer.reader.readexactly(7 if masking else 3)
        second = await peer.reader.readexactly(3 if masking else 7)
        assert [bool(wire[1] & 0x80) for wire in (first, second)] == [masking, not masking]
        peer.hang_up()

    converse(side, script, send, masking=masking)


# ── channels and memory ──────────────────────────────────────────────────────────────────────────


@both_sides
@pytest.mark.parametrize("capacity", [1, 3, 64])
def test_incoming_of_capacity_n_holds_exactly_n_of_ten_thousand_in_one_chunk(side, capacity):
    seen = []

    async def slow(session):
        await asyncio.sleep(1)
        seen.append(len(session.incoming))
        async for frame in session.incoming:
            seen.append(frame)
            assert len(session.incoming) <= capacity

    async def script(peer):
        peer.say(*["82 61"] * 10_000, "88 03e8")
        assert await peer.hear() == "88 03e8"
        peer.hang_up()

    converse(side, script, slow, channels=Channels(incoming=bounded(capacity)))
    assert seen == [capacity] + [Binary(b"a")] * 10_000


@both_sides
def test_full_incoming_stops_the_peer(side):
    async def sleep(session):
        await session.close_reason

    async def script(peer):
        async with asyncio.timeout(10):
            for _ in range(1000):
                peer.say("82 " + bytes(1000).hex())
                await peer.writer.drain()

    with pytest.raises(TimeoutError):
        converse(side, script, sleep)


@both_sides
def test_peer_that_never_reads_suspends_send_and_memory_stays_bounded(side):
    sent = []

    async def shout(session):
        for _ in range(1000):
            await session.send(bytes(10_000))
            sent.append(session.outgoing.taken)

    async def script(peer):
        never_reads(peer)
        await asyncio.sleep(100)
        transport = peer.session._transport
        assert len(peer.session.outgoing) == 5
        # 64 KiB plus one frame in the transport, and 64 KiB that have arrived and the peer does not read
        assert transport.get_write_buffer_size() <= 2 * 64 * 1024 + 10_014
        return len(sent)

    assert converse(side, script, shout, channels=Channels(outgoing=bounded(5))) < 30


def test_try_send_and_try_receive_never_wait():
    async def work(session):
        assert session.incoming.try_receive() is None
        await asyncio.sleep(1)
        assert session.incoming.try_receive() == Text("a")
        while session.outgoing.try_send(bytes(9000)):
            assert len(session.outgoing) <= 2
        assert (len(session.outgoing), session.outgoing.capacity) == (2, 2)
        assert not session.outgoing.try_send(Ping())
        assert session.outgoing.try_send(Close(BYE))
        assert not session.outgoing.try_send("too late")

    async def script(peer):
        peer.say(text("a"))
        await asyncio.sleep(2)
        assert (await peer.hear_all())[-1] == BYE_FRAME

    async def scene(net):
        peer = await meet("server", work, channels=Channels(outgoing=bounded(2)))
        reading = asyncio.create_task(script(peer))
        await asyncio.sleep(2)
        peer.say("88 03e8")
        await reading

    simulate(scene)


def test_senders_that_give_up_while_they_wait_leave_nothing_behind():
    async def send(session):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await fill(session)
        for _ in range(100):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await session.send("x")
        assert session.outgoing._suspended == []

    async def script(peer):
        never_reads(peer)
        await peer.handler

    converse("server", script, send, channels=Channels(outgoing=bounded(1)))


def test_reader_keeps_no_chunk_that_is_used_up():
    async def script(peer):
        peer.say("82 " + bytes(100_000).hex())
        await peer.hear()
        assert peer.session._reader._buffer == b""

    converse("server", script)


@both_sides
def test_who_sends_and_never_waits_leaves_others_their_turn(side):
    async def send_all(session):
        turn, sent = asyncio.Event(), 0
        asyncio.get_running_loop().call_soon(turn.set)
        while not turn.is_set():
            await session.send("tick")
            sent += 1
        assert sent == 64

    async def script(peer):
        return (await peer.hear_all() if side == "server" else [await peer.hear()])[0]

    assert converse(side, script, send_all) == text("tick")


def test_flush_returns_when_all_that_was_sent_before_is_with_the_transport():
    order = []

    async def work(session):
        await session.flush()
        sending = asyncio.create_task(fill(session, 100))
        await asyncio.sleep(1)
        waiting = len(session.outgoing)
        taken = session.outgoing.taken
        await session.flush()
        order.append(session.outgoing.taken - taken - waiting)
        await sending

    async def script(peer):
        await asyncio.sleep(2)
        heard = await peer.hear_all()
        assert len(heard) == 101

    async def scene(net):
        peer = await meet("server", work)
        reading = asyncio.create_task(script(peer))
        await asyncio.sleep(9)
        peer.say("88 03e8")
        await reading

    simulate(scene)
    assert len(order) == 1
    assert order[0] >= 0


@both_sides
def test_after_our_close_a_full_incoming_discards_data_until_the_peers_close(side):
    async def leave(session):
        await session.close(BYE)
        await session.close_reason
        assert len(session.incoming) == 3

    async def script(peer):
        assert await peer.hear() == BYE_FRAME
        peer.say(*["82 61"] * 10_000, "88 03e8")
        assert await peer.session.close_reason == BYE
        assert asyncio.get_running_loop().time() == 0
        peer.hang_up()
        await peer.handler

    converse(side, script, leave, channels=Channels(incoming=bounded(3)))


@both_sides
def test_when_the_handler_has_ended_reading_goes_on_until_the_peers_close(side):
    async def leave(session):
        await asyncio.sleep(1)

    async def script(peer):
        peer.say(*["82 61"] * 10_000, "88 03e8")
        assert await peer.hear() in ("88 03e8", "FIN")
        assert await peer.session.close_reason == CloseReason(1000)
        assert asyncio.get_running_loop().time() == 1
        peer.hang_up()

    converse(side, script, leave, channels=Channels(incoming=bounded(3)))


@both_sides
def test_fragments_are_joined_with_control_frames_between_them(side):
    async def script(peer):
        peer.say("01 c3", "89 70", "00", "80 a4", "82 ff", "88 03e8")
        heard = [await peer.hear() for _ in range(4)]
        assert heard == ["8a 70", "81 c3a4", "82 ff", "88 03e8"]
        peer.hang_up()

    converse(side, script)


# ── pings ────────────────────────────────────────────────────────────────────────────────────────


def is_ping(frame: str) -> bool:
    payload = bytes.fromhex(frame[3:])
    return (
        frame.startswith("89 ")
        and len(payload) == 76
        and payload.startswith(b"[ping ")
        and payload.endswith(b" ping]")
        and set(payload[6:70]) <= set(b"0123456789abcdef")
    )


def now() -> float:
    return asyncio.get_running_loop().time()


@both_sides
def test_ping_has_the_shape_of_ktors_and_comes_a_period_after_the_pong(side):
    async def script(peer):
        times = []
        for _ in range(4):
            ping = await peer.hear()
            assert is_ping(ping)
            times.append(now())
            await asyncio.sleep(1)
            peer.say("8a" + ping[2:])
        assert peer.session.latency in (None, 1)
        peer.hang_up()
        return times

    assert converse(side, script, ping_period=5, timeout=3) == [5, 11, 17, 23]


@both_sides
def test_latency_is_none_before_the_first_pong_and_then_the_round_trip(side):
    async def scene(net):
        peer = await meet(side, echo, ping_period=10, timeout=3)
        assert peer.session.latency is None
        ping = await peer.hear()
        peer.say("8a" + ping[2:])
        await asyncio.sleep(1)
        assert peer.session.latency == 0.5
        peer.hang_up()

    simulate(scene, latency=0.25)


@both_sides
def test_missing_pong_gets_1011_exactly_timeout_after_the_ping(side):
    listen = Listener()

    async def script(peer):
        assert is_ping(await peer.hear())
        peer.say(text("alive, but no pong"))
        assert await peer.hear() == one_frame_of("Ping timeout")
        assert now() == 5 + 3
        reason = await peer.session.close_reason
        assert (reason, reason.by) == (CloseReason(1011, "Ping timeout"), "local")
        assert [event.time for event in peer.session.trace.events if event.name == "ping timeout"] == [8]
        if side == "server":
            assert await peer.hear() == "FIN"
        peer.hang_up()

    converse(side, script, listen, ping_period=5, timeout=3)
    message, error = listen.seen
    assert message == Text("alive, but no pong")
    assert isinstance(error, PingTimeout)
    assert error.timeout == 3


@both_sides
def test_other_pongs_are_recorded_and_ignored(side):
    async def script(peer):
        ping = await peer.hear()
        peer.say("8a", "8a 6e6f", "8a" + ping[2:-2] + "00")
        assert await peer.hear() == one_frame_of("Ping timeout")
        assert len([frame for frame in peer.session.trace.frames if isinstance(frame.frame, Pong)]) == 3
        peer.hang_up()
        return now()

    assert converse(side, script, ping_period=5, timeout=3) == 8


@both_sides
def test_pong_of_an_earlier_ping_does_not_count(side):
    async def script(peer):
        first = await peer.hear()
        peer.say("8a" + first[2:])
        await peer.hear()
        peer.say("8a" + first[2:])
        assert await peer.hear() == one_frame_of("Ping timeout")
        peer.hang_up()
        return now()

    assert converse(side, script, ping_period=5, timeout=3) == 13


@both_sides
@pytest.mark.parametrize("option", ["ping_period", "timeout"])
def test_assigning_an_option_forgets_the_ping_and_waits_a_whole_period(side, option):
    async def script(peer):
        assert is_ping(await peer.hear())
        await asyncio.sleep(1)
        setattr(peer.session, option, getattr(peer.session, option))
        assert is_ping(await peer.hear())
        peer.hang_up()
        return now()

    assert converse(side, script, ping_period=5, timeout=3) == 11


@both_sides
def test_pings_can_be_turned_off_and_on(side):
    async def script(peer):
        peer.session.ping_period = None
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(peer.hear(), 100)
        peer.session.ping_period = 2
        assert is_ping(await peer.hear())
        peer.hang_up()
        return now()

    assert converse(side, script, ping_period=5, timeout=3) == 102


@both_sides
def test_peers_ping_is_answered_also_with_pings_off(side):
    async def script(peer):
        peer.say("89", "89 68656c6c6f")
        assert [await peer.hear(), await peer.hear()] == ["8a", "8a 68656c6c6f"]
        peer.hang_up()

    converse(side, script)


@both_sides
def test_clock_stands_still_while_our_own_full_incoming_stops_the_reading(side):
    async def slow(session):
        await asyncio.sleep(100)
        async for frame in session.incoming:
            await session.send(frame)

    async def script(peer):
        peer.say(*["82 61"] * 5)
        ping = await peer.hear()
        assert is_ping(ping)
        peer.say("8a" + ping[2:])
        heard = [await peer.hear() for _ in range(5)]
        assert heard == ["82 61"] * 5
        assert now() == 100
        assert is_ping(await peer.hear())
        assert peer.session.latency == 100 - 10
        peer.hang_up()
        return now()

    channels = Channels(incoming=bounded(2))
    assert converse(side, script, slow, channels=channels, ping_period=10, timeout=3) == 110


@both_sides
def test_clock_goes_on_where_it_stood_when_reading_resumes(side):
    async def slow(session):
        await session.incoming.receive()
        await asyncio.sleep(100)
        async for _ in session.incoming:
            pass

    async def script(peer):
        assert is_ping(await peer.hear())
        await asyncio.sleep(1)
        peer.say(*["82 61"] * 5)
        assert await peer.hear() == one_frame_of("Ping timeout")
        peer.hang_up()
        return now()

    # 10 until the ping, 1 of the timeout, 100 of standing still, 2 of the timeout
    channels = Channels(incoming=bounded(2))
    assert converse(side, script, slow, channels=channels, ping_period=10, timeout=3) == 113


@both_sides
def test_ping_timeout_drops_what_waits_and_cuts_a_peer_that_reads_nothing(side):
    async def shout(session):
        with pytest.raises(ChannelClosed, match="Ping timeout"):
            await fill(session, 1000)

    async def script(peer):
        never_reads(peer)
        reason = await peer.session.close_reason
        assert reason == CloseReason(1011, "Ping timeout")
        assert now() == 8
        await peer.handler
        await peer.session._until_gone()
        return now()

    assert converse(side, script, shout, ping_period=5, timeout=3, close_timeout=4) == 12


@both_sides
def test_slow_link_is_no_dead_peer(side):
    async def shout(session):
        await session.send(bytes(2**20))
        await session.send("done")
        await session.close_reason

    async def scene(net):
        peer = await meet(side, shout, ping_period=1, timeout=1)
        pings = 0
        while (frame := await peer.hear()) != text("done"):
            if frame.startswith("89"):
                pings += 1
                peer.say("8a" + frame[2:])
        assert now() > 8
        peer.hang_up()
        return pings

    assert simulate(scene, bandwidth=1e6) == 1


def test_no_ping_is_sent_after_our_close():
    async def leave(session):
        await session.close(BYE)
        await asyncio.sleep(30)

    async def script(peer):
        assert await peer.hear() == BYE_FRAME
        assert await peer.hear() == "FIN"
        return now()

    assert converse("server", script, leave, ping_period=1, timeout=1, close_timeout=10) == 10


def test_timer_that_fires_late_waits_once_more():
    async def scene(net):
        peer = await meet("server", echo, ping_period=5, timeout=3)
        ping = await peer.hear()
        loop = asyncio.get_running_loop()
        loop._now += 60  # what a cell does that blocks the loop for a minute
        await asyncio.sleep(2.9)
        peer.say("8a" + ping[2:])
        assert is_ping(await peer.hear())
        assert peer.session.latency == pytest.approx(62.9)

    simulate(scene)


def test_loop_that_was_blocked_until_just_before_the_end_waits_once_more():
    async def scene(net):
        peer = await meet("server", echo, ping_period=5, timeout=3)
        ping = await peer.hear()
        loop = asyncio.get_running_loop()
        loop._now += 2.9
        await asyncio.sleep(2.9)
        peer.say("8a" + ping[2:])
        assert is_ping(await peer.hear())
        assert peer.session.latency == pytest.approx(5.8)

    simulate(scene)


# ── raw sessions ─────────────────────────────────────────────────────────────────────────────────


def converse_raw(side, script, handler, **options):
    async def scene(net):
        peer = await meet(side, handler, raw=True, **options)
        return await script(peer)

    return simulate(scene)


@both_sides
def test_raw_session_shows_every_frame_and_does_nothing_by_itself(side):
    listen = Listener()

    async def script(peer):
        peer.say("01 61", "89 70", "8a", "80 62", "88 03e8")
        assert await peer.hear() == "FIN"
        reason = await peer.session.close_reason
        assert (reason, reason.by) == (CloseReason(1000), "peer")
        peer.hang_up()

    converse_raw(side, script, listen)
    frames = [Text("a", fin=False), Ping(b"p"), Pong(), Text("b"), Close(CloseReason(1000)), "end"]
    assert listen.seen == frames
    assert listen.seen[3].opcode == 0


@both_sides
def test_raw_send_writes_what_it_is_given_and_refuses_after_our_close(side):
    async def send(session):
        await session.send(Text("a", rsv1=True))
        await session.send(Pong(b"x" * 125, fin=False))
        await session.send(Close(CloseReason(1006)))
        with pytest.raises(ChannelClosed, match="1006"):
            await session.send("more")

    async def script(peer):
        heard = [await peer.hear() for _ in range(4)]
        assert heard == ["c1 61", "0a " + b"x".hex() * 125, "88 03ee", "FIN"]
        reason = await peer.session.close_reason
        assert (reason, reason.by) == (CloseReason(1006), "local")
        peer.hang_up()

    converse_raw(side, script, send)


@both_sides
def test_raw_close_takes_only_codes_that_may_be_sent(side):
    async def leave(session):
        with pytest.raises(ValueError, match="close code 1005: 1000 to 1003"):
            await session.close(CloseReason(1005))
        await session.close(BYE)

    async def script(peer):
        assert await peer.hear() == BYE_FRAME
        peer.hang_up()

    converse_raw(side, script, leave)


@both_sides
def test_raw_session_sees_the_peers_close_after_its_own(side):
    seen = []

    async def send(session):
        await session.send(Close(BYE))
        seen.extend([frame async for frame in session.incoming])

    async def script(peer):
        assert await peer.hear() == BYE_FRAME
        peer.say("81 61", "88 03e8")
        assert await peer.hear() == "FIN"
        peer.hang_up()
        assert await peer.session.close_reason == BYE

    converse_raw(side, script, send)
    assert seen == [Text("a"), Close(CloseReason(1000))]


def test_raw_server_sends_fin_as_soon_as_both_closes_have_passed():
    async def answer(session):
        await session.incoming.receive()
        await session.send(Close(BYE))
        await asyncio.sleep(5)

    async def script(peer):
        peer.say("88 03e8")
        assert [await peer.hear(), await peer.hear()] == [BYE_FRAME, "FIN"]
        assert now() == 0
        peer.hang_up()
        assert await peer.session.close_reason == CloseReason(1000)

    converse_raw("server", script, answer)


def test_raw_session_may_answer_a_close_behind_which_the_peer_has_sent_fin():
    async def answer(session):
        await session.incoming.receive()
        await asyncio.sleep(1)
        await session.send(Close(BYE))

    async def script(peer):
        peer.say("88 03e8")
        peer.end()
        assert await peer.hear_all() == [BYE_FRAME]

    converse_raw("server", script, answer)


@both_sides
def test_raw_handler_that_ends_without_close_sends_fin_and_is_1006_local(side):
    async def leave(session):
        await session.send("a")

    async def script(peer):
        assert [await peer.hear(), await peer.hear()] == ["81 61", "FIN"]
        reason = await peer.session.close_reason
        assert (reason, reason.by) == (CloseReason(1006), "local")
        peer.hang_up()

    converse_raw(side, script, leave)


def test_raw_handler_that_raises_sends_fin_without_a_close_and_logs_one_traceback(caplog):
    async def fail(session):
        await session.send("a")
        raise ZeroDivisionError("secret")

    async def script(peer):
        assert [await peer.hear(), await peer.hear()] == ["81 61", "FIN"]
        reason = await peer.session.close_reason
        assert (reason, reason.by) == (CloseReason(1006), "local")
        peer.hang_up()

    converse_raw("server", script, fail)
    assert warnings_in(caplog) == ["session 1: the handler of / failed"]


@both_sides
@pytest.mark.parametrize(("end", "answer"), list(ENDS.values())[1:], ids=list(ENDS)[1:])
def test_raw_session_answers_violations_behind_the_messages_before_them(side, end, answer):
    async def slow_echo(session):
        async for frame in session.incoming:
            await asyncio.sleep(1)
            await session.send(frame)

    async def script(peer):
        peer.say(text("a"), end)
        assert await peer.hear() == text("a")
        assert (await peer.hear()).startswith(answer)
        assert now() == 1
        peer.hang_up()

    converse_raw(side, script, slow_echo, max_frame_size=100)


@both_sides
def test_max_frame_size_holds_for_each_frame_of_a_raw_session(side):
    listen = Listener()

    async def script(peer):
        peer.say("02 " + bytes(100).hex(), "00 " + bytes(100).hex(), "00 " + bytes(101).hex())
        assert (await peer.hear()).startswith("88 03f1")
        peer.hang_up()

    converse_raw(side, script, listen, max_frame_size=100)
    assert [type(item) for item in listen.seen] == [Binary, Binary, FrameTooBig]


@both_sides
def test_end_of_stream_of_a_raw_session_is_1006_by_network(side):
    listen = Listener()

    async def script(peer):
        peer.end()
        reason = await peer.session.close_reason
        assert (reason, reason.by) == (CloseReason(1006), "network")

    converse_raw(side, script, listen)
    assert listen.seen == ["end"]


def test_server_stop_says_1001_to_a_raw_session():
    async def script(peer):
        stopping = asyncio.create_task(peer.server.stop())
        assert await peer.hear() == one_frame_of("Server is going down", 1001)
        assert await peer.hear() == "FIN"
        peer.hang_up()
        await stopping

    converse_raw("server", script, Listener())


def test_fin_of_a_raw_session_goes_behind_what_waits():
    async def shout(session):
        await fill(session)

    async def script(peer):
        await asyncio.sleep(1)
        return len(await peer.hear_all())

    assert converse_raw("server", script, shout) == 100


# ── options of one session, the trace ────────────────────────────────────────────────────────────


def test_max_frame_size_of_a_session_is_live_at_the_next_header():
    async def script(peer):
        peer.say("82 " + bytes(100).hex())
        assert await peer.hear() == "82 " + bytes(100).hex()
        peer.session.max_frame_size = 99
        peer.say("82 " + bytes(100).hex())
        assert (await peer.hear()).startswith("88 03f1")

    converse("server", script, max_frame_size=100)


@both_sides
def test_close_timeout_of_a_session_is_live_at_the_next_decision(side):
    async def leave(session):
        session.close_timeout = 3
        await session.close()
        await session.close_reason

    async def script(peer):
        await peer.session._until_gone()
        return asyncio.get_running_loop().time()

    assert converse(side, script, leave) == 3


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [("masking", 1, TypeError), ("timeout", 0, ValueError), ("max_frame_size", -1, ValueError)],
)
def test_bad_value_of_a_session_is_named_and_changes_nothing(name, value, error):
    async def script(peer):
        before = getattr(peer.session, name)
        with pytest.raises(error, match=f"{name} is {value}: "):
            setattr(peer.session, name, value)
        assert getattr(peer.session, name) == before

    converse("server", script)


@both_sides
@pytest.mark.parametrize("raw", [False, True])
def test_misspelt_option_of_a_session_is_an_attribute_error(side, raw):
    async def scene(net):
        peer = await meet(side, Listener(), raw=raw)
        with pytest.raises(AttributeError, match="'ping_perod'"):
            peer.session.ping_perod = 1

    simulate(scene)


def test_trace_tells_when_a_session_opened_changed_and_closed():
    async def script(peer):
        peer.session.timeout = 7
        peer.say("88 03e8")
        await peer.hear_all()
        return [(event.session, event.name, event.detail) for event in peer.session.trace.events]

    assert converse("server", script) == [
        (1, "opened", "/"),
        (1, "option changed", "timeout: 15 → 7"),
        (1, "closed", "CloseReason(1000, by='peer')"),
    ]


def test_session_and_its_channels_print_well():
    async def script(peer):
        session = peer.session
        assert repr(session) == "<Session 1: server of /, open>"
        assert repr(session.incoming) == "<incoming: 0 of 64>"
        assert repr(session.outgoing) == "<outgoing: 0 of 64>"
        assert repr(session.close_reason) == "<close_reason: not yet known>"
        peer.say("88 03e8")
        await peer.hear_all()
        assert repr(session) == "<Session 1: server of /, closing, CloseReason(1000, by='peer')>"
        assert repr(session.incoming) == "<incoming: 0 of 64, ended by ChannelClosed>"

    converse("server", script)


# ── the end of a connection that nobody said Close on ────────────────────────────────────────────


@pytest.mark.parametrize("end", ["lost", "ended, as TLS tells it while reading is stopped"])
def test_what_was_read_before_the_end_of_the_stream_is_the_handlers_room_or_not(end):
    async def read(session):
        await asyncio.sleep(1)
        got.extend([frame.data async for frame in session.incoming])

    async def scene(net):
        peer: Peer = await meet("server", read, channels=Channels(incoming=bounded(2)))
        peer.say(*(text(str(number)) for number in range(9)), BYE_FRAME)
        await asyncio.sleep(0.5)
        assert peer.session._stopped
        peer.session._transport.abort() if end == "lost" else peer.session.eof_received()
        reason = await peer.session.close_reason
        await asyncio.sleep(1)
        return reason

    got = []
    assert simulate(scene) == BYE
    assert got == [b"%d" % number for number in range(9)]


@pytest.mark.parametrize("ending", ["return", "close", "raise"])
def test_close_that_a_failed_transport_has_not_taken_is_not_the_reason(ending):
    async def end(session):
        await session.incoming.receive()
        session._transport.abort()
        if ending == "close":
            await session.close(BYE)
        elif ending == "raise":
            raise ValueError

    async def scene(net):
        peer: Peer = await meet("server", end)
        peer.say(text("a"))
        reason = await peer.session.close_reason
        assert [frame for frame in peer.session.trace.frames if frame.sender == "server"] == []
        return reason, reason.by

    assert simulate(scene) == (CloseReason(1006), "network")


def test_waits_that_are_given_up_are_forgotten():
    async def scene(net):
        peer: Peer = await meet("server", echo)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(peer.session._until_gone(), 1)
        return peer.session._waiting

    assert simulate(scene) == []
