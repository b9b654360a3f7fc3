"""The exercises of lesson 03, the header of a frame (RFC 6455, sections 5.1 to 5.5).

Judged is what two servers answer: ours, which decides, and that of websockets, which is shown beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from wslearn.lab.answers import told, verdict
from wslearn.lab.edits import flip
from wslearn.lab.exercises import (
    NOT_TRIED,
    Exercise,
    Verdict,
    almost,
    compare_values,
    not_yet,
    right,
    together,
)
from wslearn.lab.predictions import Prediction
from wslearn.lab.two_servers import ours, theirs

HELLO = bytes.fromhex("81 85 37 fa 21 3d 7f 9f 4d 51 58")
VERDICTS = ("text", "pong", "silence", "1002", "1007")
FIRST_BYTE = ("FIN", "RSV1", "RSV2", "RSV3", "opcode 8", "opcode 4", "opcode 2", "opcode 1")


def judge_numbers(answer: Any) -> Verdict:
    names = tuple(f"{part} of frame {frame}" for frame in (1, 2, 3) for part in ("header", "payload"))
    good = "a header says its own length in its second byte, before it says the payload's"
    return compare_values(answer, (8, 200, 10, 65_536, 6, 0), good, names)


def judge_first_byte(answer: Any) -> Verdict:
    wires = [flip(HELLO, bit) for bit in range(8)]
    happened = [verdict(back) for back in ours(*wires)]
    if isinstance(answer, tuple | list):
        answer = [str(word) for word in answer]
        if unknown := [word for word in answer if word not in VERDICTS]:
            return not_yet(f"{unknown[0]!r} is no verdict: {', '.join(VERDICTS)} are")
    witness = ", ".join(verdict(back) for back in theirs(*wires))
    names = tuple(f"bit {bit}, {name}" for bit, name in enumerate(FIRST_BYTE))
    return compare_values(answer, happened, f"sent, and so it came; websockets: {witness}", names)


KEY = bytes.fromhex("37 fa 21 3d")
# fin, rsv, opcode, key, length, size of the header
HEADERS: dict[str, tuple[bool, int, int, bytes | None, int, int]] = {
    "81 05": (True, 0, 1, None, 5, 2),
    "01 00": (False, 0, 1, None, 0, 2),
    "80 7d": (True, 0, 0, None, 125, 2),
    "82 7e 00 7e": (True, 0, 2, None, 126, 4),
    "82 7e ff ff": (True, 0, 2, None, 65_535, 4),
    "82 7f 00 00 00 00 00 01 00 00": (True, 0, 2, None, 65_536, 10),
    "81 85 37 fa 21 3d": (True, 0, 1, KEY, 5, 6),
    "81 fe 00 c8 37 fa 21 3d": (True, 0, 1, KEY, 200, 8),
    "82 ff 00 00 00 02 00 00 00 00 37 fa 21 3d": (True, 0, 2, KEY, 2**33, 14),
    "8a 80 37 fa 21 3d": (True, 0, 10, KEY, 0, 6),
    "c1 07": (True, 4, 1, None, 7, 2),
    "88 02": (True, 0, 8, None, 2, 2),
}
TOO_LONG_FORMS = (
    "81 7e 00 05",
    "82 7e 00 7d",
    "82 7f 00 00 00 00 00 00 00 05",
    "82 7f 00 00 00 00 00 00 ff ff",
)
LONG_HELLO = bytes.fromhex("81 fe 00 05") + HELLO[2:]
PARTS = ("fin", "rsv", "opcode", "key", "length", "size")


def judge_parser(read_header: Any) -> Verdict:
    if not callable(read_header):
        return not_yet(f"a function is needed, this is {read_header!r}")
    for shown, expected in HEADERS.items():
        verdict_of_header = judge_header(read_header, shown, expected)
        if not verdict_of_header:
            return verdict_of_header
    for shown in TOO_LONG_FORMS:
        with suppress(ValueError):
            got = read_header(bytes.fromhex(shown))
            return almost(f"{shown}: a shorter form is there, so a ValueError is due; returned was {got!r}")
    our_word, their_word = verdict(ours(LONG_HELLO)[0]), verdict(theirs(LONG_HELLO)[0])
    return right(
        f"{len(HEADERS)} headers, each whole, cut anywhere, and with bytes behind it. The 5 of"
        f" {LONG_HELLO[:4].hex(' ')}, a length that is not minimal: our server answers {our_word},"
        f" websockets answers {their_word}, the RFC decides"
    )


def judge_header(read_header: Callable[[bytes], Any], shown: str, expected: tuple[Any, ...]) -> Verdict:
    """Judge one header, cut anywhere and with bytes behind it."""
    wire = bytes.fromhex(shown)
    for size in range(len(wire)):
        cut = wire[:size].hex(" ") or "no bytes"
        try:
            got = read_header(wire[:size])
        except IndexError:
            return not_yet(f"{cut}: your function reads past the end; None is due while bytes are missing")
        if got is ...:
            return NOT_TRIED
        if got is not None:
            return not_yet(f"{cut}: None is due while bytes are missing; returned was {got!r}")
    found = compare_values(read_header(wire + HELLO), expected, names=PARTS)
    return found if found else Verdict(found.state, f"{shown}: {found.text}")


FAULTY = tuple(
    map(
        bytes.fromhex,
        (
            "a1 84 1d 2c 3b 4a 5a 43 5a 26",
            "81 03 2a 19 08 7f 1b 23 38",
            "81 86 5e 6d 7c 4f 18 02 09 23",
        ),
    )
)
WRONG_BITS = (2, 8, 14)
RULES = (("5.2",), ("5.1", "5.2", "5.3"), ("5.2",))


def judge_repairs(answer: Any) -> Verdict:
    if not isinstance(answer, tuple | list) or [len(finding) for finding in answer] != [3] * len(FAULTY):
        return not_yet(f"three findings are needed, each (bit, rule, repaired bytes); this is {answer!r}")
    return together([judge_repair(number, *finding) for number, finding in enumerate(answer)])


def judge_repair(number: int, bit: Any, rule: Any, repaired: Any) -> Verdict:
    """Judge what was found in one faulty frame, counted from 0."""
    name = f"frame {number + 1}"
    if bit != WRONG_BITS[number]:
        return not_yet(f"{name}: bit {bit} is not the wrong one")
    if str(rule) not in RULES[number]:
        return not_yet(f"{name}: section {rule} says nothing of this bit")
    if not isinstance(repaired, bytes):
        return not_yet(f"{name}: bytes are needed, the repaired ones are {repaired!r}")
    before, after = ours(FAULTY[number], repaired)
    witness = theirs(repaired)[0]
    if verdict(after) != "text":
        return not_yet(f"{name}: the repaired bytes get {told(after)}")
    if repaired != flip(FAULTY[number], bit):
        return not_yet(f"{name}: {told(after)} comes back, and more than the wrong bit has changed")
    return right(f"{name}: {verdict(before)} before, {told(after)} now, from websockets {told(witness)}")


def judge_too_big(answer: Any) -> Verdict:
    if not isinstance(answer, bytes):
        return not_yet(f"bytes are needed, this is {answer!r}; bytes.fromhex('82 05') makes some from hex")
    ((back,), (witness,)) = ours(answer, max_frame_size=1000), theirs(answer, max_size=1000)
    size = f"{len(answer)} bytes"
    if verdict(back) != "1009":
        return not_yet(f"{size} get {told(back)}; 1009 is wanted")
    if len(answer) > 8:
        return almost(f"{size} get {told(back)}; now with at most 8")
    return right(f"{size} get {told(back)}. websockets answers {verdict(witness)}")


PREDICTIONS = [
    Prediction(
        "03.a",
        "Bit 1 is RSV1, and 81 became c1. What comes back?",
        "a refusal",
        "a reserved bit that nobody has agreed on has to be 0, and its frame fails the connection",
        choices=("an echo", "silence", "a refusal"),
    ),
    Prediction(
        "03.b",
        "How many of the 88 does the server refuse, with a Close of 1002 or 1007?",
        17,
        "eight break a rule of the header, and nine make a text that is no UTF-8",
        unit="frames",
        within=3,
    ),
]

EXERCISES = [
    Exercise(
        "03.1",
        1,
        "C",
        "Three frames begin with 81 fe 00 c8, with 82 7f 00 00 00 00 00 01 00 00 and with 8a 80."
        " How long is the header of each, a masking key included, and how long its payload? Six"
        " numbers, in bytes.",
        judge_numbers,
        (
            "The second byte has two parts: the MASK bit, and seven bits of length.",
            "Seven bits of 126 or 127 are no length: they say that 2 or 8 more bytes hold it."
            " A MASK bit of 1 adds a key of 4.",
            "fe is MASK with 126: two bytes of length follow, then the key."
            " 7f is 127 without MASK. 80 is MASK with 0.",
        ),
        """
