"""Lesson 11: score messages, and the exercises on extensions and compression (RFC 6455, section 9; RFC 7692).

Judged is what our endpoints agree on and send, with those of websockets beside them. The bomb, the attack
and the extension that logs frames stand in the notebook.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import ssl
import zlib
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from websockets.asyncio.client import connect as connect_websockets
from websockets.exceptions import InvalidHandshake
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)
from websockets.headers import parse_extension

from wslearn import (
    Application,
    ChannelClosed,
    Codec,
    Deflate,
    Extension,
    Frame,
    HandshakeError,
    ProtocolViolation,
    Session,
    Text,
    Trace,
    WebSockets,
    connect,
    simulate,
)
from wslearn.dissection import dissect
from wslearn.extensions import Parameters
from wslearn.handshake import accept_key
from wslearn.lab.answers import in_hex
from wslearn.lab.certificate import make_certificate
from wslearn.lab.exercises import (
    Exercise,
    Verdict,
    almost,
    compare_values,
    is_number,
    name_first,
    not_yet,
    right,
)
from wslearn.lab.predictions import Prediction
from wslearn.lab.two_servers import REQUEST
from wslearn.simulation import SimulatedNetwork


def score_messages() -> list[str]:
    """Return what a score board says in a match: 20 times JSON, of 65 or 66 bytes.

    Builds of zlib differ in what they find: zlib-ng passes over repetitions of three bytes. With these keys,
    spaces and goals all of them come to the same sizes.
    """
    chance, minute, score = random.Random(23), 0, [0, 0]
    messages = []
    for _ in range(20):
        minute += chance.randint(1, 6)
        score[chance.randint(0, 1)] += chance.random() < 0.3
        home, away = score
        news = {"home": "Rovers", "away": "United", "score": f"{home}:{away}", "minute": minute}
        messages.append(json.dumps(news))
    return messages


def heads(trace: Trace, session: int = 1) -> list[str]:
    """Return what the two heads of a session say about extensions: request and response."""
    shaken = next(each for each in trace.handshakes if each.session == session)
    found = (
        re.search(rb"Sec-WebSocket-Extensions: (.*)\r", head) for head in (shaken.request, shaken.response)
    )
    return [line[1].decode() if line else "-" for line in found]


def encrypted(frame: bytes) -> bytes:
    """Return what TLS makes of a frame that a server sends, on a connection in memory."""
    serving, trusting = make_certificate("127.0.0.1")
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    client = trusting.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    for end in (client, server, client, server):
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
    to_client.read()
    server.write(frame)
    return to_client.read()


def echo_server(extensions: Sequence[Extension]) -> Application:
    """Return a server that sends back what it gets, without pings."""
    app = Application()
    app.install(WebSockets, ping_period=None, extensions=list(extensions))

    @app.websocket("/echo")
    async def echo(session: Session) -> None:
        async for frame in session.incoming:
            await session.send(frame)

    return app


# ── judges ───────────────────────────────────────────────────────────────────────────────────────

COMPRESSED = bytes.fromhex("c1 07 f2 48 cd c9 c9 07 00")


def judge_inflated(answer: Any) -> Verdict:
    """Compare with what a dissection finds in the frame."""
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return not_yet(f"a text and the name of a bit are needed, this is {answer!r}")
    told, bit = answer
    frame = dissect(COMPRESSED, "server")
    text = zlib.decompressobj(-15).decompress(frame.unmasked + b"\0\0\xff\xff").decode()
    if told == text.encode():
        return almost(f"{told!r} are the bytes of the text; .decode() makes a text of them")
    if told != text:
        return not_yet(f"the text is not {told!r}; 7 bytes of payload inflate to 5 letters")
    if re.sub("[ _-]", "", str(bit)).upper() != "RSV1":
        return almost(f"the text is right; {bit!r} does not tell that it is compressed")
    return right("c1 is 1100 0001: FIN, RSV1, and opcode 1 for a text")


def judge_second(answer: Any) -> Verdict:
    """Let our server say "Hello" twice, with the context kept and without."""
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return not_yet(f"two numbers of bytes are needed, this is {answer!r}")
    found = [second_hello(Deflate(server_no_context_takeover=forget)) for forget in (False, True)]
    good = f"{found[0]} bytes point back at the first Hello, {found[1]} spell it again"
    return compare_values(answer, found, good, ("context kept", "context not kept"))


def second_hello(deflate: Deflate) -> int:
    """Return the payload's bytes of the second Hello that a server sends."""

    async def scene(net: SimulatedNetwork) -> int:
        server = await echo_server([Deflate()]).start("server", 80)
        async with connect(server.url("/echo"), extensions=[deflate]) as session:
            for _ in range(2):
                await session.send("Hello")
                await session.incoming.receive()
        sent = [each.wire for each in server.trace.frames if each.sender == "server"]
        return len(dissect(sent[1], "server").unmasked)

    return simulate(scene)


