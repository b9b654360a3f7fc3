"""Round trips as they come: a ping, its pong, and the time between (RFC 6455, sections 5.5.2 and 5.5.3).

Here pings are matched with pongs and drawn while they come; still pictures are `plots`'.
"""

from __future__ import annotations

from collections.abc import Iterable
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


def round_trips(frames: Iterable[TracedFrame]) -> list[RoundTrip]:
    """Match each ping with the first pong from the other side that has its payload and is not taken."""
    trips: list[RoundTrip] = []
    waiting: dict[tuple[int, Sender, bytes], list[int]] = {}
    for time, session, sender, _, frame, *_ in frames:
        if isinstance(frame, Ping):
            waiting.setdefault((session, sender, frame.data), []).append(len(trips))
            trips.append(RoundTrip(session, sender, time, None))
        if isinstance(frame, Pong):
            other: Sender = "server" if sender == "client" else "client"
            if pings := waiting.get((session, other, frame.data)):
                ping = pings.pop(0)
                trips[ping] = trips[ping]._replace(seconds=time - trips[ping].sent)
    return trips


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
            raise TypeError(f"shown is {shown!r}: a session or a trace is needed")
        self._trace = shown if isinstance(shown, Trace) else shown.trace
        self._session = session if isinstance(shown, Trace) else shown.number
        self._seen: tuple[Any, ...] = ()
        super().__init__()
        if self.step():
            self.live()

    def step(self) -> bool:
        """Show what has passed since; return False when the session has ended."""
        events = [event for event in self._trace.events if self._is_shown(event.session)]
        frames = [frame for frame in self._trace.frames if self._is_shown(frame.session)]
        seen = (len(events), len(frames), frames[-1:])
        if seen != self._seen:
            self._seen = seen
            self.state = _state(round_trips(frames)[-SHOWN:], events)
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
