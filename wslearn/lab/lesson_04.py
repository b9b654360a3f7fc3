"""Lesson 04: what a cache reads, and the exercises on masking (RFC 6455, sections 5.3 and 10.3).

Judged is what our server makes of the bytes, with that of websockets beside it. XOR, the cache and the
attack stand in the notebook.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from wslearn.codec import mask, read_header, wrap
from wslearn.lab.answers import told
from wslearn.lab.exercises import (
    NOT_TRIED,
    Exercise,
    Verdict,
    almost,
    compare_bytes,
    not_yet,
    right,
)
from wslearn.lab.predictions import Prediction
from wslearn.lab.two_servers import ours, theirs

COMMENTARY = (
    "Kick-off, and the blue team comes out with three at the back. Two minutes gone, a first corner, "
    "headed over the bar by Iñaki. The keeper takes his time, the crowd whistles. In midfield they cannot "
    "find a way through; every second pass goes back to where it came from. Then a long ball, a lucky "
    "bounce, and Ana is alone in front of the goal: she shoots, the post, the line, the keeper, and out. "
    "The referee waves play on and looks at her watch. Half an hour of this, and the trainers begin to "
    "shout. A yellow card for a foul at the side line, then another one for what was said about it. The "
    "rain has started again. Just before the break a cross from the left, nobody takes it, and the ball "
    "rolls into the far corner as if it had all the time in the world. One to nil, and nobody is quite "
    "sure who scored."
)


class Lines:
    """Bytes as a reader of lines takes them, in columns by name.

    Every byte that is no printable ASCII is a dot; an arrow stands at each line that looks like a request.
    """

    def __init__(self, columns: Mapping[str, bytes]) -> None:
        self._columns = {
            name: [_line(line) for line in data.split(b"\r\n")] for name, data in columns.items()
        }

    def __repr__(self) -> str:
        parts = [[name, *lines] for name, lines in self._columns.items()]
        height = max(map(len, parts))
        widths = [max(map(len, part)) for part in parts]
        rows = zip(*([*part, *[""] * (height - len(part))] for part in parts), strict=True)
        return "\n".join(
            "   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )

    def _repr_html_(self) -> str:
        left = 'style="text-align:left;vertical-align:top"'
        heads = "".join(f"<th {left}>{escape(name)}</th>" for name in self._columns)
        pre = '<pre style="background:none;font-family:var(--jp-code-font-family,monospace)">'
        cells = "".join(f"<td {left}>{pre}{_marked(lines)}</pre></td>" for lines in self._columns.values())
        return f"<table><tr>{heads}</tr><tr>{cells}</tr></table>"


def _line(line: bytes) -> str:
    text = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in line)
    return f"{text}  ← request" if text.startswith("GET /") else text


def _marked(lines: list[str]) -> str:
    return "\n".join(
        f'<b style="white-space:pre">{escape(line)}</b>' if "←" in line else escape(line) for line in lines
    )


# ── judges ───────────────────────────────────────────────────────────────────────────────────────

KEY = bytes.fromhex("0a 0b 0c 0d")


def judge_hola(answer: Any) -> Verdict:
    wire = wrap(0x81, b"Hola", KEY)
    back, witness = ours(wire)[0], theirs(wire)[0]
    good = f"{told(back)} comes back from our server, {told(witness)} from websockets"
    return compare_bytes(answer, back[2:], good)


FIELDS = {
    "FIN": "FIN is read before there is a key",
    "RSV": "RSV is read before there is a key",
    "opcode": "the opcode is read before there is a key",
    "MASK": "MASK says whether there is a key at all",
    "payload length": "who does not know the length does not know where the payload begins",
    "masking key": "with a key that is masked itself nobody could read anything",
    "payload": "without it nothing would be masked",
}


def judge_fields(answer: Any) -> Verdict:
    """Compare with the bits that differ between a frame as it is sent and the same frame not XORed."""
    given = {answer} if isinstance(answer, str) else answer
    if not isinstance(given, set | frozenset | list | tuple) or not given:
        return not_yet(f"names of fields in braces are needed, this is {answer!r}")
    if ... in given:
        return NOT_TRIED
    if unknown := [name for name in given if name not in FIELDS]:
        return not_yet(f"{unknown[0]!r} is no field of the list: {', '.join(FIELDS)} are")
    wrong = [name for name in FIELDS if (name in given) != (name in changed())]
    if not wrong:
        return right("the header is what a reader needs before it can unmask, so all of it stays as it is")
    verdict = almost if len(wrong) == 1 else not_yet
    return verdict(f"{len(FIELDS) - len(wrong)} of {len(FIELDS)} fit; {wrong[0]}: {FIELDS[wrong[0]]}")


def changed() -> set[str]:
    """Return the fields whose bits the XOR changes, in a frame of our client."""
    sent = wrap(0x81, b"Hola", KEY)
    plain = sent[:6] + b"Hola"
    places = dict(zip(FIELDS, ((0, 1), (1, 4), (4, 8), (8, 9), (9, 16), (16, 48), (48, 80)), strict=True))
    both = [f"{int.from_bytes(wire, 'big'):080b}" for wire in (sent, plain)]
    return {name for name, (start, end) in places.items() if both[0][start:end] != both[1][start:end]}


CAPTURED = bytes.fromhex(
    "b4 a3 56 e3 a1 a3 01 aa f9 b6 17 aa ed f2 58 e5 bd e4 19 b0 ef a3 09 b0"
    "fe a3 17 aa ed f2 58 e5 bd e4 49 a8 f5 a1 19 c3 0c 30 5a e1 a6 a3 46"
)
BEGINS = b'{"mi'


def judge_captured(answer: Any) -> Verdict:
    """Look at the key first, then at the text."""
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return not_yet(f"a key and a text are needed, as in (bytes, text); this is {answer!r}")
    key, text = answer
    found = compare_bytes(key, mask(BEGINS, CAPTURED[:4]))
    if not found:
        return Verdict(found.state, f"the key: {found.text}")
    wanted = mask(mask(BEGINS, CAPTURED[:4]), CAPTURED)
    if not isinstance(text, str | bytes):
        return almost(f"the key is right; the text is {text!r}")
    found = compare_bytes(text.encode() if isinstance(text, str) else text, wanted)
    if found:
        return right("four bytes that somebody knows give the key, and the key gives all the rest")
    return almost(f"the key is right; the text: {found.text}")


LENGTHS = (*range(10), 1000)


def judge_unmask(unmask: Any) -> Verdict:
    """Compare with the echoes of our server, for payloads of 0 to 9 and of 1,000 bytes."""
    if not callable(unmask):
        return not_yet(f"a function is needed, this is {unmask!r}")
    key = bytes.fromhex("37 fa 21 3d")
    wires = [wrap(0x82, bytes(n % 251 for n in range(length)), key) for length in LENGTHS]
    echoes = ours(*wires)
    for length, wire, back in zip(LENGTHS, wires, echoes, strict=True):
        payload = wire[_header(wire) :]
        got = unmask(key, payload)
        if got is ...:
            return NOT_TRIED
        found = compare_bytes(got, back[_header(back) :])
        if not found:
            state = almost if length > 4 else not_yet
            return state(f"{length} bytes of payload: {found.text} (RFC 6455, section 5.3)")
    same = "the same" if theirs(*wires) == echoes else "something else"
    return right(f"{len(LENGTHS)} payloads, as our server reads them; websockets echoes {same}")


def _header(wire: bytes) -> int:
    header = read_header(wire)
    assert header is not None
    return header.size


FAULTY = bytes.fromhex(
    "81 85 5c 1e 93 a7 1b 51 d2 eb 7d 81 84 2d 70 c4 68 40 fe 59 1281 87 b2 49 0f e6 06 69 80 c1 20 6b 83"
)
SPOKEN = ("GOAL!", "0:1?", "Offside")
FIRST_WRONG = 17


def judge_sender(answer: Any) -> Verdict:
    """Look at the place and the rule; then our server reads what was corrected."""
    if not isinstance(answer, tuple | list) or len(answer) != 3:
        return not_yet(f"(number of the byte, rule, corrected bytes) is needed, this is {answer!r}")
    at, rule, corrected = answer
    if at != FIRST_WRONG:
        return not_yet(_misplaced(at))
    if str(rule) != "5.3":
        return almost(f"byte {at} it is; section {rule} does not say which byte of the key meets it")
    if not isinstance(corrected, bytes | bytearray):
        return almost(f"byte {at} and the rule are right; bytes are needed, these are {corrected!r}")
    back, witness = ours(bytes(corrected))[0], theirs(bytes(corrected))[0]
    if back != b"".join(wrap(0x81, text.encode()) for text in SPOKEN):
        return almost(f"byte {at} and the rule are right; the corrected bytes get {told(back)}")
    return right(f"{told(back)}, from websockets {told(witness)}: each frame begins with byte 0 of its key")


def _misplaced(at: Any) -> str:
    if not isinstance(at, int) or not 0 <= at < len(FAULTY):
        return f"{at!r} is no byte of these {len(FAULTY)}, counted from 0"
    if at < FIRST_WRONG:
        return f"byte {at} is as it should be: up to there the server reads what was said"
    return f"byte {at} may be wrong, and it is not the first that is"


PREDICTIONS = [
    Prediction(
        "04.a",
        "You know four of the sixteen letters. How many will you read?",
        16,
        "masked XOR text is the key, and the key has four bytes for all of the line",
        unit="letters",
    ),
    Prediction(
        "04.b",
        "Without a mask, which answer will the cache keep?",
        "one under tickets.example",
        "a line of the script's text looked like a request for it",
        choices=("none", "one under evil.example", "one under tickets.example"),
    ),
]

EXERCISES = [
    Exercise(
        "04.1",
        1,
        "C",
        task=(
            "The payload `42 64 60 6c` is masked with the key `0a 0b 0c 0d`. Unmask it: four bytes. "
            "The judge sends the frame to two servers and compares with what comes back."
        ),
        judge=judge_hola,
        hints=(
            "XOR the first byte of the payload with the first of the key, and so on.",
            "Bit by bit: equal bits give 0, different bits give 1. 42 is 0100 0010 and 0a is 0000 1010.",
            "0x42 ^ 0x0a is 0x48. bytes([0x42 ^ 0x0a, ...]) makes bytes of the four.",
        ),
        starter="answer = ...",
        solution="answer = bytes([0x42 ^ 0x0A, 0x64 ^ 0x0B, 0x60 ^ 0x0C, 0x6C ^ 0x0D])",
    ),
    Exercise(
        "04.2",
        1,
        "P",
        task=(
            'A client masks a text. Which of these seven fields does the XOR change on the wire: "FIN", '
            '"RSV", "opcode", "MASK", "payload length", "masking key", "payload"? Write the set of them.'
        ),
        judge=judge_fields,
        hints=(
            "The server has to unmask. What must it have read before it can?",
            "It reads from left to right: what stands before the key, and the key itself, it reads as it is.",
            "Only what stands behind the key is left.",
        ),
        starter="answer = {...}",
        solution='answer = {"payload"}',
    ),
    Exercise(
        "04.3",
        2,
        "C",
        task=(
            "Of a masked frame only the payload was caught; header and key are lost. It is JSON, and it "
            'begins with `{"mi`. Write the key, four bytes, and the whole text.'
        ),
        judge=judge_captured,
        hints=(
            "masked = text XOR key. What do you get from masked XOR text?",
            """XOR the first four bytes with b'{"mi': that is the key.""",
            "With the key four bytes long, and repeated, the same XOR gives all the rest.",
        ),
        starter="""
