"""The exercises of lesson 02, the opening handshake (RFC 6455, sections 1.3, 4.1 and 4.2).

Judged is what two servers answer to a request: ours, which decides, and that of websockets, which is shown
beside it. The request, the accept key and the broken heads stand in the notebook.
"""

from __future__ import annotations

from typing import Any

from wslearn import Trace, simulate
from wslearn.codec import wrap
from wslearn.dissection import dissect_handshake
from wslearn.handshake import END, accept_key
from wslearn.lab.answers import told
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
from wslearn.lab.two_servers import REQUEST, echoing, knock, ours, theirs
from wslearn.simulation import SimulatedNetwork

NONCE = "dGhlIHNhbXBsZSBub25jZQ=="


def status(answer: bytes) -> int:
    """Return the status in the first line of an answer, or 0 if there was none."""
    found = dissect_handshake(answer).value("status")
    return int(found) if found and found.isdecimal() else 0


def said(answer: bytes) -> str:
    """Return a server's answer in a line: the status, and the reason where it wrote one."""
    head, _, rest = answer.partition(END)
    first = head.partition(b"\r\n")[0].decode("latin-1").removeprefix("HTTP/1.1 ")
    if not first:
        return "silence"
    if status(answer) == 101:
        return f"{first}, then {told(rest)}" if rest else first
    return f"{first}: {rest.decode('latin-1').partition(chr(10))[0]}"


# ── judges ───────────────────────────────────────────────────────────────────────────────────────

BROKEN = {
    "no Host": REQUEST.replace(b"Host: server\r\n", b""),
    "POST for GET": REQUEST.replace(b"GET", b"POST"),
    "the path /nowhere": REQUEST.replace(b"/echo", b"/nowhere"),
    "neither Upgrade nor Connection": REQUEST.replace(b"Upgrade: websocket\r\nConnection: Upgrade\r\n", b""),
    "version 12": REQUEST.replace(b"Version: 13", b"Version: 12"),
    "a key of 15 bytes": REQUEST.replace(NONCE.encode(), b"ZmlmdGVlbiAgYnl0ZXMh"),
}
STATUSES = (101, 400, 404, 405, 426)


def judge_statuses(answer: Any) -> Verdict:
    """Compare with what our server answers."""
    if isinstance(answer, tuple | list):
        if unknown := [each for each in answer if each not in STATUSES]:
            return not_yet(f"{unknown[0]!r} is none of the choices: {', '.join(map(str, STATUSES))}")
        answer = tuple(answer)
    came = tuple(map(status, ours(*BROKEN.values(), ask=knock)))
    witness = ", ".join(str(status(each)) for each in theirs(*BROKEN.values(), ask=knock))
    good = f"sent, and so it came; websockets, which takes every path: {witness}"
    return compare_values(answer, came, good, tuple(f"the answer to {name}" for name in BROKEN))


NONCES = (NONCE, "x3JJHMbDL1EzLkh9GBhXDw==", "AAAAAAAAAAAAAAAAAAAAAA==")


def judge_accept(function: Any) -> Verdict:
    """Compare with the answers of our server to three keys."""
    if not callable(function):
        return not_yet(f"a function is needed, this is {function!r}")
    requests = [REQUEST.replace(NONCE.encode(), nonce.encode()) for nonce in NONCES]
    for nonce, came in zip(NONCES, ours(*requests, ask=knock), strict=True):
        got, want = function(nonce), accepted(came)
        if got is ...:
            return NOT_TRIED
        if got != want:
            return not_yet(_other_answer(nonce, got, want))
    if list(map(accepted, theirs(*requests, ask=knock))) != list(map(accept_key, NONCES)):
        return right("three nonces, answered as by our server; websockets answers otherwise")
    return right(
        "three nonces, and our server and websockets say the same. It comes out equal for everyone,"
        " so it is no secret and proves nobody's name (RFC 6455, section 10.8)"
    )


def accepted(answer: bytes) -> str | None:
    """Return the accept key in an answer."""
    return dissect_handshake(answer).value("sec-websocket-accept")


def _other_answer(nonce: str, got: Any, want: str | None) -> str:
    if not isinstance(got, str):
        return f"{nonce}: a text is needed, this is {got!r}"
    if got.rstrip("\r\n") == want:
        return f"{nonce}: the answer is there, and a line's end behind it"
    return f"{nonce}: {got!r} came out, our server answers {want!r} (RFC 6455, section 4.2.2)"


HELLO = wrap(0x81, b"Hello", bytes.fromhex("37 fa 21 3d"))


