"""The network in memory: what TCP promises, and what the faults do to it."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import itertools
import math
import random
from datetime import timedelta

import pytest

from wslearn.network import Faults, Network
from wslearn.simulation import simulate

KIB = 1024


class Recorder(asyncio.Protocol):
    """Writes down what the transport tells it, and when."""

    def __init__(self, *, half_open=False, echo=False):
        self.half_open = half_open
        self.echo = echo
        self.calls = []
        self.received = bytearray()
        self.lost = asyncio.get_running_loop().create_future()

    def note(self, call, *details):
        self.calls.append((asyncio.get_running_loop().time(), call, *details))

    def times(self, call):
        return [noted[0] for noted in self.calls if noted[1] == call]

    def connection_made(self, transport):
        self.transport = transport
        self.note("made")

    def data_received(self, data):
        self.note("data", len(data))
        self.received += data
        if self.echo:
            self.transport.write(data)

    def eof_received(self):
        self.note("eof")
        return self.half_open

    def pause_writing(self):
        self.note("pause")

    def resume_writing(self):
        self.note("resume")

    def connection_lost(self, error):
        self.note("lost", type(error).__name__ if error else None)
        self.lost.set_result(error)


async def pair(net, **options):
    """Return both protocols of a new connection from "client" to "server"; call it once per scene."""
    loop = asyncio.get_running_loop()
    accepted = loop.create_future()

    class Accepted(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            accepted.set_result(self)

    await loop.create_server(lambda: Accepted(**options), "server", 80)
    _, client = await loop.create_connection(lambda: Recorder(**options), "server", 80)
    return client, await accepted


def now():
    return asyncio.get_running_loop().time()


# connecting


def test_connecting_costs_the_client_one_round_trip_and_the_server_hears_of_it_with_the_third_segment():
    async def scene(net):
        client, server = await pair(net)
        return list(client.calls), list(server.calls)

    assert simulate(scene, latency=0.25) == ([(0.5, "made")], [(0.75, "made")])


def test_where_nobody_listens_a_connection_is_refused_after_a_round_trip():
    async def scene(net):
        listener = await asyncio.get_running_loop().create_server(Recorder, "server", 80)
        listener.close()
        with pytest.raises(ConnectionRefusedError, match="nobody listens at server:80"):
            await asyncio.get_running_loop().create_connection(Recorder, "server", 80)
        return now()

    assert simulate(scene, latency=0.25) == 0.5


def test_an_unknown_host_is_named_together_with_the_known_ones():
    async def scene(net):
        await asyncio.get_running_loop().create_server(Recorder, "server", 80)
        with pytest.raises(OSError, match="no host 'sever': known are 'client', 'server'"):
            await asyncio.get_running_loop().create_connection(Recorder, "sever", 80)
        return now()

    assert simulate(scene, latency=1) == 0


def test_port_0_gives_each_host_free_ports_from_49152():
    async def scene(net):
        loop = asyncio.get_running_loop()
        await loop.create_server(Recorder, "a", 49153)
        listeners = [await loop.create_server(Recorder, host, 0) for host in ("a", "a", "b")]
        return [listener.sockets[0].getsockname() for listener in listeners]

    assert simulate(scene) == [("a", 49152), ("a", 49154), ("b", 49152)]


def test_ports_of_ended_connections_are_used_again_when_all_have_been_used(monkeypatch):
    monkeypatch.setattr("wslearn.network.PORTS", 5)

    async def scene(net):
        loop = asyncio.get_running_loop()
        await loop.create_server(Recorder, "server", 80)
        held, _ = await loop.create_connection(Recorder, "server", 80)
        for _ in range(4):
            transport, _ = await loop.create_connection(Recorder, "server", 80)
            transport.abort()
        await asyncio.sleep(1)
        again, _ = await loop.create_connection(Recorder, "server", 80)
        return held.get_extra_info("sockname"), again.get_extra_info("sockname")

    assert simulate(scene) == (("client", 49152), ("client", 49153))


def test_a_host_whose_ports_are_all_taken_cannot_connect(monkeypatch):
    monkeypatch.setattr("wslearn.network.PORTS", 2)

    async def scene(net):
        loop = asyncio.get_running_loop()
        await loop.create_server(Recorder, "server", 80)
        for _ in range(2):
            await loop.create_connection(Recorder, "server", 80)
        with pytest.raises(OSError, match="all 2 ports from 49152 of host 'client' are taken"):
            await loop.create_connection(Recorder, "server", 80)

    simulate(scene)


def test_a_second_listener_at_an_address_is_an_error_until_the_first_is_closed():
    async def scene(net):
        loop = asyncio.get_running_loop()
        first = await loop.create_server(Recorder, "server", 80)
        with pytest.raises(OSError, match="port 80 of host 'server' is in use") as caught:
            await loop.create_server(Recorder, "server", 80)
        assert caught.value.errno == errno.EADDRINUSE
        first.close()
        second = await loop.create_server(Recorder, "server", 80)
        return repr(first), repr(second)

    assert simulate(scene) == (
        "<Listener server:80, closed, connections: 0>",
        "<Listener server:80, serving, connections: 0>",
    )


def test_both_ends_know_both_addresses():
    async def scene(net):
        with net.host("alice"):
            client, server = await pair(net)
        ends = client.transport, server.transport
        assert [end.get_extra_info("peername") for end in ends] == [("server", 80), ("alice", 49152)]
        assert [end.get_extra_info("sockname") for end in ends] == [("alice", 49152), ("server", 80)]
        assert client.transport.get_extra_info("ssl_object") is None
        return [repr(end) for end in ends]

    assert simulate(scene) == [
        "<Endpoint alice:49152 to server:80, open>",
        "<Endpoint server:80 to alice:49152, open>",
    ]


def test_who_connects_is_client_outside_of_host_and_in_other_tasks():
    async def scene(net):
        loop = asyncio.get_running_loop()
        await loop.create_server(Recorder, "server", 80)

        async def connect():
            transport, _ = await loop.create_connection(Recorder, "server", 80)
            return transport.get_extra_info("sockname")[0]

        before = asyncio.create_task(connect())
        with net.host("alice"):
            inside = asyncio.create_task(connect())
            with net.host("bob"):
                nested = await connect()
            names = [await connect(), nested, await connect()]
        return [*names, await inside, await before, await connect()]

    assert simulate(scene) == ["alice", "bob", "alice", "alice", "client", "client"]


def test_a_connection_given_up_before_it_is_there_never_reaches_the_server():
    async def scene(net):
        loop = asyncio.get_running_loop()
        made = []
        listener = await loop.create_server(lambda: made.append(Recorder()) or made[-1], "server", 80)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await loop.create_connection(Recorder, "server", 80)
        await asyncio.sleep(10)
        return made, listener, repr(net)

    made, listener, text = simulate(scene, latency=0.2)
    assert made == []
    assert "connections: 0" in repr(listener)
    assert text.endswith("connections: 0>")


def test_a_listener_that_closes_meanwhile_resets_the_new_connection():
    async def scene(net):
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(Recorder, "server", 80)
        _, client = await loop.create_connection(Recorder, "server", 80)
        listener.close()
        await listener.wait_closed()
        await client.lost
        return client.calls

    assert simulate(scene, latency=0.5) == [(1.0, "made"), (2.0, "lost", "ConnectionResetError")]


def test_a_listener_that_does_not_serve_yet_refuses():
    async def scene(net):
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(Recorder, "server", 80, start_serving=False)
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(Recorder, "server", 80)
        await listener.start_serving()
        await loop.create_connection(Recorder, "server", 80)
        return listener.is_serving()

    assert simulate(scene)


def test_wait_closed_waits_for_the_last_connection():
    async def scene(net):
        client, server = await pair(net)
        listener = server.transport._listener
        listener.close()
        asyncio.get_running_loop().call_later(5, client.transport.close)
        await listener.wait_closed()
        assert not listener.sockets
        return now()

    assert simulate(scene) == 5


def test_serve_forever_ends_with_its_task():
    async def scene(net):
        listener = await asyncio.get_running_loop().create_server(Recorder, "server", 80, start_serving=False)
        with pytest.raises(TimeoutError):
            async with listener, asyncio.timeout(3):
                await listener.serve_forever()
        return now(), listener.is_serving()

    assert simulate(scene) == (3, False)


# bytes on their way


def test_bytes_arrive_one_latency_after_they_were_written():
    async def scene(net):
        client, server = await pair(net)
        client.transport.write(b"Hel")
        client.transport.writelines([b"l", bytearray(b"o")])
        await asyncio.sleep(1)
        return server.calls[1:], bytes(server.received)

    calls, received = simulate(scene, latency=0.25)
    assert calls == [(1.0, "data", 3), (1.0, "data", 2)]
    assert received == b"Hello"


def test_jitter_adds_up_to_its_bound():
    async def scene(net):
        client, server = await pair(net)
        sent = []
        for _ in range(500):
            sent.append(now())
            client.transport.write(b"x")
            await asyncio.sleep(1)
        return [arrived - left for left, arrived in zip(sent, server.times("data"), strict=True)]

    ways = simulate(scene, latency=0.1, jitter=0.5)
    assert 0.0999 < min(ways) < 0.11
    assert 0.59 < max(ways) < 0.6001


def test_jitter_never_reorders():
    numbers = [number.to_bytes(2, "big") for number in range(500)]

    async def scene(net):
        client, server = await pair(net)
        for number in numbers:
            client.transport.write(number)
            await asyncio.sleep(0.01)
        await asyncio.sleep(5)
        return server.received

    assert simulate(scene, latency=0.1, jitter=0.5) == b"".join(numbers)


def test_without_bandwidth_a_write_arrives_in_pieces_of_256_kib_at_most():
    async def scene(net):
        client, server = await pair(net)
        client.transport.write(bytes(256 * KIB))
        client.transport.write(bytes(600 * KIB))
        await asyncio.sleep(1)
        return [size for _, call, *size in server.calls if call == "data"]

    assert simulate(scene) == [[256 * KIB], [256 * KIB], [256 * KIB], [88 * KIB]]


def test_a_mebibyte_at_one_megabit_per_second_streams_in_over_8_4_seconds():
    async def scene(net):
        client, server = await pair(net)
        started = now()
        client.transport.write(bytes(2**20))
        await asyncio.sleep(10)
        return started, server

    started, server = simulate(scene, latency=0.5, bandwidth=1e6)
    times = server.times("data")
    assert len(times) == math.ceil(2**20 / 1460)
    assert times[0] == started + 1460 * 8 / 1e6 + 0.5
    assert times[-1] == started + 8.388608 + 0.5


def test_a_small_write_waits_behind_a_large_one_on_a_slow_link():
    async def scene(net):
        client, server = await pair(net)
        client.transport.write(bytes(125_000))
        client.transport.write(b"ping")
        await asyncio.sleep(5)
        return server.times("data")[-1]

    assert simulate(scene, bandwidth=1e6) == pytest.approx(1.000032)


def test_each_direction_has_the_bandwidth_for_itself():
    async def scene(net):
        client, server = await pair(net)
        for end in (client, server):
            end.transport.write(bytes(125_000))
        await asyncio.sleep(5)
        return client.times("data")[-1], server.times("data")[-1]

    assert simulate(scene, bandwidth=1e6) == (1, 1)


def test_latency_set_live_holds_from_the_next_write_on_and_keeps_the_order():
    async def scene(net):
        client, server = await pair(net)
        net.set(latency=2)
        client.transport.write(b"slow")
        await asyncio.sleep(1)
        net.set(latency=0)
        client.transport.write(b"fast")
        await asyncio.sleep(0.5)
        assert not server.received
        await asyncio.sleep(5)
        return server.times("data"), bytes(server.received)

    assert simulate(scene) == ([2, 2], b"slowfast")


@pytest.mark.parametrize(
    ("changes", "there", "back"),
    [
        ([(("client",), 0.25)], 0.25, 0.25),
        ([(("client", "outgoing"), 0.25)], 0.25, 0),
        ([(("client", "incoming"), 0.25)], 0, 0.25),
        ([(("server", "incoming"), 0.25)], 0.25, 0),
        ([(("server", "incoming"), 0.25), (("client",), 0.5)], 0.5, 0.5),
        ([(("client",), 0.5), (("server", "incoming"), 0.25)], 0.25, 0.5),
        ([(("client",), 0.5), ((), 0.25)], 0.25, 0.25),
        ([(("somebody",), 0.5)], 0, 0),
    ],
)
def test_each_host_and_direction_may_have_a_latency_of_its_own_and_the_last_change_wins(changes, there, back):
    async def scene(net):
        client, server = await pair(net)
        net.add_host("somebody")
        for whose, latency in changes:
            net.set(*whose, latency=latency)
        begin = now()
        client.transport.write(b"a")
        server.transport.write(b"1")
        await asyncio.sleep(10)
        return server.times("data")[0] - begin, client.times("data")[0] - begin

    assert simulate(scene) == (there, back)


def test_a_host_may_be_slower_one_way_and_later_connections_find_it_so():
    async def scene(net):
        with net.host("phone"):
            net.set("phone", "outgoing", bandwidth=8000)
            client, server = await pair(net)
        begin = now()
        client.transport.write(bytes(1000))
        server.transport.write(bytes(1000))
        await asyncio.sleep(10)
        return server.times("data")[0] - begin, client.times("data")[0] - begin

    assert simulate(scene) == (pytest.approx(1), 0)


def test_bandwidth_set_live_holds_for_what_has_not_left():
    async def scene(net):
        client, server = await pair(net)
        client.transport.write(bytes(14600))
        await asyncio.sleep(1.5)
        net.set(bandwidth=1460 * 8 * 9)
        await asyncio.sleep(5)
        net.set(bandwidth=None)
        client.transport.write(bytes(14600))
        await asyncio.sleep(0)
        return server.times("data")

    times = simulate(scene, bandwidth=1460 * 8)
    assert times[0] == 1
    assert times[1] == pytest.approx(1.5 + 1 / 9)
    assert times[9] == pytest.approx(2.5)
    assert len(times) == 10


def test_bandwidth_that_is_stored_before_the_wires_follow_counts_from_then_on():
    async def scene(net):
        client, server = await pair(net)
        client.transport.write(bytes(14600))
        await asyncio.sleep(1.5)
        # as from another thread, whose change the wires follow in a later turn
        change = net.store(None, "both", bandwidth=1460 * 4)
        await asyncio.sleep(1)
        net.follow(change)
        await asyncio.sleep(3)
        return server.times("data")

    # the segment on its way out still takes its second, the one behind it 2 s from then on
    assert simulate(scene, bandwidth=1460 * 8) == [1, 2, 4]


def test_bandwidth_set_to_none_lets_all_that_waits_leave():
    async def scene(net):
        client, server = await pair(net)
        client.transport.write(bytes(14600))
        await asyncio.sleep(2.5)
        net.set(bandwidth=None)
        await asyncio.sleep(5)
        return server.times("data")

    assert simulate(scene, bandwidth=1460 * 8) == [1, 2, *[2.5] * 8]


# buffers


@pytest.mark.parametrize(("size", "calls"), [(64 * KIB, []), (64 * KIB + 1, ["pause"])])
def test_writing_pauses_behind_64_kib_that_nobody_reads(size, calls):
    async def scene(net):
        client, server = await pair(net)
        server.transport.pause_reading()
        for _ in range(4):
            client.transport.write(bytes(16 * KIB))
            await asyncio.sleep(0.1)
        client.transport.write(bytes(size - 64 * KIB))
        await asyncio.sleep(10)
        assert client.transport.get_write_buffer_size() == size
        return [call for _, call, *_ in client.calls[1:]]

    assert simulate(scene, latency=1) == calls


def test_writing_goes_on_when_a_quarter_is_left_unread():
    async def scene(net):
        client, server = await pair(net)
        server.data_received = lambda data: server.transport.pause_reading()
        for _ in range(6):
            client.transport.write(bytes(16 * KIB))
            await asyncio.sleep(0.1)
        held = []
        for _ in range(5):
            held.append(client.transport.get_write_buffer_size() // KIB)
            server.transport.resume_reading()
            await asyncio.sleep(1)
        return held, client.calls[1:]

    held, calls = simulate(scene)
    assert held == [80, 64, 48, 32, 16]
    assert calls == [(0.5, "pause"), (pytest.approx(3.6), "resume")]


def test_what_has_not_left_counts_as_buffered():
    async def scene(net):
        client, _ = await pair(net)
        client.transport.write(bytes(100_000))
        sizes = []
        for _ in range(5):
            sizes.append(client.transport.get_write_buffer_size())
            await asyncio.sleep(0.25)
        return sizes, [call for _, call, *_ in client.calls[1:]]

    sizes, calls = simulate(scene, bandwidth=800_000)
    assert sizes[0] == 100_000
    assert sizes[-1] == 0
    assert all(abs(before - after - 25_000) <= 1460 for before, after in itertools.pairwise(sizes))
    assert calls == ["pause", "resume"]


def test_bytes_in_flight_are_not_buffered():
    async def scene(net):
        client, server = await pair(net)
        for _ in range(10):
            client.transport.write(bytes(60 * KIB))
            await asyncio.sleep(0.01)
            assert client.transport.get_write_buffer_size() == 0
        return server.received, client.calls[1:]

    assert simulate(scene, latency=1) == (b"", [])


def test_a_burst_without_a_turn_of_the_loop_pauses_writing_until_the_next_turn():
    async def scene(net):
        client, _ = await pair(net)
        for _ in range(100):
            client.transport.write(bytes(KIB))
        paused = [call for _, call, *_ in client.calls[1:]]
        await asyncio.sleep(0.001)
        return paused, [call for _, call, *_ in client.calls[1:]]

    assert simulate(scene, latency=1) == (["pause"], ["pause", "resume"])


@pytest.mark.parametrize(
    ("more", "bandwidth", "calls"),
    [(0, None, []), (1, None, ["pause", "resume"]), (1, 1e9, [])],
)
def test_writing_pauses_behind_1_mib_in_flight_where_bandwidth_is_unlimited(more, bandwidth, calls):
    async def scene(net):
        client, _ = await pair(net)
        for size in (64 * KIB,) * 16 + (more,):
            client.transport.write(bytes(size))
            await asyncio.sleep(0.01)
        await asyncio.sleep(10)
        return [call for _, call, *_ in client.calls[1:]]

    assert simulate(scene, latency=1, bandwidth=bandwidth) == calls


def test_sender_that_never_waits_lets_time_pass():
    async def scene(net):
        client, server = await pair(net)
        while len(server.received) < 10 * 1024 * KIB:
            if client.calls[-1][1] == "pause":
                await asyncio.sleep(0.1)
            else:
                client.transport.write(bytes(KIB))
                await asyncio.sleep(0)
        return asyncio.get_running_loop().time()

    assert simulate(scene, latency=1) < 20


def test_write_buffer_limits_are_honoured():
    async def scene(net):
        client, server = await pair(net)
        transport = client.transport
        assert transport.get_write_buffer_limits() == (16 * KIB, 64 * KIB)
        server.transport.pause_reading()
        transport.set_write_buffer_limits(high=100)
        assert transport.get_write_buffer_limits() == (25, 100)
        transport.write(bytes(100))
        await asyncio.sleep(1)
        transport.write(b"1")
        await asyncio.sleep(1)
        transport.set_write_buffer_limits(low=200)
        assert transport.get_write_buffer_limits() == (200, 800)
        await asyncio.sleep(1)
        transport.set_write_buffer_limits(high=0)
        await asyncio.sleep(1)
        with pytest.raises(ValueError, match="high >= low >= 0"):
            transport.set_write_buffer_limits(high=1, low=2)
        return client.calls[1:]

    assert simulate(scene) == [(1, "pause"), (2, "resume"), (3, "pause")]


def test_a_paused_protocol_gets_nothing_until_it_resumes():
    async def scene(net):
        client, server = await pair(net)
        server.transport.pause_reading()
        server.transport.pause_reading()
        assert not server.transport.is_reading()
        client.transport.write(b"late")
        client.transport.write_eof()
        await asyncio.sleep(3)
        assert [call for _, call, *_ in server.calls] == ["made"]
        server.transport.resume_reading()
        server.transport.resume_reading()
        assert [call for _, call, *_ in server.calls] == ["made"]
        await asyncio.sleep(0)
        return server.calls[1:3]

    assert simulate(scene) == [(3, "data", 4), (3, "eof")]


# the end of a connection


def test_half_a_close_leaves_the_other_direction_open():
    async def scene(net):
        client, server = await pair(net, half_open=True)
        client.transport.write(b"question")
        assert client.transport.can_write_eof()
        client.transport.write_eof()
        client.transport.write_eof()
        with pytest.raises(RuntimeError, match="after write_eof"):
            client.transport.write(b"more")
        await asyncio.sleep(1)
        server.transport.write(b"answer")
        await asyncio.sleep(1)
        server.transport.close()
        await asyncio.sleep(1)
        client.transport.close()
        await asyncio.gather(client.lost, server.lost)
        return client, server

    client, server = simulate(scene, latency=0.25)
    assert [call for _, call, *_ in client.calls] == ["made", "data", "eof", "lost"]
    assert [call for _, call, *_ in server.calls] == ["made", "data", "eof", "lost"]
    assert client.received == b"answer"


def test_close_sends_everything_first_and_the_peer_closes_too():
    async def scene(net):
        client, server = await pair(net)
        client.transport.write(bytes(50_000))
        client.transport.close()
        client.transport.close()
        client.transport.write(b"ignored")
        assert client.transport.is_closing()
        await asyncio.gather(client.lost, server.lost)
        return client.calls[1:], server.calls[1:], len(server.received)

    client, server, received = simulate(scene, latency=0.5)
    assert client == [(1.5, "lost", None)]
    assert server == [(2.0, "data", 50_000), (2.0, "eof"), (2.0, "lost", None)]
    assert received == 50_000


def test_a_closed_end_is_lost_when_64_kib_are_left_and_those_arrive_too():
    async def scene(net):
        client, server = await pair(net)
        client.transport.write(bytes(100 * KIB))
        client.transport.close()
        await asyncio.gather(client.lost, server.lost)
        return client.times("lost"), server.times("lost"), len(server.received)

    client, server, received = simulate(scene, bandwidth=8 * KIB)
    assert client[0] == pytest.approx(36, abs=1.5)
    assert server == [pytest.approx(100)]
    assert received == 100 * KIB


def test_abort_ends_at_once_and_the_peer_sees_a_reset():
    async def scene(net):
        client, server = await pair(net)
        client.transport.abort()
        client.transport.abort()
        await asyncio.gather(client.lost, server.lost)
        return client.calls[1:], server.calls[1:]

    client, server = simulate(scene, latency=0.5)
    assert client == [(1.5, "lost", None)]
    assert server == [(2.0, "lost", "ConnectionResetError")]


def test_what_was_written_before_an_abort_arrives_before_the_reset():
    async def scene(net):
        client, server = await pair(net)
        client.transport.write(b"Close")
        client.transport.abort()
        await server.lost
        return server.calls[1:]

    assert simulate(scene) == [(0, "data", 5), (0, "lost", "ConnectionResetError")]


def test_abort_drops_what_exceeds_the_64_kib_of_a_socket():
    async def scene(net):
        client, server = await pair(net)
        for _ in range(100):
            client.transport.write(bytes(KIB))
        client.transport.abort()
        await server.lost
        return len(server.received)

    assert simulate(scene, bandwidth=1e6) == 64 * KIB


def test_reset_forgets_what_is_on_its_way_out_of_the_other_end(caplog):
    async def scene(net):
        client, server = await pair(net)
        client.transport.write(bytes(100 * KIB))
        server.transport.abort()
        await client.lost
        await asyncio.sleep(1)
        return len(server.received)

    assert simulate(scene, bandwidth=1e6) == 0
    assert caplog.messages == []


def test_closing_with_unread_bytes_is_a_reset():
    async def scene(net):
        client, server = await pair(net)
        server.transport.pause_reading()
        client.transport.write(b"never read")
        await asyncio.sleep(1)
        server.transport.write(b"bye")
        server.transport.close()
        await asyncio.gather(client.lost, server.lost)
        return client.calls[1:], server.calls[1:]

    client, server = simulate(scene, latency=0.5)
    assert server == [(2.5, "lost", None)]
    assert client == [(3.0, "data", 3), (3.0, "lost", "ConnectionResetError")]


def test_bytes_for_a_closed_socket_are_answered_by_a_reset():
    async def scene(net):
        client, server = await pair(net, half_open=True)
        server.transport.close()
        await asyncio.sleep(1)
        client.transport.write(b"anybody there?")
        await client.lost
        return client.calls[1:]

    assert simulate(scene, latency=0.25) == [(1.0, "eof"), (2.25, "lost", "ConnectionResetError")]


def test_a_protocol_that_raises_ends_its_connection_and_is_reported():
    async def scene(net):
        reports = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reports.append(context))
        client, server = await pair(net)
        server.data_received = lambda data: 1 / 0
        client.transport.write(b"x")
        await asyncio.gather(client.lost, server.lost)
        return reports, client.calls[-1], server.calls[-1]

    reports, client, server = simulate(scene, latency=0.25)
    assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]
    assert server == (1.0, "lost", "ZeroDivisionError")
    assert client == (1.25, "lost", None)


def test_a_factory_that_raises_ends_the_connection_and_is_reported():
    def factory():
        raise LookupError("no protocol")

    async def scene(net):
        loop = asyncio.get_running_loop()
        reports = []
        loop.set_exception_handler(lambda loop, context: reports.append(str(context["exception"])))
        await loop.create_server(factory, "server", 80)
        _, client = await loop.create_connection(Recorder, "server", 80)
        await client.lost
        return reports, client.calls[-1]

    assert simulate(scene) == (["no protocol"], (0, "lost", None))


def test_write_takes_bytes_only():
    async def scene(net):
        client, _ = await pair(net)
        with pytest.raises(TypeError, match="data is str: bytes are needed"):
            client.transport.write("text")
        client.transport.write(b"")

    simulate(scene)


def test_the_protocol_of_a_transport_can_be_exchanged():
    async def scene(net):
        client, server = await pair(net)
        other = Recorder()
        server.transport.set_protocol(other)
        assert server.transport.get_protocol() is other
        client.transport.write(b"for the other")
        await asyncio.sleep(1)
        return other.received

    assert simulate(scene) == b"for the other"


def test_every_protocol_runs_in_the_context_of_its_own_start_or_connect():
    place = contextvars.ContextVar("place", default="nowhere")
    seen = {}

    class Witness(asyncio.Protocol):
        def __init__(self, name):
            self.name = name

        def connection_made(self, transport):
            seen[self.name, "made"] = place.get()
            place.set(f"{place.get()}, changed")
            transport.write(b"x")

        def data_received(self, data):
            seen[self.name, "data"] = place.get()

        def connection_lost(self, error):
            seen[self.name, "lost"] = place.get()

    async def scene(net):
        loop = asyncio.get_running_loop()
        place.set("start")
        await loop.create_server(lambda: Witness("server"), "server", 80)
        place.set("connect")
        transport, _ = await loop.create_connection(lambda: Witness("client"), "server", 80)
        place.set("scene")
        await asyncio.sleep(1)
        transport.close()
        await asyncio.sleep(1)
        assert place.get() == "scene"

    simulate(scene)
    assert seen == {
        ("server", "made"): "start",
        ("server", "data"): "start, changed",
        ("server", "lost"): "start, changed",
        ("client", "made"): "connect",
        ("client", "data"): "connect, changed",
        ("client", "lost"): "connect, changed",
    }


# faults


@pytest.mark.parametrize("seed", range(30))
def test_whatever_the_faults_bytes_arrive_once_and_in_order(seed):
    chance = random.Random(seed)
    sent = chance.randbytes(300_000)

    async def disturb(net, transport):
        for _ in range(40):
            await asyncio.sleep(chance.expovariate(20))
            host = chance.choice(["client", "server"])
            chance.choice([net.cut, net.restore, net.freeze, net.thaw])(host)
            net.set(
                latency=chance.random(), jitter=chance.random(), bandwidth=chance.choice([None, 1e5, 1e7])
            )
            chance.choice([transport.pause_reading, transport.resume_reading])()
        for host in ("client", "server"):
            net.restore(host)
            net.thaw(host)
        transport.resume_reading()

    async def scene(net):
        client, server = await pair(net)
        disturbing = asyncio.create_task(disturb(net, server.transport))
        at = 0
        while at < len(sent):
            size = chance.randrange(1, 20_000)
            client.transport.write(sent[at : at + size])
            at += size
            await asyncio.sleep(chance.expovariate(30))
        client.transport.close()
        await asyncio.gather(client.lost, server.lost, disturbing)
        return server.received, server.calls[-1][2], client.calls[-1][2]

    assert simulate(scene, latency=0.1, seed=seed) == (sent, None, None)


def test_nothing_passes_a_cut_and_on_restore_all_arrives_in_order():
    async def scene(net):
        client, server = await pair(net)
        client.transport.write(b"a")
        await asyncio.sleep(0.1)
        client.transport.write(b"b")
        await asyncio.sleep(0.1)
        net.cut("server")
        client.transport.write(b"c")
        server.transport.write(b"d")
        await asyncio.sleep(100)
        assert server.calls[1:] == client.calls[1:] == []
        client.transport.write_eof()
        net.restore("server")
        await asyncio.sleep(10)
        return server.calls[1:], bytes(server.received), bytes(client.received)

    calls, received, answered = simulate(scene, latency=0.25)
    assert received == b"abc"
    assert answered == b"d"
    assert {round(time, 9) for time, *_ in calls} == {0.75 + 0.2 + 100 + 0.25}
    assert [call for _, call, *_ in calls] == ["data", "data", "data", "eof", "lost"]


def test_what_arrived_before_the_cut_stays():
    async def scene(net):
        client, server = await pair(net)
        client.transport.write(b"a")
        await asyncio.sleep(0.25)
        net.cut("client")
        client.transport.write(b"b")
        await asyncio.sleep(10)
        return bytes(server.received)

    assert simulate(scene, latency=0.25) == b"a"


def test_a_cut_hides_an_abort():
    async def scene(net):
        client, server = await pair(net)
        net.cut("server")
        client.transport.abort()
        assert await client.lost is None
        await asyncio.sleep(100)
        assert server.calls[1:] == []
        net.restore("server")
        await server.lost
        return server.calls[1:]

    assert simulate(scene) == [(100, "lost", "ConnectionResetError")]


def test_connecting_to_a_cut_host_hangs_until_it_is_restored():
    async def scene(net):
        loop = asyncio.get_running_loop()
        await loop.create_server(Recorder, "server", 80)
        net.cut("server")
        loop.call_later(50, net.restore, "server")
        await loop.create_connection(Recorder, "server", 80)
        return now()

    assert simulate(scene, latency=0.25) == 50.5


def test_a_cut_of_one_host_leaves_the_others_alone():
    async def scene(net):
        loop = asyncio.get_running_loop()
        await loop.create_server(lambda: Recorder(echo=True), "server", 80)
        clients = []
        for name in ("alice", "bob"):
            with net.host(name):
                clients.append((await loop.create_connection(Recorder, "server", 80))[1])
        net.cut("alice")
        for client in clients:
            client.transport.write(b"hello")
        await asyncio.sleep(10)
        return [bytes(client.received) for client in clients], repr(net)

    received, text = simulate(scene)
    assert received == [b"", b"hello"]
    assert "client, server, alice (cut), bob" in text


def test_a_host_that_is_cut_off_still_reaches_itself():
    async def scene(net):
        with net.host("server"):
            client, server = await pair(net)
        net.cut("server")
        client.transport.write(b"loopback")
        await asyncio.sleep(1)
        return bytes(server.received)

    assert simulate(scene) == b"loopback"


@pytest.mark.parametrize(
    ("host", "direction"), [("client", "outgoing"), ("server", "incoming")], ids=["outgoing", "incoming"]
)
def test_one_way_alone_may_be_cut(host, direction):
    async def scene(net):
        client, server = await pair(net)
        net.cut(host, direction)
        client.transport.write(b"a")
        server.transport.write(b"1")
        await asyncio.sleep(10)
        state = repr(net)
        held = bytes(server.received), bytes(client.received)
        net.restore(host)
        await asyncio.sleep(10)
        return held, bytes(server.received), f"{host} ({direction} cut)" in state

    assert simulate(scene) == ((b"", b"1"), b"a", True)


def test_a_cut_of_both_ways_may_be_restored_one_way_at_a_time():
    async def scene(net):
        client, server = await pair(net)
        net.cut("server")
        client.transport.write(b"a")
        server.transport.write(b"1")
        net.restore("server", "outgoing")
        await asyncio.sleep(10)
        return bytes(server.received), bytes(client.received)

    assert simulate(scene) == (b"", b"1")


def test_bytes_held_by_a_cut_count_as_buffered():
    async def scene(net):
        client, server = await pair(net)
        for _ in range(5):
            client.transport.write(bytes(15 * KIB))
            await asyncio.sleep(0.1)
        assert client.transport.get_write_buffer_size() == 0
        net.cut("server")
        assert client.transport.get_write_buffer_size() == 75 * KIB
        await asyncio.sleep(0)
        paused = [call for _, call, *_ in client.calls[1:]]
        net.restore("server")
        await asyncio.sleep(5)
        return paused, [call for _, call, *_ in client.calls[1:]], len(server.received)

    assert simulate(scene, latency=2) == (["pause"], ["pause", "resume"], 75 * KIB)


def test_a_frozen_host_neither_reads_nor_writes_and_its_tasks_go_on():
    async def scene(net):
        client, server = await pair(net)
        net.freeze("server")
        client.transport.write(b"to you")
        server.transport.write(b"to me")
        await asyncio.sleep(100)
        assert server.calls[1:] == client.calls[1:] == []
        assert client.transport.get_write_buffer_size() == len("to you")
        assert server.transport.get_write_buffer_size() == len("to me")
        assert "server (frozen)" in repr(net)
        net.thaw("server")
        await asyncio.sleep(10)
        return server.times("data"), client.times("data")

    assert simulate(scene, latency=0.25) == ([100.75], [101.0])


def test_what_left_a_host_before_it_froze_still_arrives():
    async def scene(net):
        client, server = await pair(net)
        client.transport.write(b"gone")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        net.freeze("client")
        client.transport.write(b"held")
        await asyncio.sleep(10)
        return bytes(server.received)

    assert simulate(scene, latency=0.25) == b"gone"


def test_connecting_to_a_frozen_host_hangs_until_it_is_thawed():
    async def scene(net):
        loop = asyncio.get_running_loop()
        await loop.create_server(Recorder, "server", 80)
        net.freeze("server")
        loop.call_later(50, net.thaw, "server")
        await loop.create_connection(Recorder, "server", 80)
        return now()

    assert simulate(scene, latency=0.25) == 50.25


def test_both_ends_see_a_reset_at_once_and_what_was_on_its_way_is_lost():
    async def scene(net):
        client, server = await pair(net)
        server.transport.pause_reading()
        client.transport.write(b"lost")
        await asyncio.sleep(0.1)
        net.reset("server")
        errors = await asyncio.gather(client.lost, server.lost)
        return [type(error) for error in errors], client.calls[1:], server.calls[1:], now()

    errors, client, server, time = simulate(scene, latency=0.5)
    assert errors == [ConnectionResetError, ConnectionResetError]
    assert [call for _, call, *_ in client + server] == ["lost", "lost"]
    assert time == 1.6


def test_a_reset_reaches_through_a_cut_and_spares_other_hosts():
    async def scene(net):
        loop = asyncio.get_running_loop()
        await loop.create_server(Recorder, "server", 80)
        clients = []
        for name in ("alice", "bob"):
            with net.host(name):
                clients.append((await loop.create_connection(Recorder, "server", 80))[1])
        net.cut("alice")
        net.reset("alice")
        await asyncio.sleep(10)
        return [[call for _, call, *_ in client.calls] for client in clients]

    assert simulate(scene) == [["made", "lost"], ["made"]]


def test_a_reset_refuses_a_connection_that_is_being_made():
    async def scene(net):
        loop = asyncio.get_running_loop()
        await loop.create_server(Recorder, "server", 80)
        loop.call_later(0.3, net.reset, "server")
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(Recorder, "server", 80)
        return now()

    assert simulate(scene, latency=0.25) == 0.3


@pytest.mark.parametrize(
    ("option", "value", "error", "text"),
    [
        ("latency", -0.1, ValueError, "latency is -0.1: seconds from 0 up are allowed"),
        ("latency", math.nan, ValueError, "latency is nan: seconds from 0 up are allowed"),
        ("latency", math.inf, ValueError, "latency is inf: seconds from 0 up are allowed"),
        ("latency", True, TypeError, "latency is True: seconds from 0 up are allowed"),
        ("latency", None, TypeError, "latency is None: seconds from 0 up are allowed"),
        ("jitter", -1, ValueError, "jitter is -1: seconds from 0 up are allowed"),
        ("jitter", "1", TypeError, "jitter is '1': seconds from 0 up are allowed"),
        ("jitter", timedelta(days=-1), ValueError, "jitter is .*: seconds from 0 up are allowed"),
        ("bandwidth", 0, ValueError, "bandwidth is 0: bits per second above 0, or None for no limit"),
        ("bandwidth", -1, ValueError, "bandwidth is -1: bits per second above 0"),
        ("bandwidth", math.nan, ValueError, "bandwidth is nan: bits per second above 0"),
        ("bandwidth", False, TypeError, "bandwidth is False: bits per second above 0"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed_and_changes_nothing(option, value, error, text):
    network = Network(Faults(latency=1, jitter=2, bandwidth=3))
    good = {"latency": 5, "jitter": 5, "bandwidth": 5} | {option: value}
    with pytest.raises(error, match=text):
        network.set(**good)
    assert repr(network.faults) == "latency 1 s, jitter 2 s, bandwidth 3 bit/s"
    with pytest.raises(error, match=text):
        simulate(lambda net: None, **{option: value})


@pytest.mark.parametrize("fault", ["cut", "restore", "freeze", "thaw", "reset"])
def test_an_unknown_host_cannot_have_faults(fault):
    with pytest.raises(ValueError, match="no host 'sever': known are 'client'"):
        getattr(Network(), fault)("sever")


@pytest.mark.parametrize("fault", ["cut", "restore", "set"])
def test_an_unknown_direction_is_named_with_the_known_ones(fault):
    message = "direction is 'up': 'both', 'outgoing', 'incoming' are allowed"
    with pytest.raises(ValueError, match=message):
        getattr(Network(), fault)("client", "up")


def test_a_direction_needs_a_host():
    network = Network()
    with pytest.raises(ValueError, match="direction is 'outgoing': name the host that it is of"):
        network.set(direction="outgoing", latency=1)
    assert network.faults.latency == 0


@pytest.mark.parametrize(("name", "error"), [("", ValueError), (None, TypeError), (7, TypeError)])
def test_a_host_needs_a_name(name, error):
    async def scene(net):
        with pytest.raises(error, match="a name is needed, such as 'server'"), net.host(name):
            pass
        with pytest.raises(error, match="a name is needed, such as 'server'"):
            await asyncio.get_running_loop().create_server(Recorder, name, 80)
        return repr(net)

    assert "hosts: client;" in simulate(scene)


def test_durations_may_be_timedeltas():
    async def scene(net):
        net.set(jitter=timedelta(0))
        await pair(net)
        return now(), repr(net)

    assert simulate(scene, latency=timedelta(milliseconds=250)) == (
        0.75,
        "<SimulatedNetwork at 0.75 s; latency 0.25 s, jitter 0 s, bandwidth unlimited; "
        "hosts: client, server; connections: 1>",
    )


# whatever loop runs


def test_asyncio_streams_run_on_it():
    async def greet(reader, writer):
        name = await reader.readline()
        writer.write(b"Hi, " + name)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def scene(net):
        async with await asyncio.start_server(greet, "server", 80):
            reader, writer = await asyncio.open_connection("server", 80)
            writer.write(b"Ada\n")
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            return answer, now()

    answer, time = simulate(scene, latency=0.1)
    assert answer == b"Hi, Ada\n"
    assert time == pytest.approx(0.4)


def test_a_stream_that_waits_for_room_goes_on_when_the_reader_reads():
    async def sink(reader, writer):
        await asyncio.sleep(60)
        await reader.read()
        writer.close()

    async def scene(net):
        async with await asyncio.start_server(sink, "server", 80):
            _, writer = await asyncio.open_connection("server", 80)
            for _ in range(1000):
                writer.write(bytes(KIB))
                await writer.drain()
                await asyncio.sleep(0.001)
            drained = now()
            writer.close()
            await writer.wait_closed()
            return drained

    assert 60 < simulate(scene, latency=0.1) < 61.5


def test_it_runs_on_a_real_loop_too():
    async def main():
        network = Network()
        loop = asyncio.get_running_loop()
        listener = await network.create_server(lambda: Recorder(echo=True), "server", 80)
        transport, client = await network.create_connection(Recorder, "server", 80)
        arrived = loop.create_future()
        client.data_received = arrived.set_result
        transport.write(b"over here")
        data = await arrived
        transport.close()
        listener.close()
        await listener.wait_closed()
        return data

    assert asyncio.run(main()) == b"over here"


def test_a_tap_sees_every_segment_when_it_is_written_and_learns_when_it_is_received():
    seen = []
    network = Network(Faults(), lambda number, side, segment: seen.append((number, side, segment)))

    async def main():
        await network.create_server(lambda: Recorder(echo=True), "server", 80)
        transport, client = await network.create_connection(Recorder, "server", 80)
        arrived = asyncio.get_running_loop().create_future()
        client.data_received = arrived.set_result
        transport.write(b"x")
        assert seen[-1][2].received is None
        await arrived
        transport.abort()

    asyncio.run(main())
    assert [(number, side, segment.flag or segment.data) for number, side, segment in seen] == [
        (1, "client", "SYN"),
        (1, "server", "SYN-ACK"),
        (1, "client", "ACK"),
        (1, "client", b"x"),
        (1, "server", b"x"),
        (1, "client", "RST"),
    ]
    assert seen[3][2].sent <= seen[3][2].received
    assert repr(seen[5][2]).startswith("<Segment RST, sent ")
