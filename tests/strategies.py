"""What hypothesis draws for tests of several files: valid frames, and bytes that are nearly valid."""

from itertools import pairwise

from helpers import wire
from hypothesis import strategies as st

from wslearn.frames import Binary, Close, CloseReason, Frame, Ping, Pong, Text

LENGTHS = st.sampled_from([0, 1, 2, 124, 125, 126, 127, 65534, 65535, 65536, 65537]) | st.integers(0, 300)
CODES = st.sampled_from([*range(1000, 1004), *range(1007, 1015)]) | st.integers(3000, 4999)


@st.composite
def payloads(draw, kind: type[Frame]) -> bytes:
    """Draw a payload of every class of length; a text is whole characters."""
    length = draw(LENGTHS)
    if kind is Binary:
        return (draw(st.binary(min_size=1, max_size=20)) * length)[:length]
    characters = draw(st.text(min_size=1, max_size=10)).encode()
    return (characters * (length // len(characters))) + b"a" * (length % len(characters))


@st.composite
def conversations(draw) -> list[Frame]:
    """Draw valid frames of one direction: messages in any fragments, control frames between them, a Close."""
    frames: list[Frame] = []
    for kind in draw(st.lists(st.sampled_from([Text, Binary]), max_size=3)):
        payload = draw(payloads(kind))
        cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
        for start, end in pairwise([0, *cuts, len(payload)]):
            part = kind(payload[start:end], fin=False)
            part.opcode = 0 if start or (frames and not frames[-1].fin) else kind.kind
            frames.append(part)
        frames[-1].fin = True
    for place in draw(st.lists(st.integers(0, len(frames)), max_size=3)):
        frames.insert(place, draw(st.sampled_from([Ping, Pong]))(draw(st.binary(max_size=125))))
    reason = st.text(max_size=30)
    ends = st.builds(CloseReason, CODES, reason).map(Close) | st.just(Close()) | st.none()
    end = draw(ends)
    return [*frames, end] if end else frames


REASONS = st.text(max_size=10).map(str.encode)
FRAMES = (
    st.tuples(st.sampled_from([0x81, 0x01]), st.text(max_size=60).map(str.encode))
    | st.tuples(st.sampled_from([0x82, 0x02, 0x80, 0x00]), st.binary(max_size=120))
    | st.tuples(st.sampled_from([0x89, 0x8A]), st.binary(max_size=125))
    | st.tuples(st.just(0x88), st.builds(lambda code, text: code.to_bytes(2, "big") + text, CODES, REASONS))
)
WRONG_FRAMES = st.tuples(st.integers(0, 255), st.binary(max_size=200))


@st.composite
def noise(draw, masked: bool) -> bytes:
    """Draw bytes that go on being frames for a while: few of a peer's bytes at random pass the second one."""
    data = b""
    for first, payload in draw(st.lists(FRAMES, max_size=5)):
        data += wire(f"{first:02x} {payload.hex()}".strip(), masked)
    data = data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data
    first, payload = draw(WRONG_FRAMES)
    wrong = wire(f"{first:02x} {payload.hex()}".strip(), draw(st.booleans()))
    return data + draw(st.sampled_from([b"", wrong]) | st.binary(max_size=20))
