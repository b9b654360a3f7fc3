"""The reader's own page as the client of their own server: what it says, and what it is told (RFC 6455, 7.1).

The page opens a real WebSocket to the kernel's machine. Without a page a recording stands in and says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple, Self

import traitlets

from wslearn.lab.board import Handler
from wslearn.lab.view import View, module, style


class Heard(NamedTuple):
    """What a page was told: the texts that came, the code of the end, and whether it was clean."""

    texts: tuple[str, ...]
    code: int
    clean: bool

    def __str__(self) -> str:
        texts = ", ".join(repr(text) for text in self.texts) or "nothing"
        return f"{texts}; then {self.code}, {'clean' if self.clean else 'not clean'}"


class Meeting(View):
    """A view with a server of its own, where the page that shows it is the client."""

    port = traitlets.Int(0).tag(sync=True)
    _serve: Handler
    _server: asyncio.Server | None = None

    async def start(self) -> Self:
        """Serve on a free port of this machine, and return the view."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def close(self) -> None:
        """End the view and its server."""
        if self._server is not None:
            self._server.close()
        super().close()


class PageClient(Meeting):
    """Lets this page say texts to a server, and shows what came back.

    Args:
        server: `async def server(reader, writer)`.
        texts: what the page says, all at once; it closes when as many have come back.
        recorded: what a browser was told before.
    """

    _esm = module("address", "page_client")
    _css = style("page_client")
    texts: traitlets.List[str] = traitlets.List(traitlets.Unicode()).tag(sync=True)
    said = traitlets.Unicode().tag(sync=True)

    def __init__(self, server: Handler, texts: Sequence[str], recorded: Heard) -> None:
        self._serve, self.recorded = server, recorded
        self.heard: Heard | None = None
        super().__init__(texts=list(texts), said=f"recorded in Chromium, before: {recorded}")
        self.on_msg(self._page_said)

    def _page_said(self, view: View, told: dict[str, Any], buffers: list[bytes]) -> None:
        match told:
            case {"texts": [*texts], "code": int(code), "clean": bool(clean)}:
                self.heard = Heard(tuple(map(str, texts)), code, clean)
                self.said = f"told in this page: {self.heard}"

    def plain(self) -> str:
        """Return what the page says, and the recording."""
        says = ", ".join(repr(text) for text in self.texts)
        return f"the page says {says}\nrecorded in Chromium, before: {self.recorded}"

    def html(self) -> str:
        """Return the same as a paragraph."""
        return f"<p>{escape(self.plain()).replace(chr(10), '<br>')}</p>"