MEBIBYTE = 2**20
MOST = 10


def mebibytes(window_bits: int, memory_level: int, many: int = 1000) -> float:
    """Return what so many compressors need.

    Source: zlib's own formula, in zconf.h.
    """
    return many * ((1 << (window_bits + 2)) + (1 << (memory_level + 9))) / MEBIBYTE


def judge_memory(answer: Any) -> Verdict:
    """Compare with zlib's formula, and compress the score messages with what was chosen."""
    if not isinstance(answer, tuple | list) or len(answer) != 3 or not all(map(is_number, answer)):
        return not_yet(f"(MiB, window bits, memory level) is needed, this is {answer!r}")
    whole, window_bits, memory_level = answer
    if abs(whole - mebibytes(15, 8)) > 1:
        return not_yet(f"{whole:g} MiB: 1,000 times (2 ** 17 + 2 ** 17) bytes is another number")
    if window_bits not in range(9, 16) or memory_level not in range(1, 10):
        return almost("250 MiB it is; zlib takes a window of 9 to 15 bits and a memory level of 1 to 9")
    window_bits, memory_level = int(window_bits), int(memory_level)
    needed = mebibytes(window_bits, memory_level)
    if needed >= MOST:
        return almost(f"250 MiB it is; your choice needs {needed:.1f} MiB, less than {MOST} are allowed")
    sizes = (_compressed(window_bits, memory_level), _compressed(15, 8), sum(map(_bytes, score_messages())))
    told = "20 score messages take {} bytes with it, {} with 15 and 8, {} plain".format(*sizes)
    return right(f"{needed:.1f} MiB; {told}")


def _compressed(window_bits: int, memory_level: int) -> int:
    stream = zlib.compressobj(wbits=-window_bits, memLevel=memory_level)
    return sum(
        len(stream.compress(text.encode()) + stream.flush(zlib.Z_SYNC_FLUSH)) - 4 for text in score_messages()
    )


def _bytes(text: str) -> int:
    return len(text.encode())


NAME = "permessage-deflate"
ANSWERS: dict[str, tuple[str, str | None]] = {
    "A": (f"{NAME}; client_max_window_bits", f"{NAME}; server_no_context_takeover"),
    "B": (f"{NAME}; server_max_window_bits=16", None),
    "C": (f"{NAME}; client_max_window_bits; server_no_context_takeover", NAME),
    "D": (f"{NAME}; client_max_window_bits; server_max_window_bits=10", f"{NAME}; server_max_window_bits=12"),
    "E": (f"{NAME}; server_max_window_bits=7, {NAME}", NAME),
}
"""Offers and answers by letter; None where the question is what a server may answer."""
GUILTY = {
    "A": "none",
    "B": "server_max_window_bits",
    "C": "server_no_context_takeover",
    "D": "server_max_window_bits",
    "E": "none",
}
REASONS = {
    "A": "a server may bind itself without being asked (RFC 7692, section 7.1.1.1)",
    "B": "16 is no size of a window, 8 to 15 are; such an offer is declined (RFC 7692, section 7.1)",
    "C": "who accepts the offer must confirm it, so that the client knows (RFC 7692, section 7.1.1.1)",
    "D": "12 is more than the 10 that were asked for (RFC 7692, section 7.1.2.1)",
    "E": "the first offer is wrong and the second is not: a server takes the first that it can",
}


