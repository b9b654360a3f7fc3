"""Lesson 13: what a page was told when it was recorded, and the exercises on pages and proxies.

The proxy and its legs stand in the notebook; here are the recording, a scene in which a code is lost, and
the judges (RFC 6455, sections 7.1.5, 7.4.2 and 10.2).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from wslearn import (
    Application,
    ChannelClosed,
    CloseReason,
    Session,
    Trace,
    WebSockets,
    connect,
    simulate,
)
from wslearn.frames import Close
from wslearn.lab.browser_client import Told, moments
from wslearn.lab.exercises import (
    NOT_TRIED,
    Exercise,
    Verdict,
    almost,
    compare_values,
    is_number,
    not_yet,
    right,
)
from wslearn.lab.predictions import Prediction
from wslearn.simulation import SimulatedNetwork

RECORDED = {
    "directly": {
        "Close 4001": Told(
            4001,
            True,
            ("Close 4001",),
            seen=moments(
                "0.1 wire ◀ 101 Switching Protocols",
                "11.1 page open",
                "100.5 wire ◀ Close 4001",
                "100.5 page close: 4001, clean",
                "100.8 wire ▶ Close 4001",
                "100.9 server keeps 4001",
            ),
        ),
        "Close without a code": Told(
            1005,
            True,
            ("Close without a code",),
            seen=moments(
                "0.1 wire ◀ 101 Switching Protocols",
                "1.0 page open",
                "100.4 wire ◀ Close without a code",
                "100.4 page close: 1005, clean",
                "100.7 wire ▶ Close without a code",
                "100.8 server keeps 1005",
            ),
        ),
        "nothing, and cuts": Told(
            1006,
            False,
            (),
            seen=moments(
                "0.1 wire ◀ 101 Switching Protocols",
                "1.4 page open",
                "100.3 server cuts",
                "100.3 page close: 1006, not clean",
            ),
        ),
        "a masked text": Told(
            1006,
            False,
            ("Close 1002: Masked frame from server",),
            seen=moments(
                "0.1 wire ◀ 101 Switching Protocols",
                "0.6 page open",
                "100.4 wire ◀ Text 'Hello'",
                "100.4 page error",
                "100.4 page close: 1006, not clean",
                "100.7 wire ▶ Close 1002: Masked frame from server",
                "100.8 wire ◀ Close 1000",
                "100.8 server keeps 1002",
            ),
        ),
        "wrong UTF-8": Told(
            1006,
            False,
            ("Close 1002: Invalid UTF-8 in text frame",),
            seen=moments(
                "0.1 wire ◀ 101 Switching Protocols",
                "1.2 page open",
                "100.5 wire ◀ Text c3 28",
                "100.5 page error",
                "100.6 page close: 1006, not clean",
                "100.9 wire ▶ Close 1002: Invalid UTF-8 in text frame",
                "101.1 wire ◀ Close 1000",
                "101.1 server keeps 1002",
            ),
        ),
        "Close 1011": Told(
            1011,
            True,
            ("Close 1011",),
            seen=moments(
                "0.1 wire ◀ 101 Switching Protocols",
                "0.7 page open",
                "100.5 wire ◀ Close 1011",
                "100.5 page close: 1011, clean",
                "100.9 wire ▶ Close 1011",
                "100.9 server keeps 1011",
            ),
        ),
        "a ping and a text": Told(
            1000,
            True,
            ("Pong after 0.2 ms", "Text '2:1' after 0.9 ms", "Close 1000"),
            seen=moments(
                "0.1 wire ◀ 101 Switching Protocols",
                "1.4 page open",
                "100.5 wire ◀ Ping ''; Text '2:1'",
                "100.5 page message '2:1', sends it back",
                "100.8 wire ▶ Pong ''",
                "101.5 wire ▶ Text '2:1'",
                "1493.5 page says close(1000)",
                "1494.6 wire ▶ Close 1000",
                "1494.7 page close: 1000, clean",
                "1494.7 wire ◀ Close 1000",
                "1494.7 server keeps 1000",
            ),
        ),
    },
    "through the proxy": {
        "Close 4001": Told(
            1005,
            True,
            ("Close 4001",),
            seen=moments(
                "0.0 page open",
                "0.1 wire ◀ 101 Switching Protocols",
                "100.4 wire ◀ Close 4001",
                "101.0 wire ▶ Close 4001",
                "101.1 server keeps 4001",
                "103.4 page close: 1005, clean",
            ),
        ),
        "Close without a code": Told(
            1005,
            True,
            ("Close without a code",),
            seen=moments(
                "0.0 page open",
                "0.1 wire ◀ 101 Switching Protocols",
                "100.5 wire ◀ Close without a code",
                "101.0 wire ▶ Close without a code",
                "101.1 server keeps 1005",
                "104.7 page close: 1005, clean",
            ),
        ),
        "nothing, and cuts": Told(
            1005,
            True,
            (),
            seen=moments(
                "0.0 page open",
                "0.5 wire ◀ 101 Switching Protocols",
                "100.6 server cuts",
                "103.8 page close: 1005, clean",
            ),
        ),
        "a masked text": Told(
            1000,
            True,
            ("Text 'Hello'", "Close without a code"),
            seen=moments(
                "-1.3 page open",
                "0.1 wire ◀ 101 Switching Protocols",
                "100.5 wire ◀ Text 'Hello'",
                "102.7 page message 'Hello', sends it back",
                "102.8 wire ▶ Text 'Hello'",
                "1491.2 page says close(1000)",
                "1491.2 wire ▶ Close without a code",
                "1491.3 wire ◀ Close 1000",
                "1491.3 server keeps 1005",
                "1492.7 page close: 1000, clean",
            ),
        ),
        "wrong UTF-8": Told(
            1005,
            True,
            (),
            seen=moments(
                "0.0 page open",
                "0.1 wire ◀ 101 Switching Protocols",
                "100.6 wire ◀ Text c3 28",
                "102.5 server keeps 1006",
                "108.1 page close: 1005, clean",
            ),
        ),
        "Close 1011": Told(
            1005,
            True,
            ("Close 1011",),
            seen=moments(
                "0.0 page open",
                "0.1 wire ◀ 101 Switching Protocols",
                "100.6 wire ◀ Close 1011",
                "101.4 wire ▶ Close 1011",
                "101.5 server keeps 1011",
                "105.2 page close: 1005, clean",
            ),
        ),
        "a ping and a text": Told(
            1000,
            True,
            ("Pong after 0.5 ms", "Text '2:1' after 42.0 ms", "Close without a code"),
            seen=moments(
                "-0.8 page open",
                "0.1 wire ◀ 101 Switching Protocols",
                "100.5 wire ◀ Ping ''; Text '2:1'",
                "101.1 wire ▶ Pong ''",
                "103.0 page message '2:1', sends it back",
                "142.5 wire ▶ Text '2:1'",
                "1491.1 page says close(1000)",
                "1491.1 wire ▶ Close without a code",
                "1491.2 wire ◀ Close 1000",
                "1491.2 server keeps 1005",
                "1492.7 page close: 1000, clean",
            ),
        ),
    },
}
"""What Chromium told its page, and three taps saw, the second time through jupyter-server-proxy 4.6."""

SERVER_LEG = 2
"""The number of its session in a trace: the page comes to the proxy first."""


Ending = Callable[[CloseReason], Close]


def passing_on(ending: Ending | None = None) -> Application:
    """Return a proxy that hands on messages, and ends each leg in words of its own, or as `ending` says."""
    proxy = Application()
    proxy.install(WebSockets, ping_period=None)

    @proxy.websocket("/match")
    async def pass_on(page: Session) -> None:
        async with connect("ws://server/match", ping_period=None) as inner:
            page.launch(hand_on(page, inner))
            await hand_on(inner, page, ending)

    return proxy


async def hand_on(come: Session, go: Session, ending: Ending | None = None) -> None:
    """Send on what comes, and when this leg has ended close the other one, without a code or as told."""
    with suppress(ChannelClosed):
        async for frame in come.incoming:
            await go.send(frame)
        await go.send(ending(await come.close_reason) if ending else Close())


def serving(handler: Callable[[Session], Awaitable[object]]) -> Application:
    """Return a server with this handler at `/match`."""
    app = Application()
    app.install(WebSockets, ping_period=None)
    app.websocket("/match")(handler)
    return app


def lost() -> Trace:
    """Return the trace of both legs of a page that leaves with a code, which the server never hears."""

    async def match(session: Session) -> None:
        await session.send("2:1")
        async for frame in session.incoming:
            await session.send(frame)

    async def scene(net: SimulatedNetwork) -> Trace:
        async with serving(match).start("server", 80), passing_on().start("proxy", 80):
            page = await connect("ws://proxy/match", ping_period=None)
            await page.incoming.receive()
            await page.send("Goal?")
            await page.incoming.receive()
            await page.close(CloseReason(4002, "seat 27 leaves"))
            await asyncio.sleep(1)
        return net.trace

    return simulate(scene, latency=0.02, seed=3)


# ── judges ───────────────────────────────────────────────────────────────────────────────────────

ENDS = list(RECORDED["directly"])[:6]


def judge_ends(answer: Any) -> Verdict:
    """Compare with what Chromium told its page."""
    if isinstance(answer, tuple | list):
        answer = tuple(tuple(each) if isinstance(each, list) else each for each in answer)
        if NOT_TRIED_PAIR in answer:
            return NOT_TRIED
    told = tuple((each.code, each.clean) for each in list(RECORDED["directly"].values())[:6])
    good = "so Chromium told it; 1005 and 1006 stand on no wire, the browser makes them up (7.1.5)"
    return compare_values(answer, told, good, tuple(f"{name!r}" for name in ENDS))


NOT_TRIED_PAIR = (..., ...)

CODES = {
    1000: "1000 is the one code below 3000 that a page may say",
    1001: "1001 is the browser's own word, when its page goes away",
    1011: "1011 is a server's word",
    3000: "3000 to 4999 are free for libraries and applications",
    4001: "3000 to 4999 are free for libraries and applications",
    4999: "3000 to 4999 are free for libraries and applications",
    5000: "above 4999 no code is allowed at all",
}


def judge_codes(answer: Any) -> Verdict:
    given = {answer} if isinstance(answer, int) else answer
    if not isinstance(given, set | frozenset | list | tuple):
        return not_yet(f"codes in braces are needed, this is {answer!r}")
    if ... in given:
        return NOT_TRIED
    if unknown := [code for code in given if code not in CODES]:
        return not_yet(f"{unknown[0]!r} is none of the seven")
    wrong = [code for code in CODES if (code in given) != may_close(code)]
    if not wrong:
        return right("for any other code close() raises an InvalidAccessError, and the socket stays open")
    state = almost if len(wrong) == 1 else not_yet
    return state(f"{len(CODES) - len(wrong)} of {len(CODES)} fit; {CODES[wrong[0]]}")


def may_close(code: int) -> bool:
    """Tell whether a page may pass a code to `close`; Source: the WebSockets standard of WHATWG."""
    return code == 1000 or 3000 <= code <= 4999


def judge_lost(answer: Any) -> Verdict:
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return not_yet(f"(leg, number of the frame) is needed, this is {answer!r}")
    leg, number = answer
    frames = lost().frames
    at = next(
        n for n, each in enumerate(frames) if isinstance(each.frame, Close) and each.session == SERVER_LEG
    )
    if leg not in ("page", "server"):
        return not_yet(f"{leg!r} is no leg: 'page' and 'server' are")
    if leg == "page":
        return not_yet("on the page's leg the code goes in, and its echo comes back: nothing is lost there")
    if number != at:
        what = frames[number].frame if isinstance(number, int) and 0 <= number < len(frames) else "not there"
        return almost(f"it is the server's leg; frame {number!r} is {what}")
    return right("the proxy closes its own leg in its own words; on the server it will be 1005 for ever")


SERVER_WAY = 0.001
PAGE_WAYS = (0.1, 0.03)
"""One way of each leg in seconds; the page's, in a scene of its own each time."""


