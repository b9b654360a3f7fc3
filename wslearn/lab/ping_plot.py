"""Round trips as they come: a ping, its pong, and the time between (RFC 6455, sections 5.5.2 and 5.5.3).

Here pings are matched with pongs and drawn while they come; still pictures are `plots`'.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from reprlib import repr as short
from typing import Any, NamedTuple

import traitlets

from wslearn.frames import Ping, Pong
from wslearn.lab.view import View, module, style
from wslearn.session import RawSession
from wslearn.trace import Event, Sender, Trace, TracedFrame

SHOWN = 200
CHANGES = 8


class RoundTrip(NamedTuple):
    """A ping and the time until the pong with its payload passed, both in s; None if it never did."""

    session: int
    sender: Sender
    sent: float
    seconds: float | None


class RoundTrips:
    """Matches each ping with the first pong from the other side that has its payload and is not taken.

    Args:
        most: how many of the newest are kept.
    """

    def __init__(self, most: int = SHOWN) -> None:
        self._most = most
        self._count = 0
        self._newest: dict[int, RoundTrip] = {}
        self._waiting: dict[tuple[int, Sender, bytes], list[int]] = {}

    def follow(self, frames: Iterable[TracedFrame]) -> None:
        """Take the frames that have passed since."""
        for time, session, sender, _, frame, *_ in frames:
            if isinstance(frame, Ping):
                self._add(RoundTrip(session, sender, time, None), frame.data)
            if isinstance(frame, Pong):
                other: Sender = "server" if sender == "client" else "client"
                self._answer(time, (session, other, frame.data))

    def _add(self, trip: RoundTrip, payload: bytes) -> None:
        self._newest[self._count] = trip
        pings = self._waiting.setdefault((trip.session, trip.sender, payload), [])
        pings.append(self._count)
        del pings[: -self._most]
        self._count += 1
        if len(self._newest) > self._most:
            del self._newest[next(iter(self._newest))]
        if len(self._waiting) > 2 * self._most:
            self._waiting = {key: pings for key, pings in self._waiting.items() if pings[-1] in self._newest}

    def _answer(self, time: float, key: tuple[int, Sender, bytes]) -> None:
        if not (pings := self._waiting.get(key)):
            return
        number = pings.pop(0)
        if not pings:
            del self._waiting[key]
        if trip := self._newest.get(number):
            self._newest[number] = trip._replace(seconds=time - trip.sent)

    def __iter__(self) -> Iterator[RoundTrip]:
        return iter(self._newest.values())


class PingPlot(View):
    """Draws round trips over time while a session lives; pings without a pong are marked.

    It shows the last 200 pings and stops by itself when its session has ended.

    Args:
        shown: a session, or a trace with all its sessions.
        session: the number of one session of the trace; None for all.

    Raises:
        TypeError: `shown` is neither.
    """

    _esm = module("ping_plot")
    _css = style("ping_plot")
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, shown: RawSession | Trace, session: int | None = None) -> None:
        if not isinstance(shown, RawSession | Trace):
            raise TypeError(f"shown is {short(shown)}: a session or a trace is needed")
        self._trace = shown if isinstance(shown, Trace) else shown.trace
        self._session = session if isinstance(shown, Trace) else shown.number
        self._trips = RoundTrips()
        self._place, self._events = 0, -1
        super().__init__()
        if self.step():
            self.live()

    def step(self) -> bool:
        """Show what has passed since; return False when the session has ended."""
        events = [event for event in self._trace.events if self._is_shown(event.session)]
        new, self._place = self._trace.frames_from(self._place)
        if new or len(events) != self._events:
            self._events = len(events)
            self._trips.follow(frame for frame in new if self._is_shown(frame.session))
            self.state = _state([*self._trips], events)
        return self._session is None or not any(event.name == "closed" for event in events)

    def plain(self) -> str:
        """Return what is drawn, without numbers: on real sockets they differ in every run."""
        whose = "all sessions" if self._session is None else f"session {self._session}"
        return f"PingPlot of {whose}: round trips in ms over time in s, drawn while the kernel runs"

    def _is_shown(self, session: int | None) -> bool:
        return self._session is None or session is None or session == self._session


def _state(trips: list[RoundTrip], events: list[Event]) -> dict[str, Any]:
    """Return the points, the changes of options and the numbers, in ms and s."""
    times = sorted(trip.seconds * 1000 for trip in trips if trip.seconds is not None)
    points = [_point(trip, events) for trip in trips]
    lost = sum(kind == "lost" for _, _, kind in points)
    latest = next((trip.seconds for trip in reversed(trips) if trip.seconds is not None), None)
    changes = [event for event in events if event.name == "option changed"]
    return {
        "points": points,
        "changes": [[round(event.time, 3), event.detail] for event in changes[-CHANGES:]],
        "latest": "–" if latest is None else f"{1000 * latest:.3g} ms",
        "median": f"{times[len(times) // 2]:.3g} ms" if times else "–",
        "answered": len(times),
        "lost": lost,
    }


def _point(trip: RoundTrip, events: list[Event]) -> tuple[float, float | None, str]:
    if trip.seconds is not None:
        return (round(trip.sent, 3), round(1000 * trip.seconds, 3), "pong")
    ends = ("ping timeout", "closed")
    over = any(e.name in ends and e.session == trip.session and e.time >= trip.sent for e in events)
    return (round(trip.sent, 3), None, "lost" if over else "waiting")