def judge_offers(answer: Any) -> Verdict:
    """Let our endpoints and those of websockets judge each offer and answer."""
    if not isinstance(answer, dict) or answer.keys() != ANSWERS.keys():
        return not_yet(f"a dictionary with {', '.join(ANSWERS)} is needed, this is {answer!r}")
    wrong = {name: text for name in ANSWERS if (text := _misjudged(name, answer[name]))}
    if not wrong:
        agrees = sum(their_outcome(*ANSWERS[name]) == our_outcome(*ANSWERS[name]) for name in ANSWERS)
        return right(f"our endpoints say so too, and websockets in {agrees} of {len(ANSWERS)}")
    return name_first(wrong, len(ANSWERS))


def _misjudged(name: str, given: Any) -> str:
    """Return why one of them is judged wrongly, or nothing."""
    if not isinstance(given, tuple | list) or len(given) != 2:
        return f"a pair such as ('fail', 'server_max_window_bits') is needed, this is {given!r}"
    outcome, parameter = given[0], str(given[1]).partition("=")[0].strip().lower()
    if outcome not in ("legal", "decline", "fail"):
        return f"{outcome!r} is none of 'legal', 'decline' and 'fail'"
    if outcome != our_outcome(*ANSWERS[name]):
        return f"our endpoint does not say {outcome!r}: {REASONS[name]}"
    if parameter == GUILTY[name]:
        return ""
    if outcome == "legal":
        return "'legal' is right, and what is legal needs no reason: 'none'"
    return f"{outcome!r} is right, {given[1]!r} is not the reason"


def our_outcome(offer: str, answer: str | None) -> str:
    """Return "legal", "decline" or "fail": what our server makes of an offer, or our client of an answer."""
    if answer is None or offer.count(NAME) > 1:
        app = echo_server([Deflate()])

        async def scene(net: SimulatedNetwork) -> str:
            async with app.start("server", 80):
                return await _answer_of_server(offer)

        return "legal" if simulate(scene) else "decline"
    given = dict(parse_extension(offer)[0][1])
    bits = given.get("server_max_window_bits")
    deflate = Deflate(
        server_no_context_takeover="server_no_context_takeover" in given,
        server_max_window_bits=int(bits) if bits else None,
    )

    async def join() -> None:
        await connect("ws://server/echo", extensions=[deflate])

    return _joined(join, answer, HandshakeError)


def their_outcome(offer: str, answer: str | None) -> str:
    """Return the same of websockets."""
    if answer is None or offer.count(NAME) > 1:
        factory = ServerPerMessageDeflateFactory()
        return "legal" if any(map(_taken_by(factory), parse_extension(offer))) else "decline"
    given = dict(parse_extension(offer)[0][1])
    bits = given.get("server_max_window_bits")
    asking = ClientPerMessageDeflateFactory(
        server_no_context_takeover="server_no_context_takeover" in given,
        server_max_window_bits=int(bits) if bits else None,
        client_max_window_bits=True,
    )

    async def join() -> None:
        await connect_websockets("ws://server/echo", extensions=[asking], compression=None, proxy=None)

    return _joined(join, answer, InvalidHandshake)


def _taken_by(factory: ServerPerMessageDeflateFactory) -> Callable[[Any], bool]:
    def takes(offer: Any) -> bool:
        try:
            factory.process_request_params(offer[1], [])
        except InvalidHandshake:
            return False
        return True

    return takes