def judge_request(answer: Any) -> Verdict:
    """Send the request with a frame behind it, and look whether the frame is read."""
    if not isinstance(answer, bytes | bytearray):
        return not_yet(f"bytes are needed, this is {answer!r}")
    request = bytes(answer)
    head = dissect_handshake(request)
    if not head.complete:
        return not_yet(f"the server still waits: {head.missing} has not come")
    if head.rest:
        return not_yet(f"{len(head.rest)} bytes stand behind the blank line, and would be read as frames")
    [came], [witness] = ours(request + HELLO, ask=knock), theirs(request + HELLO, ask=knock)
    if status(came) != 101:
        return not_yet(f"{said(came)} (RFC 6455, section 4.2.1)")
    if head.value("sec-websocket-key") == NONCE:
        return almost("101, with the nonce of the RFC: a client takes 16 new bytes for each connection (4.1)")
    return right(
        f"a text was sent behind your request. Our server: {said(came)}. websockets: {said(witness)}"
    )


FIRST_BYTES = {"FIN": 0, "RSV1": 1, "opcode": 7, "MASK": 0, "length": 69}


def judge_letters(answer: Any) -> Verdict:
    [came] = ours(REQUEST)
    good = f"one letter is enough for our server: {told(came)}"
    return compare_values(answer, tuple(FIRST_BYTES.values()), good, tuple(FIRST_BYTES))


REFUSED = (
    b"GET /echo HTTP/1.1\r\nHost: server\r\nUser-Agent: Phone/4\r\nUpgrade: WebSocket\r\n"
    b"Connection: keep-alive\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: 8fAxQ2UvB7yOOcU0bGnJ5Q==\r\n\r\n",
    b"GET /echo HTTP/1.1\r\nHost: server\r\nOrigin: http://tickets.example\r\nupgrade: websocket\r\n"
    b"connection: keep-alive, upgrade\r\nSec-WebSocket-Version: 8\r\n"
    b"Sec-WebSocket-Key: R29hbCFHb2FsIUdvYWwhIQ==\r\n\r\n",
    b"GET /echo HTTP/1.1\r\nHost: server\r\nUpgrade: websocket\r\nConnection: Upgrade, keep-alive\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: goalgoalgoalgoal\r\nCookie: seat=27\r\n\r\n",
)
GUILTY = ("connection", "sec-websocket-version", "sec-websocket-key")


def refused() -> Trace:
    """Return the trace of three clients whose handshake our server refused."""

    async def scene(net: SimulatedNetwork) -> Trace:
        async with echoing().start("server", 80):
            for request in REFUSED:
                await knock(request)
        return net.trace

    return simulate(scene)


def judge_refused(answer: Any) -> Verdict:
    pairs = isinstance(answer, tuple | list) and all(isinstance(each, tuple | list) for each in answer)
    if not pairs or [len(each) for each in answer] != [2] * len(REFUSED):
        return not_yet(f"three pairs are needed, each (header, repaired bytes); this is {answer!r}")
    return together([judge_repair(number, *each) for number, each in enumerate(answer)])


def judge_repair(number: int, name: Any, repaired: Any) -> Verdict:
    """Judge what was found in one refused request, counted from 0."""
    request = f"request {number + 1}"
    if str(name).lower().rstrip(": ") != GUILTY[number]:
        return not_yet(f"{request}: the header {name!r} is not the guilty one")
    if not isinstance(repaired, bytes):
        return not_yet(f"{request}: bytes are needed, the repaired ones are {repaired!r}")
    [came], [witness] = ours(repaired, ask=knock), theirs(repaired, ask=knock)
    if status(came) != 101:
        return not_yet(f"{request}: the repaired bytes get {said(came)}")
    if lost := [line for line in innocent(number) if line not in repaired.split(b"\r\n")]:
        return not_yet(f"{request}: {lost[0].decode()!r} was innocent, and is gone")
    return right(f"{request}: {name}; our server answers {said(came)}, websockets {said(witness)}")


def innocent(number: int) -> list[bytes]:
    """Return the lines of a refused request that need no repair; a trace hides what a cookie says."""
    spared = (GUILTY[number].encode() + b":", b"cookie:")
    return [line for line in REFUSED[number].split(b"\r\n") if not line.lower().startswith(spared)]


PREDICTIONS = [
    Prediction(
        "02.a",
        "The same path, with four headers more. What does the answer begin with?",
        "a status line, 101",
        "the client cannot know yet that the server speaks WebSocket, so the answer is still HTTP",
        choices=("a status line, 200", "a status line, 101", "a frame with the score"),
    ),
    Prediction(
        "02.b",
        "SHA-1 gives 20 bytes. How many characters are they in base64?",
        28,
        "three bytes become four characters, and a group that is not full counts as one: 7 groups",
        unit="characters",
    ),
    Prediction(
        "02.c",
        "The connection is upgraded, and the client says GET once more. What comes back?",
        "a frame that closes the connection",
        "nobody reads HTTP there any more, and as a frame the letters break a rule",
        choices=("200 and the score", "400 Bad Request", "a frame that closes the connection", "nothing"),
    ),
]

