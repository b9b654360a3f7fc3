"""Simulations in a kernel as notebooks have it: interrupting it ends them."""

import pytest
from jupyter_client import KernelManager

SECONDS = 30  # for a machine that has much else to do
SCENE = """
import asyncio, time
from wslearn import Application, WebSockets, connect, simulate

async def crowd(net):
    app = Application()
    app.install(WebSockets, ping_period=0.5)

    @app.websocket("/")
    async def echo(session):
        async for frame in session.incoming:
            await session.send(frame)

    async with app.start("server", 80) as server:
        sessions = [await connect(server.url()) for _ in range(50)]
        print("begun", flush=True)
        while True:
            for session in sessions:
                await session.send("x")
                await session.incoming.receive()

async def block(net):
    print("begun", flush=True)
    time.sleep(600)

async def busy(net):
    print("begun", flush=True)
    while True:
        pass
"""


@pytest.fixture(scope="module")
def kernel():
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=SECONDS)
    client.execute_interactive(SCENE, timeout=SECONDS)
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.mark.parametrize(
    "cell",
    [
        "simulate(crowd, latency=0.05, horizon=10**9)",
        "await asyncio.sleep(0); simulate(crowd, latency=0.05, horizon=10**9)",
        "simulate(block)",
        "simulate(busy)",
    ],
)
def test_interrupting_the_kernel_ends_a_scene_and_the_next_cell_runs(kernel, cell):
    manager, client = kernel
    client.execute(cell, stop_on_error=False)  # else the next cell may be dropped as one that was queued
    said = ""  # a line may come in pieces
    while "begun\n" not in said:
        said += client.get_iopub_msg(timeout=SECONDS)["content"].get("text", "")
    manager.interrupt_kernel()
    reply = client.get_shell_msg(timeout=SECONDS)["content"]
    assert (reply["status"], reply["ename"]) == ("error", "KeyboardInterrupt")
    after = client.execute_interactive("await asyncio.sleep(0)", timeout=SECONDS)["content"]
    assert after["status"] == "ok"
