"""Valid frames arrive, however they are cut; of any other bytes comes nothing but what is documented."""

import asyncio
import logging
from contextlib import contextmanager
from itertools import cycle

import pytest
from helpers import Listener, both_sides, converse
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import conversations, noise

from wslearn import (
    CLOSE,
    SUSPEND,
    ChannelClosed,
    ChannelOverflow,
    Channels,
    FrameTooBig,
    ProtocolViolation,
    bounded,
)
from wslearn.codec import encode
from wslearn.frames import Binary, Close, Frame, Ping, Text

both_kinds = pytest.mark.parametrize("raw", [False, True], ids=["session", "raw"])
MAX = 100  # bytes of a frame, and of a message
LONGEST_CONTROL, LONGEST_HEADER = 125, 14
ENDS = {ChannelClosed, ChannelOverflow, FrameTooBig, ProtocolViolation}
KEY = bytes.fromhex("37fa213d")


def chunked(data: bytes, sizes: list[int]) -> list[bytes]:
    """Cut bytes into chunks of the sizes, over and over, but into some hundreds of them at most."""
    chunks, at = [], 0
    for size in cycle(sizes):
        if at >= len(data):
            return chunks
        end = at + max(size, len(data) // 300)
        chunks.append(data[at:end])
        at = end
    return chunks


@contextmanager
def nothing_logged():
    records = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = records.append
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)
    assert records == []


def kept(session) -> int:
    """Return the bytes of unfinished frames and messages that a session keeps."""
    pieces = [session._reader._pieces, getattr(session, "_pieces", None)]
    return sum(len(piece) for some in pieces if some for piece in some._pieces)


def messages(frames: list[Frame]) -> list[Frame]:
    """Return the messages of frames: their fragments joined, without control frames."""
    joined, parts = [], []
    for frame in frames:
        if isinstance(frame, Text | Binary):
            parts.append(frame.data)
            if frame.fin:
                joined.append(type(frame)(b"".join(parts)))
                parts = []
    return joined


@both_sides
@both_kinds
@settings(max_examples=50)
@given(
    frames=conversations(),
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=5),
    capacity=st.integers(1, 4),
)
def test_all_messages_arrive_equal_and_in_order(side, raw, frames, sizes, capacity):
    listen = Listener()
    data = b"".join(encode(frame, KEY if side == "server" else None) for frame in frames)

    async def script(peer):
        for chunk in chunked(data, sizes):
            peer.write(chunk)
            await asyncio.sleep(0.01)
        peer.end()
        heard = await peer.hear_all()
        assert kept(peer.session) == 0
        return heard

    heard = converse(side, script, listen, raw=raw, channels=Channels(incoming=bounded(capacity)))
    assert listen.seen == [*(frames if raw else messages(frames)), "end"]
    if not raw:
        answers = [f"8a {frame.data.hex()}".strip() for frame in frames if isinstance(frame, Ping)]
        closes = [f"88 {frame.data.hex()}".strip() for frame in frames if isinstance(frame, Close)]
        assert heard == answers + closes


@both_sides
@both_kinds
@settings(max_examples=200)
@given(
    drawn=st.data(),
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    capacity=st.integers(1, 3),
    on_overflow=st.sampled_from([SUSPEND, CLOSE]),
    pause=st.sampled_from([0, 0.1, None]),
)
def test_any_bytes_end_in_a_documented_error_and_within_the_limits(
    side, raw, drawn, sizes, capacity, on_overflow, pause
):
    chunks = chunked(drawn.draw(noise(masked=side == "server")), sizes)
    largest = max(map(len, chunks), default=0)
    seen = []

    async def listen(session):
        try:
            while pause is not None:
                seen.append(await session.incoming.receive())
                await asyncio.sleep(pause)
        except Exception as error:
            seen.append(error)
            raise

    async def script(peer):
        for chunk in chunks:
            peer.write(chunk)
            await asyncio.sleep(0.01)
            assert len(peer.session.incoming) <= capacity
            assert len(peer.session._reader._buffer) <= largest + LONGEST_HEADER
            assert kept(peer.session) <= MAX + LONGEST_CONTROL
        peer.end()
        heard = await peer.hear_all()
        await asyncio.wait([peer.handler], timeout=30)
        assert peer.handler.done()
        await asyncio.wait_for(peer.session.close_reason, 30)
        assert kept(peer.session) <= MAX + LONGEST_CONTROL
        return heard

    with nothing_logged():
        channels = Channels(incoming=bounded(capacity, on_overflow))
        heard = converse(side, script, listen, raw=raw, channels=channels, max_frame_size=MAX)
    closes = [at for at, frame in enumerate(heard) if frame.startswith("88")]
    assert closes in ([], [len(heard) - 1])
    assert all(len(frame.data) <= max(MAX, LONGEST_CONTROL) for frame in seen if isinstance(frame, Frame))
    ends = [error for error in seen if not isinstance(error, Frame)]
    assert [type(end) in ENDS for end in ends] == [True] * (pause is not None)
