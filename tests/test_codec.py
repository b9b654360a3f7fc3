"""The codec against the RFC's own examples, against websockets, and against every kind of wrong bytes."""

from types import BuiltinFunctionType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import conversations
from websockets.frames import Frame as OracleFrame
from websockets.frames import Opcode as OracleOpcode
from websockets.streams import StreamReader

from wslearn import codec
from wslearn.codec import FrameReader, Pieces, Utf8, encode, read_header
from wslearn.errors import FrameTooBig, ProtocolViolation
from wslearn.frames import Binary, Close, CloseReason, Frame, Ping, Pong, Text

KEY = bytes.fromhex("37fa213d")
BIG = bytes(range(256))

# RFC 6455, section 5.7
RFC_EXAMPLES = [
    ("8105 48656c6c6f", None, [Text("Hello")]),
    ("8185 37fa213d 7f9f4d5158", KEY, [Text("Hello")]),
    ("0103 48656c 8002 6c6f", None, [Text("Hel", fin=False), Text("lo")]),
    ("8905 48656c6c6f", None, [Ping(b"Hello")]),
    ("8a85 37fa213d 7f9f4d5158", KEY, [Pong(b"Hello")]),
    ("827e0100" + BIG.hex(), None, [Binary(BIG)]),
    ("827f0000000000010000" + (BIG * 256).hex(), None, [Binary(BIG * 256)]),
]


def read_all(reader: FrameReader) -> list[Frame]:
    frames = []
    while (frame := reader.next()) is not None:
        frames.append(frame)
    return frames


def read(data: bytes, masked: bool, step: int | None = None, **limits) -> list[Frame]:
    reader = FrameReader(masked, **limits)
    frames = []
    for at in range(0, len(data), step or len(data) or 1):
        reader.feed(data[at : at + (step or len(data))])
        frames += read_all(reader)
    return frames


@pytest.mark.parametrize(("wire", "key", "frames"), RFC_EXAMPLES)
@pytest.mark.parametrize("step", [None, 1, 7])
def test_reader_reads_the_examples_of_the_rfc(wire, key, frames, step):
    assert read(bytes.fromhex(wire), masked=key is not None, step=step) == frames


@pytest.mark.parametrize(("wire", "key", "frames"), RFC_EXAMPLES)
def test_reader_leaves_a_tail_for_later(wire, key, frames):
    tail = b"\x81\x85\x37" if key else b"\x81"
    reader = FrameReader(masked=key is not None)
    reader.feed(bytes.fromhex(wire) + tail)
    assert read_all(reader) == frames
    assert reader.next() is None


@pytest.mark.parametrize(("wire", "key", "frames"), [e for e in RFC_EXAMPLES if len(e[2]) == 1])
def test_encode_writes_the_examples_of_the_rfc(wire, key, frames):
    assert encode(frames[0], key) == bytes.fromhex(wire)


def test_a_continuation_has_the_class_of_its_message_and_opcode_0():
    first, second = read(bytes.fromhex("010348656c 80026c6f"), masked=False)
    assert (type(first), first.opcode, first.fin) == (Text, 1, False)
    assert (type(second), second.opcode, second.fin) == (Text, 0, True)
    assert encode(second) == bytes.fromhex("80026c6f")


def theirs(frame: Frame) -> OracleFrame:
    bits = (frame.fin, frame.rsv1, frame.rsv2, frame.rsv3)
    return OracleFrame(OracleOpcode(frame.opcode), frame.data, *bits)


def read_by_them(wire: bytes, masked: bool) -> OracleFrame:
    stream = StreamReader()
    stream.feed_data(wire)
    with pytest.raises(StopIteration) as stopped:
        next(OracleFrame.parse(stream.read_exact, mask=masked))
    return stopped.value.value


