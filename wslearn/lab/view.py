"""What every view has in common: one ES module, the theme, and forms that read well without a kernel.

A view is a function of data: Python computes, the module draws. Here is how it is shown, compared and
kept alive; what it shows is the view's own.
"""

from __future__ import annotations

import asyncio
import weakref
from html import escape
from pathlib import Path
from typing import Any

import anywidget

STATIC = Path(__file__).parent / "static"
PERIOD = 0.05
# Columns stay columns in an exported notebook too, whose style sheet takes the font away from `pre`.
PRE = '<pre style="font-family:var(--jp-code-font-family,monospace)">'


def module(*names: str) -> str:
    """Return the ES module of a view, its files joined, with what all modules share in front."""
    return _joined("shared.js", *(f"{name}.js" for name in names))


def style(*names: str) -> str:
    """Return the style sheet of a view, its files joined, with the theme in front."""
    return _joined("theme.css", *(f"{name}.css" for name in names))


def _joined(*names: str) -> str:
    return "\n".join((STATIC / name).read_text(encoding="utf-8") for name in names)


class View(anywidget.AnyWidget):
    """A widget that also prints: `plain` as text, `html` where there is no kernel.

    nbval compares both, so neither holds a port, a wall-clock time or an address.
    """

    def plain(self) -> str:
        """Return the view as text."""
        return type(self).__name__

    def html(self) -> str:
        """Return the view as HTML that needs no style sheet."""
        return f"{PRE}{escape(self.plain())}</pre>"

    def __repr__(self) -> str:
        return self.plain()

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        shown = super()._repr_mimebundle_(**kwargs) if self.comm is not None else None
        data, metadata = shown or ({}, {})
        return {**data, "text/plain": self.plain(), "text/html": self.html()}, metadata

    def step(self) -> bool:
        """Show what is new; return False when nothing can come any more."""
        return False

    def live(self) -> None:
        """Call `step` at most 20 times a second until it says False or the view is closed or gone.

        Without a running loop there is nothing to follow.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        loop.call_later(PERIOD, _follow, weakref.ref(self), loop)


def _follow(reference: weakref.ref[View], loop: asyncio.AbstractEventLoop) -> None:
    started = loop.time()
    view = reference()
    if view is not None and view.comm is not None and view.step():
        # a long trace takes long to look at: the loop stays free for the conversation
        loop.call_later(max(PERIOD, 20 * (loop.time() - started)), _follow, reference, loop)
