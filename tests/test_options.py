"""Options: what is refused and how it is named; live from wherever; the last assignment wins."""

import asyncio
import math
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from helpers import both_sides, converse

from wslearn import (
    Application,
    Channels,
    JsonConverter,
    Ping,
    WebSockets,
    bounded,
    connect,
    connect_raw,
    simulate,
    unlimited,
)
from wslearn.options import ClientOptions

NUMBERS = ["ping_period", "timeout", "open_timeout", "close_timeout"]
COUNTS = ["max_frame_size", "max_sessions"]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, -1, -0.1, 1e300, 10**400, timedelta(seconds=-1)]
)
def test_seconds_that_are_no_time_are_a_value_error_with_name_value_and_what_is_allowed(name, value):
    with pytest.raises(ValueError, match=re.escape(f"{name} is {value!r}: seconds above 0")):
        WebSockets(**{name: value})


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [True, False, "5", [1], 1j])
def test_seconds_of_another_type_are_a_type_error(name, value):
    with pytest.raises(TypeError, match=re.escape(f"{name} is {value!r}: seconds above 0 are allowed")):
        WebSockets(**{name: value})


@pytest.mark.parametrize("value", [0, 0.0, timedelta(0)])
def test_ping_period_0_says_to_write_none(value):
    message = f"ping_period is {value!r}: seconds above 0 are allowed; write None for no pings"
    with pytest.raises(ValueError, match=re.escape(message)):
        WebSockets(ping_period=value)


@pytest.mark.parametrize("name", ["timeout", "open_timeout", "close_timeout"])
def test_a_timeout_cannot_be_0_or_none(name):
    with pytest.raises(ValueError, match=f"{name} is 0: "):
        WebSockets(**{name: 0})
    with pytest.raises(TypeError, match=f"{name} is None: "):
        WebSockets(**{name: None})


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [0, -1, 1.5, math.nan, math.inf])
def test_counts_below_1_or_no_whole_number_are_a_value_error(name, value):
    with pytest.raises(ValueError, match=re.escape(f"{name} is {value!r}: whole ")):
        WebSockets(**{name: value})


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [True, "5", b"5"])
def test_counts_of_another_type_are_a_type_error(name, value):
    with pytest.raises(TypeError, match=re.escape(f"{name} is {value!r}: whole ")):
        WebSockets(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("masking", 1, "True or False are allowed"),
        ("masking", None, "True or False are allowed"),
        ("content_converter", "json", "an object with serialize and deserialize is needed"),
        ("content_converter", JsonConverter, "an object with serialize and deserialize is needed"),
        ("channels", bounded(3), "Channels(incoming=…, outgoing=…) is needed"),
        ("origins", "https://a.example", "a list of texts such as 'https://example.org' is needed"),
        ("origins", [5], "a list of texts such as 'https://example.org' is needed"),
        ("origins", 5, "a list of texts such as 'https://example.org' is needed"),
    ],
)
def test_other_options_of_another_type_are_a_type_error(name, value, allowed):
    with pytest.raises(TypeError, match=re.escape(f"{name} is {value!r}: {allowed}")):
        WebSockets(**{name: value})


@pytest.mark.parametrize("plugin", [WebSockets, ClientOptions])
def test_unknown_option_is_a_type_error_that_lists_the_known_ones(plugin):
    with pytest.raises(
        TypeError, match=r"unknown option 'ping': ping_period, timeout, max_frame_size, .* are"
    ):
        plugin(ping=5)
    with pytest.raises(TypeError, match="unknown option 'ping_intervall': "):
        plugin().ping_intervall = 5


@pytest.mark.parametrize(
    ("name", "bad", "error"),
    [("timeout", math.nan, ValueError), ("masking", "yes", TypeError), ("ping_period", 0, ValueError)],
)
def test_bad_value_changes_nothing_and_tells_nobody(name, bad, error):
    options, told = WebSockets(), []

    class Follower:
        def option_changed(self, *change):
            told.append(change)

    options.follow(follower := Follower())
    before = getattr(options, name)
    with pytest.raises(error):
        setattr(options, name, bad)
    assert getattr(options, name) == before
    assert told == []
    options.timeout = 3
    options.unfollow(follower)
    options.timeout = 4
    assert told == [("timeout", 15)]


def test_install_with_one_bad_option_installs_nothing():
    app = Application()
    with pytest.raises(ValueError, match="timeout is -1: "):
        app.install(WebSockets, ping_period=1, timeout=-1)
    assert app.options is None


