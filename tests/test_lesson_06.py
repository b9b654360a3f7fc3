import pytest

from wslearn import Ping, Pong, Text
from wslearn.lab.exercises import exercise
from wslearn.lab.lesson_06 import heartbeat_trace, proxied_trace, train_times

pytestmark = pytest.mark.usefixtures("own_folder")


def verdict(number, answer):
    return repr(exercise(number).check(answer))


# what there is to read


def test_traces_and_times_are_the_same_each_time():
    assert repr(heartbeat_trace()) == repr(heartbeat_trace())
    assert repr(proxied_trace()) == repr(proxied_trace())
    assert train_times() == train_times()


def test_heartbeat_has_six_pings_and_a_pong_that_nobody_asked_for():
    frames = [each.frame for each in heartbeat_trace().frames]
    pings = [frame.data for frame in frames if isinstance(frame, Ping)]
    pongs = [frame.data for frame in frames if isinstance(frame, Pong)]
    assert pings == [b"beat %d" % n for n in range(1, 7)]
    assert [set(pings) - set(pongs), set(pongs) - set(pings)] == [{b"beat 3"}, {b"beat 0"}]


def test_train_gives_two_hundred_round_trips():
    assert len(train_times()) == 200


def test_behind_the_proxy_pongs_take_no_time_and_answers_take_200_ms():
    frames = proxied_trace().frames
    sent = {each.frame.data: each.time for each in frames if isinstance(each.frame, Ping)}
    waits = [each.time - sent[each.frame.data] for each in frames if isinstance(each.frame, Pong)]
    assert waits == pytest.approx([0.0002] * len(sent))
    asked, answered = ([each.time for each in frames if each.frame == Text(t)] for t in WORDS)
    assert all(back - there > 0.2 for there, back in zip(asked, answered, strict=False))


WORDS = ("still watching?", "yes")


# 06.1


def test_round_trips_to_half_a_millisecond_are_right():
    assert exercise("06.1").check([40.4, 69.6, 150, 40, 90])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (40, "✗ not yet: a list of numbers is needed, one for each pair, this is 40"),
        ([40, 70], "✗ not yet: 2 round trips: the judge finds 5 pairs, and one ping alone"),
        ([0.04, 0.07, 0.15, 0.04, 0.09], "◐ almost: these look like seconds: the task asks for ms"),
        ([40, 70, 650, 40, 90], "◐ almost: 4 of 5 fit; value 3: 650 is not it"),
    ],
)
def test_wrong_round_trips_are_told_apart(answer, said):
    assert verdict("06.1", answer) == said


# 06.2


def test_percentile_between_two_ranks_is_right_too():
    times = sorted(train_times())
    assert exercise("06.2").check(((times[99] + times[100]) / 2, times[197]))


def test_wrong_percentile_says_how_many_are_below():
    times = sorted(train_times())
    said = verdict("06.2", (times[99], times[150]))
    assert said == f"✗ not yet: p99 is not {times[150]}: 151 of the 200 are at most that"


def test_percentiles_must_be_two_numbers():
    assert "two numbers are needed" in verdict("06.2", [1])
    assert "two numbers are needed" in verdict("06.2", ("a", "b"))


# 06.3


def test_prediction_is_compared_with_what_a_session_does():
    said = verdict("06.3", ("counted", "ignored", "ignored", "ignored", "ignored"))
    assert said == "◐ almost: 4 of 5 fit; pong 5: 'ignored' is not it"


def test_prediction_needs_the_two_words():
    assert "each 'counted' or 'ignored'" in verdict("06.3", ("yes", "no", "no", "no", "no"))


# 06.4


async def nobody(session):
    async for _ in session.incoming:
        pass


async def empty_pongs(session):
    async for frame in session.incoming:
        if isinstance(frame, Ping):
            await session.send(Pong(b""))


async def answers_everything(session):
    async for frame in session.incoming:
        await session.send(Pong(frame.data) if isinstance(frame, Ping) else frame)


async def waits_for_the_end_of_a_message(session):
    held, is_open = [], False
    async for frame in session.incoming:
        is_open = is_open if isinstance(frame, Ping) else not frame.fin
        held += [Pong(frame.data)] if isinstance(frame, Ping) else []
        while held and not is_open:
            await session.send(held.pop(0))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("pong", "a function is needed that begins with async def"),
        (nobody, "after 10 s the pongs are not all there"),
        (empty_pongs, "pong 1 carries b'', its ping carried b'one'"),
        (answers_everything, "came back: a pong is due for each ping, and nothing else"),
        (waits_for_the_end_of_a_message, "a ping between them is answered at once"),
    ],
)
def test_handlers_that_answer_badly_are_told_apart(answer, said):
    assert said in verdict("06.4", answer)


def test_handler_that_fails_is_told_in_its_own_words():
    async def fails(session):
        raise RuntimeError("no idea")

    assert not exercise("06.4").check(fails)


# 06.5


def place(kind):
    return next(n for n, each in enumerate(proxied_trace().frames) if isinstance(each.frame, kind))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("proxy", "a name and a number are needed"),
        (("router", 1), "'router' is not among 'phone', 'proxy' and 'server'"),
        (("phone", place(Pong)), "Look how long a question takes"),
        (("proxy", 99), "99 is no place in trace.frames"),
        (
            ("proxy", place(Ping)),
            f"frame {place(Ping)} is the ping of 1.0006 s, a question: the proof is its answer",
        ),
        (("proxy", 8), "frame 8 proves it; another one in front of it proves it too"),
        (("proxy", 0), "frame 0 has come all the way from the phone, or goes there: Text"),
    ],
)
def test_wrong_proofs_are_told_apart(answer, said):
    assert said in verdict("06.5", answer)
