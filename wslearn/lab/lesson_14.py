"""Lesson 14: three sittings at a server of one's own, faults planted in another one, and the match on it.

Judged is a server, any `async def server(reader, writer)`, by the cases of the board (RFC 6455). The pieces
that the notebook shows stand here as text, because a sitting builds on what the one before has kept.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from wslearn import CloseReason, PingTimeout, Session, connect, simulate
from wslearn.lab import small_server
from wslearn.lab.board import Board, Handler
from wslearn.lab.exercises import NOT_TRIED, Card, Exercise, Verdict, almost, in_words, not_yet, right
from wslearn.lab.page_client import Heard
from wslearn.lab.predictions import Prediction
from wslearn.simulation import SimulatedNetwork
from wslearn.trace import WireTrace

# ── the pieces, as the notebook has them ─────────────────────────────────────────────────────────


def _source(function: Callable[..., Any]) -> str:
    """Return a function of the reference as a notebook writes it, without types."""
    head, _, body = inspect.getsource(function).partition("\n")
    given = ", ".join(inspect.signature(function).parameters)
    return f"{head.partition('def ')[0]}def {function.__name__}({given}):\n{body}"


ECHO = _source(small_server.echo)

PARTS_1 = """
accept_key, read_header, unmask = part("02.2"), part("03.3"), part("04.4")
"""

SHAKE_HANDS_STUB = r"""
async def shake_hands(reader, writer):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lines = [line.partition(":") for line in head.split("\r\n")[1:]]
    headers = {name.lower(): value.strip() for name, _, value in lines}
    answer = "400 Bad Request"  # or 426 with a header more, or 101 with three
    writer.write(f"HTTP/1.1 {answer}\r\n\r\n".encode())
    return answer.startswith("101")
"""

MORE = 'MORE = (True, 10, b"")'

FRAMES_1_STUB = """
def frames(buffer):
    while True:
        header = read_header(bytes(buffer[:14]))
        if header is None or len(buffer) < header[4] + header[5]:
            yield MORE
            continue
        fin, rsv, opcode, key, length, size = header
        payload = ...  # it stands behind the header, masked
        del buffer[: size + length]
        if opcode != 10:
            yield fin, opcode, payload
"""

FRAME_1_STUB = """
def frame(opcode, payload):
    return ...  # FIN and opcode, the length, and the payload
"""

MESSAGES_1 = """
async def messages(reader, writer):
    buffer = bytearray()
    if await shake_hands(reader, writer):
        for fin, opcode, payload in frames(buffer):
            if opcode != 10:
                yield opcode, payload
            elif reader.at_eof():
                break
            else:
                buffer += await reader.read(65_536)
    writer.close()
"""

FRAMES_1 = FRAMES_1_STUB.replace(
    "...  # it stands behind the header, masked", "unmask(key, bytes(buffer[size : size + length]))"
)

FRAME_1 = """
def frame(opcode, payload):
    return bytes([0x80 | opcode, len(payload)]) + payload
"""

PARTS_2 = """
assemble, pong = part("05.3"), part("06.4")
shake_hands, frames = part("14.1")["shake_hands"], part("14.1")["frames"]
"""

FRAME_2_STUB = """
def frame(opcode, payload):
    size = len(payload)
    sign, more = size, b""  # 126 or 127, with the length in bytes of its own
    return bytes([0x80 | opcode, sign]) + more + payload
"""

ITEMS_2_STUB = """
def items(buffer):
    yield from assemble(frames(buffer))  # a ValueError is 1002
"""
ITEMS_2 = """
def items(buffer):
    try:
        yield from assemble(frames(buffer))
    except ValueError:
        yield 1002
"""

MESSAGES_2_STUB = """
async def messages(reader, writer):
    buffer = bytearray()
    if await shake_hands(reader, writer):
        for item in items(buffer):
            match item:
                case 10, _ if reader.at_eof():
                    break
                case 10, _:
                    buffer += await reader.read(65_536)
                case message:  # before it: a ping, and a close code
                    yield message
    writer.close()
