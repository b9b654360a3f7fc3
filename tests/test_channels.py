"""Bounded queues and flows by themselves; what a session does with them is tested with the session."""

import asyncio
import gc
import math
from contextvars import ContextVar

import pytest

from wslearn import (
    CLOSE,
    DROP_OLDEST,
    SUSPEND,
    Application,
    ChannelClosed,
    ChannelOverflow,
    Channels,
    CloseCode,
    CloseReason,
    SharedFlow,
    WebSockets,
    bounded,
    connect,
    simulate,
    unlimited,
)
from wslearn.channels import Incoming, Turn, call_all
from wslearn.frames import Binary, Ping, Text
from wslearn.session import RawSession

END = ChannelClosed(CloseReason(1000))


def test_bounds_print_as_they_are_written():
    assert repr(bounded(3)) == "bounded(3, on_overflow=SUSPEND)"
    assert repr(bounded(1, CLOSE)) == "bounded(1, on_overflow=CLOSE)"
    assert repr(unlimited()) == "unlimited()"
    assert unlimited().capacity == math.inf


@pytest.mark.parametrize("n", [0, -1])
def test_capacity_below_1_is_a_value_error(n):
    with pytest.raises(ValueError, match=f"capacity is {n}: 1 or more are allowed"):
        bounded(n)


@pytest.mark.parametrize("n", [1.5, True, "3", None])
def test_capacity_of_another_type_is_a_type_error(n):
    with pytest.raises(TypeError, match=f"capacity is {n!r}: a whole number is needed"):
        bounded(n)


def test_overflow_of_a_channel_is_suspend_or_close():
    with pytest.raises(ValueError, match="on_overflow is DROP_OLDEST: SUSPEND or CLOSE are allowed"):
        bounded(3, DROP_OLDEST)
    with pytest.raises(TypeError, match="incoming is 64: bounded"):
        Channels(incoming=64)


def run(scenario) -> None:
    async def scene(net):
        await scenario()

    simulate(scene)


def test_incoming_holds_exactly_its_capacity():
    incoming = Incoming(2)
    assert [incoming.put(n) for n in range(3)] == [True, True, False]
    assert (len(incoming), incoming.full) == (2, True)
    assert repr(incoming) == "<incoming: 2 of 2>"
    assert bool(Incoming(2))


def test_end_is_the_last_item_and_stays():
    async def scenario():
        incoming = Incoming(2)
        incoming.put("a")
        incoming.end(END)
        incoming.end(ValueError("never seen"))
        assert incoming.put("nobody's")
        assert [item async for item in incoming] == ["a"]
        for _ in range(2):
            with pytest.raises(ChannelClosed, match="1000"):
                await incoming.receive()
            assert incoming.try_receive() is None
        assert repr(incoming) == "<incoming: 0 of 2, ended by ChannelClosed>"

    run(scenario)


def test_an_end_that_is_no_close_is_raised_by_iteration_too():
    async def scenario():
        incoming = Incoming(2)
        incoming.end(ChannelOverflow("incoming", 2))
        with pytest.raises(ChannelOverflow):
            async for _ in incoming:
                pass

    run(scenario)


def test_several_receivers_are_served_in_their_order():
    async def scenario():
        incoming = Incoming(8)
        receiving = [asyncio.create_task(incoming.receive()) for _ in range(3)]
        await asyncio.sleep(1)
        for item in "abc":
            incoming.put(item)
        assert await asyncio.gather(*receiving) == ["a", "b", "c"]

    run(scenario)


def test_all_receivers_learn_of_the_end():
    async def scenario():
        incoming = Incoming(8)
        receiving = [asyncio.create_task(incoming.receive()) for _ in range(3)]
        await asyncio.sleep(1)
        incoming.end(END)
        assert await asyncio.gather(*receiving, return_exceptions=True) == [END] * 3

    run(scenario)


@pytest.mark.parametrize("late", [False, True])
def test_receiver_that_is_cancelled_loses_no_item(late):
    async def scenario():
        incoming = Incoming(8)
        first = asyncio.create_task(incoming.receive())
        second = asyncio.create_task(incoming.receive())
        await asyncio.sleep(1)
        if late:
            incoming.put("a")
            first.cancel()
        else:
            first.cancel()
            incoming.put("a")
        assert await second == "a"
        assert first.cancelled()

    run(scenario)


async def wait_for_turn(turn: Turn) -> None:
    await turn


async def wait_for(turn: Turn, order: list) -> None:
    try:
        await turn
    except asyncio.CancelledError:
        order.append("cancelled")
    else:
        order.append("went on")