captured = bytes.fromhex(
    "b4 a3 56 e3 a1 a3 01 aa f9 b6 17 aa ed f2 58 e5 bd e4 19 b0 ef a3 09 b0"
    "fe a3 17 aa ed f2 58 e5 bd e4 49 a8 f5 a1 19 c3 0c 30 5a e1 a6 a3 46"
)
answer = (..., ...)
""",
        solution="""
captured = bytes.fromhex(
    "b4 a3 56 e3 a1 a3 01 aa f9 b6 17 aa ed f2 58 e5 bd e4 19 b0 ef a3 09 b0"
    "fe a3 17 aa ed f2 58 e5 bd e4 49 a8 f5 a1 19 c3 0c 30 5a e1 a6 a3 46"
)
key = bytes(a ^ b for a, b in zip(captured, b'{"mi'))
text = bytes(byte ^ key[n % 4] for n, byte in enumerate(captured))
answer = (key, text.decode())
""",
    ),
    Exercise(
        "04.4",
        2,
        "B",
        task=(
            "Write `unmask(key, data)`: a key of four bytes and a payload of any length, and the unmasked "
            "bytes come back. The judge tries payloads of 0 to 9 and of 1,000 bytes."
        ),
        judge=judge_unmask,
        hints=(
            "Byte i of the payload meets byte i modulo 4 of the key (5.3).",
            "In Python i modulo 4 is i % 4, and enumerate(data) counts while it goes.",
            "bytes(byte ^ key[i % 4] for i, byte in enumerate(data))",
        ),
        starter="""
