"""What works here, a line for each part: the kernel, its sockets, this browser, and Jupyter's proxy.

The kernel says what it has tried. Whether a page reaches it, directly and through the proxy, no kernel can
know: the page opens a WebSocket each way when it shows the view, and until then the line says so.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import traitlets

from wslearn.lab.browser_client import WAYS
from wslearn.lab.view import View, module, style
from wslearn.server import Server


class Line(NamedTuple):
    """A mark, the part that it is about, and what is known of it."""

    mark: str
    part: str
    text: str

    def __str__(self) -> str:
        return f"{self.mark} {self.part:<8} {self.text}"


DIRECTLY, PROXY = WAYS
NOT_TRIED = {
    DIRECTLY: Line("?", "browser", "a page tries this when it shows this cell, and none has yet"),
    PROXY: Line("?", "proxy", "a page tries this too: it is the way to a kernel on Binder"),
}
CAME = {
    DIRECTLY: Line("✓", "browser", "views live in this page, and its Hello went to the kernel and came back"),
    PROXY: Line("✓", "proxy", "Hello came back by this way too, the one to a kernel on Binder"),
}
LOST = {
    DIRECTLY: Line("◐", "browser", "views live in this page; no straight way leads to the kernel from it"),
    PROXY: Line(
        "✗", "proxy", "Hello did not come back by the way to a kernel on Binder: lesson 13 has a recording"
    ),
}


class Probe(View):
    """Shows what the kernel has tried, and lets the page try the rest.

    Its text and HTML forms are those of before: on GitHub no page tries anything.

    Args:
        server: sends every text back at `/`; None where there are no sockets.
        tried: what the kernel knows.
    """

    _esm = module("address", "probe")
    _css = style("probe")
    port = traitlets.Int(0).tag(sync=True)
    ways: traitlets.List[str] = traitlets.List(traitlets.Unicode(), list(WAYS)).tag(sync=True)
    lines: traitlets.List[Line] = traitlets.List().tag(sync=True)

    def __init__(self, server: Server | None, *tried: Line) -> None:
        self.server, self._tried, self._told = server, tried, dict(NOT_TRIED)
        super().__init__(port=server.port if server else 0, lines=[*tried, *NOT_TRIED.values()])
        self.on_msg(self._page_said)

    def _page_said(self, view: View, told: dict[str, Any], buffers: list[bytes]) -> None:
        match told:
            case {"way": str(way), "came": bool(came)} if way in WAYS:
                self._told[way] = (CAME if came else LOST)[way]
                self.lines = [*self._tried, *self._told.values()]

    def plain(self) -> str:
        """Return the lines as they are where no page has tried."""
        return "\n".join(map(str, [*self._tried, *NOT_TRIED.values()]))
