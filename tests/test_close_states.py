import asyncio

import pytest
from helpers import converse
from test_timeline import CLIENT, SERVER, WIRE

from wslearn import Application, HandshakeError, WebSockets, connect, simulate
from wslearn.lab import CloseStates
from wslearn.trace import Trace


def mimebundle(view):
    data, _ = view._repr_mimebundle_()
    return data


def path(view):
    """Return the steps as short words: the end and its state."""
    return [(step.side, step.state) for step in view.path]


def talk(server_closes=False, client_closes=True):
    """Return the traces of the server, the wire and the client of one conversation."""

    async def scene(net):
        app = Application()
        app.install(WebSockets)

        @app.websocket("/")
        async def serve(session):
            await session.incoming.receive()
            if server_closes:
                await session.close()
            async for _ in session.incoming:
                pass

        server = await app.start("server", 80)
        await asyncio.sleep(3)
        session = await connect(server.url())
        await session.send("Ana")
        await asyncio.sleep(0.06)
        if client_closes:
            await session.close()
        await asyncio.sleep(1)
        return server.trace, net.trace, session.trace

    return simulate(scene, latency=0.1)


def test_close_and_its_echo_are_walked_by_both_ends():
    server, wire, client = talk()
    assert CloseStates(wire, server=server, client=client).plain().splitlines() == [
        "time/s  client                  server                     what",
        "3.3000    connecting            → open                     "
        "server sends 101 Switching Protocols (section 4.2.2)",
        "3.4000  → open                    open                     "
        "client receives 101 Switching Protocols (section 4.1)",
        "3.4600  → closing: Close sent     open                     client sends Close 1000 (section 7.1.2)",
        "3.5600    closing: Close sent   → closing: Close received  "
        "server receives Close 1000 (section 7.1.3)",
        "3.5600    closing: Close sent   → closing: both Closes     server sends Close 1000 (section 5.5.1)",
        "3.5600    closing: Close sent   → closed, cleanly          "
        "server is over: 1000, by peer (section 7.1.4)",
        "3.6600  → closing: both Closes    closed, cleanly          "
        "client receives Close 1000 (section 7.1.3)",
        "3.6600  → closed, cleanly         closed, cleanly          "
        "client is over: 1000, by local (section 7.1.4)",
    ]


def test_both_ends_that_close_at_once_have_sent_before_they_receive():
    _, wire, _ = talk(server_closes=True)
    steps = path(CloseStates(wire))[2:]
    assert sorted(steps[:2]) == [("client", "sent"), ("server", "sent")]
    assert sorted(steps[2:]) == [("client", "both"), ("server", "both")]


@pytest.mark.parametrize("which", [0, 2])
def test_trace_of_one_end_is_enough_for_a_clean_end(which):
    view = CloseStates(talk()[which])
    assert path(view)[-2:] == [("client", "clean"), ("server", "clean")]
    assert not view.has_times


def test_close_that_never_arrives_ends_one_end_only():
    assert path(CloseStates(WIRE))[2:] == [("server", "sent")]
    assert path(CloseStates(WIRE, server=SERVER))[2:] == [("server", "sent"), ("server", "cut")]
    assert path(CloseStates(SERVER))[-1] == ("server", "cut")


def test_end_of_tcp_without_a_close_is_no_clean_end():
    async def hang_up(peer):
        peer.hang_up()
        await peer.session.close_reason
        return peer.session.trace

    view = CloseStates(converse("server", hang_up))
    assert path(view)[2:] == [("client", "cut"), ("server", "cut")]
    assert "is over: 1006, by network" in view.plain()


def test_close_for_a_violation_is_sent_by_the_end_that_found_it():
    async def break_a_rule(peer):
        peer.say("83")
        await peer.hear_all()
        return peer.session.trace

    view = CloseStates(converse("server", break_a_rule))
    assert path(view)[2:] == [("server", "sent"), ("client", "received"), ("server", "cut")]
    assert view.path[-1].what.startswith("is over: 1002")
    assert view.path[-1].section == "7.1.4"


def test_refused_handshake_ends_before_it_opens():
    async def refused(net):
        app = Application()
        app.install(WebSockets)
        server = await app.start("server", 80)
        with pytest.raises(HandshakeError):
            await connect(server.url("/nowhere"))
        return server.trace

    view = CloseStates(simulate(refused))
    assert path(view) == [("server", "refused"), ("client", "refused")]


def test_second_session_is_chosen():
    async def two(net):
        app = Application()
        app.install(WebSockets)

        @app.websocket("/")
        async def listen(session):
            await session.incoming.receive()

        server = await app.start("server", 80)
        stays = await connect(server.url())
        async with connect(server.url()):
            pass
        await asyncio.sleep(1)
        first, second = CloseStates(server.trace), CloseStates(server.trace, 2)
        ends = [path(first)[-1], path(second)[-1]]
        second.session = stays.number
        return first.numbers, [*ends, path(second)[-1]]

    assert simulate(two) == ([1, 2], [("client", "open"), ("server", "clean"), ("client", "open")])


def test_states_follow_a_trace_that_grows():
    trace = Trace()
    trace.begin(0)
    view = CloseStates(trace)
    assert (view.plain(), view.step()) == ("client and server: connecting", True)
    trace.record_head(1, "client", [(1, b"GET / HTTP/1.1\r\n\r\n")], 18)
    trace.record_head(1, "server", [(1, b"HTTP/1.1 101 Switching Protocols\r\n\r\n")], 36)
    trace.record(2, 1, "client", bytes.fromhex("8880 00000000"))
    view.step()
    assert path(view)[2:] == [("client", "sent"), ("server", "received")]
    assert view.steps[-1][1:] == ["server", "received", "receives Close", "7.1.3"]


def test_states_of_a_session_are_followed_until_both_ends_are_over():
    async def watch(peer):
        view = CloseStates(peer.session)
        before = view.step()
        peer.say("88 03e8")
        await peer.hear_all()
        return before, view.step(), path(view)[-1]

    assert converse("server", watch) == (True, False, ("server", "clean"))


def test_html_is_a_table_with_the_new_states_in_bold():
    html = mimebundle(CloseStates(CLIENT))["text/html"]
    assert "<strong>→ open</strong>" in html
    assert html.count("<tr>") == len(CloseStates(CLIENT).path) + 1


@pytest.mark.parametrize("bad", [None, 5, "trace"])
def test_states_of_what_is_no_trace_are_refused(bad):
    with pytest.raises(TypeError, match="a trace is needed, such as"):
        CloseStates(bad)
