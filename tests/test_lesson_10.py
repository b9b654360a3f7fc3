import asyncio

import pytest

from wslearn import (
    CLOSE,
    DROP_OLDEST,
    Application,
    Channels,
    SharedFlow,
    Text,
    WebSockets,
    bounded,
    simulate,
    unlimited,
)
from wslearn.lab import plots
from wslearn.lab.exercises import exercise
from wslearn.lab.lesson_10 import Crowd, Sample, number_in, positions

pytestmark = pytest.mark.usefixtures("own_folder")


def verdict(number, answer):
    return repr(exercise(number).check(answer))


def serving(channels=None, **routes):
    """Return an application with a handler for each path."""
    app = Application()
    app.install(WebSockets, ping_period=None, channels=channels or Channels())
    for path, handler in routes.items():
        app.websocket(f"/{path}")(handler)
    return app


def collecting(flow, channels=None):
    """Return an application that sends what a flow emits."""

    async def watch(session):
        async for message in flow.collect():
            await session.send(message)

    return serving(channels, positions=watch)


# positions and the crowd


@pytest.mark.parametrize("number", [0, 7, 999])
def test_positions_have_one_size_and_a_number(number):
    assert len(positions(number)) == 935
    assert number_in(positions(number).encode()) == number


def test_crowd_notes_what_is_held_and_who_is_behind_and_sleepers_read_when_they_wake():
    async def scene(net):
        server = await collecting(flow := SharedFlow()).start("server", 80)
        crowd = await Crowd.come(net, server, viewers=3, wakes=10)
        for number in range(20):
            await crowd.due(number)
            await flow.emit(positions(number))
        early = len(crowd.numbers[0])
        await asyncio.sleep(7)
        return early, crowd

    early, crowd = simulate(scene, latency=0.05)
    assert early == 0
    assert crowd.numbers[0] == crowd.numbers[1] == list(range(20))
    assert crowd.samples[5] == Sample(time=1.0, held=0, age=0.2, served=3)


# 10.1


SOLUTION = {
    "unlimited": ("nobody", "nobody", "memory"),
    "SUSPEND": ("everybody", "nobody", "delay"),
    "CLOSE": ("nobody", "the sleeper", "nothing"),
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"CLOSE": ("nobody", "nobody", "nothing")},
            "◐ almost: 8 of 9 fit; CLOSE, who is dropped: 'nobody' is not it",
        ),
        ({"SUSPEND": ("nobody",) * 3}, "✗ not yet: what grows: 'nobody' is none of nothing, memory, delay"),
        ({"SUSPEND": ("nobody", "nobody")}, "✗ not yet: three words are needed for each policy"),
        ({"SUSPEND": "delay"}, "✗ not yet: three words are needed for each policy"),
        ({"DROP": ()}, "✗ not yet: a dictionary with unlimited, SUSPEND, CLOSE is needed"),
    ],
)
def test_wrong_policies_are_told_apart(change, expected):
    assert verdict("10.1", SOLUTION | change).startswith(expected)


def test_policies_may_stand_in_any_order():
    assert exercise("10.1").check(dict(reversed(SOLUTION.items())))


def test_nine_words_must_be_three_for_each_policy():
    four_and_two = {"unlimited": (*SOLUTION["unlimited"], "everybody"), "SUSPEND": ("nobody", "delay")}
    assert verdict("10.1", SOLUTION | four_and_two) == "✗ not yet: three words are needed for each policy"


# 10.2


@pytest.mark.parametrize("answer", [102_400_000, 101_400_000, 103_400_000.0])
def test_memory_is_right_to_one_percent(answer):
    assert exercise("10.2").check(answer)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (102_400, "✗ not yet: 102,400 bytes are 0.001 times what may wait there"),
        (101_000_000, "✗ not yet: 101,000,000 bytes are 0.986 times"),
        (True, "✗ not yet: a number of bytes is needed, this is True"),
        ("100 MB", "✗ not yet: a number of bytes is needed, this is '100 MB'"),
    ],
)
def test_other_memory_is_named_by_its_factor(answer, expected):
    assert verdict("10.2", answer).startswith(expected)


