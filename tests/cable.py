"""Two hosts in Linux network namespaces, and a cable between them: what a server sees when it is pulled.

unshare --net python cable.py <seconds of delay>

All of it ends with its processes. Prints the close code, who closed, after how many seconds, and the latency.
"""

import asyncio
import json
import subprocess
import sys

from wslearn import Application, WebSockets

CLIENT = """
import asyncio, sys
from wslearn import connect

async def main():
    print("here", flush=True)
    session = await connect(sys.stdin.readline().strip())
    await session.close_reason

asyncio.run(main())
"""


def ip(command: str, host: str = "") -> None:
    subprocess.run([*host.split(), *command.split()], check=True)


async def main(delay: str) -> None:
    app = Application()
    app.install(WebSockets, ping_period=0.5, timeout=0.5)

    @app.websocket("/")
    async def read(session):
        async for _ in session.incoming:
            pass

    client = await asyncio.create_subprocess_exec(
        *("unshare", "--net", sys.executable, "-c", CLIENT), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        await client.stdout.readline()
        there = f"nsenter --net=/proc/{client.pid}/ns/net"
        ip(f"ip link add here type veth peer name there netns {client.pid}")
        for name, address, host in (("here", "10.0.0.1", ""), ("there", "10.0.0.2", there)):
            ip(f"ip address add {address}/24 dev {name}", host)
            ip(f"ip link set {name} up", host)
        if float(delay):
            ip(f"tc qdisc add dev here root netem delay {delay}s")
        server = await app.start("10.0.0.1")
        client.stdin.write(f"{server.url()}\n".encode())
        while not server.sessions or server.sessions[0].latency is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        (session,) = server.sessions
        begin = asyncio.get_running_loop().time()
        ip("ip link set there down", there)
        reason = await session.close_reason
        seconds = asyncio.get_running_loop().time() - begin
        print(json.dumps([reason.code, reason.by, seconds, session.latency]))
    finally:
        client.kill()


asyncio.run(main(sys.argv[1]))