"""
MESSAGES_2 = MESSAGES_2_STUB.replace(
    "                case message:  # before it: a ping, and a close code\n",
    """                case 9, payload:
                    writer.write(pong(payload))
                case int(code):
                    writer.write(frame(8, code.to_bytes(2, "big")))
                    break
                case message:
""",
)

PARTS_3 = """
close_reply = part("08.4")
shake_hands, frame = part("14.2")["shake_hands"], part("14.2")["frame"]
"""

FRAMES_3_STUB = """
def frames(buffer):
    total = 0
    while True:
        while (header := read_header(bytes(buffer[:14]))) is None:
            yield MORE
        fin, rsv, opcode, key, length, size = header
        ...  # ValueError: no client may send it. OverflowError: over LIMIT bytes
        while len(buffer) < size + length:
            yield MORE
        payload = unmask(key, bytes(buffer[size : size + length]))
        del buffer[: size + length]
        if opcode != 10 or not fin:  # assemble refuses a pong in fragments
            yield fin, opcode, payload
"""

ITEMS_3_STUB = ITEMS_2.replace("1002", "1002  # and an OverflowError is 1009")

LEAVE_STUB = """
async def leave(reader, writer, last):
    writer.write(last)
    writer.write_eof()
    ...  # read on until the other end leaves, for PATIENCE seconds at most
"""

MESSAGES_3_STUB = """
async def messages(reader, writer):
    buffer = bytearray()
    with suppress(*GONE), closing(writer):
        good = await shake_hands(reader, writer)  # for PATIENCE seconds at most
        for item in items(buffer) if good else ():
            match item:
                case 10, _ if reader.at_eof():
                    return
                case 10, _:
                    buffer += await reader.read(65_536)
                case 9, payload:
                    writer.write(pong(payload))
                case message:  # before it: a Close, and a close code
                    yield message