# 10.3


def chat(to_self=True, say=lambda name, text: [f"{name}: {text}"]):
    """Return a chat in which each text becomes the lines that `say` returns."""
    sessions = []

    async def talk(session):
        sessions.append(session)
        name = (await session.incoming.receive()).read_text()
        async for frame in session.incoming:
            for line in say(name, frame.read_text()):
                for each in sessions:
                    if to_self or each is not session:
                        await each.send(line)

    return serving(chat=talk)


def test_chat_without_a_flow_is_right_too():
    assert verdict("10.3", chat()).startswith("✓ right: 60 lines, to everybody once and in one order")


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        (chat(to_self=False), "✗ not yet: Ana heard 'Ana: line 0' 0 times, of 40 lines in all"),
        (
            chat(say=lambda name, text: [f"{name}: {text}"] * 2),
            "◐ almost: Ana heard 'Ana: line 0' 2 times, of 120",
        ),
        (chat(say=lambda name, text: [text]), "◐ almost: Ana heard 'Ana: line 0' 0 times, of 60"),
        (chat(say=lambda name, text: [f"{name}: {text}", "!"]), "◐ almost: Ana heard '!', which nobody said"),
        (5, "✗ not yet: an Application is needed, this is 5"),
    ],
)
def test_bad_chats_are_told_apart(app, expected):
    assert verdict("10.3", app).startswith(expected)


def test_chat_with_an_order_for_each_fan_is_not_right():
    sessions = []

    async def talk(session):
        sessions.append(session)
        name = (await session.incoming.receive()).read_text()
        async for frame in session.incoming:
            for number, each in enumerate(sessions):
                each.launch(later(each, f"{name}: {frame.read_text()}", number * (name == "Bo")))

    async def later(session, line, delay):
        await asyncio.sleep(0.2 * delay)
        await session.send(line)

    assert "one order is wanted" in verdict("10.3", serving(chat=talk))


# 10.4


def stadium(channels=None, give=None):
    """Return a stadium that sends goals to one viewer after the other, or as `give` does it."""
    viewers = []

    async def watch(session):
        viewers.append(session)
        await session.close_reason

    async def goal(session):
        async for frame in session.incoming:
            for viewer in viewers:
                await (give(session, viewer, frame) if give else viewer.send(frame))

    return serving(channels, watch=watch, goal=goal)


async def try_to_send(session, viewer, frame):
    viewer.outgoing.try_send(frame)


async def send_twice(session, viewer, frame):
    for _ in range(2):
        viewer.outgoing.try_send(frame)


async def send_49_in_place_of_50(session, viewer, frame):
    is_50 = frame.data.startswith(b"000050")
    viewer.outgoing.try_send(Text(b"000049" + frame.data[6:]) if is_50 else frame)


def two_by_two():
    """Return what sends every second goal before the one in front of it."""
    waiting = {}

    async def give(session, viewer, frame):
        for each in (frame, waiting.pop(viewer)) if viewer in waiting else ():
            viewer.outgoing.try_send(each)
        if int(frame.data[:6]) % 2 == 0:
            waiting[viewer] = frame

    return give


