"""The options of a running server or session, to be moved while it runs.

The panel reads and assigns plain attributes; what is allowed, and what follows, is the options' own.
"""

from __future__ import annotations

from html import escape
from typing import Any

import traitlets

from wslearn.lab.view import View, module, style
from wslearn.options import Options
from wslearn.session import RawSession

KIB, MIB = 2**10, 2**20
SECONDS = [0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 8, 10, 15, 20, 30, 60]
SIZES = [125, 500, 1000, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB]
STEPS: dict[str, list[Any]] = {
    "ping_period": [*SECONDS, None],
    "timeout": SECONDS,
    "max_frame_size": [*SIZES, None],
    "masking": [],
}
NOTES = {
    "ping_period": "pause between a pong and the next ping",
    "timeout": "how long a pong may take; nothing happens with pings off",
    "max_frame_size": "larger frames and messages are answered with Close 1009",
    "masking": "mask what is sent: a client has to, a server must not",
}
UNITS = {"bytes": 1, "byte": 1, "kib": KIB, "mib": MIB}


def shown(name: str, value: Any) -> str:
    """Return the value of an option with its unit."""
    if name == "masking":
        return "on" if value else "off"
    if name != "max_frame_size":
        return "off" if value is None else f"{value:g} s"
    if value is None:
        return "no limit"
    for unit, factor in (("MiB", MIB), ("KiB", KIB)):
        if value % factor == 0:
            return f"{value // factor} {unit}"
    return f"{value} bytes"


def read(name: str, text: str) -> Any:
    """Return the value that somebody typed, or the text itself, of which options say what is wrong."""
    number, _, unit = text.strip().lower().partition(" ")
    if text.strip().lower() in ("off", "no limit", "none"):
        return None
    try:
        if name == "max_frame_size":
            return int(number) * UNITS[unit.strip() or "bytes"]
        seconds = float(number.removesuffix("s"))
    except (ValueError, KeyError):
        return text
    return int(seconds) if seconds.is_integer() else seconds


class OptionsPanel(View):
    """Sliders, fields and a switch for the live options; a bad value is named and changes nothing.

    Args:
        options: `server.options`, or a session.

    Raises:
        TypeError: it has no such options.
    """

    _esm = module("options_panel")
    _css = style("options_panel")
    controls: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, options: Options | RawSession) -> None:
        self._options = options
        self._names = [name for name in STEPS if hasattr(options, name)]
        if not self._names:
            raise TypeError(f"options is {options!r}: server.options or a session is needed")
        super().__init__(controls=[_control(name) for name in self._names])
        self._tell()
        self.on_msg(self._assign)
        self.live()

    def step(self) -> bool:
        """Follow what was assigned elsewhere."""
        if self._values() != self.state["values"]:
            self._tell()
        return True

    def plain(self) -> str:
        """Return one line for each option."""
        return "\n".join(f"{name:<15} {self._shown(name)}" for name in self._names)

    def html(self) -> str:
        """Return a table of the options."""
        rows = "".join(
            f'<tr><th scope="row">{name}</th><td>{self._shown(name)}</td><td>{escape(NOTES[name])}</td></tr>'
            for name in self._names
        )
        return f"<table><caption>options</caption><tbody>{rows}</tbody></table>"

    def _shown(self, name: str) -> str:
        return shown(name, getattr(self._options, name))

    def _values(self) -> dict[str, Any]:
        return {name: self._value(name) for name in self._names}

    def _value(self, name: str) -> Any:
        value = getattr(self._options, name)
        if name == "masking":
            return {"on": value}
        steps = STEPS[name]
        nearest = min(range(len(steps)), key=lambda at: _distance(steps[at], value))
        return {"text": shown(name, value), "step": nearest}

    def _tell(self, error: str = "") -> None:
        """Send the true values, also where they have not changed: a slider may have to go back."""
        turn = self.state.get("turn", 0) + 1
        self.state = {"values": self._values(), "error": error, "turn": turn}

    def _assign(self, view: View, asked: dict[str, Any], buffers: list[bytes]) -> None:
        name = asked["name"]
        try:
            setattr(self._options, name, _asked_value(asked))
        except (TypeError, ValueError) as error:
            self._tell(str(error))
            return
        self._tell()


def _control(name: str) -> dict[str, Any]:
    steps = [shown(name, step) for step in STEPS[name]]
    return {"name": name, "note": NOTES[name], "steps": steps}


def _asked_value(asked: dict[str, Any]) -> Any:
    match asked:
        case {"on": on}:
            return on
        case {"name": name, "step": step}:
            return STEPS[name][step]
        case {"name": name, "text": text}:
            return read(name, text)


def _distance(step: Any, value: Any) -> float:
    """Return how far a step of a slider is from a value, as a ratio; None is beyond all numbers."""
    if step is None or value is None:
        return 0 if step is value else float("inf")
    ratio: float = max(step / value, value / step)
    return ratio