"""

LIMITS = """
LIMIT = 2**20  # bytes of a message
PATIENCE = 10  # seconds
GONE = (ConnectionError, EOFError, TimeoutError, asyncio.LimitOverrunError)
"""


def _code(*pieces: str) -> str:
    return "\n\n".join(piece.strip("\n") for piece in pieces)


ANSWER = "answer = echo"
SHAKE_HANDS, FRAME = _source(small_server.shake_hands), _source(small_server.frame)
SOLUTION_1 = _code(SHAKE_HANDS, FRAMES_1, FRAME_1, MESSAGES_1, ECHO, ANSWER)
SOLUTION_2 = _code(SHAKE_HANDS, FRAMES_1, FRAME, ITEMS_2, MESSAGES_2, ECHO, ANSWER)
NEW_3 = (small_server.frames, small_server.items, small_server.leave, small_server.messages)
SOLUTION_3 = _code(SHAKE_HANDS, FRAME, *(_source(each) for each in NEW_3), ECHO, ANSWER)


def lines_of(*names: str) -> int:
    """Return how many lines of code some functions of the reference have, without their sentences."""
    return sum(_lines(ast.parse(inspect.getsource(getattr(small_server, name))).body[0]) for name in names)


def _lines(function: ast.AST) -> int:
    bare = ast.unparse(function).splitlines()
    return len(bare) - (ast.get_docstring(function) is not None)  # type: ignore[arg-type]


# ── judges ───────────────────────────────────────────────────────────────────────────────────────


def judge_sitting(sitting: int) -> Callable[[Any], Verdict]:
    """Return a judge of the cases up to a sitting."""

    def judge(server: Any) -> Verdict:
        if not inspect.iscoroutinefunction(server):
            return not_yet(f"async def echo(reader, writer) is needed, this is {server!r}")
        board = Board(server, sitting)
        if not board.red:
            whole = Board(server)
            return right(f"{10 * sitting} of {10 * sitting} are green, and {len(whole.green)} of all 30")
        case = next(case for case in board.cases if case.number in board.red)
        found, again = board.findings[case.number].text, ""
        if case.sitting < sitting:
            again = f" again, a case of sitting {case.sitting}"
        state = almost if len(board.green) >= 10 * sitting - 3 else not_yet
        return state(
            f"{len(board.green)} of {10 * sitting} are green; case {case.number} is red{again}: {case.name}:"
            f" {found}. {case.rule} (RFC 6455, section {case.section})"
        )

    return judge


class Fault(NamedTuple):
    """A line of the reference, what stands in its place, and the case that turns red by it."""

    function: str
    line: str
    planted: str
    case: int


FAULTS = {
    "A": Fault("frames", "del buffer[: size + length]", "buffer.clear()", 15),
    "B": Fault(
        "close_reply",
        "allowed = 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999",
        "allowed = 1000 <= code <= 1014 or 3000 <= code <= 4999",
        23,
    ),
    "C": Fault("frames", "if opcode != 10 or not fin:", "if opcode < 11:", 18),
}


def planted(letter: str) -> Card:
    """Show the function of the reference with the fault "A", "B" or "C" in it."""
    fault = FAULTS[letter]
    source = _source(getattr(small_server, fault.function))
    return Card(f"Fault {letter}", source.replace(fault.line, fault.planted).rstrip(), code=True)


def with_line(letter: str, line: str) -> Handler:
    """Return the `echo` of a reference in which a line stands at the place of a fault.

    Raises:
        SyntaxError: the line does not fit there.
    """
    source = inspect.getsource(small_server).replace(FAULTS[letter].line, line.strip())
    names: dict[str, Any] = {"__name__": f"fault_{letter}"}
    exec(compile(source, f"<fault {letter}>", "exec"), names)
    echo: Handler = names["echo"]
    return echo


def judge_faults(answer: Any) -> Verdict:
    """Look for each fault at the case that was predicted, then at the board with the repaired line."""
    if not isinstance(answer, Mapping) or answer.keys() != FAULTS.keys():
        return not_yet(f"a dictionary with A, B and C is needed, this is {answer!r}")
    if any(each in ((...,), (..., ...), (..., "...")) for each in answer.values()):
        return NOT_TRIED
    wrong = {letter: text for letter in FAULTS if (text := _unlike_fault(letter, answer[letter]))}
    if not wrong:
        return right("each fault turned one case red, and each repaired reference has all 30 green")
    letter, text = next(iter(wrong.items()))
    state = almost if len(wrong) < len(FAULTS) else not_yet
    return state(f"{len(FAULTS) - len(wrong)} of {len(FAULTS)} are right; {letter}: {text}")


def _unlike_fault(letter: str, finding: Any) -> str:
    """Return what is wrong about one finding, or nothing."""
    if not isinstance(finding, tuple | list) or len(finding) != 2:
        return f"(number of the case, repaired line) is needed, this is {finding!r}"
    case, line = finding
    red = Board(with_line(letter, FAULTS[letter].planted)).red
    if case not in red:
        return f"case {case} stays green with this fault"
    if not isinstance(line, str) or not line.strip():
        return f"case {case} it is; the repaired line is needed, as text"
    try:
        ast.parse(line.strip() + (" pass" if line.rstrip().endswith(":") else ""))
    except SyntaxError as error:
        return f"case {case} it is; the line is no Python: {error.msg}"
    board = Board(with_line(letter, line))
    if board.red:
        found = board.findings[board.red[0]].text
        return f"case {case} it is; with your line case {board.red[0]} is red: {found}"
    return ""


# ── the match ────────────────────────────────────────────────────────────────────────────────────

GOALS = {10.0: "1:0", 30.0: "1:1", 40.0: "2:1", 70.0: "3:1"}
"""Seconds, and the score after the goal."""
LINES = {12.0: ("Ana", "What a start"), 60.0: ("Ben", "I was in a tunnel"), 75.0: ("Ana", "Full time soon")}
TUNNEL = (20.0, 45.0)
"""Seconds between which nothing reaches Ben."""
FULL_TIME = 90.0
CLIENTS = ("Ana", "Ben")


@dataclass(frozen=True)
class Played:
    """A match as two clients saw it, with all that passed on the wire.

    Args:
        seen: by client the texts that came, with their seconds.
        ends: by client the code of its last Close, None where it had not ended.
    """

    trace: WireTrace
    seen: dict[str, list[tuple[float, str]]]
    ends: dict[str, int | None]
    error: str = ""

    def goals(self, client: str) -> list[str]:
        """Return the goals that a client was told."""
        return [text for _, text in self.seen[client] if text in GOALS.values()]

    def __repr__(self) -> str:
        rows = [
            f"{time:6.2f} s  {client}  {text}"
            for time, client, text in sorted((t, c, text) for c in CLIENTS for t, text in self.seen[c])
        ]
        ends = ", ".join(f"{client} ends with {self.ends[client] or 'nothing'}" for client in CLIENTS)
        return "\n".join([*rows, ends, *([f"the server raised {self.error}"] if self.error else [])])


def play(match: Any) -> Played:
    """Play a match of 90 seconds for Ana, and for Ben, who is in a tunnel for a while.

    Args:
        match: called without arguments, it returns an object with `goal(text)` and
            `async def serve(reader, writer)`.
    """

    async def scene(net: SimulatedNetwork) -> Played:
        loop, game, errors = asyncio.get_running_loop(), match(), []
        seen: dict[str, list[tuple[float, str]]] = {client: [] for client in CLIENTS}
        ends: dict[str, int | None] = dict.fromkeys(CLIENTS)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await game.serve(reader, writer)
            # Whatever a learner's code raises is told, and the match goes on.
            except Exception as error:
                errors.append(in_words(error))

        await asyncio.start_server(serve, "server", 80)
        for client in CLIENTS:
            with net.host(client.lower()):
                loop.create_task(_follow(client, seen[client], ends))
        loop.call_at(TUNNEL[0], net.cut, "ben")
        loop.call_at(TUNNEL[1], net.restore, "ben")
        for time, score in GOALS.items():
            await asyncio.sleep(time - loop.time())
            game.goal(score)
        await asyncio.sleep(FULL_TIME + 5 - loop.time())
        return Played(net.trace, seen, ends, "".join(errors[:1]))

    return simulate(scene, latency=0.05, seed=14)


async def _follow(client: str, seen: list[tuple[float, str]], ends: dict[str, int | None]) -> None:
    """Follow the match as a client who comes back, says its lines, and leaves at full time."""
    loop = asyncio.get_running_loop()
    async for session in connect("ws://server/match", ping_period=5, timeout=5):
        known = len([text for _, text in seen if text in GOALS.values()])
        await session.send(f"since {known}")
        session.launch(_say_lines(client, session))
        with suppress(PingTimeout):
            async for frame in session.incoming:
                text = str(frame.data, "utf-8", "replace")
                seen.append((loop.time(), text))
            ends[client] = (await session.close_reason).code
            if loop.time() >= FULL_TIME:
                return


async def _say_lines(client: str, session: Session) -> None:
    loop = asyncio.get_running_loop()
    for time, (speaker, text) in LINES.items():
        if speaker == client and time > loop.time():
            await asyncio.sleep(time - loop.time())
            await session.send(f"{speaker}: {text}")
    await asyncio.sleep(FULL_TIME - loop.time())
    await session.close(CloseReason(1000, "full time"))


def judge_match(match: Any) -> Verdict:
    """Play it, and look at what each client was told."""
    if not callable(match):
        return not_yet(f"a class is needed, this is {match!r}")
    return _judged_match(play(match))


def _judged_match(played: Played) -> Verdict:
    if played.error:
        return not_yet(f"the server raised {played.error}")
    for client in CLIENTS:
        if wrong := _unlike_match(played, client):
            return (almost if played.goals("Ana") else not_yet)(wrong)
    return right("four goals and three lines, each once and in order, to both; two goals fell in the tunnel")


def _unlike_match(played: Played, client: str) -> str:
    """Return what is wrong about what a client was told, or nothing."""
    lines = [f"{speaker}: {text}" for speaker, text in LINES.values()]
    goals, texts = played.goals(client), [text for _, text in played.seen[client]]
    if goals != list(GOALS.values()):
        due = f"due is each of {', '.join(GOALS.values())} once, in order"
        return f"{client} saw {', '.join(goals) or 'no goal'}; {due}"
    if missing := [line for line in lines if texts.count(line) != 1]:
        return f"{client} read {missing[0]!r} {texts.count(missing[0])} times; due is once"
    if strange := [text for text in texts if text not in [*lines, *GOALS.values()]]:
        return f"{client} was told {strange[0]!r}, which is neither a goal nor a line of the chat"
    times = [time for time, text in played.seen[client] if text in GOALS.values()]
    if client == "Ana" and any(time > due + 1 for time, due in zip(times, GOALS, strict=True)):
        return "Ana was told of a goal more than 1 s late"
    return "" if played.ends[client] == 1000 else f"{client} ended with {played.ends[client]}; due is 1000"


RECORDED = Heard(("2:1?", "GOAL by Ana"), 1000, True)
"""What Chromium told its page about the reference."""

PREDICTIONS = [
    Prediction(
        "14.a",
        "This server echoes every text. How many of the 30 cases are green?",
        7,
        "what is due besides the echo is 23 cases: it has no rule for what a client may not do",
        unit="cases",
        within=2,
    ),
    Prediction(
        "14.b",
        "The reference has all 30. Which concern takes most of its lines?",
        "the conversation: handshake, closing, limits",
        "a frame is read and written by few lines, and they are the ones that you had before",
        choices=(
            "the frame: header, mask, length",
            "the message: fragments and UTF-8",
            "the conversation: handshake, closing, limits",
        ),
    ),
]

GIVEN_1 = _code(PARTS_1, SHAKE_HANDS_STUB, MORE, FRAMES_1_STUB, FRAME_1_STUB, MESSAGES_1, ECHO)
GIVEN_2 = _code(PARTS_1, MORE, PARTS_2, FRAME_2_STUB, ITEMS_2_STUB, MESSAGES_2_STUB, ECHO)
GIVEN_3 = _code(
    PARTS_1, MORE, PARTS_2, PARTS_3, LIMITS, FRAMES_3_STUB, ITEMS_3_STUB, LEAVE_STUB, MESSAGES_3_STUB, ECHO
)

EXERCISES = [
    Exercise(
        "14.1",
        2,
        "B",
        task=(
            "Complete `shake_hands`, `frames` and `frame` above, until the ten cases of the first sitting are"
            " green. The judge lets each case talk to your `echo`."
        ),
        judge=judge_sitting(1),
        hints=(
            "Begin with shake_hands: until its answer is 101, only cases in which 400 is due can be green.",
            "101 needs three headers: Upgrade, Connection and Sec-WebSocket-Accept, each behind \\r\\n."
            " 426 needs Sec-WebSocket-Version: 13. Good is a GET with Host, Upgrade, Connection and a key.",
            "The payload is unmask(key, bytes(buffer[size : size + length])), and a frame is"
            " bytes([0x80 | opcode, len(payload)]) + payload.",
        ),
        starter=ANSWER,
        solution=SOLUTION_1,
        setup=GIVEN_1,
    ),
    Exercise(
        "14.2",
        2,
        "B",
        task=(
            "Complete `frame`, `items` and `messages` above, until the cases of the second sitting are green"
            " too. The judge looks at all twenty: what was green stays green."
        ),
        judge=judge_sitting(2),
        hints=(
            "frame: below 126 the second byte is the length. Else it is 126 or 127, and the length follows.",
            "size.to_bytes(2, 'big') stands behind 126, and eight bytes behind 127. In items, put `yield"
            " from` into a try, and yield 1002 in `except ValueError`.",
            "Two cases are missing in the match: `case 9, payload:` writes pong(payload), and"
            " `case int(code):` writes a Close and breaks.",
        ),
        starter=ANSWER,
        solution=SOLUTION_2,
        setup=GIVEN_2,
    ),
    Exercise(
        "14.3",
        3,
        "B",
        task=(
            "Complete `frames`, `items`, `leave` and `messages` above, until all thirty cases are green. The"
            " first twenty still count."
        ),
        judge=judge_sitting(3),
        hints=(
            "In frames, raise ValueError for rsv, for key None, for an opcode that is none of six, and for a"
            " control frame that is long.",
            "In items, one `except` more yields 1009. In leave, read until read() returns nothing, in"
            " asyncio.timeout(PATIENCE).",
            "In messages: `case 8, payload:` awaits leave with close_reply(payload) and returns, `case"
            " int(code):` awaits it with a frame, and asyncio.wait_for bounds the handshake.",
        ),
        starter=ANSWER,
        solution=SOLUTION_3,
        setup=GIVEN_3,
    ),
    Exercise(
        "14.4",
        2,
        "PD",
        task=(
            "Three lines of the reference were changed. For each, predict which of the 30 cases turns red,"
            " then write the line as it has to be. The judge runs the board with the fault, then with your"
            " line."
        ),
        judge=judge_faults,
        hints=(
            "A and C are about what stands behind a frame in the same chunk; B is about a number.",
            "A throws away what came with the frame. B lets 1004 to 1006 pass. C lets a pong pass, and what"
            " else has opcode 10?",
            "The cases are 15, 23 and 18. A takes size + length bytes off the front with del, and C lets"
            " everything pass but opcode 10.",
        ),
        starter="""