@pytest.mark.parametrize(
    "app", [stadium(Channels(outgoing=unlimited())), stadium(give=try_to_send)], ids=["unlimited", "try_send"]
)
def test_other_ways_not_to_wait_are_right_too(app):
    assert verdict("10.4", app).startswith("✓ right: 3 viewers have all 100 goals within 1 s")


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        (stadium(), "✗ not yet: viewer 1 has 73 of 100 goals, 1 s after the first was told"),
        (
            stadium(Channels(outgoing=bounded(64, on_overflow=CLOSE))),
            "✗ not yet: viewer 1 has 73 of 100 goals, 1 s after the first was told; "
            "the reporter's session ended: CloseReason(1011, 'ChannelOverflow', by='peer')",
        ),
        (stadium(give=send_twice), "◐ almost: viewer 1 has 200 of 100 goals"),
        (
            stadium(give=send_49_in_place_of_50),
            "◐ almost: viewer 1 has 100 goals, and number 50 is not among them",
        ),
        (stadium(give=two_by_two()), "◐ almost: viewer 1 has all goals, and not in order"),
        (stadium, "✗ not yet: an Application is needed"),
    ],
    ids=["one by one", "the reporter cut", "twice", "one twice, one never", "not in order", "no application"],
)
def test_bad_stadiums_are_told_apart(app, expected):
    assert verdict("10.4", app).startswith(expected)


# 10.5


def bound(capacity, on_overflow, room):
    flow = SharedFlow(capacity=capacity, on_overflow=on_overflow)
    return collecting(flow, Channels(outgoing=bounded(room))), flow.emit


@pytest.mark.parametrize(("capacity", "held"), [(47, 64), (48, 65)])
def test_at_most_64_messages_may_be_held_in_all(capacity, held):
    """16 wait in the session's queue, and one in the hands of the handler between the two."""
    right = held <= 64
    said = (
        "✓ right: 64 messages held" if right else "◐ almost: 65 messages were held for the viewer that slept"
    )
    assert verdict("10.5", bound(capacity, DROP_OLDEST, 16)).startswith(said)


def test_function_that_emits_may_be_a_plain_one():
    newest = {}

    async def watch(session):
        newest[session] = [None, asyncio.Event()]
        while True:
            await newest[session][1].wait()
            newest[session][1].clear()
            await session.send(newest[session][0])

    def emit(message):
        for each in newest.values():
            each[0] = message
            each[1].set()

    assert exercise("10.5").check((serving(Channels(outgoing=bounded(1)), positions=watch), emit))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (bound(16, CLOSE, 16), "✗ not yet: the last that the sleeping viewer read is number"),
        (5, "✗ not yet: (application, function that emits) is needed, this is 5"),
    ],
    ids=["dropped", "no application"],
)
def test_flows_that_do_not_fit_are_told_apart(answer, expected):
    assert verdict("10.5", answer).startswith(expected)


def test_emitting_that_waits_is_told():
    sessions = []

    async def watch(session):
        sessions.append(session)
        await session.close_reason

    async def emit(message):
        for session in sessions:
            await session.send(message)

    assert "emitting waited for a viewer" in verdict("10.5", (serving(positions=watch), emit))


def test_numbers_that_fall_are_told():
    flow, back = SharedFlow(capacity=16, on_overflow=DROP_OLDEST), []

    async def emit(message):
        back.append(message)
        await flow.emit(message)
        if len(back) == 10:
            await flow.emit(back[3])

    said = verdict("10.5", (collecting(flow, Channels(outgoing=bounded(16))), emit))
    assert said.startswith("◐ almost: the sleeping viewer read number 3 behind 9")


# pictures


def test_picture_of_crowds_prints_the_worst_of_each_policy():
    seen = [(0.0, 0, 0.1, 20), (0.2, 70, 0.3, 20), (0.4, 3, 0.2, 19)]
    picture = plots.crowds({"CLOSE": seen})
    assert repr(picture) == "CLOSE: 70 held at most, the others 0.3 s behind at most, 19 served"
    assert len(picture._repr_png_()) < 60_000


def test_picture_of_attempts_counts_those_of_a_tenth_of_a_second():
    picture = plots.attempts({"in step": [0.5, 0.51, 0.59, 0.6], "spread": [0.1, 0.2]}, back=0.4)
    assert repr(picture).splitlines() == [
        "in step: 4 attempts, at most 3 in a tenth of a second",
        "spread: 2 attempts, at most 1 in a tenth of a second",
    ]
    assert len(picture._repr_png_()) < 60_000
