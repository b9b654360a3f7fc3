"""The commands `wslearn lab`, `wslearn serve` and `wslearn dissect`.

Here are arguments, files and exit codes; what is worth knowing about WebSocket is elsewhere.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path

from wslearn.dissection import Sender, dissect, dissect_handshake, read_hex
from wslearn.frames import CloseCode, CloseReason, Text
from wslearn.options import WebSockets
from wslearn.server import Application
from wslearn.session import Session

PACKAGE = Path(__file__).resolve().parent
FIRST_LESSON = "00-start-here.ipynb"
RECORD = ".wslearn-lessons.json"
LAB_NEEDS = ("anywidget", "ipywidgets", "jupyter_server_proxy", "jupyterlab", "matplotlib")
# Windows knows double quotes only.
INSTALL = 'pip install "wslearn[lab]"'
EXAMPLE = "81 05 48 65 6c 6c 6f"

app = Application()
app.install(WebSockets)


@app.websocket("/echo")
async def echo(session: Session) -> None:
    """Ask for names and greet them until somebody says "bye"."""
    await session.send("Please enter your name")
    async for frame in session.incoming:
        if not isinstance(frame, Text):
            continue
        name = frame.read_text()
        if name.lower() == "bye":
            await session.close(CloseReason(CloseCode.NORMAL_CLOSURE, "Client said BYE"))
        else:
            await session.send(f"Hi, {name}!")


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["lab"] and not {"-h", "--help"} & set(given):
        return lab(given[1:])
    choices = _parser().parse_args(given)
    if choices.command == "serve":
        return serve(choices.host, choices.port)
    return show_dissection(choices.hex, choices.sender)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wslearn", description="Learn WebSocket byte by byte.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="lab | serve | dissect")
    commands.add_parser(
        "lab",
        help="open the lessons in JupyterLab",
        usage="wslearn lab [folder] [options of jupyter lab, as --no-browser or --port 8889]",
        description="Open JupyterLab on lesson 00. Without a checkout the lessons are copied into the folder"
        " first (wslearn-lessons without one); what you have changed there is never overwritten.",
    )
    serving = commands.add_parser("serve", help="run the echo example")
    serving.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    serving.add_argument("--port", default=0, type=_port, help="port to listen on (a free one)")
    dissecting = commands.add_parser(
        "dissect", help="show frames, or the head of a handshake, field by field"
    )
    dissecting.add_argument("hex", nargs="+", metavar="HEX", help=f"bytes of a frame, as {EXAMPLE}")
    dissecting.add_argument("--sender", choices=("client", "server"), help="who sent it: rules of masking")
    return parser


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"port is {text!r}: 0 to 65535 are allowed")
    return int(text)


def lab(arguments: list[str]) -> int:
    """Open JupyterLab on lesson 00; a first argument that is no option is the folder for the lessons."""
    missing = [name for name in LAB_NEEDS if find_spec(name) is None]
    if missing:
        return _fail(2, f"lab: {', '.join(missing)} not installed: {INSTALL}")
    folder = None
    if arguments and not arguments[0].startswith("-"):
        folder, arguments = Path(arguments[0]), arguments[1:]
    try:
        lessons = _lessons(folder)
    except OSError as error:
        return _fail(1, f"lab: cannot copy the lessons to {error.filename}: {error.strerror}")
    from jupyterlab.labapp import LabApp

    LabApp.launch_instance([*_lab_options(lessons), *arguments])
    return 0


def _lab_options(lessons: Path) -> list[str]:
    options = [f"--ServerApp.root_dir={lessons}", f"--LabApp.default_url=/lab/tree/{FIRST_LESSON}"]
    # An installed package has brought it along; a checkout that is only on the path has not.
    options.append(f"--LabApp.extra_labextensions_path={PACKAGE / 'lab' / 'labextensions'}")
    # In a container everybody is root, and Jupyter's refusal would be the first thing to read.
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")
    return options


def _lessons(folder: Path | None) -> Path:
    """Return the folder to work in: that of a checkout, or one with copies of the lessons."""
    installed = PACKAGE / "notebooks"
    checkout = PACKAGE.parent / "notebooks"
    if folder is None and not installed.is_dir():
        return checkout
    folder = (folder or Path("wslearn-lessons")).absolute()
    for line in copy_lessons(installed if installed.is_dir() else checkout, folder):
        print(line)
    print(f"The lessons are in {folder}", flush=True)
    return folder


def copy_lessons(source: Path, folder: Path) -> Iterator[str]:
    """Copy the lessons, and new versions of those that the learner has not touched.

    A lesson that the learner has changed stays; a version of it that is new to the folder is put beside
    it once, and a line is yielded that names both. What was copied is remembered in a file of the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = _read_record(folder / RECORD)
    for path in _shipped(source):
        name = path.relative_to(source).as_posix()
        new, mine = path.read_bytes(), folder / name
        digest = hashlib.sha256(new).hexdigest()
        if not mine.exists() or _digest(mine) in (record.get(name), digest):
            mine.parent.mkdir(parents=True, exist_ok=True)
            mine.write_bytes(new)
        elif record.get(name) != digest:
            beside = _free_name(mine)
            beside.write_bytes(new)
            yield f"You have changed {name}, so it stays; its new version is {beside.name}"
        record[name] = digest
    (folder / RECORD).write_text(json.dumps(record, indent=1, sort_keys=True), encoding="utf-8")


def _shipped(source: Path) -> list[Path]:
    """List the files of the lessons without what Jupyter and the exercises leave there."""
    files = (path for path in source.rglob("*") if path.is_file())
    return sorted(path for path in files if not _is_hidden(path.relative_to(source)))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _read_record(path: Path) -> dict[str, str]:
    """Read which version of each file the folder got last; without a record every difference is a change."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return {}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _free_name(path: Path) -> Path:
    names = (path.with_stem(f"{path.stem}-new{'' if n == 1 else f'-{n}'}") for n in count(1))
    return next(name for name in names if not name.exists())


def serve(host: str, port: int) -> int:
    """Run the echo example until Ctrl-C."""
    try:
        asyncio.run(_serve(host, port))
    except KeyboardInterrupt:
        print("stopped")
    except OSError as error:
        return _fail(1, f"serve: cannot listen on {host}:{port}: {error.strerror or error}")
    return 0


async def _serve(host: str, port: int) -> None:
    async with app.start(host, port) as server:
        print(f"{server.url('/echo')} is open, Ctrl-C stops it", flush=True)
        await server.serve_forever()


def show_dissection(words: list[str], sender: Sender | None = None) -> int:
    """Print the fields of each head and each frame in bytes that are given as hex digits."""
    try:
        data = read_hex(" ".join(words))
    except ValueError as error:
        return _fail(2, f"dissect: {error}, as {EXAMPLE}")
    while data:
        is_head = data.startswith((b"GET ", b"HTTP/"))
        dissection = dissect_handshake(data) if is_head else dissect(data, sender)
        print(dissection)
        data = dissection.rest
    return 0


def _fail(code: int, line: str) -> int:
    print(f"wslearn {line}", file=sys.stderr)
    return code
