"""Keepalive policies as data: when a library pings, and when it gives a peer up (RFC 6455, section 5.5.2).

Here are the rules of three libraries, links that stall or are cut, and sweeps over period and timeout. It is
arithmetic; the tests hold it against the libraries themselves.
"""

from __future__ import annotations

import math
import os
import random
import signal
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import accumulate, repeat
from multiprocessing import get_context
from typing import Literal, NamedTuple

from wslearn import CloseReason

HOUR = 3600


class Policy(NamedTuple):
    """A library's rule.

    Args:
        period_from: what the wait for the next ping begins with.
        timeout_up_to_period: whether a longer timeout is cut down to the period.
        any_pong: whether any pong counts, or only the one with the ping's payload.
        reason: what it says when it gives a peer up.
    """

    name: str
    period_from: Literal["ping", "pong"]
    timeout_up_to_period: bool
    any_pong: bool
    reason: CloseReason

    def limit(self, period: float, timeout: float) -> float:
        """Return how long a pong may take, in seconds."""
        return min(period, timeout) if self.timeout_up_to_period else timeout


KTOR = Policy("Ktor, wslearn", "pong", False, False, CloseReason(1011, "Ping timeout"))
WEBSOCKETS = Policy("websockets", "ping", False, False, CloseReason(1011, "keepalive ping timeout"))
TORNADO = Policy("Tornado", "ping", True, True, CloseReason(1000, "ping timed out"))
POLICIES = (KTOR, WEBSOCKETS, TORNADO)


class Stall(NamedTuple):
    """A time in which a link holds everything back and loses nothing, in seconds."""

    start: float
    length: float


class Link:
    """A link that stalls now and then; a cut is a stall without end. Seconds count from the opening."""

    def __init__(self, latency: float = 0.05, stalls: Iterable[Stall] = ()) -> None:
        self.latency = latency
        self.stalls = sorted(stalls)
        self._starts = [stall.start for stall in self.stalls]
        self._ends = list(accumulate((stall.start + stall.length for stall in self.stalls), max))

    def arrival(self, sent: float) -> float:
        """Return when bytes arrive; those on their way into a stall are sent again at its end."""
        found = bisect_right(self._starts, sent + self.latency) - 1
        if found >= 0 and self._ends[found] > sent:
            return self.arrival(self._ends[found]) if self._ends[found] < math.inf else math.inf
        return sent + self.latency

    def __repr__(self) -> str:
        return f"<Link: latency {self.latency:g} s, {len(self.stalls)} stalls>"


class Life(NamedTuple):
    """How a session went: how many pings it took, and when it was given up, in seconds; None if never."""

    pings: int
    over: float | None


def beats(
    policy: Policy, period: float, timeout: float, link: Link, until: float = HOUR
) -> Iterator[tuple[float, float]]:
    """Yield when each ping left and when its pong came, until one is late."""
    limit, ping = policy.limit(period, timeout), period
    while ping < until:
        pong = link.arrival(link.arrival(ping))
        yield ping, pong
        if pong > ping + limit:
            return
        ping = pong + period if policy.period_from == "pong" else max(pong, ping + period)


def live(policy: Policy, period: float, timeout: float, link: Link, until: float = HOUR) -> Life:
    """Return how a session goes over a link."""
    pings, last = 0, (0.0, 0.0)
    for last in beats(policy, period, timeout, link, until):  # noqa: B007
        pings += 1
    ping, pong = last
    over = ping + policy.limit(period, timeout)
    return Life(pings, over if pong > over and over <= until else None)


LONGEST = 6.6
"""Seconds of the longest stalls; most are much shorter."""


def healthy_hour(chance: random.Random, every: float = 600, longest: float = LONGEST) -> list[Stall]:
    """Return the stalls of a link in one hour, in seconds.

    Args:
        every: the mean time between two of them.
    """
    found, time = [], chance.expovariate(1 / every)
    while time < HOUR - 60:
        length = 0.1 + (longest - 0.1) * chance.random() ** 4
        found.append(Stall(round(time, 2), round(length, 2)))
        time += length + chance.expovariate(1 / every)
    return found


# ── sweeps ───────────────────────────────────────────────────────────────────────────────────────


class Weather(NamedTuple):
    """What the links of a sweep are like: their latency, the mean time between stalls, the longest stall."""

    latency: float = 0.05
    every: float = 600
    longest: float = LONGEST


WEATHER = Weather()


