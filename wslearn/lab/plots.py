"""Still pictures of conversations in time; the only module that imports matplotlib.

Each function takes data and returns a `Picture`: a figure for the eye, and as text the numbers that
matter. Colours are Okabe and Ito's in a darker shade, as text is written in them, with a glyph or a word
beside each. Nothing here simulates or measures.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from io import BytesIO
from typing import Any, NamedTuple

from ipywidgets import IntSlider, Label, Layout, VBox
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, MaxNLocator
from PIL import Image as Pixels

from wslearn.frames import Close, CloseCode, Frame, Ping, Pong
from wslearn.lab.still import Still
from wslearn.trace import Trace, TracedFrame, TransitChunk

BLUE, GREEN, VERMILION = "#0072B2", "#007F5C", "#B84F00"
INK, PAPER = "#333333", "#ffffff"
"""All is drawn on paper; `Still` turns it over where the notebook is dark."""

WIDTH, DPI = 7.2, 140
"""Inches and dots per inch: the width of a notebook, and less than 60 kB in a file."""

FAULTS = {"cut": "cable cut", "frozen": "frozen", "reset": "reset", "link changed": "link changed"}
"""Events of a simulated network from which on a peer may be silent."""


class Picture:
    """A figure, and as text what is to be read in it.

    The text is what prints and what tests compare. The notebook shows the figure in its theme.
    """

    def __init__(self, figure: Figure, text: str) -> None:
        self.figure = figure
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_png_(self) -> bytes:
        drawn, file = BytesIO(), BytesIO()
        self.figure.savefig(drawn, format="png", dpi=DPI)
        # A palette of 64 colours takes a third of the bytes.
        Pixels.open(drawn).convert("RGB").quantize(64).save(file, "png", optimize=True)
        return file.getvalue()

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.still()._repr_mimebundle_(**options)

    def still(self) -> Still:
        """Return the figure as it is now, to be shown."""
        return Still(png=self._repr_png_(), text=self.text)


class Beat(NamedTuple):
    """One ping and what became of it, in seconds of the server's clock.

    Args:
        pong: when the matching pong was received; None if it never was.
        lost: when the server gave up; None if it did not.
    """

    ping: float
    pong: float | None
    lost: float | None

    def __str__(self) -> str:
        begin = f"ping at {self.ping:.2f} s"
        if self.pong is not None:
            return f"{begin}, pong at {self.pong:.2f} s: round trip {self.pong - self.ping:.2f} s"
        if self.lost is not None:
            return f"{begin}, no pong; timeout at {self.lost:.2f} s: {self.lost - self.ping:.2f} s in vain"
        return f"{begin}, no pong yet"


def beats(trace: Trace) -> list[Beat]:
    """Return the pings of the server in the first session of a trace, each with its matching pong."""
    on_wire = any(isinstance(chunk, TransitChunk) for chunk in trace.chunks)
    pongs: dict[bytes, float] = {}
    found = []
    # From the last frame to the first, so that a pong is known before its ping asks for it.
    for traced in reversed(_first_session(trace)):
        match traced.frame:
            case Pong(data=payload) if traced.sender == "client":
                arrival = traced.received if on_wire else traced.time
                if arrival is not None:
                    pongs[payload] = arrival
            case Ping(data=payload) if traced.sender == "server":
                found.append((traced.time, pongs.pop(payload, None)))
    end = _end(trace)
    return [Beat(ping, pong, None if pong is not None else end) for ping, pong in reversed(found)]


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least this many percent of the values do not exceed.

    Source: the nearest-rank method.
    """
    if not values:
        raise ValueError("values is empty: a percentile needs one value or more")
    return sorted(values)[max(1, math.ceil(len(values) * percent / 100)) - 1]


# ── pings and pongs ──────────────────────────────────────────────────────────────────────────────


def ping_timeline(trace: Trace, *, until: float | None = None) -> Picture:
    """Draw each ping and pong on its way between server and client, the fault and the timeout.

    Args:
        trace: a simulation's `net.trace`, which knows when each frame was sent and received.
        until: the end of the time axis, in seconds; None for all.
    """
    frames = _first_session(trace)
    if not any(isinstance(chunk, TransitChunk) for chunk in trace.chunks):
        raise ValueError("a trace of a server knows one end only: net.trace of a simulation is needed")
    end = until or max((each.received or each.time for each in frames), default=1.0) * 1.08
    figure, axes = _figure(2.9)
    axes.hlines([0, 1], 0, end, color=INK, linewidth=1)
    for each in frames:
        if each.time <= end and isinstance(each.frame, Ping | Pong | Close):
            _draw_flight(axes, each)
    found = [beat for beat in beats(trace) if beat.ping <= end]
    _draw_waits(axes, found)
    lines = [str(beat) for beat in found]
    if fault := _fault(trace):
        _draw_fault(axes, *fault)
        lines.append(_noticed(trace))
        axes.set_title(lines[-1].rpartition(", ")[2], color=INK, fontsize=11, weight="bold", loc="left")
    axes.set_yticks([0, 1], ["client", "server"])
    axes.set_ylim(-0.38, 1.75)
    _time_axis(axes, end)
    _legend(axes, [("ping ▼", BLUE, "-"), ("pong ▲", GREEN, "-"), ("✕ never arrived", VERMILION, "--")])
    return Picture(figure, "\n".join(lines))


