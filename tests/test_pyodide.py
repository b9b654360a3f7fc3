"""In Pyodide, which is Python in a browser, a simulation has the same bytes at the same times as here."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import websockets
from installing import installed

import wslearn

HERE = Path(__file__).parent
PYODIDE = "pyodide@314.0.7"
PROGRAM = """
import hashlib
from wslearn import Application, WebSockets, connect, simulate

async def scene(net):
    app = Application()
    app.install(WebSockets, ping_period=1, timeout=2)

    @app.websocket("/")
    async def echo(session):
        async for frame in session.incoming:
            await session.send(frame)

    server = await app.start("server", 80)
    with net.host("phone"):
        session = await connect(server.url())
    for number in range(20):
        await session.send(f"line {number} " + "ü" * 50 * number)
        await session.incoming.receive()
    net.cut("phone")
    return await server.sessions[0].close_reason, net.trace.chunks

reason, chunks = simulate(scene, latency=0.05, jitter=0.02, bandwidth=1e6, seed=7)
every = [(repr(chunk.sent), repr(chunk.received), chunk.sender, bytes(chunk.data)) for chunk in chunks]
print(reason, len(every), hashlib.sha256(repr(every).encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def pyodide() -> Path:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no node here: it runs the npm package `pyodide`")
    npm = "npm install --silent --no-audit --no-fund --fetch-retries=1 --prefix {folder}"
    return installed(PYODIDE, *npm.split(), PYODIDE) / "node_modules" / "pyodide"


def run(*command: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def test_a_seeded_scene_has_the_same_bytes_at_the_same_times_in_pyodide(pyodide):
    folders = [str(Path(package.__file__).parent.parent) for package in (wslearn, websockets)]
    in_pyodide = run("node", str(HERE / "pyodide.mjs"), str(pyodide), PROGRAM, *folders)
    assert in_pyodide == run(sys.executable, "-c", PROGRAM)
    assert in_pyodide[0].startswith("CloseReason(1011, 'Ping timeout', by='local') ")