@pytest.mark.parametrize("by_a_task", [False, True])
def test_turn_calls_its_task_at_once_unless_another_one_runs(by_a_task):
    order = []

    def call(turn: Turn) -> None:
        call_all([turn])
        order.append("called")

    async def scenario():
        task = asyncio.create_task(wait_for(turn := Turn(), order))
        await asyncio.sleep(0)
        call(turn) if by_a_task else asyncio.get_running_loop().call_soon(call, turn)
        await task

    run(scenario)
    assert order == (["called", "went on"] if by_a_task else ["went on", "called"])


def test_turn_that_is_cancelled_is_not_called_any_more():
    order = []

    async def scenario():
        task = asyncio.create_task(wait_for(turn := Turn(), order))
        await asyncio.sleep(0)
        assert not turn.is_over
        task.cancel()
        assert turn.is_over
        call_all([turn])
        await task

    run(scenario)
    assert order == ["cancelled"]


def test_task_of_a_turn_runs_in_its_own_context():
    place = ContextVar("place", default="here")

    async def tell(turn: Turn) -> str:
        place.set("in the task")
        await turn
        return place.get()

    async def scenario():
        task = asyncio.create_task(tell(turn := Turn()))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(call_all, [turn])
        assert (await task, place.get()) == ("in the task", "here")

    run(scenario)


def test_task_of_a_turn_that_is_cancelled_learns_what_was_said():
    async def scenario():
        task = asyncio.create_task(wait_for_turn(Turn()))
        await asyncio.sleep(0)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await task

    run(scenario)


def test_tasks_behind_one_that_stops_the_loop_are_called_when_it_goes_on():
    async def stop(turn: Turn) -> None:
        await turn
        raise KeyboardInterrupt

    order = []
    loop = asyncio.new_event_loop()

    async def scenario():
        turns = [Turn(), Turn()]
        tasks = [asyncio.create_task(stop(turns[0])), asyncio.create_task(wait_for(turns[1], order))]
        await asyncio.sleep(0)
        return turns, tasks

    turns, (first, second) = loop.run_until_complete(scenario())
    loop.call_soon(call_all, turns)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    assert order == []
    loop.run_until_complete(second)
    assert order == ["went on"]
    assert isinstance(first.exception(), KeyboardInterrupt)
    loop.close()


def test_receiver_that_another_one_cancels_while_both_are_called_loses_no_item():
    async def scenario():
        incoming, tasks = Incoming(8), []

        async def first():
            taken = await incoming.receive()
            tasks[1].cancel()
            return taken

        tasks += [asyncio.create_task(first()), asyncio.create_task(incoming.receive())]
        await asyncio.sleep(0)

        def put_both():
            incoming.called = called = []
            assert incoming.put("a")
            assert incoming.put("b")
            incoming.called = None
            call_all(called)

        asyncio.get_running_loop().call_soon(put_both)
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert found[0] == "a"
        assert isinstance(found[1], asyncio.CancelledError)
        assert incoming.try_receive() == "b"

    run(scenario)


def test_try_receive_needs_no_loop():
    incoming = Incoming(8)
    incoming.put("a")
    assert [incoming.try_receive(), incoming.try_receive()] == ["a", None]


def test_item_is_in_hand_from_taking_it_to_asking_for_the_next():
    async def scenario():
        incoming = Incoming(8)
        incoming.put("a")
        assert not incoming.idle
        await incoming.receive()
        assert incoming.holders == [asyncio.current_task()]
        assert not incoming.idle
        assert incoming.try_receive() is None
        assert incoming.idle

    run(scenario)


def test_item_whose_task_has_ended_is_in_the_hands_of_the_owner_if_there_is_one():
    async def scenario():
        incoming = Incoming(8)
        incoming.put("a")
        await asyncio.create_task(incoming.receive())
        assert incoming.idle
        incoming.owner = asyncio.current_task()
        assert not incoming.idle
        assert incoming.try_receive() is None
        assert incoming.idle

    run(scenario)


def test_items_are_in_the_hands_of_all_tasks_that_took_one():
    async def scenario():
        incoming = Incoming(8)
        incoming.put("a")
        incoming.put("b")
        taking = [asyncio.create_task(take_and_ask_after(incoming, pause)) for pause in (1, 2)]
        await asyncio.sleep(0.1)
        assert set(incoming.holders) == set(taking)
        await asyncio.sleep(1)
        assert incoming.holders == taking[1:]
        await asyncio.sleep(1)
        assert incoming.idle

    async def take_and_ask_after(incoming, pause):
        await incoming.receive()
        await asyncio.sleep(pause)
        assert incoming.try_receive() is None

    run(scenario)