answer = {  # number of the case, repaired line
    "A": (..., "..."),
    "B": (..., "..."),
    "C": (..., "..."),
}
""",
        solution=f"""
answer = {{
    "A": (15, "{FAULTS["A"].line}"),
    "B": (23, "{FAULTS["B"].line}"),
    "C": (18, "{FAULTS["C"].line}"),
}}
""",
    ),
    Exercise(
        "14.5",
        2,
        "B",
        task=(
            "Put the match on your server. The referee calls `goal(score)`, and each client is served by"
            " `serve`. A client says `since 2` when it has come: it wants the goals behind the second, and"
            " all that comes from then on. Whatever else a client says goes to everybody. Ana and Ben follow,"
            " and Ben goes through a tunnel."
        ),
        judge=judge_match,
        hints=(
            "Keep the writers of those who said since. frame(1, text.encode()) is what each is told.",
            "int(text[6:]) is the number behind `since `, and self.goals[number:] are the goals behind it.",
            "goal: append, then write to every viewer. serve: for a text with since add the writer and write"
            " what it missed, for any other write to every viewer; at the end discard the writer.",
        ),
        setup='messages, frame = part("14.3")["messages"], part("14.3")["frame"]',
        starter="""
class Match:
    def __init__(self):
        self.goals, self.viewers = [], set()

    def goal(self, score):
        ...  # to every viewer

    async def serve(self, reader, writer):
        async for opcode, payload in messages(reader, writer):
            ...  # "since 2" asks for goals, all else is for everybody

answer = Match
""",
        solution="""
class Match:
    def __init__(self):
        self.goals, self.viewers = [], set()

    def tell(self, text):
        for viewer in self.viewers:
            viewer.write(frame(1, text.encode()))

    def goal(self, score):
        self.goals.append(score)
        self.tell(score)

    async def serve(self, reader, writer):
        async for opcode, payload in messages(reader, writer):
            text = payload.decode()
            if not text.startswith("since "):
                self.tell(text)
                continue
            self.viewers.add(writer)
            for score in self.goals[int(text[6:]) :]:
                writer.write(frame(1, score.encode()))
        self.viewers.discard(writer)

answer = Match
""",
    ),
]