def _draw_flight(axes: Axes, traced: TracedFrame) -> None:
    """Draw one frame on its way; one that never arrives ends in a cross."""
    from_server = traced.sender == "server"
    begin = 1.0 if from_server else 0.0
    colour = BLUE if isinstance(traced.frame, Ping) else GREEN if isinstance(traced.frame, Pong) else INK
    if traced.received is not None:
        axes.plot([traced.time, traced.received], [begin, 1 - begin], color=colour, linewidth=1.8)
        axes.plot([traced.received], [1 - begin], "v" if from_server else "^", color=colour, markersize=7)
        if isinstance(traced.frame, Close):
            _write_close(axes, traced.time, begin + 0.06 if from_server else begin - 0.06, up=from_server)
        return
    stop = 0.55 if from_server else 0.45
    axes.plot([traced.time, traced.time], [begin, stop], color=VERMILION, linewidth=1.8, linestyle="--")
    axes.plot([traced.time], [stop], "x", color=VERMILION, markersize=8, markeredgewidth=2)
    if isinstance(traced.frame, Close):
        _write_close(axes, traced.time, stop - 0.12, up=False)


def _write_close(axes: Axes, time: float, height: float, *, up: bool) -> None:
    axes.text(time, height, "Close", color=INK, fontsize=9, ha="center", va="bottom" if up else "top")


def _draw_waits(axes: Axes, found: list[Beat]) -> None:
    """Draw above the server how long it waited for each pong."""
    for beat in found:
        stop = beat.pong if beat.pong is not None else beat.lost
        if stop is None:
            continue
        colour = GREEN if beat.pong is not None else VERMILION
        axes.plot([beat.ping, stop], [1.2, 1.2], color=colour, linewidth=6, solid_capstyle="butt")
        text = f"{stop - beat.ping:.1f} s" + ("" if beat.pong is not None else " in vain")
        axes.text((beat.ping + stop) / 2, 1.28, text, color=colour, ha="center", va="bottom", fontsize=9)


def _draw_fault(axes: Axes, time: float, what: str) -> None:
    axes.axvline(time, color=VERMILION, linewidth=1.5, linestyle=":")
    axes.text(time, -0.34, f" {what} at {time:.1f} s", color=VERMILION, va="bottom", fontsize=9)


def lanes(traces: Mapping[str, Trace], *, until: float | None = None) -> Picture:
    """Draw conversations under each other: pings, pongs, the fault and the end, as the server sees them.

    Args:
        traces: by name, each a simulation's `net.trace`.
        until: the end of the time axis, in seconds; None for all.
    """
    found = {name: beats(trace) for name, trace in traces.items()}
    last = [time for name in traces for time in (_end(traces[name]), *(b.ping for b in found[name])) if time]
    until = until or max(last, default=1.0) * 1.05
    figure, axes = _figure(0.9 + 0.5 * len(traces))
    lines = []
    for row, (name, trace) in enumerate(traces.items()):
        _draw_lane(axes, -row, trace, found[name], until)
        lines.append(f"{name}: {_noticed(trace)}")
        axes.text(until * 1.01, -row, _delay(trace), color=INK, va="center", weight="bold")
    axes.set_yticks([-row for row in range(len(traces))], list(traces))
    axes.set_ylim(0.4 - len(traces), 0.7)
    _time_axis(axes, until)
    names = ["| ping", "● pong", "▼ it happens", "✕ session over"]
    _legend(
        axes, [(name, colour, "") for name, colour in zip(names, (BLUE, GREEN, INK, VERMILION), strict=True)]
    )
    return Picture(figure, "\n".join(lines))


def _draw_lane(axes: Axes, row: float, trace: Trace, found: list[Beat], until: float) -> None:
    end, fault = _end(trace), _fault(trace)
    axes.hlines([row], 0, until if end is None else end, color=INK, linewidth=1)
    pings = [beat.ping for beat in found if beat.ping <= until]
    pongs = [beat.pong for beat in found if beat.pong is not None and beat.pong <= until]
    axes.plot(pings, [row] * len(pings), "|", color=BLUE, markersize=15, markeredgewidth=2)
    axes.plot(pongs, [row] * len(pongs), "o", color=GREEN, markersize=6)
    if fault is not None:
        axes.plot([fault[0]], [row + 0.24], "v", color=INK, markersize=7)
    if end is not None and end <= until:
        axes.plot([end], [row], "x", color=VERMILION, markersize=10, markeredgewidth=2.5)


# ── many round trips, many cuts, many settings ───────────────────────────────────────────────────


