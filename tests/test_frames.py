"""Frames and close reasons as values: what they hold, refuse, compare and print."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wslearn import Binary, Close, CloseCode, CloseReason, Frame, Opcode, Ping, Pong, Text
from wslearn.frames import KINDS, ControlFrame, may_be_sent


@pytest.mark.parametrize(
    ("frame", "opcode", "data"),
    [
        (Text("Hellö"), 1, b"Hell\xc3\xb6"),
        (Text(b"Hello"), 1, b"Hello"),
        (Binary(bytearray(b"ab")), 2, b"ab"),
        (Binary(memoryview(b"ab")), 2, b"ab"),
        (Close(), 8, b""),
        (Close(CloseReason(1000, "bye")), 8, b"\x03\xe8bye"),
        (Close(b"\x03\xe8"), 8, b"\x03\xe8"),
        (Ping(b"x"), 9, b"x"),
        (Pong(), 10, b""),
    ],
    ids=repr,
)
def test_frame_has_the_opcode_of_its_kind_and_its_payload(frame, opcode, data):
    assert (frame.opcode, frame.data, frame.read_bytes()) == (opcode, data, data)
    assert (frame.fin, frame.rsv1, frame.rsv2, frame.rsv3) == (True, False, False, False)
    assert type(frame) is KINDS[opcode]


def test_text_reads_its_text_and_a_cut_character_is_an_error():
    assert Text("ü").read_text() == "ü"
    with pytest.raises(UnicodeDecodeError):
        Text("ü".encode()[:1], fin=False).read_text()


def test_frames_are_compared_by_class_payload_and_bits():
    assert Text("a") == Text(b"a")
    assert Text("a") != Binary(b"a")
    assert Text("a") != Text("a", fin=False)
    assert Text("a") != Text("a", rsv1=True)
    assert Ping() != Pong()
    assert len({Text("a"), Text(b"a"), Binary(b"a")}) == 2


@pytest.mark.parametrize("kind", [Ping, Pong, Close])
def test_control_payload_of_125_bytes_is_allowed_and_one_more_is_a_value_error(kind):
    assert len(kind(bytes(125)).data) == 125
    with pytest.raises(ValueError, match=r"control frame too long: 126 bytes, at most 125 \(RFC 6455"):
        kind(bytes(126))


@pytest.mark.parametrize(
    "make", [lambda: Text(5), lambda: Binary("a"), lambda: Ping("a"), lambda: Binary(None)]
)
def test_payload_of_another_type_is_a_type_error(make):
    with pytest.raises(TypeError, match="bytes are needed"):
        make()


@pytest.mark.parametrize("kind", [Frame, ControlFrame])
def test_only_kinds_can_be_made(kind):
    with pytest.raises(TypeError, match=r"a (control )?frame is a"):
        kind(b"")


@pytest.mark.parametrize(
    ("frame", "shown"),
    [
        (Text("Hello"), "Text('Hello')"),
        (Text("a", fin=False), "Text('a', fin=False)"),
        (Text(b"\xff"), "Text(b'\\xff')"),
        (Binary(b"\x00", rsv1=True, rsv3=True), "Binary(b'\\x00', rsv1=True, rsv3=True)"),
        (Text("a" * 61), f"Text('{'a' * 60}'… 61 characters)"),
        (Binary(bytes(61)), f"Binary({bytes(60)!r}… 61 bytes)"),
        (Close(), "Close()"),
        (Close(b"\x03"), "Close(b'\\x03')"),
        (Close(CloseReason(1000, "bye")), "Close(CloseReason(1000, 'bye'))"),
    ],
)
def test_frames_print_what_they_hold(frame, shown):
    assert repr(frame) == shown


def test_close_reads_its_reason_or_none_where_there_is_no_code():
    assert Close(CloseReason(4000, "ü")).read_reason() == CloseReason(4000, "ü")
    assert Close().read_reason() is None
    assert Close(b"\x03").read_reason() is None
    assert Close(b"\x03\xe8\xff").read_reason() == CloseReason(1000, "\N{REPLACEMENT CHARACTER}")
    assert Close(b"\x03\xe8" + b"\xff" * 123).read_reason().message == "\N{REPLACEMENT CHARACTER}" * 41


def test_close_reason_prints_compares_and_knows_its_code():
    reason = CloseReason(CloseCode.GOING_AWAY, "bye")
    assert repr(reason) == "CloseReason(1001, 'bye')"
    assert repr(reason.said("peer")) == "CloseReason(1001, 'bye', by='peer')"
    assert reason.said("peer") == reason.said("local") == reason
    assert hash(reason.said("peer")) == hash(reason)
    assert reason.known is CloseCode.GOING_AWAY
    assert CloseReason(4000).known is None


def test_message_of_123_bytes_fits_and_one_more_is_a_value_error():
    assert len(Close(CloseReason(1000, "é" * 61 + "a")).data) == 125
    with pytest.raises(ValueError, match="close message too long: 124 bytes, at most 123"):
        CloseReason(1000, "é" * 62)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((-1,), ValueError, "close code -1: 0 to 65535 fit the frame"),
        ((65536,), ValueError, "close code 65536: 0 to 65535 fit the frame"),
        (("1000",), TypeError, "close code is '1000': a whole number is needed"),
        ((True,), TypeError, "close code is True: a whole number is needed"),
        ((1000, b"bye"), TypeError, "close message is b'bye': a str is needed"),
        ((1000, "bye", "me"), ValueError, "by is 'me': 'local', 'peer' or 'network' are allowed"),
    ],
)
def test_bad_close_reason_is_named(arguments, error, message):
    with pytest.raises(error, match=message):
        CloseReason(*arguments)


@given(st.integers(0, 65535))
def test_codes_that_may_be_sent_are_those_of_the_rfc_and_of_iana(code):
    allowed = code in {1000, 1001, 1002, 1003, *range(1007, 1015)} or 3000 <= code <= 4999
    assert may_be_sent(code) is allowed


def test_opcodes_are_those_of_the_rfc():
    assert [(opcode.name, int(opcode)) for opcode in Opcode] == [
        ("CONTINUATION", 0),
        ("TEXT", 1),
        ("BINARY", 2),
        ("CLOSE", 8),
        ("PING", 9),
        ("PONG", 10),
    ]
