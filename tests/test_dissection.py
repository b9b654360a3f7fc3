"""Dissections: every field at its place, every broken rule with its bits, and nothing that raises."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wslearn.codec import MASK, OPCODE, FrameReader, encode, mask, read_header
from wslearn.dissection import Dissection, Field, Sender, dissect, dissect_handshake, read_hex
from wslearn.errors import ProtocolViolation
from wslearn.frames import Binary, Close, CloseReason, Frame, Pong, Text

KEY = bytes.fromhex("37fa213d")
HELLO = bytes.fromhex("818537fa213d7f9f4d5158")
START = ["FIN", "RSV1", "RSV2", "RSV3", "opcode", "MASK", "payload_length"]


class Claims:
    """An extension, as far as a dissection looks at it."""

    def __init__(self, *rsv: int) -> None:
        self.rsv = rsv


def places(dissection: Dissection) -> list[tuple[str, int, int]]:
    return [(field.name, field.start, field.length) for field in dissection.fields]


def named(dissection: Dissection, name: str) -> Field:
    return next(field for field in dissection.fields if field.name == name)


def broken(dissection: Dissection) -> list[tuple[str, str, int, int]]:
    return [tuple(violation) for violation in dissection.violations]


def test_hello_has_its_nine_fields_in_wire_order() -> None:
    hello = dissect(HELLO + b"rest", "client")
    assert [tuple(field[:4]) for field in hello.fields] == [
        ("FIN", 0, 1, 1),
        ("RSV1", 1, 1, 0),
        ("RSV2", 2, 1, 0),
        ("RSV3", 3, 1, 0),
        ("opcode", 4, 4, 1),
        ("MASK", 8, 1, 1),
        ("payload_length", 9, 7, 5),
        ("masking_key", 16, 32, KEY),
        ("payload", 48, 40, b"Hello"),
    ]
    assert (hello.masked, hello.unmasked, hello.rest) == (HELLO[6:], b"Hello", b"rest")
    assert (hello.header_size, hello.payload_length, hello.complete) == (6, 5, True)
    assert hello.violations == ()


def test_without_a_mask_the_payload_is_the_same_on_the_wire() -> None:
    hello = dissect(b"\x81\x05Hello")
    assert [field.name for field in hello.fields] == [*START, "payload"]
    assert hello.masked == hello.unmasked == b"Hello"
    assert hello.header_size == 2


@pytest.mark.parametrize(("length", "width"), [(0, 0), (1, 0), (125, 0), (126, 16), (65535, 16), (65536, 64)])
@pytest.mark.parametrize("key", [None, KEY])
def test_the_length_takes_7_or_23_or_71_bits(length: int, width: int, key: bytes | None) -> None:
    dissection = dissect(encode(Binary(bytes(length)), key))
    expected = [(name, at, 4 if name == "opcode" else 1) for at, name in enumerate(START[:5])]
    expected += [("MASK", 8, 1), ("payload_length", 9, 7)]
    at = 16 + width
    expected += [("extended_payload_length", 16, width)] if width else []
    expected += [("masking_key", at, 32)] if key else []
    at += 32 if key else 0
    expected += [("payload", at, length * 8)] if length else []
    assert places(dissection) == expected
    assert (dissection.header_size, dissection.payload_length) == (at // 8, length)
    assert dissection.violations == ()


def test_a_close_has_its_code_and_its_reason_inside_the_payload() -> None:
    close = dissect(encode(Close(CloseReason(1000, "bye")), KEY))
    assert places(close)[-3:] == [("payload", 48, 40), ("status_code", 48, 16), ("reason", 64, 24)]
    assert named(close, "status_code").value == 1000
    assert named(close, "reason").value == "bye"
    assert [field.name for field in dissect(b"\x88\x00").fields] == START
    assert [field.name for field in dissect(b"\x88\x02\x03\xe8").fields] == [*START, "payload", "status_code"]


@pytest.mark.parametrize(
    ("here", "last", "length", "missing"),
    [
        (1, "opcode", 4, "the second byte and what follows it"),
        (2, "payload_length", 7, "2 of 2 bytes of extended_payload_length, and what follows it"),
        (3, "extended_payload_length", 8, "1 of 2 bytes of extended_payload_length, and what follows it"),
        (4, "extended_payload_length", 16, "4 of 4 bytes of masking_key, and the payload"),
        (7, "masking_key", 24, "1 of 4 bytes of masking_key, and the payload"),
        (8, "masking_key", 32, "200 of 200 bytes of payload"),
        (9, "payload", 8, "199 of 200 bytes of payload"),
        (207, "payload", 1592, "1 of 200 bytes of payload"),
    ],
)
def test_a_truncated_frame_is_dissected_as_far_as_it_goes(
    here: int, last: str, length: int, missing: str
) -> None:
    dissection = dissect(encode(Binary(b"a" * 200), KEY)[:here])
    assert (dissection.fields[-1].name, dissection.fields[-1].length) == (last, length)
    assert (dissection.missing, dissection.complete) == (missing, False)
    assert dissection.unmasked == b"a" * max(0, here - 8)
    assert dissection.violations == ()
    assert f"missing: {missing}" in repr(dissection)


def test_no_bytes_are_no_frame() -> None:
    nothing = dissect(b"")
    assert (nothing.fields, nothing.violations, nothing.complete) == ((), (), False)
    assert repr(nothing) == "no frame: 0 bytes"


RFC_RULES = [
    ("c100", [("reserved bit set: RSV1, and no extension claims it here", "5.2", 1, 1)]),
    ("a100", [("reserved bit set: RSV2, and no extension claims it here", "5.2", 2, 1)]),
    ("9100", [("reserved bit set: RSV3, and no extension claims it here", "5.2", 3, 1)]),
    ("8300", [("unknown opcode: 3, known are 0, 1, 2, 8, 9 and 10", "5.2", 4, 4)]),
    ("8f00", [("unknown opcode: 15, known are 0, 1, 2, 8, 9 and 10", "5.2", 4, 4)]),
    ("0900", [("control frame in fragments: opcode 9 with FIN 0", "5.5", 0, 1)]),
    ("897e007e", [("control frame too long: 126 bytes, at most 125", "5.5", 9, 23)]),
    ("897e", [("control frame too long: 126 or more bytes, at most 125", "5.5", 9, 7)]),
    ("827e007d", [("payload length 125 in 2 bytes: the shortest form is due", "5.2", 16, 16)]),
    ("827e007e", []),
    (
        "827f000000000000ffff",
        [("payload length 65535 in 8 bytes: the shortest form is due", "5.2", 16, 64)],
    ),
    ("827f0000000000010000", []),
    ("827f7fffffffffffffff", []),
    (
        "827f8000000000000000",
        [("payload length 9223372036854775808: at most 2**63 - 1", "5.2", 16, 1)],
    ),
    ("880103", [("close payload of 1 byte: a code has 2", "5.5.1", 16, 8)]),
    (
        "880203ed",
        [("close code 1005: 1000 to 1003, 1007 to 1014 and 3000 to 4999 are allowed", "7.4", 16, 16)],
    ),
    ("880203e8", []),
    ("880403e861ff", [("invalid UTF-8 in close reason: byte 1 cannot stand there", "8.1", 40, 8)]),
    ("810361ff61", [("invalid UTF-8 in text: byte 1 cannot stand there", "8.1", 24, 8)]),
    ("810361eda0", [("invalid UTF-8 in text: byte 2 cannot stand there", "8.1", 32, 8)]),
    ("810361e282", [("invalid UTF-8 in text: it ends inside a character, after 3 bytes", "8.1", 24, 16)]),
    ("810461e282", []),
    ("0101ff", [("invalid UTF-8 in text: byte 0 cannot stand there", "8.1", 16, 8)]),
    ("0101e2", []),
    ("8001ff", []),
    ("8201ff", []),
]


@pytest.mark.parametrize(("wire", "violations"), RFC_RULES)
def test_a_broken_rule_is_named_with_its_section_and_its_bits(
    wire: str, violations: list[tuple[str, str, int, int]]
) -> None:
    assert broken(dissect(bytes.fromhex(wire))) == violations


def test_wrong_text_is_found_behind_the_mask() -> None:
    wire = encode(Text(b"ab\xff"), KEY)
    assert broken(dissect(wire)) == [
        ("invalid UTF-8 in text: byte 2 cannot stand there", "8.1", 64, 8),
    ]


@pytest.mark.parametrize(
    ("key", "sender", "violations"),
    [
        (None, None, []),
        (KEY, None, []),
        (None, "server", []),
        (KEY, "client", []),
        (None, "client", [("unmasked frame from a client", "5.1", 8, 1)]),
        (KEY, "server", [("masked frame from a server", "5.1", 8, 1)]),
    ],
)
def test_the_mask_is_judged_where_the_sender_is_known(
    key: bytes | None, sender: Sender | None, violations: list[tuple[str, str, int, int]]
) -> None:
    assert broken(dissect(encode(Text("a"), key), sender)) == violations


def test_a_bit_that_an_extension_claims_is_no_violation_on_a_message() -> None:
    deflated = Text(b"\xf2H\xcd\xc9\xc9\x07\x00", rsv1=True)
    assert dissect(encode(deflated), extensions=[Claims(1)]).violations == ()
    assert len(dissect(encode(deflated), extensions=[Claims(2), Claims(3)]).violations) == 1
    assert len(dissect(b"\xc9\x00", extensions=[Claims(1)]).violations) == 1
    assert len(dissect(b"\xc0\x00", extensions=[Claims(1)]).violations) == 1


DEFLATED = bytes.fromhex("c107f248cdc9c90700")


def test_a_compressed_message_has_both_its_forms() -> None:
    hello = dissect(DEFLATED, extensions=[Claims(1)])
    assert (hello.unmasked, hello.inflated) == (DEFLATED[2:], b"Hello")
    assert repr(hello).endswith("\ninflated: 'Hello', 5 bytes")
    assert (
        "<li><strong>inflated</strong>: <code>&#x27;Hello&#x27;, 5 bytes</code></li>" in hello._repr_html_()
    )
    assert dissect(encode(Text(DEFLATED[2:], rsv1=True), KEY), extensions=[Claims(1)]).inflated == b"Hello"


@pytest.mark.parametrize(
    "wire",
    [
        DEFLATED[:-1],
        b"\x81" + DEFLATED[1:],
        b"\x41" + DEFLATED[1:],
        b"\xc9" + DEFLATED[1:],
        b"\xc1\x05\xf2\x00\x11\x00\x00",
    ],
    ids=["cut", "not compressed", "a fragment", "a ping", "with an earlier context"],
)
def test_what_does_not_stand_for_itself_is_not_inflated(wire: bytes) -> None:
    assert dissect(wire, extensions=[Claims(1)]).inflated is None
    assert dissect(DEFLATED).inflated is None


def test_a_bomb_is_inflated_to_one_mebibyte() -> None:
    packer = zlib.compressobj(wbits=-15)
    bomb = packer.compress(bytes(2**21)) + packer.flush(zlib.Z_SYNC_FLUSH)
    dissection = dissect(encode(Binary(bomb[:-4], rsv1=True)), extensions=[Claims(1)])
    assert dissection.inflated == bytes(2**20)
    assert "1048576 bytes or more" in repr(dissection)


def test_wrong_text_is_found_behind_compression_and_stands_for_all_its_bits() -> None:
    packer = zlib.compressobj(wbits=-15)
    payload = (packer.compress(b"ab\xff") + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
    dissection = dissect(encode(Text(payload, rsv1=True)), extensions=[Claims(1)])
    assert broken(dissection) == [
        ("invalid UTF-8 in inflated text: byte 2 cannot stand there", "8.1", 16, 8 * len(payload))
    ]


def test_a_frame_may_break_many_rules() -> None:
    dissection = dissect(bytes.fromhex("7fff") + b"\xff" * 8, "server")
    assert [violation.start for violation in dissection.violations] == [0, 1, 2, 3, 4, 8, 9, 16]


@given(st.binary(max_size=40), st.sampled_from([None, "client", "server"]))
def test_no_bytes_can_make_it_fail(data: bytes, sender: Sender | None) -> None:
    dissection = dissect(data, sender, [Claims(1)])
    assert repr(dissection)
    assert "<table>" in dissection._repr_html_()
    header = read_header(data)
    if header is not None:
        assert dissection.header_size == header.size
        assert dissection.payload_length == header.length
        assert dissection.complete == (header.size + header.length <= len(data))
        assert data[header.size :] == dissection.masked + dissection.rest


@given(st.binary(min_size=1, max_size=40))
def test_the_fields_cover_the_frame_without_a_gap(data: bytes) -> None:
    dissection = dissect(data)
    end = 0
    for field in dissection.fields:
        if field.name in ("status_code", "reason"):
            continue
        assert field.start == end
        assert field.length > 0
        assert field.meaning
        end = field.start + field.length
    whole = len(data) - len(dissection.rest)
    assert end == whole * 8


@given(
    st.one_of(
        st.builds(Text, st.text(max_size=200)),
        st.builds(Binary, st.binary(max_size=200)),
        st.builds(Pong, st.binary(max_size=125)),
        st.builds(Close, st.just(CloseReason(1000, "bye"))),
    ),
    st.sampled_from([("client", KEY), ("server", None)]),
)
def test_what_the_codec_writes_breaks_no_rule(frame: Frame, side: tuple[Sender, bytes | None]) -> None:
    sender, key = side
    dissection = dissect(encode(frame, key), sender)
    assert dissection.violations == ()
    assert dissection.unmasked == frame.data
    assert dissection.complete


def heads(first: int) -> Iterator[tuple[bytes, int]]:
    """Yield heads that begin with a byte, with every form of length, and the length that they declare."""
    for bit in (0, MASK):
        for length in (0, 1, 2, 125):
            yield bytes([first, bit | length]), length
        for length in (125, 126, 2**16 - 1):
            yield bytes([first, bit | 126]) + length.to_bytes(2), length
        for length in (2**16 - 1, 2**16, 2**63):
            yield bytes([first, bit | 127]) + length.to_bytes(8), length


def section_of_the_codec(wire: bytes, sender: Sender) -> str:
    """Return the section that the codec refuses a frame by; nothing where it takes it."""
    reader = FrameReader(sender == "client", None)
    reader.feed(wire)
    try:
        reader.next()
    except ProtocolViolation as error:
        return error.section
    return ""


@pytest.mark.parametrize("sender", ["client", "server"])
def test_a_rule_is_broken_where_the_codec_says_so_and_in_the_same_section(sender: Sender) -> None:
    payload = b"\x03\xe8" + b"caf\xc3\xa9 " * 20_000
    for first in range(256):
        for head, length in heads(first) if first & OPCODE else ():
            key = KEY if head[1] & MASK else b""
            shown = payload[:length]
            wire = head + key + (mask(key, shown) if key else shown)
            sections = {violation.section for violation in dissect(wire, sender).violations}
            refused = section_of_the_codec(wire, sender)
            assert refused in sections if refused else not sections, wire[:14].hex(" ")


def test_bytearrays_and_views_are_bytes_too() -> None:
    assert dissect(bytearray(HELLO)) == dissect(memoryview(HELLO)) == dissect(HELLO)


@pytest.mark.parametrize("data", ["818537fa", None, 5, [1, 2], "81" * 2**20])
@pytest.mark.parametrize("take_apart", [dissect, dissect_handshake])
def test_what_is_no_bytes_is_refused_in_one_short_line(take_apart: Any, data: object) -> None:
    with pytest.raises(TypeError, match=r"data is .*: bytes are needed") as refused:
        take_apart(data)
    assert len(str(refused.value)) < 110


@pytest.mark.parametrize("text", ["81 05", "8105", "0x81,0x05", "81:05", " 81\n05 "])
def test_hex_is_read_as_people_copy_it(text: str) -> None:
    assert read_hex(text) == b"\x81\x05"


@pytest.mark.parametrize(
    ("text", "wrong"), [("8g", "'8g'"), ("81 5", "'5'"), ("", "''"), ("hallo", "'hallo'")]
)
def test_a_typo_in_hex_is_named(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=f"{wrong} is no hex: two digits of 0-9 and a-f a byte"):
        read_hex(text)


@pytest.mark.parametrize(
    ("wire", "line"),
    [
        (b"", "no frame: 0 bytes"),
        (b"\x81", "Text frame, incomplete"),
        (
            b"\x82\x7f" + b"\x80" + bytes(7),
            f"Binary frame: header 10 bytes, payload {2**63} bytes, incomplete",
        ),
        (encode(Binary(bytes(2**24))), "Binary frame: header 10 bytes, payload 16777216 bytes"),
        (encode(Text("é" * 2**23), KEY), "Text frame: header 14 bytes, payload 16777216 bytes"),
    ],
    ids=["empty", "half a header", "2**63", "16 MiB", "16 MiB of text"],
)
def test_odd_bytes_begin_with_one_clear_line(wire: bytes, line: str) -> None:
    dissection = dissect(wire)
    assert repr(dissection).partition("\n")[0] == line
    assert len(repr(dissection)) < 3000


def test_an_unknown_sender_is_refused() -> None:
    with pytest.raises(ValueError, match="sender is 'browser': 'client', 'server' or None is needed"):
        dissect(HELLO, "browser")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wire", "name", "meaning", "section"),
    [
        ("8100", "FIN", "the frame is a whole message", "5.2"),
        ("0100", "FIN", "more fragments of this message follow", "5.2"),
        ("8000", "FIN", "this is the last fragment of its message", "5.2"),
        ("8900", "FIN", "the frame is whole, as every control frame has to be", "5.2"),
        ("8100", "RSV1", "reserved for extensions, not used here", "5.2"),
        ("8900", "opcode", "ping: the receiver answers with a pong that carries the same payload", "5.2"),
        ("8b00", "opcode", "reserved for control frames that nobody has defined yet", "5.2"),
        ("8100", "MASK", "no masking_key, the payload is sent as it is", "5.2"),
        ("8100", "payload_length", "there is no payload", "5.2"),
        ("810161", "payload_length", "the payload has 1 byte", "5.2"),
        ("827e", "payload_length", "126 says: the next 16 bits hold the length", "5.2"),
        ("827f", "payload_length", "127 says: the next 64 bits hold the length", "5.2"),
        ("827e0100", "extended_payload_length", "the payload has 256 bytes", "5.2"),
        ("818137fa213d56", "payload", "the text 'a', on the wire masked", "5.6"),
        ("81026b", "payload", "the text 'k'; 1 of its 2 bytes are here", "5.6"),
        ("890161", "payload", "the pong has to bring these bytes back", "5.5.2"),
        ("880203e8", "status_code", "normal closure", "7.4"),
        ("88020fa1", "status_code", "a code of the application's own", "7.4"),
        ("88020bb8", "status_code", "a code that libraries and frameworks register with IANA", "7.4"),
        ("880203ee", "status_code", "abnormal closure: it stands for something that no frame may say", "7.4"),
        ("88020000", "status_code", "no code that a frame may carry", "7.4"),
        ("880303e861", "reason", "why, in UTF-8, for people and logs", "7.1.6"),
    ],
)
def test_a_field_says_what_it_means(wire: str, name: str, meaning: str, section: str) -> None:
    field = named(dissect(bytes.fromhex(wire)), name)
    assert (field.meaning, field.section) == (meaning, section)


TABLE = """\
Text frame from a server: header 6 bytes, payload 5 bytes
field           bits        value           meaning                                                 RFC 6455
FIN             bit 0       1               the frame is a whole message                            5.2
RSV1            bit 1       0               reserved for extensions, not used here                  5.2
RSV2            bit 2       0               reserved for extensions, not used here                  5.2
RSV3            bit 3       0               reserved for extensions, not used here                  5.2
opcode          bits 4–7    1               text: the payload is text in UTF-8                      5.2
MASK            bit 8       1               masking_key follows, and the payload is masked with it  5.2
payload_length  bits 9–15   5               the payload has 5 bytes                                 5.2
masking_key     bits 16–47  37 fa 21 3d     payload byte i is XORed with key byte i modulo 4        5.3
payload         bits 48–87  48 65 6c 6c 6f  the text 'Hello', on the wire masked                    5.6
masked: 7f 9f 4d 51 58
unmasked: 48 65 6c 6c 6f
violation: masked frame from a server (RFC 6455, section 5.1), bit 8
rest: 2 bytes of what follows"""


def test_a_dissection_prints_as_a_table() -> None:
    assert repr(dissect(HELLO + b"\x89\x00", "server")) == TABLE


def test_html_is_the_same_table_and_escapes_what_came_over_the_wire() -> None:
    wire = encode(Text("<b>"))
    html = dissect(wire, "client")._repr_html_()
    assert html == dissect(wire, "client")._repr_html_()
    assert html.count("<tr>") == 1 + 8
    assert "<caption" in html
    assert "the text &#x27;&lt;b&gt;&#x27;" in html
    assert "<b>" not in html
    assert "unmasked frame from a client (RFC 6455, section 5.1), bit 8</li>" in html


def test_fields_and_violations_print_on_one_line() -> None:
    hello = dissect(b"\x81\x00", "client")
    assert repr(hello.fields[0]) == (
        "Field(name='FIN', start=0, length=1, value=1, meaning='the frame is a whole message', section='5.2')"
    )
    assert repr(hello.violations[0]) == (
        "Violation(message='unmasked frame from a client', section='5.1', start=8, length=1)"
    )


@pytest.mark.parametrize(
    ("wire", "place"),
    [
        ("8380", "bits 4–7"),
        ("8900 00", ""),
        ("8103 41ff41", "byte 3 of the frame"),
        ("8802 03ed", "bytes 2–3 of the frame"),
        ("89fe 0100", "bits 9–31"),
    ],
)
def test_place_of_a_broken_rule_is_told_in_bytes_where_they_are_whole(wire: str, place: str) -> None:
    frame = dissect(bytes.fromhex(wire))
    assert "".join(frame.told(each).partition("), ")[2] for each in frame.violations) == place