def round_trips(found: Sequence[Beat], *, window: int = 50) -> Picture:
    """Draw each round trip at the time of its ping, and what p50 and p99 of the newest ones were then.

    Args:
        found: beats, of which those without a pong are marked at the top.
        window: of how many round trips the running percentiles are.

    Raises:
        ValueError: no beat has a pong.
    """
    answered = [(beat.ping, 1000 * (beat.pong - beat.ping)) for beat in found if beat.pong is not None]
    times, values = [time for time, _ in answered], [trip for _, trip in answered]
    whole = f"p50 {percentile(values, 50):.1f} ms, p99 {percentile(values, 99):.1f} ms"
    figure, axes = _figure(2.9)
    axes.scatter(times, values, s=9, color=BLUE, alpha=0.55, linewidths=0)
    for percent, colour, style in ((50, GREEN, "-"), (99, VERMILION, "--")):
        running = [
            percentile(values[max(0, n - window) : n], percent)
            for n in range(min(window, 10), len(values) + 1)
        ]
        axes.plot(times[len(times) - len(running) :], running, style, color=colour, lw=2)
    lost = [beat.ping for beat in found if beat.lost is not None]
    axes.plot(lost, [max(values) * 1.08] * len(lost), "x", color=VERMILION, markersize=8, markeredgewidth=2)
    axes.set_ylim(0, max(values) * 1.15)
    _time_axis(axes, found[-1].ping * 1.02)
    axes.set_ylabel("round trip in ms")
    names = [
        ("● round trip", BLUE, ""),
        (f"p50 of {window}", GREEN, "-"),
        (f"p99 of {window}", VERMILION, "--"),
    ]
    _legend(axes, [*names, ("✕ no pong", VERMILION, "")] if lost else names)
    no_pong = f", {len(lost)} without a pong" if lost else ""
    return Picture(figure, f"{len(values)} round trips: {whole}{no_pong}")


def hourly_cost(hours: Mapping[float, tuple[int, int]]) -> Picture:
    """Draw what a heartbeat costs one quiet connection in an hour, over its period.

    Args:
        hours: by period in seconds, the bytes of an hour and how often it wakes the peer.
    """
    figure, axes = _figure(2.9)
    kilobytes = [size / 1000 for size, _ in hours.values()]
    axes.loglog(list(hours), kilobytes, "o-", color=BLUE, linewidth=2, markersize=7)
    for period, (size, wakes) in hours.items():
        text = f"{size / 1000:,.0f} kB, {wakes:,} wake-ups"
        axes.annotate(text, (period, size / 1000), (9, 3), textcoords="offset points", color=INK)
    axes.margins(x=0.05, y=0.15)
    axes.set_xlim(right=max(hours) * 3)
    axes.set_xticks(list(hours), [f"{period:g}" for period in hours])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.minorticks_off()
    axes.set_xlabel("ping_period in s")
    axes.set_ylabel("kB an hour")
    lines = ["period/s  bytes/h  wake-ups/h"]
    lines += [f"{period:>8g}  {size:>7,}  {wakes:>10,}" for period, (size, wakes) in hours.items()]
    return Picture(figure, "\n".join(lines))


def histogram(
    values: Sequence[float], *, name: str = "round trip", unit: str = "ms", until: float | None = None
) -> Picture:
    """Draw how often each value came, with the median and the 99th percentile.

    Args:
        until: the end of the axis; None for all values.
    """
    half, most = percentile(values, 50), percentile(values, 99)
    figure, axes = _figure(2.9)
    axes.hist(values, bins=50 if until else 25, range=(0, until) if until else None, color=BLUE, alpha=0.75)
    for value, label, colour, style in ((half, "p50", GREEN, "-"), (most, "p99", VERMILION, "--")):
        axes.axvline(value, color=colour, linewidth=2, linestyle=style)
        text, place = f"{label} {value:.0f} {unit}", ("data", "axes fraction")
        side = "right" if label == "p50" else "left"
        axes.annotate(text, (value, 1.01), xycoords=place, color=colour, weight="bold", ha=side)
    axes.set_xlim(0, until or max(values) * 1.08)
    axes.set_xlabel(f"{name} in {unit}")
    axes.set_ylabel("how many")
    shown = f"p50 {half:.1f} {unit}, p99 {most:.1f} {unit}, longest {max(values):.1f} {unit}"
    return Picture(figure, f"{len(values)} times {name}: {shown}")


def detection_band(cuts: Sequence[tuple[float, float]], *, period: float, timeout: float) -> Picture:
    """Draw how long each cut stayed unnoticed, over the moment of the cut.

    Args:
        cuts: when the cable was cut, and how long after that it was noticed, both in seconds.
        period: the pause between a pong and the next ping, in seconds.
        timeout: the wait for a pong, in seconds.
    """
    delays = [delay for _, delay in cuts]
    mean = sum(delays) / len(delays)
    figure, axes = _figure(3.1)
    axes.axhspan(timeout, period + timeout, color=BLUE, alpha=0.13)
    axes.scatter([moment for moment, _ in cuts], delays, s=7, color=BLUE, linewidths=0)
    axes.axhline(mean, color=VERMILION, linewidth=2, linestyle="--")
    for height, text, colour in (
        (period + timeout, f"period + timeout\n= {period + timeout:g} s", BLUE),
        (mean, f"mean {mean:.1f} s", VERMILION),
        (timeout, f"timeout\n= {timeout:g} s", BLUE),
    ):
        place = ("axes fraction", "data")
        axes.annotate(text, (1.01, height), xycoords=place, color=colour, weight="bold", va="center")
    axes.set_ylim(0, (period + timeout) * 1.15)
    axes.set_xlabel("moment of the cut in s")
    axes.set_ylabel("unnoticed for, in s")
    shown = f"{min(delays):.1f} s at least, {mean:.1f} s on average, {max(delays):.1f} s at most"
    return Picture(figure, f"{len(cuts)} cuts, noticed after: {shown}")


