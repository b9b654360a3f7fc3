"""A pulled cable: Linux's own network is the judge of `FaultyLink` and of the simulation."""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wslearn import Application, FaultyLink, WebSockets, connect, simulate

CABLE = Path(__file__).with_name("cable.py")
TOLERANCE = 0.4  # seconds, for a machine that has much else to do


def application() -> Application:
    app = Application()
    app.install(WebSockets, ping_period=0.5, timeout=0.5)

    @app.websocket("/")
    async def read(session):
        async for _ in session.incoming:
            pass

    return app


async def pulled(link, server, url):
    """Return the close code, who closed, after how many seconds, and the latency; cut right after a pong."""
    phone = await connect(url)
    loop = asyncio.get_running_loop()
    while not server.sessions or server.sessions[0].latency is None:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    (session,) = server.sessions
    begin = loop.time()
    link.cut("client")
    reason = await session.close_reason
    phone.cancel()
    return reason.code, reason.by, loop.time() - begin, session.latency


def on_virtual_time(latency):
    async def scene(net):
        server = await application().start("server", 80)
        net.set("server", "outgoing", latency=latency)
        return await pulled(net, server, server.url())

    return simulate(scene)


def on_a_faulty_link(latency):
    async def main():
        async with application().start() as server, FaultyLink(server) as link:
            link.set("server", "outgoing", latency=latency)
            return await pulled(link, server, link.url())

    return asyncio.run(asyncio.wait_for(main(), 20))


def on_linux(latency):
    needed = [tool for tool in ("unshare", "nsenter", "ip", "tc") if shutil.which(tool) is None]
    if needed or subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode:
        pytest.skip(f"no network namespaces here: {', '.join(needed) or 'not allowed'}")
    netem = ["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
    if latency and subprocess.run(["unshare", "--net", *netem], capture_output=True).returncode:
        pytest.skip("no netem in this kernel, which could delay what a network namespace sends")
    command = ["unshare", "--net", sys.executable, str(CABLE), str(latency)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("latency", [0, 0.1], ids=["no delay", "delay"])
@pytest.mark.parametrize("judge", [on_a_faulty_link, on_linux], ids=["FaultyLink", "Linux"])
def test_a_pulled_cable_is_noticed_with_the_code_and_at_the_time_of_the_simulation(judge, latency):
    expected = on_virtual_time(latency)
    code, by, seconds, measured = judge(latency)
    assert (code, by) == expected[:2] == (1011, "local")
    assert seconds == pytest.approx(expected[2], abs=TOLERANCE)
    assert measured == pytest.approx(expected[3], abs=TOLERANCE / 4)