def judge_round_trip(function: Any) -> Verdict:
    """Let the answer measure two pages behind a proxy, a far one and a near one."""
    if not inspect.iscoroutinefunction(function):
        return not_yet(f"an async function is needed, this is {function!r}")
    found = [_judged_trip(*_trip(function, page_way), 2 * (page_way + SERVER_WAY)) for page_way in PAGE_WAYS]
    return next((each for each in found if not each), found[0])


def _trip(function: Callable[[Session], Awaitable[Any]], page_way: float) -> tuple[Any, float]:
    """Return what a function measures, or raises, behind a proxy, and the seconds that it took."""
    measured: list[tuple[Any, float]] = []

    async def match(session: Session) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(30):
                got = await function(session)
        except Exception as error:
            got = error
        measured.append((got, clock() - began))

    async def scene(net: SimulatedNetwork) -> None:
        net.add_host("page")
        async with serving(match).start("server", 80), passing_on().start("proxy", 80):
            net.set("server", latency=SERVER_WAY)
            net.set("page", latency=page_way)
            with net.host("page"):
                page = await connect("ws://proxy/match", ping_period=None)
            with suppress(ChannelClosed):
                async for frame in page.incoming:
                    await page.send(frame)

    simulate(scene)
    return measured[0] if measured else (None, 0.0)