Table = Sequence[Sequence[float]]


def heat_maps(
    tables: Mapping[str, Table],
    *,
    periods: Sequence[float],
    timeouts: Sequence[float],
    notes: Sequence[str] = (),
) -> Picture:
    """Draw tables of numbers over period and timeout, side by side.

    Args:
        tables: by title, a row for each timeout with a value for each period.
        periods: seconds, along the bottom.
        timeouts: seconds, up the side.
        notes: a word for each period, as what it costs.
    """
    figure = _paper(3.4)
    ticks = [f"{period:g}" for period in periods]
    if notes:
        ticks = [f"{tick}\n{note}" for tick, note in zip(ticks, notes, strict=True)]
    for place, (title, table) in enumerate(tables.items(), 1):
        axes = _axes(figure, 1, len(tables), place)
        _draw_heat(axes, table)
        axes.set_title(title, color=INK, fontsize=11, weight="bold")
        axes.set_xticks(range(len(periods)), ticks, fontsize=9)
        axes.set_yticks(range(len(timeouts)), [f"{timeout:g}" for timeout in timeouts])
        axes.set_xlabel("ping_period in s")
        axes.set_ylabel("timeout in s")
        axes.label_outer()
    lines = [_table_lines(title, table, periods, timeouts) for title, table in tables.items()]
    return Picture(figure, "\n".join(lines))


def _draw_heat(axes: Axes, table: Table) -> None:
    most = max(max(row) for row in table) or 1
    # the lighter half of the blues, so that black has contrast enough on each
    axes.imshow(table, origin="lower", cmap="Blues", vmin=0, vmax=2 * most, aspect="auto")
    for y, row in enumerate(table):
        for x, value in enumerate(row):
            axes.text(x, y, f"{value:.0f}", color="black", ha="center", va="center")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _table_lines(title: str, table: Table, periods: Sequence[float], timeouts: Sequence[float]) -> str:
    head = "timeout \\ period" + "".join(f"{period:>6g}" for period in periods)
    body = [
        f"{timeout:>16g}" + "".join(f"{value:>6.0f}" for value in row)
        for timeout, row in zip(timeouts, table, strict=True)
    ]
    return "\n".join([f"{title}:", head, *body])


# ── a picture that is drawn again ────────────────────────────────────────────────────────────────


class Slider(VBox):  # type: ignore[misc]
    """A picture that is drawn again when its slider is let go.

    Args:
        draw: takes the slider's number and returns a `Picture`, in a fraction of a second.
        name: what the number is, with its unit.
        value: where the slider begins.
        most: where it ends; it starts at 0.
    """

    def __init__(self, draw: Callable[[int], Picture], name: str, value: int, most: int) -> None:
        self._draw = draw
        self._still = draw(value).still()
        self._error = Label()
        slider = number_slider(name, value, 0, most, self._moved)
        super().__init__([slider, self._still, self._error], layout=Layout(align_items="flex-start"))

    def _moved(self, change: Any) -> None:
        try:
            picture = self._draw(change["new"])
        except Exception as error:  # Nobody sees what a callback raises: it is shown here.
            self._error.value = f"{type(error).__name__}: {error}"
            return
        self._error.value = ""
        self._still.show(picture._repr_png_(), picture.text)

    def __repr__(self) -> str:
        return repr(self._still)

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        shown = super()._repr_mimebundle_(**options)
        return {**shown, "text/plain": repr(self), "image/png": self._still.png}


def number_slider(name: str, value: int, least: int, most: int, moved: Callable[[Any], object]) -> IntSlider:
    """Return a slider that tells its number when it is let go."""
    slider = IntSlider(
        value, least, most, description=name, continuous_update=False, style={"description_width": "initial"}
    )
    slider.layout.width = "min(100%, 32em)"
    slider.observe(moved, "value")
    return slider


# ── a proxy and its two legs ─────────────────────────────────────────────────────────────────────

PLACES = ("page", "proxy", "server")


