"""Every case of the Autobahn TestSuite that the library claims, as server and as client.

The cases of section 9, limits and speed, and the long ones of 12 and 13, compression, are slow:
`pytest -m slow` runs them.
"""

import asyncio

import pytest
from testsuite import Fuzzer, Results, failures, fuzzing, install

from wslearn import Application, Deflate, FrameTooBig, ProtocolViolation, WebSockets, connect
from wslearn.lab import small_server

QUICK = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
SLOW = ["9.*"]
KINDS = [(12, part) for part in range(1, 6)] + [(13, part) for part in range(1, 8)]
SMALL = (1, 2, 3)
"""Of the cases of each kind of compression, those with a thousand messages of at most 256 bytes."""
QUICK_COMPRESSION = [f"{a}.{b}.{case}" for a, b in KINDS for case in SMALL]
SLOW_COMPRESSION = [f"{a}.{b}.{case}" for a, b in KINDS for case in range(1, 19) if case not in SMALL]
LIMIT = 4 * 3600  # seconds for one run: the slow cases on a slow machine take hours

both_speeds = pytest.mark.parametrize(
    ("patterns", "count"),
    [
        (QUICK, 247),
        (QUICK_COMPRESSION, 36),
        pytest.param(SLOW, 54, marks=pytest.mark.slow),
        pytest.param(SLOW_COMPRESSION, 180, marks=pytest.mark.slow),
    ],
    ids=["quick", "quick compression", "slow", "slow compression"],
)


@pytest.fixture(scope="module")
def suite():
    return install()


async def echo(session) -> None:
    async for frame in session.incoming:
        await session.send(frame)


@both_speeds
def test_server_passes_every_case(suite, patterns, count):
    async def main():
        app = Application()
        app.install(WebSockets, max_frame_size=None, extensions=[Deflate()])
        app.websocket("/")(echo)
        async with app.start() as server, fuzzing(suite, patterns, server.url()) as fuzzer:
            return fuzzer.cases, await fuzzer.results()

    cases, results = asyncio.run(asyncio.wait_for(main(), LIMIT))
    assert len(cases) == count
    assert failures(cases, results) == []


# It reads a text when the message is whole: a wrong byte in a fragment is found later than it could be.
LATE = {"6.4.1", "6.4.2", "6.4.3", "6.4.4"}


def test_small_server_of_lesson_14_passes_every_quick_case(suite):
    async def main():
        async with await asyncio.start_server(small_server.echo, "127.0.0.1", 0) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            async with fuzzing(suite, QUICK, url) as fuzzer:
                return fuzzer.cases, await fuzzer.results()

    cases, results = asyncio.run(asyncio.wait_for(main(), LIMIT))
    assert len(cases) == 247
    assert {results[case]["behavior"] for case in LATE} == {"NON-STRICT"}
    assert failures([case for case in cases if case not in LATE], results) == []


@both_speeds
def test_client_passes_every_case(suite, patterns, count):
    # Most quick cases wait for time to pass, the slow ones have work to do and a time limit for it.
    at_once = 4 if patterns is QUICK else 1

    async def main():
        async with fuzzing(suite, patterns) as fuzzer:
            results, _ = await asyncio.gather(fuzzer.results(), echo_all(fuzzer, at_once))
            return fuzzer.cases, results

    cases, results = asyncio.run(asyncio.wait_for(main(), LIMIT))
    assert len(cases) == count
    assert failures(cases, results) == []


async def echo_all(fuzzer: Fuzzer, at_once: int) -> None:
    """Connect once for each case."""
    numbers = iter(range(1, len(fuzzer.cases) + 1))

    async def echo_some() -> None:
        for number in numbers:
            url = f"ws://127.0.0.1:{fuzzer.port}/runCase?case={number}&agent=wslearn"
            try:
                async with connect(url, max_frame_size=None, extensions=[Deflate()]) as session:
                    await echo(session)
            except (ProtocolViolation, FrameTooBig):
                continue

    await asyncio.gather(*(echo_some() for _ in range(at_once)))


def test_no_case_of_the_suite_is_left_out(suite):
    async def planned(patterns):
        async with fuzzing(suite, patterns) as fuzzer:
            return fuzzer.cases

    async def main():
        parts = [await planned(patterns) for patterns in (QUICK, QUICK_COMPRESSION, SLOW, SLOW_COMPRESSION)]
        return sum(parts, []), await planned(["*"])  # noqa: RUF017

    claimed, every = asyncio.run(main())
    assert len(claimed) == len(every) == 517
    assert set(claimed) == set(every)


def test_judgement_is_strict():
    def judged(behavior: str, close: str, case: str = "1.1.1") -> list[str]:
        results: Results = {case: {"behavior": behavior, "behaviorClose": close}}
        return failures([case], results)

    assert judged("OK", "OK") == []
    assert judged("INFORMATIONAL", "INFORMATIONAL", "7.1.6") == []
    assert len(judged("NON-STRICT", "OK") + judged("OK", "UNCLEAN") + judged("INFORMATIONAL", "OK")) == 3
    assert failures(["1.1.1"], {}) == ["1.1.1: no result"]