def _judged_trip(got: Any, took: float, whole: float) -> Verdict:
    if got is ...:
        return NOT_TRIED
    if isinstance(got, TimeoutError):
        return not_yet("30 s passed, and your function had not returned")
    if isinstance(got, Exception):
        raise got
    if not is_number(got):
        return not_yet(f"seconds are needed, your function returned {got!r}")
    if abs(got - whole) <= 0.1 * whole:
        return right(f"{got:.3f} s, and both legs take {whole:.3f} s: the page itself has answered")
    return not_yet(f"{got:.3f} s{_why_not(got, took, whole)}")


def _why_not(got: float, took: float, whole: float) -> str:
    """Return what makes such a number of a round trip."""
    if abs(got - 1000 * whole) <= 100 * whole:
        return ": these are milliseconds, and seconds are wanted"
    if abs(took - whole) <= 0.1 * whole:
        return f", and {took:.3f} s passed by this network's clock, asyncio.get_running_loop().time()"
    if abs(got - 2 * SERVER_WAY) <= SERVER_WAY:
        return " is the server's leg alone: the proxy has answered, not the page"
    return f"; there and back on both legs takes {whole:.3f} s"


TOOLS = ("poll", "event stream", "WebSocket", "WebTransport")
REASONS = ("rare", "one way", "both ways", "late is worthless")
GOOD = {
    "score board": {("event stream", "one way")},
    "chat": {("WebSocket", "both ways")},
    "game positions": {("WebTransport", "late is worthless"), ("WebSocket", "both ways")},
    "stock alerts twice a day": {("poll", "rare")},
    "log tail": {("event stream", "one way")},
    "shared document": {("WebSocket", "both ways")},
}