def two_legs(trace: Trace) -> Picture:
    """Draw the frames of a page, a proxy and a server in three columns over time, counted from 0.

    Args:
        trace: of a simulated network; its session 1 goes from page to proxy, session 2 from proxy to server.
    """
    frames = [each for each in trace.frames if each.session <= 2]
    figure, axes = _figure(0.5 + 0.3 * len(frames))
    for place, name in enumerate(PLACES):
        axes.axvline(place, color=INK, linewidth=1)
        axes.text(place, 1.03, name, transform=axes.get_xaxis_transform(), ha="center", weight="bold")
    for number, each in enumerate(frames):
        _draw_leg(axes, number, each)
    first, last = frames[0].time, frames[-1].received or frames[-1].time
    axes.set_ylim(last + 0.06 * (last - first), first - 0.06 * (last - first))
    axes.set_xlim(-0.2, 2.2)
    axes.set_xticks([])
    axes.set_ylabel("time in s")
    head = f"{'':13}{'page':<12}{'proxy':^48}{'server':>12}"
    return Picture(figure, "\n".join([head, *map(_leg_line, range(len(frames)), frames)]))


def _draw_leg(axes: Axes, number: int, each: TracedFrame) -> None:
    """Draw one frame on its leg, with its number and what it is on its arrow."""
    begin, end = (each.session - 1, each.session)[:: 1 if each.sender == "client" else -1]
    received = each.time if each.received is None else each.received
    colour = VERMILION if isinstance(each.frame, Close) else BLUE
    axes.annotate("", (end, received), (begin, each.time), arrowprops={"arrowstyle": "-|>", "color": colour})
    middle = (each.session - 0.5, (each.time + received) / 2)
    box = {"facecolor": PAPER, "edgecolor": "none", "pad": 1}
    label = f"{number}: {_in_short(each.frame)}"
    axes.text(*middle, label, ha="center", va="center", fontsize=9, color=colour, bbox=box)


def _leg_line(number: int, each: TracedFrame) -> str:
    said = _in_short(each.frame)
    arrow = f"{f' {said} ':─^32}▶" if each.sender == "client" else f"◀{f' {said} ':─^32}"
    return f"{number:>3} {each.time:.3f} s  {'' if each.session == 1 else ' ' * 36}{arrow}"


def _in_short(frame: Frame | None) -> str:
    if isinstance(frame, Close):
        reason = frame.read_reason()
        return f"Close {reason.code}" if reason else "Close without a code"
    return repr(frame)


def legs(trips: Mapping[str, float]) -> Picture:
    """Draw the round trips of both legs, and of the whole way.

    Args:
        trips: by name, in seconds.
    """
    figure, axes = _figure(0.8 + 0.4 * len(trips))
    names, times = list(trips), [1000 * seconds for seconds in trips.values()]
    axes.barh(names, times, color=BLUE, height=0.5)
    for name, time in zip(names, times, strict=True):
        axes.annotate(f"{time:.1f} ms", (time, name), (4, 0), textcoords="offset points", va="center")
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel("round trip in ms")
    return Picture(
        figure, "\n".join(f"{name}: {time:.1f} ms" for name, time in zip(names, times, strict=True))
    )


# ── what all pictures share ──────────────────────────────────────────────────────────────────────


def _paper(height: float) -> Figure:
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    return Figure(figsize=(WIDTH, height), layout=layout, facecolor=PAPER)


def _figure(height: float) -> tuple[Figure, Axes]:
    figure = _paper(height)
    return figure, _axes(figure, 1, 1, 1)


def _axes(figure: Figure, *place: int) -> Axes:
    return _dressed(figure.add_subplot(*place))


def _dressed(axes: Axes) -> Axes:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[:].set_color(INK)
    axes.tick_params(colors=INK, labelsize=10)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    return axes


def _time_axis(axes: Axes, end: float) -> None:
    axes.set_xlim(0, end)
    axes.set_xlabel("time in s")
    axes.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10]))


def _legend(axes: Axes, entries: list[tuple[str, str, str]]) -> None:
    """Write the names in their colours above the picture, at the right."""
    line = partial(axes.plot, [], [])
    axes.legend(
        handles=[line(color=colour, linestyle=style, label=name)[0] for name, colour, style in entries],
        labelcolor="linecolor",
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=len(entries),
        frameon=False,
        fontsize=9,
        handlelength=1 if any(style for _, _, style in entries) else 0,
    )


def _first_session(trace: Trace) -> list[TracedFrame]:
    frames = trace.frames
    return [each for each in frames if each.session == frames[0].session]


def _fault(trace: Trace) -> tuple[float, str] | None:
    """Return when something happened to the network, and what."""
    found = [(event.time, FAULTS[event.name]) for event in trace.events if event.name in FAULTS]
    return found[0] if found else None


def _end(trace: Trace) -> float | None:
    """Return when the server gave up: its Close came first, or a reset; None if it never did."""
    closes = [each for each in _first_session(trace) if isinstance(each.frame, Close)]
    ends = [each.time for each in closes[:1] if each.sender == "server" and not _is_leaving(each.frame)]
    ends += [event.time for event in trace.events if event.name == "reset"]
    return min(ends, default=None)


def _is_leaving(frame: Frame | None) -> bool:
    """Tell whether a Close is that of a server which stops; it gives up on nobody."""
    reason = frame.read_reason() if isinstance(frame, Close) else None
    return reason is not None and reason.code == CloseCode.GOING_AWAY