@given(frames=conversations(), masked=st.booleans(), step=st.integers(1, 100_000))
def test_websockets_writes_the_same_bytes_of_every_valid_frame_and_both_read_them(frames, masked, step):
    wires = [theirs(frame).serialize(mask=masked) for frame in frames]
    for frame, wire in zip(frames, wires, strict=True):
        assert encode(frame, read_header(wire).masking_key) == wire
        assert read_by_them(wire, masked) == theirs(frame)
    stream = b"".join(wires)
    assert read(stream, masked, step=max(step, len(stream) // 2000)) == frames


VIOLATIONS = [
    ("c100", 1002, "5.2", "reserved bit set: RSV1"),
    ("a100", 1002, "5.2", "reserved bit set: RSV2"),
    ("9100", 1002, "5.2", "reserved bit set: RSV3"),
    ("8300", 1002, "5.2", "unknown opcode: 3"),
    ("8f00", 1002, "5.2", "unknown opcode: 15"),
    ("8180", 1002, "5.1", "masked frame from a server"),
    ("0900", 1002, "5.5", "control frame in fragments"),
    ("897e", 1002, "5.5", "control frame too long: "),
    ("8000", 1002, "5.4", "continuation frame, and no message is open"),
    ("0100 8100", 1002, "5.4", "text frame inside an unfinished message"),
    ("0100 8200", 1002, "5.4", "binary frame inside an unfinished message"),
    ("817e007d", 1002, "5.2", "payload length 125 in 2 bytes"),
    ("817f000000000000ffff", 1002, "5.2", "payload length 65535 in 8 bytes"),
    ("827f8000000000000000", 1002, "5.2", "payload length 9223372036854775808"),
    ("880103", 1002, "5.5.1", "close payload of 1 byte"),
    ("880203e7", 1002, "7.4", "close code 999"),
    ("880203ec", 1002, "7.4", "close code 1004"),
    ("880203ed", 1002, "7.4", "close code 1005"),
    ("880203ee", 1002, "7.4", "close code 1006"),
    ("880203f7", 1002, "7.4", "close code 1015"),
    ("880203f8", 1002, "7.4", "close code 1016"),
    ("88020bb7", 1002, "7.4", "close code 2999"),
    ("88021388", 1002, "7.4", "close code 5000"),
    ("880303e8ff", 1007, "8.1", "invalid UTF-8 in close reason: byte 0"),
    ("8103 61ff62", 1007, "8.1", "invalid UTF-8 in text: byte 1 cannot stand there"),
    ("8102 61c3", 1007, "8.1", "invalid UTF-8 in text: it ends inside a character"),
    ("0101 c3 8001 28", 1007, "8.1", "invalid UTF-8 in text: byte 1 cannot stand there"),
]


@pytest.mark.parametrize(("wire", "code", "section", "text"), VIOLATIONS)
@pytest.mark.parametrize("step", [None, 1])
@pytest.mark.parametrize("tail", [b"", b"\x81\x00"])
def test_reader_refuses_what_the_rfc_forbids(wire, code, section, text, step, tail):
    with pytest.raises(ProtocolViolation) as caught:
        read(bytes.fromhex(wire) + tail, masked=False, step=step)
    assert (caught.value.code, caught.value.section) == (code, section)
    assert text in str(caught.value)
    assert str(caught.value).endswith(f"(RFC 6455, section {section})")


def test_server_refuses_an_unmasked_frame():
    with pytest.raises(ProtocolViolation, match="unmasked frame from a client"):
        read(bytes.fromhex("8100"), masked=True)


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1011, 1014, 3000, 4999])
def test_reader_accepts_the_close_codes_that_may_be_sent(code):
    frame = Close(CloseReason(code, "é"))
    assert read(encode(frame), masked=False) == [frame]


def test_reserved_bit_is_fine_where_an_extension_claims_it():
    reader = FrameReader(False, rsv=0x40)
    reader.feed(bytes.fromhex("c101ff"))
    assert reader.next() == Text(b"\xff", rsv1=True)


def test_wrong_utf8_is_found_in_a_frame_that_is_still_arriving():
    reader = FrameReader(False)
    reader.feed(bytes.fromhex("817e0100") + "κόσμε".encode() + b"\xf4")
    assert reader.next() is None
    reader.feed(b"\x90")
    with pytest.raises(ProtocolViolation, match="byte 11 cannot stand there"):
        reader.next()


def test_utf8_position_counts_over_all_pieces():
    check = Utf8()
    check.feed(b"ab\xe2\x82", False)
    with pytest.raises(ProtocolViolation, match="byte 4 cannot"):
        check.feed(b"x", False)


@pytest.mark.parametrize(
    "wrong",
    ["80", "c0", "f5", "e080", "eda0", "edbf", "f08f", "f490", "e28241", "f09f9841"],
)
def test_each_wrong_byte_is_found_when_it_comes_and_not_before(wrong):
    check, data = Utf8(), bytes.fromhex(wrong)
    check.feed(data[:-1], False)
    with pytest.raises(ProtocolViolation, match=f"byte {len(data) - 1} cannot stand there"):
        check.feed(data[-1:], False)