def test_defaults_are_those_of_the_table():
    assert repr(WebSockets()) == (
        "WebSockets(ping_period=15, timeout=15, max_frame_size=1048576, masking=False,"
        " content_converter=None, channels=Channels(incoming=bounded(64, on_overflow=SUSPEND),"
        " outgoing=bounded(64, on_overflow=SUSPEND)), extensions=[], open_timeout=10, close_timeout=10,"
        " origins=None, max_sessions=None)"
    )
    client = ClientOptions()
    assert (client.ping_period, client.timeout, client.masking) == (None, 15, True)


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("ping_period", None, None),
        ("ping_period", timedelta(minutes=1), 60.0),
        ("timeout", 0.001, 0.001),
        ("max_frame_size", None, None),
        ("max_frame_size", 1, 1),
        ("max_sessions", 5, 5),
        ("origins", ("https://a.example",), ["https://a.example"]),
        ("origins", [], []),
    ],
)
def test_good_value_reads_back_at_once(name, value, stored):
    options = WebSockets()
    setattr(options, name, value)
    assert getattr(options, name) == stored
    assert getattr(WebSockets(**{name: value}), name) == stored


def test_converter_and_channels_are_taken_as_they_are():
    converter, channels = JsonConverter(), Channels(incoming=unlimited())
    options = WebSockets(content_converter=converter, channels=channels)
    assert options.content_converter is converter
    assert options.channels is channels


def test_channels_cannot_change_any_more():
    with pytest.raises(
        AttributeError, match="channels cannot change any more: give it to install or connect"
    ):
        WebSockets().channels = Channels()


def test_assignment_before_the_start_is_stored_and_used():
    app = Application()
    options = app.install(WebSockets)
    options.max_frame_size = 5

    @app.websocket("/")
    async def read(session):
        await session.incoming.receive()

    async def scene(net):
        server = await app.start("server", 80)
        async with connect(server.url()) as session:
            await session.send("123456")
            return (await session.close_reason).code

    assert simulate(scene) == 1009


def test_assignment_after_the_loop_has_closed_is_only_stored():
    app = Application()
    app.install(WebSockets)

    @app.websocket("/")
    async def greet(session):
        await session.send("hello")
        await session.close_reason

    servers, sessions = [], []

    async def main():
        servers.append(await app.start())
        client = await connect(servers[0].url())
        await client.incoming.receive()
        sessions.extend(servers[0].sessions)

    asyncio.run(main())
    servers[0].options.ping_period = 3
    sessions[0].timeout = 4
    assert (sessions[0].ping_period, sessions[0].timeout) == (3, 4)


def test_assignment_from_another_thread_reads_back_at_once_and_sessions_follow():
    async def main():
        app = Application()
        app.install(WebSockets, ping_period=None)

        @app.websocket("/")
        async def wait(session):
            await session.close_reason

        server = await app.start()
        async with connect(server.url()) as client, connect_raw(server.url()) as watcher:
            read = []

            def assign():
                server.options.ping_period = 0.01
                client.masking = True
                client.timeout = 5
                read.extend([server.options.ping_period, client.timeout])

            thread = threading.Thread(target=assign)
            thread.start()
            thread.join()
            assert read == [0.01, 5]
            assert [session.ping_period for session in server.sessions] == [0.01, 0.01]
            assert isinstance(await watcher.incoming.receive(), Ping)
            with pytest.raises(ValueError, match="timeout is nan: "):
                await asyncio.to_thread(setattr, client, "timeout", math.nan)
        changes = [event.detail for event in server.trace.events if event.name == "option changed"]
        assert changes == ["ping_period: None → 0.01"]
        await server.stop()

    asyncio.run(main())


def test_assignment_from_another_thread_to_a_session_in_a_simulation_is_one_clear_error():
    async def script(peer):
        with pytest.raises(RuntimeError, match="not in a simulation, which is one thread"):
            await_thread(lambda: setattr(peer.session, "timeout", 5))
        peer.hang_up()

    def await_thread(work):
        with ThreadPoolExecutor() as pool:
            pool.submit(work).result()

    converse("server", script)


@pytest.mark.parametrize("last", ["server", "session"])
def test_last_assignment_wins_though_both_came_from_another_thread(last):
    async def main():
        app = Application()
        app.install(WebSockets)

        @app.websocket("/")
        async def wait(session):
            await session.close_reason

        server = await app.start()
        async with connect(server.url()):
            (session,) = server.sessions

            def assign():
                for owner in (session, server.options) if last == "server" else (server.options, session):
                    owner.max_frame_size = 7 if owner is session else 9

            thread = threading.Thread(target=assign)
            thread.start()
            thread.join()
            await asyncio.sleep(0.01)
            assert session.max_frame_size == session._reader.max_frame_size == (9 if last == "server" else 7)
        await server.stop()

    asyncio.run(main())


@both_sides
def test_timedelta_is_taken_on_a_session_too(side):
    async def script(peer):
        peer.session.ping_period = timedelta(minutes=2)
        assert peer.session.ping_period == 120
        assert (await peer.hear()).startswith("89")
        peer.hang_up()
        return asyncio.get_running_loop().time()

    assert converse(side, script) == 120