class Cell(NamedTuple):
    """What one period with one timeout does.

    Args:
        mean, worst: how long a cut stays unnoticed, in seconds.
        false_alarms: the part of the healthy hours in which the session was given up.
    """

    mean: float
    worst: float
    false_alarms: float


class Sweep(NamedTuple):
    """A row of cells for each timeout, with one for each period."""

    policy: Policy
    periods: tuple[float, ...]
    timeouts: tuple[float, ...]
    cells: tuple[tuple[Cell, ...], ...]

    def table(self, value: Literal["mean", "worst", "false_alarms"]) -> list[list[float]]:
        """Return one of the numbers of all cells, as `plots.heat_maps` takes it."""
        return [[getattr(cell, value) for cell in row] for row in self.cells]

    def __repr__(self) -> str:
        return f"<Sweep of {self.policy.name}: {len(self.periods)} periods × {len(self.timeouts)} timeouts>"


def sweep(
    policy: Policy,
    periods: Sequence[float],
    timeouts: Sequence[float],
    *,
    runs: int = 20,
    weather: Weather = WEATHER,
    seed: int | str = 0,
    processes: int | None = None,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Sweep:
    """Try each period with each timeout; any number of processes gives the same result.

    Args:
        runs: cuts, and healthy hours, of each cell.
        processes: how many work on it; None for one per core, 1 for this one alone.
        progress: is told the rows that are done and their number, after each row.
    """
    if runs < 1 or not periods or not timeouts or min(*periods, *timeouts) <= 0:
        raise ValueError("a sweep needs runs, periods and timeouts above 0")
    tasks = [(policy, tuple(periods), timeout, runs, weather, seed) for timeout in timeouts]
    rows = []
    for row in _rows(tasks, processes or os.cpu_count() or 1):
        rows.append(row)
        progress(len(rows), len(tasks))
    return Sweep(policy, tuple(periods), tuple(timeouts), tuple(rows))


Task = tuple[Policy, tuple[float, ...], float, int, Weather, int | str]
Row = tuple[Cell, ...]


def _rows(tasks: Sequence[Task], processes: int) -> Iterator[Row]:
    """Yield the rows in order, from other processes where they can be had."""
    done = 0
    if min(processes, len(tasks)) > 1:
        try:
            for row in _rows_of_processes(tasks, processes):
                yield row
                done += 1
        except (BrokenProcessPool, ImportError, NotImplementedError, OSError):
            pass  # as in Pyodide, and in a script without `if __name__ == "__main__":`
    yield from map(_row, tasks[done:])


def _rows_of_processes(tasks: Sequence[Task], processes: int) -> Iterator[Row]:
    # A spawned process holds no locks of a notebook's threads; an interrupt is for this process alone.
    pool = ProcessPoolExecutor(
        min(processes, len(tasks)), get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN)
    )
    try:
        yield from pool.map(_row, tasks)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _row(task: Task) -> Row:
    policy, periods, timeout, runs, weather, seed = task
    hours = [_hour(weather, seed, run) for run in range(runs)]
    return tuple(map(_cell, repeat(policy), periods, repeat(timeout), repeat(weather), repeat(hours)))


def _hour(weather: Weather, seed: int | str, run: int) -> tuple[float, Link]:
    """Return a moment between 0 and 1, and a healthy hour; the same ones for each cell."""
    chance = random.Random(f"{seed}/keepalive/{run}")
    return chance.random(), Link(weather.latency, healthy_hour(chance, weather.every, weather.longest))


def _cell(
    policy: Policy, period: float, timeout: float, weather: Weather, hours: list[tuple[float, Link]]
) -> Cell:
    waits = [_unnoticed(policy, period, timeout, weather.latency, moment) for moment, _ in hours]
    killed = sum(live(policy, period, timeout, link).over is not None for _, link in hours)
    return Cell(sum(waits) / len(waits), max(waits), killed / len(hours))


def _unnoticed(policy: Policy, period: float, timeout: float, latency: float, moment: float) -> float:
    """Return how long a cut stays unnoticed, at a moment of one beat: from 0, its ping, to 1, the next."""
    calm = beats(policy, period, math.inf, Link(latency), math.inf)
    (first, _), (second, _) = next(calm), next(calm)
    cut = first + moment * (second - first)
    over = live(policy, period, timeout, Link(latency, [Stall(cut, math.inf)]), math.inf).over
    assert over is not None
    return over - cut
