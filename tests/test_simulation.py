"""Virtual time: a clock that jumps, seeded chance, and scenes that leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import os
import random
import signal
import subprocess
import sys
import threading
import warnings
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from websockets.asyncio.client import connect as websockets_connect
from websockets.asyncio.server import serve as websockets_serve
from websockets.exceptions import ConnectionClosedError

from wslearn import Application, CloseReason, WebSockets, connect
from wslearn.errors import Stalled
from wslearn.simulation import simulate


def now():
    return asyncio.get_running_loop().time()


async def wait_for_ever():
    await asyncio.Event().wait()


def start(*coroutines):
    return [asyncio.create_task(coroutine) for coroutine in coroutines]


# the clock


def test_the_clock_starts_at_0_and_jumps_to_what_is_due():
    async def scene(net):
        times = [now()]
        for pause in (0.1, 0, 86400, 1e-9):
            await asyncio.sleep(pause)
            times.append(now())
        return times

    assert simulate(scene) == [0, 0.1, 0.1, 86400.1, 86400.1 + 1e-9]


@pytest.mark.parametrize("begin", [0, 1, 2**24, 2**40])
def test_the_clock_stands_at_exactly_the_time_that_a_timer_asked_for(begin):
    async def scene(net):
        loop = asyncio.get_running_loop()
        await asyncio.sleep(begin)
        times = [begin + 0.3, begin + 1 / 3, math.nextafter(begin + 1 / 3, math.inf)]
        seen = []
        for time in times:
            loop.call_at(time, lambda: seen.append(now()))
        await asyncio.sleep(1)
        return seen == times

    assert simulate(scene, horizon=2**41)


def test_at_the_same_time_first_come_first_served():
    async def scene(net):
        loop = asyncio.get_running_loop()
        order = []
        for number in range(100):
            loop.call_at(1, order.append, number)
        await asyncio.sleep(2)
        return order

    assert simulate(scene) == list(range(100))


def test_a_cancelled_timer_is_no_reason_to_jump():
    async def scene(net):
        loop = asyncio.get_running_loop()
        loop.call_later(5, print).cancel()
        await asyncio.sleep(9)
        return now()

    assert simulate(scene) == 9


def test_timeouts_are_on_virtual_time():
    async def scene(net):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await wait_for_ever()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wait_for_ever(), 30)
        return now()

    assert simulate(scene) == 60


# results and errors


def test_the_result_of_the_scene_is_returned():
    async def scene(net):
        return net, "result"

    net, result = simulate(scene, latency=0.2, jitter=timedelta(milliseconds=10), bandwidth=1e6)
    assert result == "result"
    link = "latency 0.2 s, jitter 0.01 s, bandwidth 1e+06 bit/s"
    assert repr(net) == f"<SimulatedNetwork at 0 s; {link}; hosts: client; connections: 0>"


def test_an_error_of_the_scene_goes_on():
    loops = []

    async def scene(net):
        loops.append(asyncio.get_running_loop())
        raise LookupError("in the scene")

    with pytest.raises(LookupError, match="in the scene") as told:
        simulate(scene)
    assert told.traceback[-1].name == "scene"
    assert [loop.is_closed() for loop in loops] == [True]


@pytest.mark.filterwarnings("error")
def test_a_scene_that_was_called_is_an_error_and_nothing_else():
    async def scene(net):
        return net

    message = r"write `async def scene\(net\): ...` and give it without \(\)"
    with pytest.raises(TypeError, match=message):
        simulate(scene(None))
    gc.collect()


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"horizon": -1}, ValueError, "horizon is -1: seconds from 0 up are allowed"),
        ({"horizon": math.inf}, ValueError, "horizon is inf: seconds from 0 up are allowed"),
        ({"horizon": True}, TypeError, "horizon is True: seconds from 0 up are allowed"),
        ({"seed": 1.5}, TypeError, "seed is 1.5: a whole number or a text is needed"),
        ({"seed": None}, TypeError, "seed is None: a whole number or a text is needed"),
        ({"seed": True}, TypeError, "seed is True: a whole number or a text is needed"),
        ({"scene": "scene"}, TypeError, r"scene is 'scene': write `async def scene\(net\): ...`"),
        ({"scene": lambda net: 7}, TypeError, r"write `async def scene\(net\): ...`, with async"),
    ],
)
def test_a_bad_argument_is_named_with_what_is_allowed(arguments, error, text):
    async def scene(net):
        return "ran"

    with pytest.raises(error, match=text):
        simulate(**({"scene": scene} | arguments))
    assert simulate(scene) == "ran"


# the same in every run


def test_the_seed_decides_the_bytes():
    async def scene(net):
        return asyncio.get_running_loop().token_bytes(16).hex()

    assert simulate(scene) == simulate(scene, seed=0) == "2bbd9c68414ac4c1a2b95b566b4d865d"
    assert simulate(scene, seed=1) != simulate(scene, seed=2)
    assert simulate(scene, seed="1") == simulate(scene, seed=1)


def test_jitter_changes_no_byte():
    async def scene(net):
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(lambda reader, writer: writer.write(b"x"), "server", 80)
        drawn = []
        for _ in range(5):
            drawn.append(loop.token_bytes(4))
            reader, _ = await asyncio.open_connection("server", 80)
            await reader.readexactly(1)
        server.close()
        return drawn, now()

    drawn, steady = simulate(scene, latency=0.1)
    same, jittery = simulate(scene, latency=0.1, jitter=0.05)
    assert drawn == same
    assert steady < jittery


CONVERSATION = """
import asyncio, sys
from wslearn import Application, WebSockets, connect, simulate

