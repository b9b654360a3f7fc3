"""A relay of TCP: who connects to it talks to the server behind it, and it hears all of it.

It knows nothing of frames, as most of what stands between a page and a server (RFC 6455, section 1.8).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

END = b"\r\n\r\n"
"""What ends a head."""


class Relay:
    """Relays to one server.

    Args:
        to: host and port of the server.
        heard: is called with each piece that passes.
        patience: seconds without a byte in either direction after which it cuts both sides; None for ever.
        rewrite: what the head of each request becomes on its way, for a relay that reads heads.
    """

    def __init__(
        self,
        to: tuple[str, int],
        heard: Callable[[bytes], object] = lambda data: None,
        patience: float | None = None,
        rewrite: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._to = to
        self._heard = heard
        self._patience = patience
        self._rewrite = rewrite
        self._joined: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int) -> int:
        """Begin to listen, and return the port."""
        self._listener = await asyncio.start_server(self._join, host, port)
        chosen: int = self._listener.sockets[0].getsockname()[1]
        return chosen

    def close(self) -> None:
        """Stop to listen, and cut whoever is there."""
        self._listener.close()
        for task in self._joined:
            task.cancel()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._joined.add(task)
        task.add_done_callback(self._joined.discard)
        far_reader, far_writer = await asyncio.open_connection(*self._to)
        if self._rewrite:
            far_writer.write(self._rewrite(await reader.readuntil(END)))
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience) as silence:
                    await asyncio.gather(
                        self._carry(reader, far_writer, silence), self._carry(far_reader, writer, silence)
                    )
        finally:
            writer.close()
            far_writer.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, silence: asyncio.Timeout
    ) -> None:
        while data := await reader.read(65536):
            self._heard(data)
            writer.write(data)
            if self._patience is not None:
                silence.reschedule(asyncio.get_running_loop().time() + self._patience)
        writer.close()
