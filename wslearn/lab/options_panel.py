"""The options of a running server or session, and the faults of a link, to be moved while they run.

A panel reads and assigns plain attributes; what is allowed, and what follows, is their owner's.
"""

from __future__ import annotations

from html import escape
from reprlib import repr as short
from typing import Any, ClassVar

import traitlets

from wslearn.lab.view import View, module, style
from wslearn.link import FaultyLink
from wslearn.options import Options
from wslearn.session import RawSession

KIB, MIB = 2**10, 2**20
SECONDS = [0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 8, 10, 15, 20, 30, 60]
SIZES = [125, 500, 1000, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB]
WAYS = [0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]
RATES = [10_000, 56_000, 250_000, 1_000_000, 10_000_000, 100_000_000]
UNITS = {
    "max_frame_size": {"MiB": MIB, "KiB": KIB, "bytes": 1},
    "bandwidth": {"Mbit/s": 1_000_000, "kbit/s": 1_000, "bit/s": 1},
}
"""Of what is counted, the largest unit first; all else is switched, or takes seconds."""


def shown(name: str, value: Any) -> str:
    """Return a value with its unit."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None:
        return "no limit" if name in UNITS else "off"
    if name not in UNITS:
        return f"{value:g} s"
    unit, factor = next(each for each in UNITS[name].items() if value % each[1] == 0 or each[1] == 1)
    return f"{value / factor:g} {unit}"


def read(name: str, text: str) -> Any:
    """Return the value that somebody typed, or the text itself, of which its owner says what is wrong."""
    number, _, unit = text.strip().lower().partition(" ")
    if text.strip().lower() in ("off", "no limit", "none"):
        return None
    units = {each.lower(): factor for each, factor in UNITS.get(name, {}).items()}
    try:
        if units:
            return int(number) * units[unit.strip() or list(units)[-1]]
        seconds = float(number.removesuffix("s"))
    except (ValueError, KeyError):
        return text
    return int(seconds) if seconds.is_integer() else seconds


class Panel(View):
    """Sliders, fields and switches for the values of something that runs; a bad one changes nothing.

    `acts` are what it does when a button is pressed, with no value to show.

    Args:
        owner: whose attributes they are.
        names: those to show.
    """

    _esm = module("options_panel")
    _css = style("options_panel")
    title: ClassVar[str]
    steps: ClassVar[dict[str, list[Any]]]
    notes: ClassVar[dict[str, str]]
    acts: ClassVar[dict[str, str]] = {}
    controls: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, owner: Any, names: list[str]) -> None:
        self._owner = owner
        self._names = names
        controls = [self._control(name) for name in names]
        controls += [{"name": name, "note": note, "act": True} for name, note in self.acts.items()]
        super().__init__(controls=controls, name=self.title)
        self._tell()
        self.on_msg(self._assign)
        self.live()

    def step(self) -> bool:
        """Follow what was assigned elsewhere."""
        if self._values() != self.state["values"]:
            self._tell()
        return True

    def plain(self) -> str:
        """Return one line for each value."""
        return "\n".join(f"{name:<15} {self._shown(name)}" for name in self._names)

    def html(self) -> str:
        """Return a table of the values."""
        rows = "".join(
            f'<tr><th scope="row">{name}</th><td>{self._shown(name)}</td>'
            f"<td>{escape(self.notes[name])}</td></tr>"
            for name in self._names
        )
        return f"<table><caption>{self.title}</caption><tbody>{rows}</tbody></table>"

    def _shown(self, name: str) -> str:
        return shown(name, self._get(name))

    def _get(self, name: str) -> Any:
        return getattr(self._owner, name)

    def _put(self, name: str, value: Any) -> None:
        setattr(self._owner, name, value)

    def _values(self) -> dict[str, Any]:
        return {name: self._value(name) for name in self._names}

    def _value(self, name: str) -> Any:
        value, steps = self._get(name), self.steps[name]
        if not steps:
            return {"on": value}
        nearest = min(range(len(steps)), key=lambda at: _distance(steps[at], value))
        return {"text": shown(name, value), "step": nearest}

    def _tell(self, error: str = "") -> None:
        """Send the true values, also where they have not changed: a slider may have to go back."""
        turn = self.state.get("turn", 0) + 1
        self.state = {"values": self._values(), "error": error, "turn": turn}

    def _assign(self, view: View, asked: dict[str, Any], buffers: list[bytes]) -> None:
        name = asked["name"]
        if name in self.acts:
            getattr(self._owner, name)()
            return
        try:
            self._put(name, self._asked_value(asked))
        except (TypeError, ValueError) as error:
            self._tell(str(error))
            return
        self._tell()

    def _control(self, name: str) -> dict[str, Any]:
        steps = [shown(name, step) for step in self.steps[name]]
        return {"name": name, "note": self.notes[name], "steps": steps}

    def _asked_value(self, asked: dict[str, Any]) -> Any:
        match asked:
            case {"on": on}:
                return on
            case {"name": name, "step": step}:
                return self.steps[name][step]
            case {"name": name, "text": text}:
                return read(name, text)


class OptionsPanel(Panel):
    """The live options of a server or a session, as sliders, fields and a switch.

    Args:
        options: `server.options`, or a session.

    Raises:
        TypeError: it has no such options.
    """

    title = "live options"
    steps: ClassVar[dict[str, list[Any]]] = {
        "ping_period": [*SECONDS, None],
        "timeout": SECONDS,
        "max_frame_size": [*SIZES, None],
        "masking": [],
    }
    notes: ClassVar[dict[str, str]] = {
        "ping_period": "pause between a pong and the next ping",
        "timeout": "how long a pong may take; nothing happens with pings off",
        "max_frame_size": "larger frames and messages are answered with Close 1009",
        "masking": "mask what is sent: a client has to, a server must not",
    }

    def __init__(self, options: Options | RawSession) -> None:
        names = [name for name in self.steps if hasattr(options, name)]
        if not names:
            raise TypeError(f"options is {short(options)}: server.options or a session is needed")
        super().__init__(options, names)


class LinkPanel(Panel):
    """The faults of a link, as sliders, fields, switches and a button, while a conversation runs over it.

    Args:
        link: a `FaultyLink`.

    Raises:
        TypeError: it is none.
    """

    title = "faults of the link"
    steps: ClassVar[dict[str, list[Any]]] = {
        "latency": WAYS,
        "jitter": WAYS,
        "bandwidth": [*RATES, None],
        "cut": [],
        "frozen": [],
    }
    notes: ClassVar[dict[str, str]] = {
        "latency": "one way, of each segment",
        "jitter": "at most this much more",
        "bandwidth": "of each connection, each way",
        "cut": "pull the server's cable: nothing passes, nobody is told",
        "frozen": "the server's sockets neither read nor write",
    }
    acts: ClassVar[dict[str, str]] = {"reset": "break all connections: both ends see it at once"}

    def __init__(self, link: FaultyLink) -> None:
        if not isinstance(link, FaultyLink):
            raise TypeError(f"link is {short(link)}: a FaultyLink is needed")
        super().__init__(link, list(self.steps))

    def _get(self, name: str) -> Any:
        value = getattr(self._owner, name if self.steps[name] else f"is_{name}")
        return value if self.steps[name] else value()

    def _put(self, name: str, value: Any) -> None:
        link = self._owner
        match name, value:
            case "cut", on:
                (link.cut if on else link.restore)()
            case "frozen", on:
                (link.freeze if on else link.thaw)()
            case _:
                link.set(**{name: value})


def _distance(step: Any, value: Any) -> float:
    """Return how far a step of a slider is from a value, as a ratio; None and 0 are far from all others."""
    if not step or not value:
        return 0 if step is value or step == value else float("inf")
    ratio: float = max(step / value, value / step)
    return ratio