EXERCISES = [
    Exercise(
        "02.1",
        1,
        "P",
        task=(
            "Our server gets six broken requests for `/echo`: without `Host`; with the method `POST`"
            " for `GET`; for the path `/nowhere`; with neither `Upgrade` nor `Connection`; with version 12;"
            " with a key of 15 bytes. Predict its status for each: 101, 400 bad request, 404 not found,"
            " 405 wrong method, or 426 upgrade required."
        ),
        judge=judge_statuses,
        hints=(
            "404: nothing is at this path. 405: the method is not allowed. The other two differ: what helps"
            " the client to ask again?",
            "426, Upgrade Required, says: ask for this upgrade, or for this version of it.",
            "What is broken in the head itself, or missing, is a bad request: 400. That leaves two for 426.",
        ),
        starter="answer = (..., ..., ..., ..., ..., ...)",
        solution="answer = (400, 405, 404, 426, 426, 400)",
    ),
    Exercise(
        "02.2",
        2,
        "B",
        task=(
            "Write `accept_key(nonce)`: the text of a `Sec-WebSocket-Key`, and the text of the"
            " `Sec-WebSocket-Accept` that answers it comes back. The judge tries three nonces."
        ),
        judge=judge_accept,
        hints=(
            "Four steps: the nonce as it is sent, the GUID behind it, SHA-1, base64.",
            "The nonce is not decoded from base64. hashlib.sha1 takes bytes: text.encode() makes them.",
            "base64.b64encode(hashlib.sha1((nonce + GUID).encode()).digest()).decode()",
        ),
        starter="""
def accept_key(nonce):
    return ...

answer = accept_key
""",
        solution="""
import base64
import hashlib

def accept_key(nonce):
    guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    digest = hashlib.sha1((nonce + guid).encode()).digest()
    return base64.b64encode(digest).decode()

answer = accept_key
""",
    ),
    Exercise(
        "02.3",
        2,
        "B",
        task=(
            "Write a request for `/echo` as bytes, with a nonce of your own, so that both servers answer"
            " 101. The judge sends it with a text frame behind it, and looks whether the text comes back."
        ),
        judge=judge_request,
        hints=(
            "Five headers are needed, and the verdict names the one that the server misses.",
            "Each line ends with \\r\\n, and the head with an empty line: \\r\\n\\r\\n.",
            "16 bytes of your own are a nonce: base64.b64encode(b'sixteen letters.'), behind"
            " Sec-WebSocket-Key.",
        ),
        starter="""
answer = (
    b"GET /echo HTTP/1.1\\r\\n"
    b"Host: server\\r\\n"
    b"\\r\\n"
)
""",
        solution="""
answer = (
    b"GET /echo HTTP/1.1\\r\\n"
    b"Host: server\\r\\n"
    b"Upgrade: websocket\\r\\n"
    b"Connection: Upgrade\\r\\n"
    b"Sec-WebSocket-Version: 13\\r\\n"
    b"Sec-WebSocket-Key: " + base64.b64encode(b"sixteen letters.") + b"\\r\\n"
    b"\\r\\n"
)
""",
    ),
    Exercise(
        "02.4",
        2,
        "C",
        task=(
            "The server reads `GE`, the first two bytes of `GET`, as the first two of a frame. From the left,"
            " their bits are: FIN, RSV1, RSV2, RSV3, four of opcode, MASK, seven of length. Write five"
            " numbers: FIN, RSV1, opcode, MASK, length."
        ),
        judge=judge_letters,
        hints=(
            'f"{ord("G"):08b}" shows the eight bits of a letter.',
            "G is 0100 0111: the first bit is FIN, the second RSV1, and the last four are the opcode.",
            "E is 0100 0101: MASK is the first bit, and the other seven are the length, 64 + 4 + 1.",
        ),
        starter="answer = (..., ..., ..., ..., ...)",
        solution="""
first, second = b"GE"
answer = (first >> 7, first >> 6 & 1, first & 15, second >> 7, second & 127)
""",
    ),
    Exercise(
        "02.5",
        3,
        "D",
        task=(
            "A trace holds three requests that our server refused. Name the guilty header of each, and repair"
            " the bytes so that they get 101. Leave every other line as it is."
        ),
        judge=judge_refused,
        hints=(
            "Names in any case are good, and so are lists: `keep-alive, upgrade` holds an `upgrade`."
            " Two answers say 400 and one says what the server would take.",
            "Handshake(requests[0]) takes a request apart and names what breaks a rule.",
            "The first never says that it wants an upgrade, the second speaks version 8, and the third sends"
            " 16 letters where 16 bytes in base64 have 24.",
        ),
        starter="""
requests = [each.request for each in refused().handshakes]
answer = [(..., requests[0]), (..., requests[1]), (..., requests[2])]
""",
        solution="""
requests = [each.request for each in refused().handshakes]
nonce = base64.b64encode(b"goalgoalgoalgoal")
answer = [
    ("Connection", requests[0].replace(b"keep-alive", b"keep-alive, Upgrade")),
    ("Sec-WebSocket-Version", requests[1].replace(b"Version: 8", b"Version: 13")),
    ("Sec-WebSocket-Key", requests[2].replace(b"goalgoalgoalgoal", nonce)),
]
""",
    ),
]