def judge_tools(answer: Any) -> Verdict:
    if not isinstance(answer, dict) or set(answer) != set(GOOD):
        return not_yet(f"a dictionary with {', '.join(GOOD)} is needed")
    pairs = {name: tuple(pair) if isinstance(pair, tuple | list) else pair for name, pair in answer.items()}
    if NOT_TRIED_PAIR in pairs.values():
        return NOT_TRIED
    for name, pair in pairs.items():
        if not isinstance(pair, tuple) or len(pair) != 2 or pair[0] not in TOOLS or pair[1] not in REASONS:
            return not_yet(f"{name}: {pair!r} is no tool of {', '.join(TOOLS)}, with {', '.join(REASONS)}")
    wrong = [name for name in GOOD if pairs[name] not in GOOD[name]]
    if not wrong:
        return right("each with a reason; positions may take a WebSocket too, where a stall is bearable")
    state = almost if len(wrong) == 1 else not_yet
    return state(f"{len(GOOD) - len(wrong)} of {len(GOOD)} fit; {wrong[0]}: {_asked_back(wrong[0], pairs)}")


def _asked_back(name: str, pairs: dict[str, Any]) -> str:
    """Return what to think about, where a product has a tool or a reason that is not it."""
    tool, reason = pairs[name]
    if tool in dict(GOOD[name]):
        return f"{tool} fits, and it is not {reason!r} that speaks for it"
    return "who speaks there, and how often?"


PREDICTIONS = [
    Prediction(
        "13.a",
        "The server says Close 4001, and a proxy stands between. What is the page told?",
        "1005",
        "the proxy closes the page's connection in words of its own, and it says no code",
        choices=("4001", "1000", "1005", "1006"),
    ),
    Prediction(
        "13.b",
        "The page is 100 ms away, the proxy 0.1 ms. The server pings: after how many ms is the pong there?",
        0.2,
        "ping and pong go from one end of a connection to the other, and that other end is the proxy",
        unit="ms",
        within=0.05,
    ),
]

