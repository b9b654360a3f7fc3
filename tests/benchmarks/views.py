"""Measures in JupyterLab and Chromium how the views take a conversation of 10,000 frames.

    python tests/benchmarks/views.py [--frames 10000]

Each view is opened three times: from the key that runs its cell until its rows are drawn, so that the kernel
and the way through JupyterLab count too. An empty cell on the same page is measured beside it. Then a mouse
wheel turns 60 times a second for 3 seconds: what counts is the longest time without a picture, and whether
all that the wheel has asked for has been done and drawn.
At last a cell sends as many messages while a list of them grows: beside the same without a list, and with the
longest time without a picture.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "browser"))
from laboratory import open_lesson, run_lesson, running_chromium, running_laboratory, write_notebook

TRACE = """
from wslearn.lab import Conversation, Ladder
from wslearn.trace import Trace
trace = Trace()
trace.begin(0)
for number in range({frames}):
    trace.record(number / 100, 1, "client", bytes([0x81, 0x8a, 0, 0, 0, 0]) + b"%010d" % number)
trace.frames[-1]
"""
SEND = """
import asyncio, time
from wslearn import Application, WebSockets, connect
app = Application()
app.install(WebSockets)
@app.websocket("/")
async def listen(session):
    async for frame in session.incoming:
        pass
async def send_all():
    async with app.start() as server, connect(server.url()) as session:
        if grows:
            display(Conversation(server.trace))
        begin = time.perf_counter()
        for number in range({frames}):
            await session.send(f"number {{number}}")
            await asyncio.sleep(0)
        await session.flush()
        return time.perf_counter() - begin
"""
GROW = "grows = False\nalone = await send_all()\ngrows = True\nprint(f'ratio {await send_all() / alone:.2f}')"
VIEWS = ("Conversation", "Ladder")
OPENINGS = 3
SECONDS, PER_SECOND, STEP = 3, 60, 100
RUN = "() => void window.jupyterapp.commands.execute('notebook:run-cell')"
CLEAR = """n => {
    window.jupyterapp.shell.currentWidget.content.activeCellIndex = n;
    return window.jupyterapp.commands.execute('notebook:clear-cell-output');
}"""
HAS = "([n, drawn]) => document.querySelectorAll('.jp-CodeCell')[n].querySelector(drawn)"
# Notes each picture of the screen, and whether rows are where the reader looks.
WATCH = """view => {
    const list = view.querySelector('[role=listbox]');
    const watch = window.watch = { times: [], blank: 0, on: true };
    const note = now => {
        watch.times.push(now);
        const box = list.getBoundingClientRect();
        const under = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
        if (!under?.closest('[role=option], svg')) watch.blank++;
        if (watch.on) requestAnimationFrame(note);
    };
    requestAnimationFrame(note);
}"""


def opened(page: Page, cell: int, drawn: str) -> float:
    """Run a cell and return the milliseconds until something is drawn in it."""
    page.evaluate(CLEAR, cell)
    page.locator(".jp-CodeCell").nth(cell).scroll_into_view_if_needed()
    begin = time.perf_counter()
    page.evaluate(RUN)
    page.wait_for_function(HAS, arg=[cell, drawn], polling="raf")
    return 1000 * (time.perf_counter() - begin)


def scrolled(page: Page, name: str) -> str:
    """Turn the wheel over a view and return what was seen."""
    view = page.locator(f".wslearn-{name.lower()}").first
    rows = view.get_by_role("listbox").first
    view.scroll_into_view_if_needed()
    rows.hover()
    view.evaluate(WATCH)
    before = rows.evaluate("list => list.scrollTop")
    begin = time.perf_counter()
    for turn in range(SECONDS * PER_SECOND):
        page.mouse.wheel(0, STEP)
        time.sleep(max(0, begin + (turn + 1) / PER_SECOND - time.perf_counter()))
    page.wait_for_timeout(500)
    watch = page.evaluate("() => Object.assign(window.watch, {on: false})")
    moved = rows.evaluate("list => list.scrollTop") - before
    times = watch["times"]
    steps = [later - sooner for sooner, later in pairwise(times)]
    return (
        f"{moved / STEP:.0f} of {SECONDS * PER_SECOND} turns of the wheel, "
        f"pictures every {statistics.median(steps):.1f} ms, the longest wait {max(steps):.0f} ms, "
        f"{watch['blank']} of {len(times)} without rows"
    )


def grown(page: Page, cell: int, frames: int) -> str:
    """Let a list grow while a cell sends, and return what was seen."""
    opened(page, cell, ".wslearn-conversation [role=option]")
    view = page.locator(".jp-CodeCell").nth(cell).locator(".wslearn-conversation")
    view.evaluate(WATCH)
    ratio = (
        page.locator(".jp-CodeCell").nth(cell).locator(".jp-OutputArea pre", has_text="ratio").text_content()
    )
    view.locator(".count", has_text=f"{frames:,}"[:-3]).wait_for()
    times = page.evaluate("() => Object.assign(window.watch, {on: false})")["times"]
    steps = [later - sooner for sooner, later in pairwise(times)]
    return (
        f"{frames} messages, with and without a list: {ratio.strip()}, the longest wait {max(steps):.0f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=10_000)
    frames = parser.parse_args().frames
    cells = [TRACE.format(frames=frames), "print('empty')", *(f"{view}(trace)" for view in VIEWS)]
    cells += [SEND.format(frames=frames), GROW]
    with (
        tempfile.TemporaryDirectory() as home,
        running_laboratory(Path(home)) as laboratory,
        running_chromium() as browser,
    ):
        write_notebook(laboratory, "views.ipynb", cells)
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        open_lesson(page, laboratory, "views.ipynb")
        run_lesson(page)
        for cell, name in enumerate(["empty cell", *VIEWS], 1):
            drawn = "[role=option]" if name in VIEWS else "pre"
            times = [opened(page, cell, drawn) for _ in range(OPENINGS)]
            print(f"{name:<13} {frames} frames, drawn after {', '.join(f'{each:.0f}' for each in times)} ms")
        for name in VIEWS:
            print(f"{name:<13} {scrolled(page, name)}")
        print(f"{VIEWS[0]:<13} {grown(page, len(cells) - 1, frames)}")


if __name__ == "__main__":
    main()
