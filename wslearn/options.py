"""The options of a server, a client and a session: checked when assigned, live at once.

A bad value changes nothing and is named together with what is allowed. Who has to follow a new value
is told through `follow`; how it follows is the session's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import count as counter
from typing import Any, ClassVar, Protocol
from weakref import WeakValueDictionary

from wslearn.channels import Channels
from wslearn.converters import Converter
from wslearn.extensions import Extensions

Seconds = float | timedelta

LONGEST = 1e9
"""Seconds, 31 years: what every clock and timer can still add up."""

_stamps = counter(1)


def stamp() -> int:
    """Return the number of an assignment; a later one has a larger number, in whatever thread."""
    return next(_stamps)


def seconds(name: str, value: Any) -> float:
    """Return a duration in seconds, above 0 and finite; a timedelta is one too."""
    allowed = "seconds above 0"
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise TypeError(f"{name} is {value!r}: {allowed} are allowed")
    if not 0 < number <= LONGEST:
        at_most = f", at most {LONGEST:.0f}," if LONGEST < number < math.inf else ""
        raise ValueError(f"{name} is {value!r}: {allowed}{at_most} are allowed")
    return number


def period(name: str, value: Any) -> float | None:
    """Return seconds, or None for off."""
    if value is None:
        return None
    if value in (0, timedelta(0)) and not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}: seconds above 0 are allowed; write None for no pings")
    return seconds(name, value)


def size(name: str, value: Any) -> int | None:
    """Return a number of bytes above 0, or None for no limit."""
    return _whole(name, value, "whole bytes above 0, or None for no limit,")


def count(name: str, value: Any) -> int | None:
    """Return a number above 0, or None for no limit."""
    return _whole(name, value, "whole numbers above 0, or None,")


def _whole(name: str, value: Any, allowed: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is {value!r}: {allowed} are allowed")
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is {value!r}: {allowed} are allowed")
    return value


def flag(name: str, value: Any) -> bool:
    """Return True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}: True or False are allowed")
    return value


def converter(name: str, value: Any) -> Converter | None:
    """Return a converter, or None."""
    fits = hasattr(value, "serialize") and hasattr(value, "deserialize") and not isinstance(value, type)
    if value is not None and not fits:
        raise TypeError(f"{name} is {value!r}: an object with serialize and deserialize is needed")
    found: Converter | None = value
    return found


def channels(name: str, value: Any) -> Channels:
    """Return the bounds of the two channels."""
    if not isinstance(value, Channels):
        raise TypeError(f"{name} is {value!r}: Channels(incoming=…, outgoing=…) is needed")
    return value


def extensions(name: str, value: Any) -> Extensions:
    """Return the extensions in order."""
    if not isinstance(value, Iterable):
        raise TypeError(f"{name} is {value!r}: a list such as [Deflate()] is needed")
    return Extensions(value)


def origins(name: str, value: Any) -> list[str] | None:
    """Return the list of allowed origins, or None for all."""
    if value is None:
        return None
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        found = list(value)
        if all(isinstance(origin, str) for origin in found):
            return found
    raise TypeError(f"{name} is {value!r}: a list of texts such as 'https://example.org' is needed")


class Follower(Protocol):
    """Who has to follow a new value."""

    def option_changed(self, name: str, before: Any) -> None: ...


class Options:
    """Options with their checks; an assignment is checked, stored, and told to all who follow."""

    checks: ClassVar[dict[str, Callable[[str, Any], Any]]] = {
        "ping_period": period,
        "timeout": seconds,
        "max_frame_size": size,
        "masking": flag,
        "content_converter": converter,
        "channels": channels,
        "extensions": extensions,
        "open_timeout": seconds,
        "close_timeout": seconds,
    }
    fixed: ClassVar[set[str]] = {"channels", "extensions"}
    defaults: ClassVar[dict[str, Any]] = {}

    ping_period: float | None
    timeout: float
    max_frame_size: int | None
    masking: bool
    content_converter: Converter | None
    channels: Channels
    extensions: Extensions
    open_timeout: float
    close_timeout: float

    def __init__(self, **values: Any) -> None:
        # By id, so that all runs tell in the order of joining: a set would follow addresses in memory.
        self._followers: WeakValueDictionary[int, Follower] = WeakValueDictionary()
        self._stamps: dict[str, int] = {}
        checked = {name: self._check(name, value) for name, value in values.items()}
        vars(self).update(self.defaults | {"channels": Channels(), "extensions": Extensions()} | checked)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
            return
        checked = self._check(name, value)
        if name in self.fixed:
            raise AttributeError(f"{name} cannot change any more: give it to install or connect")
        before = getattr(self, name)
        super().__setattr__(name, checked)
        self._stamps[name] = stamp()
        # the references are copied in one step, whoever follows or leaves in another thread
        for reference in self._followers.valuerefs():
            if (follower := reference()) is not None:
                follower.option_changed(name, before)

    def follow(self, follower: Follower) -> None:
        """Tell a follower of each assignment, in the thread that assigns, as long as somebody holds it."""
        self._followers[id(follower)] = follower

    def unfollow(self, follower: Follower) -> None:
        """Stop what `follow` began."""
        self._followers.pop(id(follower), None)

    def stamp_of(self, name: str) -> int:
        """Return the number of the newest assignment; 0 for the value that it began with."""
        return self._stamps.get(name, 0)

    @classmethod
    def _check(cls, name: str, value: Any) -> Any:
        if name not in cls.checks:
            raise TypeError(f"unknown option {name!r}: {', '.join(cls.checks)} are known")
        return cls.checks[name](name, value)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.checks)
        return f"{type(self).__name__}({values})"


class WebSockets(Options):
    """The options of a server, for `app.install(WebSockets, …)`.

    Args:
        ping_period: seconds between a pong and the next ping; None for no pings. 15.
        timeout: seconds to wait for the matching pong. 15.
        max_frame_size: bytes of a data frame, of a message and of an inflated message; None for no
            limit. 1 MiB.
        masking: whether we mask what we send; a server that does breaks RFC 6455, section 5.1. False.
        content_converter: for `send_serialized` and `receive_deserialized`. None.
        channels: bounds of a session's queues, in messages. 64 each way.
        extensions: such as `Deflate()`; in order out, in reverse order in. None of them.
        origins: the allowed values of Origin; None for all. A request without one is let in.
        max_sessions: sessions at once; None for no limit.
        open_timeout: seconds for the whole opening handshake. 10.
        close_timeout: seconds from the decision to close to the cut. 10.
    """

    checks = Options.checks | {"origins": origins, "max_sessions": count}
    defaults: ClassVar[dict[str, Any]] = {
        "ping_period": 15,
        "timeout": 15,
        "max_frame_size": 2**20,
        "masking": False,
        "content_converter": None,
        "open_timeout": 10,
        "close_timeout": 10,
        "origins": None,
        "max_sessions": None,
    }
    origins: list[str] | None
    max_sessions: int | None


class ClientOptions(Options):
    """The options of `connect`: those of a server, with pings off and masking on."""

    defaults: ClassVar[dict[str, Any]] = {
        name: value
        for name, value in (WebSockets.defaults | {"ping_period": None, "masking": True}).items()
        if name in Options.checks
    }