def _delay(trace: Trace) -> str:
    """Return in few words how long the server noticed nothing."""
    fault, end = _fault(trace), _end(trace)
    if end is None:
        return "no alarm"
    if fault is None:
        return f"at {end:.1f} s"
    return "at once" if end == fault[0] else f"after {end - fault[0]:.1f} s"


def _noticed(trace: Trace) -> str:
    fault = _fault(trace)
    what = f"{fault[1]} at {fault[0]:.1f} s, " if fault else ""
    return f"{what}noticed {_delay(trace)}".replace("noticed no alarm", "no alarm")


# ── the header of a frame ────────────────────────────────────────────────────────────────────────


def header_share(header_size: Callable[[int, bool], int]) -> Picture:
    """Draw how much of a frame is its header, over the size of the payload.

    Args:
        header_size: takes the bytes of a payload and whether it is masked, returns those of the header.
    """
    told = (1, 5, 125, 126, 65_535, 65_536)
    sizes = sorted({round(2 ** (eighth / 8)) for eighth in range(161)} | set(told))
    figure, axes = _figure(2.9)
    lines = ["payload/bytes " + "".join(f"{size:>9,}" for size in told)]
    for name, colour, style, masked in (("client", VERMILION, "--", True), ("server", BLUE, "-", False)):
        shares = {size: 100 - 100 * size / (size + header_size(size, masked)) for size in sizes}
        axes.loglog(list(shares), list(shares.values()), color=colour, linestyle=style, linewidth=2)
        lines.append(f"{f'{name}, %':<14}" + "".join(f"{shares[size]:>9.3g}" for size in told))
        for size in (1, 126, 65_536) if masked else ():
            text = f"{shares[size]:.0f} %" if shares[size] > 1 else f"{shares[size]:.1g} %"
            axes.annotate(text, (size, shares[size]), (4, 5), textcoords="offset points", color=colour)
    for step in (126, 65_536):
        axes.axvline(step, color=INK, linewidth=1, linestyle=":")
        axes.text(step, 60, f" {step:,}", color=INK, fontsize=9)
    axes.set_xlabel("payload in bytes")
    axes.set_ylabel("header in % of the frame")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:g}")
    _legend(axes, [("client, masked", VERMILION, "--"), ("server", BLUE, "-")])
    return Picture(figure, "\n".join(lines))


# ── what news costs ──────────────────────────────────────────────────────────────────────────────


def bytes_against_staleness(
    asking: Mapping[str, tuple[float, int]], listening: Mapping[str, tuple[float, int]]
) -> Picture:
    """Draw what a match costs one viewer over how old the news is, both in powers of ten.

    Args:
        asking: by name, pairs of mean staleness in seconds and bytes, joined by a line.
        listening: the same, at most three; the height of the first is carried over to the line.
    """
    figure, axes = _figure(3.2)
    axes.loglog(*zip(*asking.values(), strict=True), "o-", color=VERMILION, linewidth=2, markersize=7)
    for name, pair in asking.items():
        axes.annotate(name, pair, (9, 3), textcoords="offset points", color=VERMILION)
    stale, size = next(iter(listening.values()))
    axes.hlines(size, stale, max(pair[0] for pair in asking.values()), color=INK, linewidth=1, linestyle=":")
    for (name, pair), marker, colour in zip(listening.items(), "Ds^", (BLUE, INK, GREEN), strict=False):
        axes.loglog(*pair, marker, color=colour, markersize=8, markerfacecolor="none", markeredgewidth=2)
        place = (9, -15) if pair[1] < size else (9, 5)
        axes.annotate(name, pair, place, textcoords="offset points", color=colour)
    axes.margins(x=0.1, y=0.15)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("mean staleness in s")
    axes.set_ylabel("bytes of a match")
    named = [*asking.items(), *listening.items()]
    return Picture(
        figure, "\n".join(f"{name}: {size:,} bytes, {stale:g} s stale" for name, (stale, size) in named)
    )


# ── the bytes of a masked text ───────────────────────────────────────────────────────────────────


def byte_counts(samples: Mapping[str, bytes]) -> Picture:
    """Draw for each sample how often each of the 256 bytes stands in it, side by side.

    Args:
        samples: at most three, by name, none of them empty.
    """
    figure = _paper(2.6)
    axes: Axes | None = None
    lines = []
    for place, ((name, data), colour) in enumerate(
        zip(samples.items(), (BLUE, VERMILION, GREEN), strict=False), 1
    ):
        counts = Counter(data)
        shares = [100 * counts[byte] / len(data) for byte in range(256)]
        axes = _dressed(figure.add_subplot(1, len(samples), place, sharey=axes))
        axes.fill_between(range(256), shares, step="mid", color=colour, linewidth=0.8)
        axes.set_title(name, color=colour, fontsize=11, weight="bold")
        axes.set_xlim(0, 255)
        axes.set_xticks([0, 128, 255])
        axes.set_xlabel("byte")
        axes.label_outer()
        lines.append(
            f"{name}: {len(counts)} different bytes, the most frequent is {max(shares):.1f} % of all"
        )
    figure.axes[0].set_ylabel("share in %")
    return Picture(figure, "\n".join(lines))