@pytest.mark.parametrize("step", [None, 1])
def test_limit_admits_exactly_its_size_and_refuses_one_more_at_the_header(step):
    assert read(encode(Binary(bytes(1000))), False, step, max_frame_size=1000)
    header_of_1001 = bytes.fromhex("827e03e9")
    with pytest.raises(FrameTooBig) as caught:
        read(header_of_1001, False, step, max_frame_size=1000)
    assert (caught.value.frame_size, caught.value.max_frame_size) == (1001, 1000)
    assert str(caught.value).startswith("frame is too big: 1001 bytes, max_frame_size is 1000")


def test_limit_holds_for_the_sum_of_fragments_of_a_message():
    fragments = encode(Binary(bytes(120), fin=False)) + encode(Binary(bytes(120), fin=False), opcode=0) * 3
    reader = FrameReader(False, 500, whole_messages=True)
    reader.feed(fragments + bytes.fromhex("8078"))
    for _ in range(4):
        reader.next()
    with pytest.raises(FrameTooBig, match="600 bytes"):
        reader.next()


def test_limit_does_not_hold_for_control_frames():
    assert read(encode(Ping(bytes(125))), False, max_frame_size=1) == [Ping(bytes(125))]


def test_limit_can_change_between_two_frames():
    reader = FrameReader(False, 10)
    reader.feed(encode(Text("0123456789")) * 2)
    assert reader.next() == Text("0123456789")
    reader.max_frame_size = 9
    with pytest.raises(FrameTooBig):
        reader.next()


messages = st.lists(
    st.tuples(st.sampled_from([Text, Binary]), st.text(max_size=300), st.integers(1, 5), st.booleans()),
    max_size=6,
)


@given(messages=messages, key=st.none() | st.binary(min_size=4, max_size=4), step=st.integers(1, 50))
def test_any_messages_fragmented_and_chunked_anyhow_arrive_equal_and_in_order(messages, key, step):
    wire = b""
    for kind, text, pieces, ping in messages:
        data = text.encode()
        cuts = [len(data) * n // pieces for n in range(pieces + 1)]
        for n in range(pieces):
            part = kind(data[cuts[n] : cuts[n + 1]], fin=n == pieces - 1)
            wire += encode(part, key, opcode=0 if n else None)
            if ping:
                wire += encode(Ping(b"between"), key)
    arrived, parts = [], []
    for frame in read(wire, key is not None, step):
        if isinstance(frame, Ping):
            continue
        parts.append(frame.data)
        if frame.fin:
            arrived.append((type(frame), b"".join(parts).decode()))
            parts = []
    assert arrived == [(kind, text) for kind, text, _, _ in messages]


@given(data=st.binary(max_size=200), masked=st.booleans(), step=st.integers(1, 9))
def test_any_bytes_raise_only_the_documented_errors(data, masked, step):
    frames, code = [], None
    try:
        frames = read(data, masked, step, max_frame_size=100)
    except (ProtocolViolation, FrameTooBig) as error:
        code = error.code
    assert code in (None, 1002, 1007, 1009)
    assert sum(len(frame.data) for frame in frames) <= len(data)


@pytest.mark.parametrize(
    ("wire", "header"),
    [
        ("81fe00c801020304", (True, 1, bytes([1, 2, 3, 4]), 200, 8)),
        ("827f0000000000010000", (True, 2, None, 65536, 10)),
        ("8a8001020304", (True, 10, bytes([1, 2, 3, 4]), 0, 6)),
    ],
)
def test_read_header_reads_sizes(wire, header):
    data = bytes.fromhex(wire)
    found = read_header(b"xx" + data, 2)
    assert (found.fin, found.opcode, found.masking_key, found.length, found.size) == header
    assert all(read_header(data[:n]) is None for n in range(len(data)))


def test_the_mask_is_compiled():
    assert isinstance(codec.apply_mask, BuiltinFunctionType)


def test_empty_fragments_take_no_memory():
    pieces = Pieces()
    for _ in range(1000):
        pieces.add(b"")
    pieces.add(b"a")
    assert (pieces.join(), len(pieces._pieces)) == (b"a", 1)