async def collected(flow: SharedFlow, count: int, pause: float = 0) -> list:
    items = []
    async for item in flow.collect():
        items.append(item)
        await asyncio.sleep(pause)
        if len(items) == count:
            break
    return items


def test_flow_gives_every_item_to_every_collector_from_its_first_step_on():
    async def scenario():
        flow = SharedFlow()
        await flow.emit("nobody's")
        early = asyncio.create_task(collected(flow, 3))
        await asyncio.sleep(1)
        await flow.emit("a")
        late = asyncio.create_task(collected(flow, 2))
        await asyncio.sleep(1)
        assert repr(flow) == "<SharedFlow: 2 collectors, capacity 512>"
        await flow.emit("b")
        await flow.emit("c")
        assert (await early, await late) == (["a", "b", "c"], ["b", "c"])
        assert repr(flow) == "<SharedFlow: 0 collectors, capacity 512>"

    run(scenario)


def test_emit_never_waits_and_a_slow_collector_gets_what_it_held_and_then_an_overflow():
    async def scenario():
        flow = SharedFlow(capacity=3)
        seen = []

        async def collect():
            async for item in flow.collect():
                seen.append(item)
                await asyncio.sleep(100)

        slow = asyncio.create_task(collect())
        await asyncio.sleep(1)
        for n in range(6):
            await flow.emit(n)
            await asyncio.sleep(0)
        assert asyncio.get_running_loop().time() == 1
        with pytest.raises(ChannelOverflow, match="flow overflowed: it holds 3 and its on_overflow is CLOSE"):
            await slow
        assert seen == [0, 1, 2, 3]

    run(scenario)


def test_flow_that_drops_the_oldest_keeps_the_newest():
    async def scenario():
        flow = SharedFlow(capacity=2, on_overflow=DROP_OLDEST)
        slow = asyncio.create_task(collected(flow, 3, pause=100))
        await asyncio.sleep(1)
        for n in range(6):
            await flow.emit(n)
            await asyncio.sleep(0)
        assert await slow == [0, 4, 5]

    run(scenario)


def test_collector_that_is_cancelled_between_item_and_turn_is_not_called():
    async def scenario():
        flow, got = SharedFlow(), []

        async def collect(name: str) -> None:
            async for item in flow.collect():
                got.append(f"{name}: {item}")  # noqa: PERF401 - got before the end

        first, second = (asyncio.create_task(collect(name)) for name in ("first", "second"))
        await asyncio.sleep(0)
        await flow.emit("a")
        await flow.emit("b")
        first.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert first.cancelled()
        assert not second.done()
        assert got == ["second: a", "second: b"]
        second.cancel()

    run(scenario)


def test_collector_that_asks_with_time_outs_leaves_nothing_behind_and_misses_nothing():
    async def scenario():
        flow = SharedFlow()
        collector = flow.collect()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(collector), 1)
        assert not collector._queue.waiting
        await flow.emit("a")
        assert await anext(collector) == "a"

    run(scenario)


def test_collector_that_is_dropped_leaves_no_queue_behind():
    async def scenario():
        flow = SharedFlow()
        collector = flow.collect()
        waiting = asyncio.ensure_future(anext(collector))
        await asyncio.sleep(1)
        assert "1 collectors" in repr(flow)
        waiting.cancel()
        await asyncio.wait([waiting])
        del collector, waiting
        gc.collect()
        assert "0 collectors" in repr(flow)
        await flow.emit("nobody's")

    run(scenario)


def test_flow_checks_its_arguments():
    with pytest.raises(ValueError, match="capacity is 0: "):
        SharedFlow(0)
    with pytest.raises(ValueError, match="on_overflow is SUSPEND: CLOSE or DROP_OLDEST are allowed"):
        SharedFlow(on_overflow=SUSPEND)


def board_of(flow: SharedFlow) -> Application:
    app = Application()
    app.install(WebSockets, ping_period=None)

    @app.websocket("/goals")
    async def goals(session):
        await flow.collect_into(session.outgoing)

    return app


async def given(flow: SharedFlow, *items: object) -> None:
    for item in items:
        await flow.emit(item)


def test_flow_that_is_collected_into_sessions_is_sent_by_emit_itself_in_order():
    async def scene(net):
        flow = SharedFlow()
        server = await board_of(flow).start("server", 80)
        async with connect(server.url("/goals")) as one, connect(server.url("/goals")) as other:
            await asyncio.sleep(1)
            await given(flow, "1:0", "1:1")
            sent = [frame.frame.read_text() for frame in server.trace.frames]
            heard = [(await session.incoming.receive()).read_text() for session in (one, other, one, other)]
            return sent, heard, repr(flow)

    sent, heard, shown = simulate(scene)
    assert sent == ["1:0", "1:0", "1:1", "1:1"]
    assert heard == ["1:0", "1:0", "1:1", "1:1"]
    assert shown == "<SharedFlow: 2 collectors, capacity 512>"


