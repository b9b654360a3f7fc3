"""What came back for some bytes, in words and colours: frames, close codes, or silence.

Pure functions of bytes that a server has sent; who asked, and how, is the caller's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wslearn.dissection import Dissection, dissect
from wslearn.frames import CloseCode

NAMES = {
    "text": "a text came back",
    "binary": "bytes came back",
    "pong": "a pong came back",
    "silence": "nothing came back",
}
# Okabe and Ito's palette: black letters stand on each with a contrast of 5 or more.
FILLS = {
    "text": "#56b4e9",
    "binary": "#f0e442",
    "pong": "#009e73",
    "silence": "#b8b8b8",
    "1002": "#d55e00",
    "1007": "#e69f00",
}
OTHER = "#cc79a7"
SHOWN = 16
LONG = 100


def frames_in(answer: bytes) -> Iterator[tuple[bytes, Dissection]]:
    """Yield the frames of a server that stand in these bytes, each with its own bytes."""
    while answer:
        frame = dissect(answer, "server")
        yield answer[: len(answer) - len(frame.rest)], frame
        answer = frame.rest


def verdict(answer: bytes) -> str:
    """Return the last thing that came back in one word: a close code, a kind of frame, or silence."""
    frames = [frame for _, frame in frames_in(answer)]
    if not frames:
        return "silence"
    return str(values(frames[-1]).get("status_code") or _kind(frames[-1]).lower())


def told(answer: bytes) -> str:
    """Return what came back in words."""
    return ", then ".join(said(frame) for _, frame in frames_in(answer)) or "silence"


def came(answer: bytes) -> list[dict[str, str]]:
    """Return each frame that came back, in words and in hex, for a view."""
    return [{"said": said(frame), "hex": in_hex(data)} for data, frame in frames_in(answer)]


def said(frame: Dissection) -> str:
    """Return a frame that came back in a few words."""
    found = values(frame)
    if "status_code" not in found:
        return f"{_kind(frame)} {in_text(frame.unmasked)}"
    return f"Close {found['status_code']}" + (f": {found['reason']}" if found.get("reason") else "")


def entry(name: str) -> dict[str, Any]:
    """Return a verdict with its sign, its words and its colour, for a view."""
    return {"verdict": name, "letter": _letter(name), "name": _name(name), "fill": FILLS.get(name, OTHER)}


def in_text(payload: bytes) -> str:
    """Return a payload as text where it is UTF-8, and as hex where not; the beginning of a long one."""
    try:
        text = payload.decode()
        return repr(text) if len(text) <= LONG else f"{text[:LONG]!r} … {len(text)} characters"
    except UnicodeDecodeError:
        return in_hex(payload)


def values(frame: Dissection) -> dict[str, Any]:
    """Return the values of a frame's fields by their names."""
    return {field.name: field.value for field in frame.fields}


def _kind(frame: Dissection) -> str:
    return frame.kind.removesuffix(" frame")


def in_hex(data: bytes) -> str:
    """Return bytes in hex, the first 16 of many."""
    return data.hex(" ") if len(data) <= SHOWN else f"{data[:SHOWN].hex(' ')} …"


def _letter(name: str) -> str:
    """Return a verdict as one sign: its first letter, or the last digit of a close code."""
    return name[-1] if name.isdecimal() else name[0].upper()


def _name(name: str) -> str:
    if not name.isdecimal():
        return NAMES.get(name, f"{name} came back")
    known = CloseCode._value2member_map_.get(int(name))
    return f"Close {name}" + (f", {known.name.replace('_', ' ').lower()}" if known else "")