async def _answer_of_server(offer: str) -> str:
    """Return what a server answers to a request with this offer."""
    reader, writer = await asyncio.open_connection("server", 80)
    writer.write(REQUEST[:-2] + f"Sec-WebSocket-Extensions: {offer}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    found = re.search(rb"Sec-WebSocket-Extensions: (.*)\r", head)
    return found[1].decode() if found else ""


def _joined(join: Callable[[], Coroutine[Any, Any, None]], answer: str, refusal: type[Exception]) -> str:
    """Return what a client makes of a server that gives this answer, whatever was offered."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = re.search("Sec-WebSocket-Key: (.*)\r", request)
        assert key is not None
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        accept = f"Sec-WebSocket-Accept: {accept_key(key[1])}\r\n"
        writer.write(f"{head}{accept}Sec-WebSocket-Extensions: {answer}\r\n\r\n".encode())
        await reader.read()
        writer.close()

    async def scene(net: SimulatedNetwork) -> str:
        await asyncio.start_server(serve, "server", 80)
        try:
            await join()
        except refusal:
            return "fail"
        return "legal"

    return simulate(scene)


SAID = ("Goal!", "", "Iñaki", "x" * 200, bytes(range(8)))
SAID_IN_ALL = [*SAID, "Kick-off"]
HEADER = 0xA1


class Unmarked(Codec):
    """Sends everything as it is, and reads what is flipped."""

    def decode(self, message: Frame, limit: int | None) -> Frame:
        return type(message)(flipped(message.data)) if message.rsv2 else message


class Plain(Extension):
    """The x-flip of a peer that never flips what it sends."""

    name = "x-flip"
    rsv = (2,)

    def agree(self, accepted: Parameters) -> tuple[Parameters, Codec]:
        return accepted, Unmarked()


def judge_flip(answer: Any) -> Verdict:
    """Let both ends have the extension, then one of them, and look at what passes."""
    if isinstance(answer, type) and issubclass(answer, Extension):
        return almost("a class; the judge needs an object of it, as in Flip()")
    if not isinstance(answer, Extension):
        return not_yet(f"an object of a class that extends Extension is needed, this is {answer!r}")
    if set(answer.rsv) != {2}:
        return not_yet(f"rsv is {answer.rsv!r}; RSV2 is to be claimed, and no other bit")
    got, trace = simulate(lambda net: _talk(answer, [answer]))
    offer, accepted = heads(trace)
    if accepted.partition(";")[0] != "x-flip":
        return not_yet(f"the request offers {offer!r}, the response says {accepted!r}: x-flip is expected")
    if got != SAID_IN_ALL:
        wrong = next(n for n, each in enumerate(SAID_IN_ALL) if got[n : n + 1] != [each])
        came = repr(got[wrong][:40]) if wrong < len(got) else "nothing"
        return almost(f"agreed; message {wrong + 1}, {SAID_IN_ALL[wrong]!r}, does not come back: {came} does")
    sent = [each.wire for each in trace.frames if each.sender == "server"]
    if sent[0][0] != HEADER:
        return almost(f"agreed, and the first byte is {sent[0][0]:02x}; with FIN, RSV2 and a text it is a1")
    if sent[0][2:] != flipped(b"Goal!"):
        return almost(f"agreed; the payload of 'Goal!' is {in_hex(sent[0][2:])}, every bit is to be flipped")
    return _without_it(answer, in_hex(sent[0]))


def flipped(data: bytes) -> bytes:
    return bytes(255 - byte for byte in data)


def _without_it(answer: Extension, seen: str) -> Verdict:
    """Look at what passes when the client does not know the extension, or leaves a text as it is."""
    got, trace = simulate(lambda net: _talk(answer, []))
    sent = [each.wire for each in trace.frames if each.sender == "server"]
    if got != SAID_IN_ALL or sent[0] != b"\x81\x05Goal!":
        return almost(f"agreed and flipped; a client without it is sent {in_hex(sent[0])}, plain text is due")
    if simulate(lambda net: _unmarked(answer)) != "offside?":
        return almost(
            "agreed and flipped; a text that comes without RSV2 is not flipped, so it stays as it is"
        )
    witness = simulate(lambda net: _witness(answer))
    return right(
        f"'Goal!' passes as {seen}; a client without it gets plain text, so does websockets: {witness!r}"
    )


async def _talk(extension: Extension, ours: Sequence[Extension]) -> tuple[list[str | bytes], Trace]:
    """Let a client say some messages, the last in two fragments; return what comes back and the trace."""
    server = await echo_server([extension]).start("server", 80)
    async with connect(server.url("/echo"), extensions=list(ours)) as session:
        got = []
        for said in SAID:
            await session.send(said)
            got.append(await _said(session))
        await session.send(Text("Kick", fin=False))
        await session.send("-off")
        got.append(await _said(session))
    return got, server.trace


async def _said(session: Session) -> str | bytes:
    """Return the next message, with a sign in place of what is no UTF-8."""
    frame = await session.incoming.receive()
    return frame.data.decode(errors="replace") if isinstance(frame, Text) else frame.data


async def _unmarked(extension: Extension) -> str | bytes:
    """Let a client that has agreed send a text as it is, without RSV2; return what comes back."""
    server = await echo_server([extension]).start("server", 80)
    async with connect(server.url("/echo"), extensions=[Plain()]) as session:
        with suppress(ChannelClosed, ProtocolViolation):
            await session.send("offside?")
            return await _said(session)
    return ""


async def _witness(extension: Extension) -> str | bytes:
    join = connect_websockets("ws://server/echo", proxy=None)
    async with echo_server([extension]).start("server", 80), join as peer:
        await peer.send("Goal!")
        return await peer.recv()


PREDICTIONS = [
    Prediction(
        "11.a",
        'The server sends "Hello", plain a frame of 7 bytes, compressed for the first time. How long is it?',
        9,
        "DEFLATE has nothing to point back at yet, and its own codes cost two bytes",
        unit="bytes",
    ),
    Prediction(
        "11.b",
        "The first of 20 score messages takes 55 bytes of payload. And the last ones, context kept?",
        "about 10",
        "everything but a few digits stands in an earlier message",
        choices=("about 55", "about 30", "about 10"),
    ),
    Prediction(
        "11.c",
        "How many guesses does it take at most to read eight letters of 36 kinds?",
        288,
        "each letter falls alone: 8 times 36, and not 36 to the power of 8",
        unit="guesses",
    ),
]

EXERCISES = [
    Exercise(
        "11.1",
        1,
        "C",
        task=(
            "A server sends `c1 07 f2 48 cd c9 c9 07 00`. Write the text, and the name of the bit that "
            "announced the compression."
        ),
        judge=judge_inflated,
        hints=(
            "The first two bytes are the header. c1 is 1100 0001 in bits: lesson 03 has the names.",
            "What the sender left out behind the payload is 00 00 ff ff.",
            "zlib.decompressobj(-15).decompress(payload + the four bytes); the bit is the second of c1.",
        ),
        starter="answer = (..., ...)  # text, bit",
        solution="""
payload = bytes.fromhex("f2 48 cd c9 c9 07 00")
text = zlib.decompressobj(-15).decompress(payload + bytes.fromhex("00 00 ff ff"))
answer = (text.decode(), "RSV1")
""",
    ),
    Exercise(
        "11.2",
        1,
        "P",
        task=(
            'A server says "Hello" twice, and the first payload has 7 bytes. How many has the second one '
            "when the context is kept, and how many when it is not?"
        ),
        judge=judge_second,
        hints=(
            "Without a context the compressor has forgotten the first Hello.",
            "With it, most letters become one reference: so many letters, from so far back.",
            "Not kept: the same 7 bytes. Kept: two bytes fewer.",
        ),
        starter="answer = (..., ...)  # kept, not kept",
        solution="answer = (5, 7)",
    ),
    Exercise(
        "11.3",
        2,
        "C",
        task=(
            "How many MiB do 1,000 compressors need by zlib's formula, with a window of 15 bits and memory "
            "level 8? Then choose a window (9 to 15) and a memory level (1 to 9) with which they need less "
            "than 10 MiB."
        ),
        judge=judge_memory,
        hints=(
            "One compressor: 2 ** (window + 2) + 2 ** (level + 9) bytes. A MiB has 2 ** 20.",
            "2 ** 17 + 2 ** 17 is 256 KiB, a thousand times. Under 10 MiB is 10,485 bytes for each.",
            "Neither part may be above 8 KiB: try a window of 10 with a level of 3.",
        ),
        starter="answer = (..., ..., ...)  # MiB, window bits, memory level",
        solution="answer = (250, 10, 3)",
    ),
    Exercise(
        "11.4",
        2,
        "D",
        task=(
            "Five offers and answers; E has two offers, with a comma between them. Write 'legal', 'decline' "
            "(a server must not accept the offer) or 'fail' (a client must fail the connection), and the "
            "parameter that is the reason, or 'none'."
        ),
        judge=judge_offers,
        hints=(
            "What was asked for binds the other end. What was not asked for may still be promised.",
            "A window has 8 to 15 bits, and an answer may ask for less than the offer, never for more.",
            "Two are legal, one is to be declined, two fail the connection.",
        ),
        starter="""
# A  offer   permessage-deflate; client_max_window_bits
#    answer  permessage-deflate; server_no_context_takeover
# B  offer   permessage-deflate; server_max_window_bits=16
#    answer  what may it be?
# C  offer   permessage-deflate; client_max_window_bits; server_no_context_takeover
#    answer  permessage-deflate
# D  offer   permessage-deflate; client_max_window_bits; server_max_window_bits=10
#    answer  permessage-deflate; server_max_window_bits=12
# E  offer   permessage-deflate; server_max_window_bits=7, permessage-deflate
#    answer  permessage-deflate
answer = {"A": (..., ...), "B": (..., ...), "C": (..., ...), "D": (..., ...), "E": (..., ...)}
""",
        solution="""
answer = {
    "A": ("legal", "none"),
    "B": ("decline", "server_max_window_bits"),
    "C": ("fail", "server_no_context_takeover"),
    "D": ("fail", "server_max_window_bits"),
    "E": ("legal", "none"),
}
""",
    ),
    Exercise(
        "11.5",
        3,
        "B",
        task=(
            "Write the extension `x-flip`: it flips every bit of a message's payload and says so with RSV2, "
            "the bit that its `rsv` claims. So a text in one frame begins with `a1`. A peer without it gets "
            "plain text. The judge sends bytes, a text in two fragments, and one without RSV2, too."
        ),
        judge=judge_flip,
        hints=(
            "Log above has all parts: a Codec with encode and decode, an Extension with a name and accept.",
            "bytes(255 - byte for byte in data) flips. In encode, frame.opcode is 0 for a continuation: "
            "a bit belongs on the first frame only.",
            "rsv = (2,) claims the bit; encode returns type(frame)(flipped, frame.fin, "
            "rsv2=frame.opcode != 0), decode returns type(message)(flipped) if message.rsv2.",
        ),
        starter="""
class Flip(Extension):
    name = "x-flip"
    rsv = ()

    def accept(self, offered):
        return {}, Codec()

answer = Flip()
""",
        solution="""
class Flipping(Codec):
    def encode(self, frame):
        flipped = bytes(255 - byte for byte in frame.data)
        return type(frame)(flipped, frame.fin, rsv2=frame.opcode != 0)

    def decode(self, message, limit):
        return type(message)(bytes(255 - byte for byte in message.data)) if message.rsv2 else message

class Flip(Extension):
    name = "x-flip"
    rsv = (2,)

    def accept(self, offered):
        return {}, Flipping()

answer = Flip()
""",
    ),
]