answer = (
    ..., ...,  # 81 fe 00 c8: header, payload
    ..., ...,  # 82 7f 00 00 00 00 00 01 00 00
    ..., ...,  # 8a 80
)
""",
        "answer = (2 + 2 + 4, 0xC8, 2 + 8, 0x10000, 2 + 4, 0)",
    ),
    Exercise(
        "03.2",
        1,
        "P",
        "Each of the eight bits of byte 0, 81, is flipped in a frame of its own. What comes back"
        " last? Eight words in the order of the bits: text, pong, silence, 1002 or 1007. The judge"
        " sends all eight.",
        judge_first_byte,
        (
            "Byte 0 is FIN, three reserved bits, and four bits of opcode.",
            "Without FIN, more is to come. A reserved bit needs an extension."
            " Which opcodes are 1001, 0101, 0011 and 0000?",
            "Opcode 9 is a ping, 5 and 3 are unknown, and 0 goes on with a message that nobody has begun.",
        ),
        """
answer = [
    ...,                  # FIN
    ..., ..., ...,        # RSV1, RSV2, RSV3
    ..., ..., ..., ...,   # the four bits of the opcode
]
""",
        """
answer = ["silence", "1002", "1002", "1002", "pong", "1002", "1002", "1002"]
""",
    ),
    Exercise(
        "03.3",
        2,
        "B",
        "Write read_header(data): it returns fin, rsv (0 to 7, RSV1 counts 4), opcode, key (4 bytes or None),"
        " length and size of the header in bytes; None while bytes of the header are missing; and"
        " it raises a ValueError for a length in more bytes than it needs. The judge tries 12"
        " headers, each cut anywhere.",
        judge_parser,
        (
            "Two bytes tell how many more the header needs. Check len(data) before each step.",
            "int.from_bytes(data[2:4], 'big') reads a length of two bytes. The key stands behind the length.",
            "126 may hold 126 to 65,535 and 127 may hold 65,536 and more: anything below is a ValueError.",
        ),
        """
