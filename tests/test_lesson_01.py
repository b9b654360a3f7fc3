import asyncio

import pytest

from wslearn import Application, CloseCode, CloseReason, SharedFlow, WebSockets, connect, simulate
from wslearn.lab.exercises import exercise
from wslearn.lab.plots import bytes_against_staleness

pytestmark = pytest.mark.usefixtures("own_folder")


def verdict(number, answer):
    return repr(exercise(number).check(answer))


def serving(**routes):
    """Return an application with a handler for each path."""
    app = Application()
    app.install(WebSockets)
    for path, handler in routes.items():
        app.websocket(f"/{path}")(handler)
    return app


# 01.1 and 01.3: numbers


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((3, 3), "✓ right"),
        ((2, 3), "◐ almost: 1 of 2 fit; the client's number: 2 is not it"),
        ((3, 2), "◐ almost: 1 of 2 fit; the server's number: 2 is not it"),
        ((2, 2), "✗ not yet: 0 of 2 fit"),
    ],
)
def test_frames_of_both_sides_are_counted(answer, expected):
    assert verdict("01.1", answer).startswith(expected)


@pytest.mark.parametrize("answer", [51.8, 50.81, 52.79, 52, 559 * 5400 / 58_257])
def test_period_is_right_within_a_second(answer):
    assert verdict("01.3", answer).startswith("✓ right")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (50.7, "✗ not yet: a question every 50.7 s costs 59,538 bytes, listening 58,230"),
        (60, "✗ not yet: a question every 60 s costs 50,310 bytes, listening 58,230"),
        (0, "✗ not yet: seconds above 0 are needed, this is 0"),
        ("52", "✗ not yet: seconds above 0 are needed, this is '52'"),
        (True, "✗ not yet: seconds above 0 are needed, this is True"),
    ],
)
def test_wrong_period_is_answered_with_what_it_costs(answer, expected):
    assert verdict("01.3", answer) == expected


# 01.2: a second route


async def shout(session):
    async for frame in session.incoming:
        await session.send(frame.read_text().upper())


def test_capitals_are_right_whatever_the_options_of_the_running_server_are():
    app = serving(shout=shout)
    app.options.masking = True
    app.options.max_frame_size = 1
    assert verdict("01.2", app) == (
        "✓ right: GOAL, ESPAÑA, 3:0 TO US came back, to our client and to websockets"
    )


def test_route_that_is_missing_is_told():
    assert "HandshakeError: server answered 404" in verdict("01.2", serving(echo=shout))


def test_text_that_is_not_in_capitals_is_almost_right():
    async def ascii_only(session):
        async for frame in session.incoming:
            await session.send(frame.read_text().upper().replace("Ñ", "ñ"))

    assert verdict("01.2", serving(shout=ascii_only)) == (
        "◐ almost: our client said 'España' and got 'ESPAñA', 'ESPAÑA' is wanted"
    )


def test_handler_that_answers_once_is_not_enough():
    async def once(session):
        frame = await session.incoming.receive()
        await session.send(frame.read_text().upper())

    assert "our client said 'España', and the session ended before an answer" in verdict(
        "01.2", serving(shout=once)
    )


def test_handler_that_never_answers_is_not_waited_for():
    async def listen(session):
        async for _ in session.incoming:
            pass

    assert verdict("01.2", serving(shout=listen)) == (
        "✗ not yet: our client waited 10 s for an answer, and none came"
    )


@pytest.mark.parametrize("number", ["01.2", "01.4"])
def test_what_is_no_application_is_named(number):
    assert "TypeError: an Application is needed, this is 7" in verdict(number, 7)


# 01.4: a push to three viewers


def stadium(viewer, reporter):
    return serving(watch=viewer, goal=reporter)


def test_goals_by_a_loop_over_viewers_are_right_too():
    viewers = []

    async def watch(session):
        viewers.append(session)
        await session.close_reason

    async def goal(session):
        async for frame in session.incoming:
            for viewer in viewers:
                await viewer.send(frame)

    assert verdict("01.4", stadium(watch, goal)) == (
        "✓ right: three viewers got 1:0, 1:1, 2:1 and said nothing"
    )


def test_goals_that_come_twice_are_almost_right():
    news = SharedFlow()

    async def watch(session):
        async for score in news.collect():
            await session.send(score)

    async def goal(session):
        async for frame in session.incoming:
            await news.emit(frame.read_text())
            await news.emit(frame.read_text())

    assert verdict("01.4", stadium(watch, goal)) == (
        "◐ almost: the reporter told ['1:0', '1:1', '2:1'];"
        " viewer 1 got ['1:0', '1:0', '1:1', '1:1', '2:1', '2:1']"
    )


def test_goals_for_the_reporter_alone_are_not_yet_right():
    async def watch(session):
        await session.close_reason

    async def goal(session):
        async for frame in session.incoming:
            await session.send(frame)

    assert "viewer 1 got []" in verdict("01.4", stadium(watch, goal))


# 01.5: the greeter


async def greet(session, code=CloseCode.NORMAL_CLOSURE):
    await session.send("Please enter your name")
    async for frame in session.incoming:
        name = frame.read_text()
        if name == "bye":
            await session.close(CloseReason(code, "Client said BYE"))
        else:
            await session.send(f"Hi, {name}!")


def test_greeter_with_another_goodbye_is_almost_right():
    async def answer(session):
        await greet(session, CloseCode.GOING_AWAY)

    assert verdict("01.5", answer) == (
        "◐ almost: 5 of 5 names were greeted, and the end was CloseReason(1001, 'Client said BYE', by='peer')"
    )


def test_greeter_that_never_ends_is_not_waited_for():
    async def answer(session):
        await session.send("Please enter your name")
        async for frame in session.incoming:
            if frame.read_text() != "bye":
                await session.send(f"Hi, {frame.read_text()}!")

    assert verdict("01.5", answer) == "◐ almost: 5 of 5 names were greeted, and bye ended nothing"


def test_greeter_that_fails_shows_its_close_code():
    async def answer(session):
        await session.send("Please enter your name")
        await asyncio.sleep(0)
        raise LookupError

    assert "0 of 5 names were greeted, and the end was CloseReason(1011, 'LookupError'" in verdict(
        "01.5", answer
    )


# the plot


def test_plot_says_what_each_way_costs_and_is_a_small_picture():
    picture = bytes_against_staleness(
        asking={"every 60 s": (30.0, 50_310), "every 1 s": (0.5, 3_018_600)},
        listening={"WebSocket": (0.02, 58_257), "event stream": (0.02, 1_657)},
    )
    assert repr(picture).splitlines() == [
        "every 60 s: 50,310 bytes, 30 s stale",
        "every 1 s: 3,018,600 bytes, 0.5 s stale",
        "WebSocket: 58,257 bytes, 0.02 s stale",
        "event stream: 1,657 bytes, 0.02 s stale",
    ]
    assert len(picture._repr_png_()) < 60_000


# the score board


def test_goals_go_out_in_the_order_in_which_viewers_came():
    goals = SharedFlow()

    async def watch(session):
        async for goal in goals.collect():
            await session.send(goal)

    board = serving(watch=watch)

    async def scene(net):
        async with board.start("server", 80):
            viewers = [await connect("ws://server/watch") for _ in range(30)]
            await goals.emit("1:0")
            await viewers[-1].incoming.receive()
            return [each.session for each in net.trace.frames]

    assert simulate(scene, latency=0.02) == list(range(1, 31))