def test_session_that_has_ended_leaves_the_flow_and_the_others_go_on():
    async def scene(net):
        flow = SharedFlow()
        server = await board_of(flow).start("server", 80)
        async with connect(server.url("/goals")) as one, connect(server.url("/goals")) as other:
            await asyncio.sleep(1)
            await one.close()
            await asyncio.sleep(1)
            await given(flow, "1:0", "1:1")
            heard = [(await other.incoming.receive()).read_text() for _ in range(2)]
            await asyncio.sleep(1)
            return heard, repr(flow)

    assert simulate(scene) == (["1:0", "1:1"], "<SharedFlow: 1 collectors, capacity 512>")


@pytest.mark.parametrize(
    ("item", "error"), [(42, "TypeError"), ("\ud800", "UnicodeEncodeError")], ids=["number", "surrogate"]
)
def test_item_that_is_no_message_ends_the_collectors_and_not_who_emits(item, error):
    async def scene(net):
        flow, last = SharedFlow(), []
        server = await board_of(flow).start("server", 80)
        async with connect(server.url("/goals")) as session:
            await asyncio.sleep(1)
            behind = asyncio.create_task(anext(flow.collect()))
            await asyncio.sleep(0)
            await given(flow, item)
            last.append(await behind)
            return await session.close_reason, last

    assert simulate(scene) == (CloseReason(CloseCode.INTERNAL_ERROR, error), [item])


@pytest.mark.parametrize(
    ("item", "wire"),
    [
        ("hi", b"\x81\x02hi"),
        (b"hi", b"\x82\x02hi"),
        (bytearray(b"hi"), b"\x82\x02hi"),
        (Text("hi"), b"\x81\x02hi"),
        (Binary(b"hi"), b"\x82\x02hi"),
    ],
    ids=repr,
)
def test_every_kind_of_message_is_encoded_once_for_all(item, wire):
    assert RawSession._share(item) == (wire[0], wire)


@pytest.mark.parametrize("item", [Text("h", fin=False), Ping(b"hi"), 42, None, "\ud800"], ids=ascii)
def test_what_is_no_whole_message_is_left_to_each_session(item):
    assert RawSession._share(item) == (0, b"")


def test_collector_into_a_session_that_reads_nothing_holds_its_queue_and_then_overflows():
    async def scene(net):
        flow, ends = SharedFlow(capacity=3), []
        app = Application()
        app.install(WebSockets, ping_period=None, channels=Channels(outgoing=bounded(2)))

        @app.websocket("/goals")
        async def goals(session):
            with pytest.raises(ChannelOverflow, match="flow overflowed: it holds 3") as raised:
                await flow.collect_into(session.outgoing)
            ends.append(raised.value)

        server = await app.start("server", 80)
        viewer = await connect(server.url("/goals"))
        await asyncio.sleep(1)
        net.freeze("client")
        await given(flow, bytes(200_000))
        for number in range(20):
            await flow.emit(str(number))
            await asyncio.sleep(1)
        held = len(server.sessions[0].outgoing)
        net.thaw("client")
        await asyncio.sleep(20)
        await viewer.incoming.receive()
        heard = [viewer.incoming.try_receive().read_text() for _ in range(len(viewer.incoming))]
        return held, len(ends), heard

    held, ends, heard = simulate(scene)
    assert (held, ends) == (2, 1)
    # two in `outgoing`, one in the hand of the task, three in its queue; and what the wire took
    assert heard == [str(number) for number in range(len(heard))]
    assert 6 <= len(heard) <= 7


def test_collector_into_a_session_is_gone_with_its_task():
    async def scene(net):
        flow = SharedFlow()
        app = Application()
        app.install(WebSockets, ping_period=None)

        @app.websocket("/goals")
        async def goals(session):
            task = session.launch(flow.collect_into(session.outgoing))
            await session.incoming.receive()
            task.cancel()
            await flow.emit("too late")
            async for _ in session.incoming:
                pass

        server = await app.start("server", 80)
        async with connect(server.url("/goals")) as session:
            await asyncio.sleep(1)
            await session.send("no more")
            await asyncio.sleep(1)
            return repr(flow), session.incoming.try_receive()

    assert simulate(scene) == ("<SharedFlow: 0 collectors, capacity 512>", None)