def read_header(data):
    # fin, rsv (0 to 7), opcode, key (4 bytes or None),
    # length, size of the header
    return ...

answer = read_header
""",
        """
def read_header(data):
    if len(data) < 2:
        return None
    first, second = data[0], data[1]
    length = second & 0x7F
    width = {126: 2, 127: 8}.get(length, 0)
    size = 2 + width + (4 if second & 0x80 else 0)
    if len(data) < size:
        return None
    if width:
        length = int.from_bytes(data[2 : 2 + width], "big")
        if length < (126 if width == 2 else 65_536):
            raise ValueError(f"length {length} in {width} bytes")
    key = data[size - 4 : size] if second & 0x80 else None
    return bool(first & 0x80), first >> 4 & 7, first & 0x0F, key, length, size

answer = read_header
""",
    ),
    Exercise(
        "03.4",
        2,
        "D",
        "Three texts of the match, each with one wrong bit. Say for each the number of the bit,"
        " the section of RFC 6455 whose rule it breaks, as '5.2', and the repaired bytes."
        " The judge sends them: our server must echo a text.",
        judge_repairs,
        (
            "dissect(frame, 'client') shows every field, and what is wrong or missing.",
            "Frame 1 uses a bit that needs an extension. Frame 2 comes from a client and looks"
            " like a server's. Frame 3 leaves the server waiting.",
            "Section 5.1 says who masks; 5.2 has the reserved bits and the length. Count the bytes"
            " behind the key of frame 3, and compare.",
        ),
        """
faulty = [
    bytes.fromhex("a1 84 1d 2c 3b 4a 5a 43 5a 26"),
    bytes.fromhex("81 03 2a 19 08 7f 1b 23 38"),
    bytes.fromhex("81 86 5e 6d 7c 4f 18 02 09 23"),
]
answer = [  # bit, rule, repaired bytes
    (..., ..., faulty[0]),
    (..., ..., faulty[1]),
    (..., ..., faulty[2]),
]
""",
        """
answer = [
    (2, "5.2", bytes.fromhex("81 84 1d 2c 3b 4a 5a 43 5a 26")),
    (8, "5.1", bytes.fromhex("81 83 2a 19 08 7f 1b 23 38")),
    (14, "5.2", bytes.fromhex("81 84 5e 6d 7c 4f 18 02 09 23")),
]
""",
    ),
    Exercise(
        "03.5",
        3,
        "B",
        "The limit is max_frame_size=1000. Write at most 8 bytes that earn Close 1009.",
        judge_too_big,
        (
            "When does a server know that a frame is too big?",
            "It reads the length in the header, before any payload. So no payload needs to be sent.",
            "1,001 is 03 e9, and it needs the form with two bytes of length. A client sets the MASK bit.",
        ),
        'answer = bytes.fromhex("82 85 37 fa 21 3d 7f 9f 4d 51 58")',
        'answer = bytes.fromhex("82 fe 03 e9 37 fa 21 3d")',
    ),
]
