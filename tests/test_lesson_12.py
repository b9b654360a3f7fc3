import asyncio
import secrets

import pytest
from helpers import echo

from wslearn import Application, Channels, CloseReason, WebSockets, bounded, connect, simulate
from wslearn.lab.exercises import exercise
from wslearn.lab.lesson_12 import (
    ATTACKS,
    HONEST,
    LOGIN,
    PAGE,
    SCENES,
    AttackBoard,
    Wiretap,
    attack_trace,
    attacked,
    fetch,
    greet,
    open_house,
    ticket_office,
)

pytestmark = pytest.mark.usefixtures("own_folder")

LIMITS = {
    "foreign page": {"origins": [PAGE]},
    "slow handshakes": {"open_timeout": 10},
    "huge frame": {"max_frame_size": 2**18},
    "bomb": {"max_frame_size": 2**21},
    "tiny frames": {"channels": Channels(incoming=bounded(64))},
    "crowd": {"max_sessions": 100},
}


def said(number, answer):
    return repr(exercise(number).check(answer))


def solved(number):
    names = {}
    exec(f"{exercise(number).setup}\n{exercise(number).solution_code}", names)
    return names["answer"]


# the attacks


@pytest.mark.parametrize("name", ATTACKS)
def test_open_house_falls_to_each_attack_and_one_option_ends_it(name):
    assert not attacked(open_house(), name).stopped
    assert attacked(open_house(**LIMITS[name]), name).stopped


def test_house_without_compression_has_no_bomb_to_fear():
    assert attacked(open_house(extensions=[]), "bomb").told == "arrived as large as it is"


@pytest.mark.parametrize("options", [{"origins": []}, {"max_sessions": 1, "origins": ["https://a.example"]}])
def test_house_that_lets_nobody_in_stops_nothing(options):
    attempt = attacked(open_house(**options), "crowd")
    assert not attempt.stopped
    assert attempt.told.startswith("the good client is not let in: server answered 403")


def test_attacker_who_is_not_let_in_is_stopped():
    assert attacked(open_house(max_sessions=1), "bomb").told == "refused with 503"


def test_handler_that_serves_nobody_stops_nothing():
    app = Application()
    app.install(WebSockets, max_sessions=10, ping_period=None)

    @app.websocket("/chat")
    async def chat(session):
        await session.close_reason

    assert attacked(app, "crowd").told == "the good client waits for 5 s, or is closed"


def test_board_tells_each_attack_and_how_many_were_stopped():
    board = AttackBoard(open_house(**LIMITS["foreign page"]))
    assert repr(board).splitlines()[0] == "✓ stopped  foreign page     refused with 403"
    assert repr(board).splitlines()[-1] == "1 of 6 stopped"
    assert "<b>✓ stopped</b>" in board._repr_html_()
    assert "<p>1 of 6 stopped</p>" in board._repr_html_()


# the tap and the tickets


def test_wiretap_hears_both_directions_and_changes_nothing():
    async def scene():
        app = Application()
        app.install(WebSockets)
        app.websocket("/echo")(echo)
        async with app.start() as server, Wiretap(server) as tap:
            async with connect(tap.url("/echo")) as session:
                await session.send("GOAL")
                back = (await session.incoming.receive()).read_text()
            return back, tap.heard

    back, heard = asyncio.run(scene())
    assert back == "GOAL"
    assert heard.startswith(b"GET /echo HTTP/1.1\r\n")
    assert b"HTTP/1.1 101" in heard
    assert b"\x81\x04GOAL" in heard


def test_ticket_office_sells_to_who_is_logged_in_alone():
    async def scene(net):
        async with ticket_office().start("server", 80):
            none, one = await fetch("/ticket"), await fetch("/ticket", Cookie=LOGIN)
            nowhere = await fetch("/elsewhere")
            return none, nowhere, len(one), [await greet(f"/chat?ticket={one}") for _ in range(2)]

    assert simulate(scene) == ("", "", 32, ["served", "1008"])


# 12.1 and 12.2


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (("in", "403", "in", "in", "in"), "◐ almost: 4 of 5 fit; other port: 'in' is not it"),
        (("in", "403", "403", "403", "403"), "◐ almost: 3 of 5 fit; forging script: '403' is not it"),
        (("403", "in", "in", "403", "403"), "✗ not yet: 0 of 5 fit; own page: '403' is not it"),
        (("in", 403, 403, "in", "in"), "✓ right"),
        (("In", "403", "403", "IN", "in"), "✓ right"),
        ("in", "✗ not yet: 5 values are needed"),
    ],
)
def test_callers_are_judged_one_by_one(answer, expected):
    assert said("12.1", answer).startswith(expected)


@pytest.mark.parametrize(("answer", "state"), [(200, "✓"), (200.0, "✓"), (20, "✗"), (2, "✗"), ("200", "✗")])
def test_held_handshakes_are_rate_times_time(answer, state):
    assert said("12.2", answer).startswith(state)


# 12.3


