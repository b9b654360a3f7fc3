"""What a page is told, beside what passed on the wire: a real WebSocket in the reader's own page.

The view opens a server that says given bytes to whoever connects, and asks the page to come: directly where
both are on one machine, and through Jupyter's proxy (jupyter-server-proxy). Here the server's bytes and the
page's events meet; frames are taken apart by `dissect` (RFC 6455, sections 7.1.5 and 7.1.6).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from html import escape
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import traitlets

from wslearn.dissection import Dissection, dissect, dissect_handshake
from wslearn.handshake import END, upgrade_response
from wslearn.lab.answers import said
from wslearn.lab.page_client import Meeting
from wslearn.lab.view import View, module, style

WAYS = ("directly", "through the proxy")
CLOSE = bytes.fromhex("88 02 03 e8")
LISTENS = 3.0
"""Seconds that the server waits for what a page says."""


class Told(NamedTuple):
    """What a page was told of an end, what the server heard from it, and which extensions each leg has.

    `heard` has a line for each frame, with the milliseconds since the server spoke where they are known.
    """

    code: int
    clean: bool
    heard: tuple[str, ...]
    extensions: str = ""

    def __str__(self) -> str:
        return f"{self.code}, {'clean' if self.clean else 'not clean'}"


class BrowserClient(Meeting):
    """Lets the page connect to a server that says given bytes, and shows both ends of each connection.

    Its text and HTML forms show a recording, because without a browser there is no page.

    Args:
        acts: by name the bytes that the server says behind its handshake; an empty one cuts the connection.
        recorded: by way and name what a browser was told before.
    """

    _esm = module("address", "browser_client")
    _css = style("browser_client")
    names: traitlets.List[str] = traitlets.List(traitlets.Unicode()).tag(sync=True)
    ways: traitlets.List[str] = traitlets.List(traitlets.Unicode(), list(WAYS)).tag(sync=True)
    rows: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)

    def __init__(
        self, acts: Mapping[str, bytes], recorded: Mapping[str, Mapping[str, Told]] | None = None
    ) -> None:
        self.acts, self.recorded = dict(acts), recorded or {}
        self.told: dict[str, dict[str, Told]] = {}
        self._heard: dict[str, list[str]] = {}
        super().__init__(names=list(acts))
        self.on_msg(self._page_said)
        self._draw()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Shake hands, say the bytes that are asked for, and note what comes back."""
        with suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            request = dissect_handshake(await reader.readuntil(END))
            asked = dict(parse_qsl(urlsplit(request.value("target") or "").query))
            key, act = request.value("sec-websocket-key"), self.acts.get(asked.get("act", ""))
            if key is not None and act is not None:
                heard = self._heard[asked.get("try", "")] = []
                writer.write(upgrade_response(key).encode())
                await asyncio.sleep(0.1)
                writer.write(act)
                if act and await _listen(reader, heard) and not _is_close(dissect(act)):
                    writer.write(CLOSE)
        writer.close()

    def _page_said(self, view: View, told: dict[str, Any], buffers: list[bytes]) -> None:
        """Take what the page was told of one connection."""
        match told:
            case {"way": str(way), "name": str(name), "try": str(number), "code": code, "clean": clean}:
                heard = tuple(self._heard.get(number, ()))
                found = Told(int(code), bool(clean), heard, str(told.get("extensions", "")))
                self.told.setdefault(way, {})[name] = found
                self._draw()

    def _draw(self) -> None:
        self.rows = [
            {"name": name, "sent": said_in(act), "told": {way: self._cell(way, name) for way in WAYS}}
            for name, act in self.acts.items()
        ]

    def _cell(self, way: str, name: str) -> dict[str, Any]:
        live = self.told.get(way, {}).get(name)
        found = live or self.recorded.get(way, {}).get(name)
        if found is None:
            return {}
        return {
            "page": str(found),
            "heard": list(found.heard),
            "extensions": found.extensions,
            "live": live is not None,
        }

    def table(self) -> list[list[str]]:
        """Return the recording, a row for each act, with a row of headings in front."""
        says = ("the page is told", "the server hears")
        rows = [["the server says", *(f"{what}, {way}" for way in WAYS for what in says)]]
        for name in self.acts:
            found = [self.recorded.get(way, {}).get(name) for way in WAYS]
            cells = [(str(each), "; ".join(each.heard) or "nothing") if each else ("", "") for each in found]
            rows.append([name, *(cell for pair in cells for cell in pair)])
        return rows

    def plain(self) -> str:
        """Return the recording as a table of text."""
        rows = self.table()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join(["recorded in Chromium, before:", *lines])

    def html(self) -> str:
        """Return the recording as a table."""
        head, *rows = self.table()
        left = 'style="text-align:left"'
        heads = "".join(f'<th scope="col" {left}>{escape(each)}</th>' for each in head)
        body = "".join(
            f"<tr>{''.join(f'<td {left}>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
        )
        caption = "<caption>recorded in Chromium, before</caption>"
        return f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


async def _listen(reader: asyncio.StreamReader, heard: list[str]) -> bool:
    """Note the frames of a page until it closes, and tell whether it did."""
    loop = asyncio.get_running_loop()
    started, data = loop.time(), b""
    with suppress(TimeoutError, ConnectionResetError):
        async with asyncio.timeout(LISTENS):
            while chunk := await reader.read(4096):
                data += chunk
                while (frame := dissect(data, "client")).complete:
                    name = said(frame) if frame.unmasked or not _is_close(frame) else "Close without a code"
                    heard.append(f"{name} after {1000 * (loop.time() - started):.1f} ms")
                    data = frame.rest
                    if _is_close(frame):
                        return True
    return False


def said_in(act: bytes) -> str:
    """Return the bytes of an act in hex; none is a cut."""
    return act.hex(" ") or "no bytes: the connection is cut"


def _is_close(frame: Dissection) -> bool:
    return frame.kind.startswith("Close")