# ── a ping behind a photo ────────────────────────────────────────────────────────────────────────


def ping_waits(longest: Mapping[int, float]) -> Picture:
    """Draw the longest round trip of a ping over the size of the fragments that it has to pass.

    Args:
        longest: by the bytes of a fragment, the round trip in seconds.
    """
    sizes = sorted(longest)
    names = {size: f"{size // 1024:,} KiB" if size < 2**20 else f"{size // 2**20} MiB" for size in sizes}
    figure, axes = _figure(2.9)
    axes.loglog(sizes, [longest[size] for size in sizes], "o-", color=BLUE, linewidth=2, markersize=7)
    for size in sizes:
        place = (0, 8) if size == sizes[0] else (-9, 6)
        axes.annotate(
            f"{longest[size]:.2g} s", (size, longest[size]), place, textcoords="offset points", ha="right"
        )
    axes.axhline(1, color=INK, linewidth=1, linestyle=":")
    axes.set_xticks(sizes, [names[size] for size in sizes])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.margins(x=0.1, y=0.2)
    axes.set_xlabel("largest fragment")
    axes.set_ylabel("longest round trip in s")
    return Picture(figure, "\n".join(f"{names[size]:>8}: {longest[size]:.2f} s" for size in sizes))


# ── a server under attack ────────────────────────────────────────────────────────────────────────


def under_attack(panels: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]) -> Picture:
    """Draw what attacks hold of a server over time, a panel for each, with and without a limit.

    Args:
        panels: by what is held, two lines by name, of seconds and amounts.
    """
    figure, lines = _paper(1.8 * len(panels)), []
    for place, (held, named) in enumerate(panels.items(), 1):
        axes = _axes(figure, len(panels), 1, place)
        styles = ((VERMILION, "--"), (BLUE, "-"))
        for (name, seen), (colour, style) in zip(named.items(), styles, strict=True):
            axes.plot(*zip(*seen, strict=True), color=colour, linestyle=style, linewidth=2)
            lines.append(f"{held}, {name}: {max(amount for _, amount in seen):,.4g} at most")
        axes.set_title(held, color=INK, fontsize=10, weight="bold", loc="left")
        axes.set_xlim(left=0)
        _legend(axes, [(name, *style) for name, style in zip(named, styles, strict=True)])
    axes.set_xlabel("time in s")
    return Picture(figure, "\n".join(lines))


# ── one message to many ──────────────────────────────────────────────────────────────────────────

STYLES = ((BLUE, "-"), (VERMILION, "--"), (GREEN, "-."))

CrowdSamples = Sequence[tuple[float, int, float, int]]
"""Time in seconds, messages held, seconds behind, viewers served."""


def crowds(samples: Mapping[str, CrowdSamples]) -> Picture:
    """Draw what one sleeping viewer costs: memory, the delay of the others, and who is still served.

    Args:
        samples: by the name of a policy, at most three.
    """
    figure = _paper(4.6)
    titles = ("messages held", "the others, s behind", "viewers served")
    rows = [_axes(figure, 3, 1, place) for place in (1, 2, 3)]
    lines = []
    for (name, seen), (colour, style) in zip(samples.items(), STYLES, strict=False):
        times, *values = zip(*seen, strict=True)
        for axes, value in zip(rows, values, strict=True):
            axes.plot(times, value, color=colour, linestyle=style, linewidth=2)
        held, behind, served = max(values[0]), max(values[1]), min(values[2])
        lines.append(
            f"{name}: {held} held at most, the others {behind:.1f} s behind at most, {served} served"
        )
    for axes, title in zip(rows, titles, strict=True):
        axes.set_title(title, color=INK, fontsize=10, weight="bold", loc="left")
        axes.set_xlim(0, max(seen[-1][0] for seen in samples.values()))
        axes.label_outer()
    rows[2].set_ylim(bottom=min(min(seen)[3] for seen in samples.values()) - 2.5)
    rows[2].yaxis.set_major_locator(MaxNLocator(3, integer=True))
    rows[2].set_xlabel("time in s")
    _legend(rows[0], [(name, *style) for name, style in zip(samples, STYLES, strict=False)])
    return Picture(figure, "\n".join(lines))