EXERCISES = [
    Exercise(
        "13.1",
        1,
        "P",
        task=(
            "A page is connected directly. The server says Close 4001; Close without a code; nothing, and"
            " cuts; a masked text; a text with wrong UTF-8; Close 1011. Predict for each what the page is"
            " told: (code, wasClean)."
        ),
        judge=judge_ends,
        hints=(
            "A Close that came whole was clean, and its code is handed on.",
            "A Close without a code is clean too: 1005 says that there was none.",
            "In the other three no Close came from the server: 1006, and not clean.",
        ),
        starter="answer = ((..., ...), (..., ...), (..., ...), (..., ...), (..., ...), (..., ...))",
        solution="""
gone = (1006, False)
answer = ((4001, True), (1005, True), gone, gone, gone, (1011, True))
""",
    ),
    Exercise(
        "13.2",
        1,
        "C",
        task=(
            "Which of 1000, 1001, 1011, 3000, 4001, 4999 and 5000 may a page pass to `close()`?"
            " Write the set of them."
        ),
        judge=judge_codes,
        hints=(
            "Codes from 1000 to 2999 are the protocol's, with a meaning for each. A page knows only one.",
            "3000 to 3999 are for libraries, 4000 to 4999 for applications (7.4.2).",
            "1000, and all of the seven from 3000 to 4999.",
        ),
        starter="answer = {...}",
        solution="answer = {1000, 3000, 4001, 4999}",
    ),
    Exercise(
        "13.3",
        2,
        "D",
        task=(
            "A page leaves with Close 4002, and the server's log says 1005. The trace has both legs. On which"
            " leg was the code lost, 'page' or 'server', and which frame is the first without it?"
        ),
        judge=judge_lost,
        hints=(
            "Follow the 4002 from the left: how far does it come?",
            "A Close is echoed on its own leg. What does the proxy say on the other one?",
            "Look for the first Close in the right half.",
        ),
        starter="answer = (..., ...)  # leg, frame",
        solution="""
frames = lost().frames
answer = ("server", next(n for n, each in enumerate(frames) if each.frame == Close() and each.session == 2))
""",
    ),
    Exercise(
        "13.4",
        2,
        "B",
        task=(
            "Write `async def round_trip(session)` for the server: it returns the seconds to the page and"
            " back, though a proxy stands between. The page sends each text back as it came. 10 % of"
            " difference is allowed."
        ),
        judge=judge_round_trip,
        hints=(
            "The proxy answers pings itself. What does it never answer?",
            "It hands on messages: send one, and wait for it with session.incoming.receive().",
            "The clock is asyncio.get_running_loop().time(): read it before and after.",
        ),
        starter="""
async def round_trip(session):
    return ...

answer = round_trip
""",
        solution="""
async def round_trip(session):
    clock = asyncio.get_running_loop().time
    sent = clock()
    await session.send("are you there?")
    await session.incoming.receive()
    return clock() - sent

answer = round_trip
""",
    ),
    Exercise(
        "13.5",
        2,
        "P",
        task=(
            "Choose a tool for each product, 'poll', 'event stream', 'WebSocket' or 'WebTransport', and the"
            " reason: 'rare', 'one way', 'both ways' or 'late is worthless'."
        ),
        judge=judge_tools,
        hints=(
            "First ask who speaks: only the server, or both?",
            "News that comes twice a day needs no open connection.",
            "Two of the six have one speaker and much to say: an event stream.",
        ),
        starter="""
answer = {
    "score board": (..., ...),
    "chat": (..., ...),
    "game positions": (..., ...),
    "stock alerts twice a day": (..., ...),
    "log tail": (..., ...),
    "shared document": (..., ...),
}
""",
        solution="""
answer = {
    "score board": ("event stream", "one way"),
    "chat": ("WebSocket", "both ways"),
    "game positions": ("WebTransport", "late is worthless"),
    "stock alerts twice a day": ("poll", "rare"),
    "log tail": ("event stream", "one way"),
    "shared document": ("WebSocket", "both ways"),
}
""",
    ),
]
