"""A bar for work that takes longer than a breath; interrupting the kernel ends the work, not the bar."""

from __future__ import annotations

from collections.abc import Callable

from IPython.display import display
from ipywidgets import IntProgress


def progress_bar(name: str) -> Callable[[int, int], None]:
    """Show a bar, and return a function that moves it.

    Args:
        name: of what is done, in a word or two.
    """
    bar = IntProgress(description=name, style={"description_width": "initial"})
    bar.layout.width = "min(100%, 32em)"
    display(bar)  # type: ignore[no-untyped-call]

    def move(done: int, total: int) -> None:
        bar.max, bar.value = total, done
        bar.description = f"{name}: {done} of {total}"
        bar.bar_style = "success" if done == total else ""

    return move