def unmask(key, data):
    return ...

answer = unmask
""",
        solution="""
def unmask(key, data):
    return bytes(byte ^ key[i % 4] for i, byte in enumerate(data))

answer = unmask
""",
    ),
    Exercise(
        "04.5",
        3,
        "D",
        task=(
            "These three frames say `GOAL!`, `0:1?` and `Offside`. Our server reads the first, and refuses"
            " the second with 1007: the sender lets the key run on, and does not begin anew in each frame."
            " Say which byte is the first wrong one, counted from 0, which section has the rule, and the"
            " corrected bytes."
        ),
        judge=judge_sender,
        hints=(
            "dissect(wire, 'client') takes the first frame apart, and .rest is what follows it.",
            "The first payload has five bytes, so its last one met byte 0 of the key. "
            "Which byte did the sender take next, and which one is due?",
            "Frame 2 begins at byte 11, its payload at 17. There and in frame 3 the sender began with byte 1 "
            "of the key: unmask with key[1:] + key[:1], then mask with key.",
        ),
        starter="""
wire = bytes.fromhex(
    "81 85 5c 1e 93 a7 1b 51 d2 eb 7d 81 84 2d 70 c4 68 40 fe 59 12"
    "81 87 b2 49 0f e6 06 69 80 c1 20 6b 83"
)
answer = (..., ..., wire)  # first wrong byte, section, corrected bytes
""",
        solution="""
def masked(key, text):
    return bytes(byte ^ key[i % 4] for i, byte in enumerate(text.encode()))

frames = {"GOAL!": "5c 1e 93 a7", "0:1?": "2d 70 c4 68", "Offside": "b2 49 0f e6"}
corrected = b""
for text, key in frames.items():
    key = bytes.fromhex(key)
    corrected += bytes([0x81, 0x80 | len(text)]) + key + masked(key, text)
answer = (17, "5.3", corrected)
""",
    ),
]