def office(check, after=lambda shown, tickets: None, echo=lambda frame: frame):
    app, tickets = Application(), set()
    app.install(WebSockets, ping_period=None)

    @app.get("/ticket")
    async def ticket(call):
        tickets.add(new := secrets.token_hex(8))
        return new

    @app.websocket("/chat")
    async def chat(session):
        shown = session.call.query.get("ticket", [""])[0]
        if not check(shown, tickets):
            await session.close(CloseReason(1008))
            return
        async for frame in session.incoming:
            await session.send(echo(frame))
        after(shown, tickets)

    return app


def used_up(shown, tickets):
    return shown in tickets and (tickets.remove(shown) or True)


def all_used_up(shown, tickets):
    return shown in tickets and (tickets.clear() or True)


def known_in_part(shown, tickets):
    found = [each for each in tickets if shown and each.startswith(shown)]
    tickets.difference_update(found)
    return bool(found)


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        (office(used_up), "✓ right: a ticket opens one session, once"),
        (office(lambda shown, tickets: True), "◐ almost: without a ticket: served, due is 1008"),
        (office(lambda shown, tickets: False), "✗ not yet: with it: 1008, due is served"),
        (office(lambda shown, tickets: shown in tickets), "◐ almost: used again, the first session still"),
        (
            office(
                lambda shown, tickets: shown in tickets, after=lambda shown, tickets: tickets.remove(shown)
            ),
            "◐ almost: used again, the first session still open: served, due is 1008",
        ),
        (office(lambda shown, tickets: tickets.clear() or shown), "◐ almost: used again, the first"),
        (office(all_used_up), "◐ almost: another ticket: 1008, due is served"),
        (office(known_in_part), "◐ almost: half a ticket: served, due is 1008"),
        (office(used_up, echo=lambda frame: "hello"), "✗ not yet: with it: Text('hello') for 'meet me"),
    ],
)
def test_offices_that_sell_badly_hear_which_caller(app, expected):
    assert said("12.3", app).startswith(expected)


def test_office_with_one_ticket_for_all_is_told():
    app = Application()
    app.install(WebSockets)

    @app.get("/ticket")
    async def ticket(call):
        return "k7"

    assert said("12.3", app) == "✗ not yet: GET /ticket gives the same ticket to everybody"


def test_office_without_tickets_is_told():
    app = Application()
    app.install(WebSockets)
    assert said("12.3", app) == "✗ not yet: GET /ticket gives no ticket"
    assert said("12.3", "k7").startswith("✗ not yet: an application is needed")


# 12.4


@pytest.mark.parametrize("name", SCENES)
def test_trace_is_honest_until_its_attack_begins(name):
    frames = attack_trace(name).frames
    first = 2 * len(HONEST[name])
    assert [each.sender for each in frames[:first]] == ["client", "server"] * len(HONEST[name])
    assert {each.sender for each in frames[first : first + 20]} == {"client"}


@pytest.mark.parametrize(
    ("name", "finding", "expected"),
    [
        ("A", ("ping flood", 4, "channels"), "◐ almost: 2 of 3 are right; A: this is no ping flood"),
        ("A", ("flood", 4, "channels"), "◐ almost: 2 of 3 are right; A: 'flood' is none of tiny frames"),
        ("B", ("endless message", 3, "max_frame_size"), "◐ almost: 2 of 3 are right; B: frame 3 is not"),
        ("B", ("endless message", 2, "timeout"), "◐ almost: 2 of 3 are right; B: timeout does not stop it"),
        ("C", ("bomb", 6, "extensions"), "✓ right"),
        ("A", ("tiny frames", 4, "channels=Channels()"), "✓ right"),
        ("C", "bomb", "◐ almost: 2 of 3 are right; C: (attack, number of its first frame, option)"),
    ],
)
def test_findings_in_traces_are_told_apart(name, finding, expected):
    assert said("12.4", {**solved("12.4"), name: finding}).startswith(expected)


def test_findings_need_all_three_traces():
    assert said("12.4", {"A": ("bomb", 4, "channels")}).startswith("✗ not yet: a dictionary with A, B and C")


# 12.5


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"origins": None}, "◐ almost: 5 of 6 stopped; foreign page: let in"),
        ({"open_timeout": 60}, "◐ almost: 5 of 6 stopped; slow handshakes: 600 connections held"),
        ({"max_sessions": None}, "◐ almost: 5 of 6 stopped; crowd: 300 sessions held"),
        ({"max_frame_size": None}, "◐ almost: 4 of 6 stopped; huge frame: 18.8 MiB"),
        ({"origins": []}, "✗ not yet: 0 of 6 stopped; foreign page: the good client is not let in"),
    ],
)
def test_houses_with_one_hole_hear_which(change, expected):
    closed = {"origins": [PAGE], "open_timeout": 5, "max_frame_size": 65_536, "max_sessions": 100}
    channels = Channels(incoming=bounded(64))
    assert said("12.5", open_house(**{**closed, "channels": channels, **change})).startswith(expected)


def test_house_is_an_application():
    assert said("12.5", WebSockets).startswith("✗ not yet: an application is needed")