app = Application()
app.install(WebSockets, ping_period=5, timeout=2)

@app.websocket("/echo")
async def echo(session):
    async for frame in session.incoming:
        await session.send(frame)

async def visit(net, number, server):
    with net.host(f"host{number}"):
        async with connect(server.url("/echo"), ping_period=3) as session:
            for _ in range(5):
                await session.send("x" * number)
                await session.incoming.receive()
                await asyncio.sleep(number)
            if number == 7:
                raise LookupError

async def scene(net):
    server = await app.start(host="server", port=80)
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(visit(net, number, server))
    except* LookupError:
        pass
    await asyncio.sleep(5)
    await server.stop()
    return net.trace.chunks

for chunk in simulate(scene, latency=0.05, jitter=0.02, bandwidth=1e6, seed=int(sys.argv[1])):
    print(chunk.sent, chunk.received, chunk.session, chunk.sender, chunk.data.hex())
"""


def run_conversation(seed, hash_seed):
    root = Path(__file__).parent.parent
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", CONVERSATION, str(seed)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_the_same_seed_gives_the_same_bytes_at_the_same_times_in_other_processes():
    first = run_conversation(7, 1)
    assert len(first.splitlines()) > 300
    assert run_conversation(7, 2) == first
    assert run_conversation(8, 1) != first


# stalled


def test_all_waiting_for_ever_is_stalled_with_a_line_for_each_task():
    async def scene(net):
        idler = asyncio.create_task(wait_for_ever(), name="idler")
        start(asyncio.Lock().acquire(), asyncio.sleep(math.inf))
        await asyncio.sleep(3.5)
        queue = asyncio.Queue()
        await queue.get()
        await idler

    line = scene.__code__.co_firstlineno
    for _ in range(2):
        with pytest.raises(Stalled) as caught:
            simulate(scene)
        assert caught.value.time == 3.5
        scene_line, idler, sleeper = caught.value.waiting
        assert scene_line == f"Task-1: scene, line {line + 5}, in Queue.get"
        assert (
            idler == f"idler: wait_for_ever, line {wait_for_ever.__code__.co_firstlineno + 1}, in Event.wait"
        )
        assert sleeper.startswith("Task-4: sleep, line ")
        assert str(caught.value).startswith("simulation stalled at 3.5 s: all wait for ever; waiting: Task-1")


@pytest.mark.parametrize("pause", [100, 100.5])
def test_the_horizon_is_the_last_moment(pause):
    async def scene(net):
        await asyncio.sleep(pause)
        return now()

    if pause <= 100:
        assert simulate(scene, horizon=timedelta(seconds=100)) == 100
        return
    with pytest.raises(Stalled, match=r"at 0 s: not over at the horizon of 100 s; waiting: Task-1"):
        simulate(scene, horizon=100)


def test_a_pinger_that_never_ends_stalls_at_the_horizon():
    async def scene(net):
        def ping():
            asyncio.get_running_loop().call_later(60, ping)

        ping()
        await wait_for_ever()

    with pytest.raises(Stalled) as caught:
        simulate(scene)
    assert caught.value.time == 604800


@pytest.mark.parametrize("turns", [99_990, 100_010])
def test_a_hundred_thousand_callbacks_without_time_passing_are_stalled(turns):
    async def scene(net):
        for _ in range(2):
            await asyncio.sleep(1)
            for _ in range(turns):
                await asyncio.sleep(0)
        return now()

    if turns < 100_000:
        assert simulate(scene) == 2
        return
    with pytest.raises(Stalled, match="at 1 s: 100000 callbacks ran and no time passed"):
        simulate(scene)


def test_timers_that_are_always_due_are_stalled_too():
    async def scene(net):
        loop = asyncio.get_running_loop()

        def again():
            loop.call_at(0, again)

        again()
        await wait_for_ever()

    with pytest.raises(Stalled, match="at 0 s: 100000 callbacks ran"):
        simulate(scene)


# what is left behind


@pytest.fixture
def silence(caplog, capfd):
    """Fail when anything is logged, printed or warned of, now or when garbage is collected."""
    caplog.set_level(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
        gc.collect()
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("silence")
def test_what_is_left_is_cancelled_in_order_and_silently():
    ended = []

    async def linger(name):
        try:
            await wait_for_ever()
        finally:
            await asyncio.sleep(1)
            ended.append((name, now()))

    async def fail():
        try:
            await wait_for_ever()
        finally:
            raise LookupError("while being cancelled")

    async def respawn():
        try:
            await wait_for_ever()
        finally:
            start(linger("late"))

    async def scene(net):
        start(linger("a"), linger("b"), fail(), respawn(), linger("c"))
        await asyncio.sleep(3)
        start(wait_for_ever())

    simulate(scene)
    assert ended == [("a", 4), ("b", 4), ("c", 4), ("late", 5)]


@pytest.mark.usefixtures("silence")
@pytest.mark.parametrize("names", [["idle"], ["sleep"], ["spin"], ["respawn"], ["idle", "spin", "respawn"]])
def test_tasks_that_refuse_to_end_are_dropped(names):
    async def refuse(pause):
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(pause)

    async def spin():
        with suppress(asyncio.CancelledError):
            await wait_for_ever()
        await refuse(0)

    async def respawn():
        try:
            await wait_for_ever()
        except asyncio.CancelledError:
            start(respawn())

    refusals = {
        "idle": lambda: refuse(math.inf),
        "sleep": lambda: refuse(1),
        "spin": spin,
        "respawn": respawn,
    }

    def tick():
        asyncio.get_running_loop().call_later(1, tick)

    async def scene(net):
        tick()
        start(*(refusals[name]() for name in names))
        await asyncio.sleep(0.5)
        return now()

    assert simulate(scene) == 0.5


@pytest.mark.usefixtures("silence")
def test_async_generators_are_closed():
    closed = []

    async def count():
        try:
            for number in range(10):
                yield number
        finally:
            await asyncio.sleep(1)
            closed.append(now())

    async def scene(net):
        generator = count()
        await anext(generator)
        return generator

    simulate(scene)
    assert closed == [1]


@pytest.mark.usefixtures("silence")
def test_open_connections_and_servers_are_let_go():
    async def handle(reader, writer):
        await reader.read()

    async def scene(net):
        server = await asyncio.start_server(handle, "server", 80)
        streams = await asyncio.open_connection("server", 80)
        streams[1].write(b"unread")
        await asyncio.sleep(1)
        return server, streams

    server, (_, writer) = simulate(scene, latency=0.1)
    writer.write(b"too late")
    writer.close()
    writer.transport.abort()
    server.close()


@pytest.mark.usefixtures("silence")
def test_open_websockets_sessions_are_let_go():
    async def echo(websocket):
        async for message in websocket:
            await websocket.send(message)

    async def scene(net):
        server = await websockets_serve(echo, "server", 80)
        client = await websockets_connect("ws://server:80/", proxy=None)
        await client.send("x")
        return server, client, await client.recv()

    assert simulate(scene, latency=0.1)[2] == "x"


@pytest.mark.usefixtures("silence")
def test_a_stalled_scene_is_cancelled_silently_too():
    ended = []

    async def scene(net):
        try:
            await wait_for_ever()
        finally:
            ended.append("scene")

    with pytest.raises(Stalled):
        simulate(scene)
    assert ended == ["scene"]


def test_the_trace_ends_with_the_scene():
    async def scene(net):
        async def handle(reader, writer):
            try:
                await reader.read()
            finally:
                writer.write(b"an echo of the end")

        await asyncio.start_server(handle, "server", 80)
        _, writer = await asyncio.open_connection("server", 80)
        writer.write(b"GET / HTTP/1.1\r\n\r\n" + b"x")
        await asyncio.sleep(1)
        writer.write(b"on its way")
        return net.trace

    trace = simulate(scene, latency=0.1)
    assert [(chunk.data, chunk.received is None) for chunk in trace.chunks] == [
        (b"GET / HTTP/1.1\r\n\r\nx", False),
        (b"on its way", True),
    ]


# inside other loops and threads


def test_a_simulation_runs_inside_a_running_loop():
    async def scene(net):
        assert asyncio.current_task().get_name() == "Task-1"
        await asyncio.sleep(3600)
        return now()

    async def main():
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        ticks = []
        loop.call_soon(ticks.append, "tick")
        assert simulate(scene) == 3600
        with pytest.raises(Stalled):
            simulate(lambda net: wait_for_ever())
        assert ticks == []
        assert asyncio.get_running_loop() is loop
        assert asyncio.current_task() is task
        async with asyncio.timeout(60):
            await asyncio.sleep(0)
        return ticks

    assert asyncio.run(main()) == ["tick"]
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


def test_a_simulation_runs_inside_a_callback_of_a_running_loop():
    async def scene(net):
        await asyncio.sleep(1)
        return now()

    async def main():
        result = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(lambda: result.set_result(simulate(scene)))
        return await result

    assert asyncio.run(main()) == 1


@pytest.mark.parametrize(
    "run", [lambda function: function(), lambda function: asyncio.run(in_a_loop(function))]
)
def test_a_simulation_runs_in_another_thread(run):
    async def scene(net):
        await asyncio.sleep(1)
        return now()

    results = []
    thread = threading.Thread(target=lambda: results.append(run(lambda: simulate(scene))))
    thread.start()
    thread.join()
    assert results == [1]


async def in_a_loop(function):
    return function()


def test_async_generator_hooks_are_put_back():
    before = sys.get_asyncgen_hooks()

    async def scene(net):
        assert sys.get_asyncgen_hooks() != before

    simulate(scene)
    assert sys.get_asyncgen_hooks() == before


# Ctrl-C


async def interrupted(net):
    await asyncio.sleep(1)
    signal.raise_signal(signal.SIGINT)
    await wait_for_ever()


async def interrupted_in_a_callback(net):
    asyncio.get_running_loop().call_later(1, signal.raise_signal, signal.SIGINT)
    await wait_for_ever()


async def interrupted_in_another_task(net):
    async def interrupt():
        signal.raise_signal(signal.SIGINT)

    await asyncio.create_task(interrupt())
    await wait_for_ever()


async def interrupted_where_an_object_goes(net):
    class Thing:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    await asyncio.sleep(1)
    Thing()
    await wait_for_ever()


async def interrupted_and_deaf(net):
    while True:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(1)


async def interrupted_at_its_end(net):
    with suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


async def interrupted_in_a_finally(net):
    try:
        raise LookupError("lost")
    finally:
        signal.raise_signal(signal.SIGINT)


async def interrupted_while_it_is_cancelled(net):
    async def linger():
        try:
            await wait_for_ever()
        finally:
            signal.raise_signal(signal.SIGINT)

    start(linger())
    await asyncio.sleep(1)


SCENES = [
    interrupted,
    interrupted_in_a_callback,
    interrupted_in_another_task,
    interrupted_where_an_object_goes,
    interrupted_and_deaf,
    interrupted_at_its_end,
    interrupted_in_a_finally,
    interrupted_while_it_is_cancelled,
]


@pytest.mark.usefixtures("silence")
@pytest.mark.parametrize("scene", SCENES)
def test_ctrl_c_ends_a_scene(scene):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        simulate(scene)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.usefixtures("silence")
@pytest.mark.parametrize("scene", SCENES)
def test_ctrl_c_ends_a_scene_inside_a_running_loop(scene):
    async def main():
        before = signal.getsignal(signal.SIGINT)
        task = asyncio.current_task()
        with pytest.raises(KeyboardInterrupt):
            simulate(scene)
        assert signal.getsignal(signal.SIGINT) is before
        await asyncio.sleep(0)
        return task.cancelling()

    assert asyncio.run(main()) == 0


async def converse(net):
    app = Application()
    app.install(WebSockets, ping_period=0.5)

    @app.websocket("/")
    async def echo(session):
        async for frame in session.incoming:
            await session.send(frame)

    async def visit(url):
        async with connect(url) as session:
            for _ in range(3):
                await session.send("x")
                await session.incoming.receive()
                await asyncio.sleep(0.4)

    async with app.start("server", 80) as server:
        await asyncio.gather(*(visit(server.url()) for _ in range(5)))


def struck(*moments):
    """Converse, with Ctrl-C at these calls of a function, counted from 1; return how many there are."""
    count = 0

    def strike(frame, event, argument):
        nonlocal count
        count += event == "call"
        if event == "call" and count in moments:
            signal.getsignal(signal.SIGINT)(signal.SIGINT, frame)

    async def scene(net):
        sys.setprofile(strike)
        await converse(net)
        sys.setprofile(None)

    try:
        simulate(scene, latency=0.1)
    finally:
        sys.setprofile(None)
    return count


def moments(seed, count):
    struck()  # what is done but once is done
    return random.Random(seed).sample(range(1, struck()), count)


@pytest.mark.usefixtures("silence")
def test_ctrl_c_is_heard_at_whatever_moment_it_strikes_and_nothing_else_is():
    for moment in moments(0, 60):
        with pytest.raises(KeyboardInterrupt):
            struck(moment)
        assert asyncio._get_running_loop() is None


def test_ctrl_c_in_the_machinery_shows_none_of_it():
    with pytest.raises(KeyboardInterrupt) as caught:
        simulate(interrupted_in_a_callback)
    assert [entry.name for entry in caught.traceback][1:] == ["simulate", "__exit__"]
    assert caught.value.__suppress_context__


def test_ctrl_c_in_a_scene_that_blocks_shows_where():
    with pytest.raises(KeyboardInterrupt) as caught:
        simulate(interrupted)
    assert "interrupted" in [entry.name for entry in caught.traceback]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_a_second_ctrl_c_ends_a_scene_on_the_spot():
    before = signal.getsignal(signal.SIGINT)
    for moment in moments(1, 30):
        with pytest.raises(KeyboardInterrupt):
            struck(moment, moment + 1)
        assert asyncio._get_running_loop() is None
        assert signal.getsignal(signal.SIGINT) is before
    gc.collect()  # what was left half done is not for the next test to find


# what a simulation does not have

ABSENT = {
    "threads": lambda loop: asyncio.to_thread(print),
    "executors": lambda loop: loop.run_in_executor(None, print),
    "subprocesses": lambda loop: asyncio.create_subprocess_exec("true"),
    "shells": lambda loop: asyncio.create_subprocess_shell("true"),
    "ssl on a server": lambda loop: loop.create_server(asyncio.Protocol, "server", 443, ssl=object()),
    "ssl on a client": lambda loop: loop.create_connection(asyncio.Protocol, "server", 443, ssl=True),
    "start_tls": lambda loop: loop.start_tls(None, None, None),
    "sockets": lambda loop: loop.create_connection(asyncio.Protocol, sock=object()),
    "datagrams": lambda loop: loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("server", 1)),
    "readers": lambda loop: loop.add_reader(0, print),
    "name resolution": lambda loop: loop.getaddrinfo("server", 80),
    "pipes": lambda loop: loop.connect_read_pipe(asyncio.Protocol, None),
    "signal handlers": lambda loop: loop.add_signal_handler(signal.SIGTERM, print),
    "another simulate()": lambda loop: simulate(in_a_loop),
}


@pytest.mark.parametrize("name", ABSENT)
def test_what_a_simulation_does_not_have_is_one_clear_error(name):
    async def scene(net):
        with pytest.raises(
            RuntimeError, match=r"^.+: not in a simulation, which is one thread, virtual time"
        ):
            await ABSENT[name](asyncio.get_running_loop())
        await asyncio.sleep(1)
        return now()

    assert simulate(scene) == 1


def test_other_threads_cannot_call_into_a_simulation():
    errors = []

    def call(loop):
        try:
            loop.call_soon_threadsafe(print)
        except RuntimeError as error:
            errors.append(str(error))

    async def scene(net):
        loop = asyncio.get_running_loop()
        thread = threading.Thread(target=call, args=(loop,))
        thread.start()
        thread.join()
        done = asyncio.Event()
        loop.call_soon_threadsafe(done.set)
        await done.wait()

    simulate(scene)
    assert errors == [
        "threads and executors: not in a simulation, which is one thread, virtual time, a network in memory"
    ]


# websockets as it is


async def echo(websocket):
    async for message in websocket:
        await websocket.send(f"Hi, {message}!")


def test_websockets_converse_in_a_scene():
    async def scene(net):
        async with (
            websockets_serve(echo, "server", 80),
            websockets_connect("ws://server:80/", proxy=None) as client,
        ):
            await client.send("Ada")
            answer = await client.recv()
            assert client.local_address == ("client", 49152)
            return answer, now(), net.trace

    answer, time, trace = simulate(scene, latency=0.1)
    assert answer == "Hi, Ada!"
    assert time == pytest.approx(0.6)
    assert [traced.kind for traced in trace.frames][:2] == ["Text, RSV1"] * 2


def test_websockets_pong_is_measured_on_virtual_time():
    async def scene(net):
        async with (
            websockets_serve(echo, "server", 80),
            websockets_connect("ws://server:80/", proxy=None) as client,
        ):
            await (await client.ping())
            return client.latency

    assert simulate(scene, latency=0.25) == 0.5


def test_websockets_keepalive_gives_up_a_server_that_was_cut_off_at_the_exact_time():
    async def scene(net):
        async with websockets_serve(echo, "server", 80, ping_interval=None):
            options = {"ping_interval": 20, "ping_timeout": 15, "close_timeout": 10, "proxy": None}
            client = await websockets_connect("ws://server:80/", **options)
            opened = now()
            net.cut("server")
            with pytest.raises(ConnectionClosedError) as caught:
                await client.recv()
            closed = next(traced for traced in net.trace.frames if traced.kind == "Close")
            return caught.value.sent, opened, closed.time, now()

    sent, opened, closed, ended = simulate(scene, latency=0.25)
    assert (sent.code, sent.reason) == (1011, "keepalive ping timeout")
    assert (opened, closed, ended) == (1.0, 36.0, 46.0)


def test_an_hour_of_websockets_keepalive_has_a_ping_each_way_every_20_seconds():
    async def scene(net):
        async with (
            websockets_serve(lambda websocket: websocket.wait_closed(), "server", 80),
            websockets_connect("ws://server:80/", proxy=None) as client,
        ):
            await asyncio.sleep(3610)
            return client.latency, sum(traced.kind == "Ping" for traced in net.trace.frames)

    latency, pings = simulate(scene, latency=0.25)
    assert latency == pytest.approx(0.5)
    assert pings == 2 * 3600 / 20


# wslearn as it is


def application(**options):
    app = Application()
    app.install(WebSockets, **options)

    @app.websocket("/echo")
    async def echo(session):
        async for frame in session.incoming:
            await session.send(frame)

    return app


def test_an_application_converses_in_a_scene():
    async def scene(net):
        async with application().start(host="server", port=80) as server:
            assert server.url("/echo") == "ws://server:80/echo"
            async with connect(server.url("/echo")) as session:
                await session.send("Hello")
                return (await session.incoming.receive()).read_text(), now(), net.trace

    text, time, trace = simulate(scene, latency=0.25)
    assert text == "Hello"
    assert time == 1.5
    assert [(chunk.sent, chunk.received) for chunk in trace.chunks][:4] == [
        (0.5, 0.75),
        (0.75, 1.0),
        (1.0, 1.25),
        (1.25, 1.5),
    ]


def test_a_ping_timeout_after_a_cut_comes_at_the_exact_time():
    async def scene(net):
        server = await application(ping_period=15, timeout=10).start(host="server", port=80)
        await connect(server.url("/echo"))
        (session,) = server.sessions
        await asyncio.sleep(20)
        net.cut("client")
        reason = await session.close_reason
        return reason, now(), [(ping.kind, ping.time) for ping in net.trace.frames]

    reason, time, frames = simulate(scene, latency=0.25)
    assert reason == CloseReason(1011, "Ping timeout")
    # Open at 0.75, ping 15 s later, pong 0.5 s later, and the same again without a pong.
    assert frames == [("Ping", 15.75), ("Pong", 16.0), ("Ping", 31.25), ("Close", 41.25)]
    assert time == 41.25


def test_secrets_in_handshakes_are_starred_in_the_trace_of_the_network():
    async def scene(net):
        server = await application().start(host="server", port=80)
        async with connect(server.url("/echo?token=secret"), headers={"Cookie": "id=secret"}):
            return net.trace

    trace = simulate(scene)
    assert trace.handshakes
    assert not [chunk for chunk in trace.chunks if b"secret" in chunk.data]


def test_faults_stand_in_the_trace_of_the_network():
    async def scene(net):
        await asyncio.sleep(1)
        for fault in (net.cut, net.restore, net.freeze, net.thaw, net.reset):
            fault("client")
        net.set(latency=0.2)
        net.cut("client", "outgoing")
        net.set("client", "incoming", jitter=0.1)
        return net.trace.events

    assert [(event.time, event.session, event.name, event.detail) for event in simulate(scene)] == [
        (1, None, "cut", "client"),
        (1, None, "restored", "client"),
        (1, None, "frozen", "client"),
        (1, None, "thawed", "client"),
        (1, None, "reset", "client"),
        (1, None, "link changed", "latency 0.2 s, jitter 0 s, bandwidth unlimited"),
        (1, None, "cut", "client, outgoing"),
        (1, None, "link changed", "client, incoming: latency 0.2 s, jitter 0.1 s, bandwidth unlimited"),
    ]