def attempts(times: Mapping[str, Sequence[float]], *, back: float) -> Picture:
    """Draw how many attempts to connect meet in each tenth of a second.

    Args:
        times: by name, in seconds since the server went.
        back: when the server was there again, in seconds.
    """
    figure = _paper(3.4)
    end = max(map(max, times.values())) + 0.2
    axes: Axes | None = None
    lines = []
    for place, ((name, moments), (colour, _)) in enumerate(zip(times.items(), STYLES, strict=False), 1):
        axes = _dressed(figure.add_subplot(len(times), 1, place, sharey=axes))
        counts = Counter(int(moment * 10) for moment in moments)
        most = max(counts.values())
        axes.bar([tenth / 10 for tenth in counts], list(counts.values()), 0.1, align="edge", color=colour)
        axes.axvline(back, color=INK, linewidth=1, linestyle=":")
        axes.set_title(f"{name}: {most:,} in a tenth", color=colour, fontsize=10, weight="bold", loc="left")
        axes.set_xlim(0, end)
        axes.set_ylabel("attempts")
        axes.label_outer()
        lines.append(f"{name}: {len(moments):,} attempts, at most {most:,} in a tenth of a second")
    figure.axes[-1].set_xlabel("time in s, the server is back at the dotted line")
    return Picture(figure, "\n".join(lines))


# ── what compression costs and tells ─────────────────────────────────────────────────────────────


def curves(
    named: Mapping[str, Mapping[int, float]], across: str, up: str, *, logarithmic: bool = False
) -> Picture:
    """Draw a value over whole numbers, in a line for each name.

    Args:
        named: at most three, by name, each with the same whole numbers.
        across: what the whole numbers are.
        up: what the values are.
        logarithmic: whether the values stand in powers of ten.
    """
    figure, axes = _figure(2.9)
    places = list(next(iter(named.values())))
    lines = [f"{across}: " + " ".join(map(str, places))]
    for (name, values), colour, marker in zip(named.items(), (VERMILION, BLUE, GREEN), "os^", strict=False):
        axes.plot(places, list(values.values()), marker=marker, color=colour, linewidth=2, markersize=6)
        lines.append(f"{name}: " + " ".join(f"{value:,.0f}" for value in values.values()))
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:,g}")
        axes.minorticks_off()
    else:
        axes.set_ylim(0, 1.12 * max(max(values.values()) for values in named.values()))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    marks = zip(named, (VERMILION, BLUE, GREEN), "●■▲", strict=False)
    _legend(axes, [(f"{mark} {name}", colour, "") for name, colour, mark in marks])
    return Picture(figure, "\n".join(lines))


def guess_ladder(rounds: Sequence[Mapping[str, int]]) -> Picture:
    """Draw for each guessed letter of a secret what the frame of each guess had of bytes.

    Args:
        rounds: for each place of the secret the bytes of a frame, by the letter that was guessed.
    """
    figure, axes = _figure(3.2)
    lines = []
    for place, sizes in enumerate(rounds):
        least, most = min(sizes.values()), max(sizes.values())
        short = [letter for letter, size in sizes.items() if size < most]
        for n, (letter, size) in enumerate(sizes.items()):
            found = size < most
            axes.plot(
                n, place, "s" if found else ".", color=VERMILION if found else BLUE, ms=13 if found else 4
            )
            if found:
                axes.text(n, place, letter, color=PAPER, ha="center", va="center", weight="bold", fontsize=9)
        axes.text(len(sizes), place, f"{most} B" + (f", {least} B" if short else ""), color=INK, va="center")
        told = f"{least} for {', '.join(short)}" if short else "the same for all"
        lines.append(f"letter {place + 1}: {most} bytes, {told}")
    axes.set_xlim(-1, len(rounds[0]) + 5)
    axes.set_ylim(len(rounds) - 0.4, -0.6)
    axes.set_xticks(range(len(rounds[0])), list(rounds[0]), fontsize=8)
    axes.set_yticks(range(len(rounds)), [str(place + 1) for place in range(len(rounds))])
    axes.set_xlabel("letter that was guessed")
    axes.set_ylabel("place in the secret")
    _legend(axes, [("· the longer frame", BLUE, ""), ("■ a shorter frame", VERMILION, "")])
    return Picture(figure, "\n".join(lines))


# ── what an object takes in each format ──────────────────────────────────────────────────────────


def size_bars(sizes: Mapping[str, Mapping[str, int]]) -> Picture:
    """Draw how many bytes objects take in several formats, the bars of each object side by side.

    Args:
        sizes: for each object, by name, its bytes by the name of the format, at most four.
    """
    figure = _paper(2.9)
    formats = list(next(iter(sizes.values())))
    width = max(map(len, sizes))
    lines = [" " * width + "".join(f"  {name}" for name in formats)]
    for place, (thing, by_format) in enumerate(sizes.items(), 1):
        axes = _axes(figure, 1, len(sizes), place)
        bars = axes.barh(
            formats, list(by_format.values()), color=[BLUE, VERMILION, GREEN, INK][: len(formats)]
        )
        axes.bar_label(bars, fmt="{:,.0f}", padding=3, color=INK, fontsize=9)
        axes.set_xlim(0, 1.3 * max(by_format.values()))
        axes.set_title(thing, color=INK, fontsize=11, weight="bold", loc="left")
        axes.set_xlabel("bytes")
        axes.invert_yaxis()
        if place > 1:
            axes.set_yticks([])
        numbers = (f"  {size:>{len(name)},}" for name, size in by_format.items())
        lines.append(f"{thing:<{width}}" + "".join(numbers))
    return Picture(figure, "\n".join(lines))
