"""Lesson 15: what is to be found in eight broken conversations, and when a repair is one.

The conversations themselves are scenes of their own; each repair is played in the scene that went wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from wslearn import CloseReason
from wslearn.lab.answers import told
from wslearn.lab.case_scenes import (
    LINES,
    PULLED,
    SAID,
    SCORES,
    STALLS,
    STRANGER,
    Act,
    Echoes,
    always_at_the_ball,
    chat_with,
    clear_at_first,
    counted,
    dies,
    ended_behind_a_proxy,
    gone_after_a_minute,
    killed_in_the_train,
    lines_with,
    phones_that_never_left,
    production,
    quiet_match,
    refused_in_production,
    ride,
    says_1001,
    says_4001,
    says_nothing,
    scores_with,
    short_and_long_lines,
    texts_in,
    three_stories_of_one_end,
)
from wslearn.lab.cases import Case
from wslearn.lab.exercises import Verdict, almost, in_words, not_yet, right

MOST_PINGS = 50
PLAYED = "played with your repair,"


Mend = Callable[[Any], Verdict]


def of_options(mend: Mend) -> Mend:
    """Let a repair be options of a server."""

    def checked(options: Any) -> Verdict:
        if isinstance(options, dict):
            return mend(options)
        return not_yet(f'options of the server are needed, as {{"timeout": 15}}; this is {options!r}')

    return checked


def of_function(mend: Mend) -> Mend:
    """Let a repair be a function."""

    def checked(function: Any) -> Verdict:
        return (
            mend(function) if callable(function) else not_yet(f"a function is needed, this is {function!r}")
        )

    return checked


def _echoed(echoes: Echoes, lines: tuple[str, ...]) -> Verdict:
    """Judge a scene in which each line should have come back."""
    back = texts_in(echoes.back)
    for number, line in enumerate(lines):
        if number >= len(back) or back[number] != line:
            size = f"{len(line.encode())} bytes"
            return not_yet(
                f"{PLAYED} line {number + 1}, {size}, does not come back as it was"
                f"; what came: {told(echoes.back)}"
            )
    return right(f"{PLAYED} all {len(lines)} lines come back")


LONG = "GOAL! " * 50
"""A line whose length needs both of its bytes."""


@of_function
def mend_header(header: Any) -> Verdict:
    lines = (*LINES, LONG)
    return _echoed(lines_with(header), LINES) and _echoed(lines_with(header, lines), lines)


@of_options
def mend_silence(options: Any) -> Verdict:
    """Play the quiet match with these options of the server."""
    watched = quiet_match(**{"ping_period": None, **options})
    if watched.ends:
        return not_yet(f"{PLAYED} the page is gone at {watched.ends[0]:.0f} s")
    pings = sum(each.kind == "Ping" and each.session == 1 for each in watched.trace.frames)
    stays = f"{PLAYED} the page stays for all of the match, for {pings} pings"
    if pings > MOST_PINGS:
        return almost(f"{stays}; a phone wakes up for each: with at most {MOST_PINGS}")
    return right(stays)


@of_function
def mend_reading(text_of: Any) -> Verdict:
    return _echoed(chat_with(text_of), SAID)


LATER = range(30)
"""How much later the links fail, each time in a scene of its own, in seconds."""
NOTICED = 30
"""Seconds after which a server should know that somebody has gone."""


@of_options
def mend_heartbeat(options: Any) -> Verdict:
    """Ride through the stalls with these options of the server."""
    late = 0.0
    for later in LATER:
        ended = ride(later, **{"ping_period": 5, "timeout": 2, **options})
        if ended.time < PULLED + later:
            stalls = f" with stalls that come {later} s later," if later else ""
            return not_yet(
                f"{PLAYED}{stalls} the phone is thrown out at {ended.time:.0f} s, and it was there"
            )
        late = max(late, ended.time - PULLED - later)
    stays = f"{PLAYED} the phone stays through {len(STALLS)} stalls"
    when = "never" if late == math.inf else f"after {late:.0f} s"
    if late > NOTICED:
        return almost(
            f"{stays}; when it is gone for good, that is noticed {when}: at most {NOTICED} s is wanted"
        )
    return right(f"{stays}, and when it is gone for good, that is noticed {when} at most")


@of_options
def mend_ghosts(options: Any) -> Verdict:
    """Count viewers with these options of the server."""
    played = [counted(later, **{"ping_period": None, **options}) for later in LATER]
    if dropped := [name for found in played for name in found.dropped]:
        return not_yet(f"{PLAYED} {dropped[0]} is dropped, whose link had stalled for 4 s")
    last, kept = max(found.last for found in played), max(found.kept for found in played)
    if kept == math.inf:
        return not_yet(f"{PLAYED} {last} are counted at the end, and 2 are there")
    if kept > NOTICED:
        return almost(
            f"{PLAYED} who has gone is counted for {kept:.0f} s more: at most {NOTICED} s is wanted"
        )
    return right(
        f"{PLAYED} {last} are counted at the end, and who has gone is counted for {kept:.0f} s at most"
    )


@of_function
def mend_compression(compress: Any) -> Verdict:
    scores = scores_with(compress)
    if scores.seen != list(SCORES):
        return not_yet(f"{PLAYED} {len(scores.seen)} of {len(SCORES)} scores are read, then {scores.reason}")
    size = sum(len(each.wire) for each in scores.trace.frames[: len(SCORES)])
    return right(f"{PLAYED} all {len(SCORES)} scores are read, {size} bytes")


def mend_production(answer: Any) -> Verdict:
    """Let the stadium's page, a stranger and a plain GET come."""
    if not isinstance(answer, tuple | list) or len(answer) != 2 or not callable(answer[0]):
        return not_yet(f"a function and a list, (handed_on, origins), are needed; this is {answer!r}")
    visits = production(*answer)
    if visits.page != 101:
        return not_yet(f"{PLAYED} the page gets {visits.page}")
    if visits.stranger != 403:
        return almost(f"{PLAYED} the page gets in, and so does a page of {STRANGER}")
    if visits.plain != 200:
        return almost(f"{PLAYED} the page gets in, and a plain GET gets {visits.plain}")
    return right(f"{PLAYED} the page gets in, a page of somebody else gets 403, and a plain GET gets 200")


ENDS: dict[str, tuple[Act, CloseReason | None]] = {
    "the server says 4001": (says_4001, CloseReason(4001, "match over")),
    "the server says Close without a code": (says_nothing, CloseReason(1005)),
    "the server says 1001": (says_1001, CloseReason(1001, "we move")),
    "the server dies": (dies, None),
}


@of_function
def mend_ending(ending: Any) -> Verdict:
    """Let the server end in four ways."""
    lost = ""
    for name, (act, want) in ENDS.items():
        try:
            reason = ended_behind_a_proxy(act, ending).reason
        # What a learner's code raises is told, with the end in which it was raised.
        except Exception as error:
            return not_yet(f"{PLAYED} {name}: {in_words(error)}")
        if want is not None and reason.code != want.code:
            return not_yet(f"{PLAYED} {name}: the page is told {reason.code}, not {want.code}")
        if want is not None and reason.message != want.message:
            lost = (
                lost or f"{PLAYED} {name}: the page is told the code, and the reason {want.message!r} is lost"
            )
    if lost:
        return almost(lost)
    return right(f"{PLAYED} the page is told 4001, and 1005 where no code came; Ktor notes 1000 for that")


EXERCISES = [
    Case(
        "15.1",
        "Short lines come back, long lines vanish",
        task=(
            "A client of somebody's own talks to our server. Which frame is the first that is wrong, which"
            " rule does it break ('byte order', 'UTF-8', 'masking' or 'size limit'), and whose is it,"
            " 'client' or 'server'?"
        ),
        evidence=short_and_long_lines,
        finding={"frame": 4, "rule": "byte order", "side": "client"},
        choices={"rule": ("byte order", "UTF-8", "masking", "size limit"), "side": ("client", "server")},
        astray={
            "frame": {
                5: "frame 5 is the server's Close. It accuses a byte; look at where that byte comes from",
                2: "frame 2 has 125 bytes of text, and came back",
            },
            "rule": {
                "UTF-8": "every line is plain ASCII. The server read something else as text",
                "masking": "the MASK bit and a key are there, as in the lines that came back",
                "size limit": "a server answers 1009 to what is too big, and this one waits",
            },
            "side": {"server": "the server does what the header says: it waits for the rest of the payload"},
        },
        culprit="""
def header(length):
    if length < 126:
        return bytes([0x81, 0x80 | length])
    return bytes([0x81, 0x80 | 126]) + length.to_bytes(2, "little")
""",
        mend=mend_header,
        clues=(
            "The server says nothing for a second. What does a server do that says nothing?",
            "Read the header of the frame that never became whole, byte by byte, as in lesson 03.",
            "7e says that two bytes of length follow, and they are 7e 00. Read them as one number: 32,256.",
        ),
        solution="""
def header(length):
    if length < 126:
        return bytes([0x81, 0x80 | length])
    return bytes([0x81, 0x80 | 126]) + length.to_bytes(2, "big")

answer = {"frame": 4, "rule": "byte order", "side": "client", "repair": header}
""",
    ),
    Case(
        "15.2",
        "Fine in the lab, gone in the stadium",
        task=(
            "Which frame is the last before page 1 is gone, what ended it ('idle limit', 'age limit',"
            " 'ping timeout' or 'full time'), and which side would you mend: 'page', 'proxy' or 'server'?"
        ),
        evidence=gone_after_a_minute,
        finding={"frame": 2, "rule": "idle limit", "side": "server"},
        choices={
            "rule": ("idle limit", "age limit", "ping timeout", "full time"),
            "side": ("page", "proxy", "server"),
        },
        astray={
            "rule": {
                "age limit": "page 1 lived for 160 s and page 2 for 60 s; no limit of age does that",
                "ping timeout": "there is no ping in all of the trace, and no Close 1011",
                "full time": "at full time the server says so, with a Close; look at the end",
            },
            "side": {
                "page": "a page has no ping to send (lesson 06), and it had nothing to say",
                "proxy": "the proxy cuts what is silent, and nobody may touch it. Who could have spoken?",
            },
        },
        culprit='{"ping_period": None}  # options of the server',
        mend=mend_silence,
        clues=(
            "Neither side says Close, and both note 1006 by network. So a third party hung up.",
            "From the last byte to the end, how long is it for page 1, and how long for page 2?",
            "After 60 s without a byte the proxy hangs up. Something has to pass before that.",
        ),
        solution="""
answer = {"frame": 2, "rule": "idle limit", "side": "server", "repair": {"ping_period": 30}}
""",
    ),
    Case(
        "15.3",
        "Always at the ball",
        task=(
            "Which frame is the first that should not be there, which rule decides ('whole message',"
            " 'each fragment', 'FIN' or 'opcode'), and whose fault is it, 'client' or 'server'?"
        ),
        evidence=always_at_the_ball,
        finding={"frame": 12, "rule": "whole message", "side": "server"},
        choices={
            "rule": ("whole message", "each fragment", "FIN", "opcode"),
            "side": ("client", "server"),
        },
        astray={
            "frame": {
                8: "frame 8 ends inside of a ⚽, and it may: a fragment may end after any byte",
                9: "frame 9 begins inside of a ⚽, and it may: a fragment may end after any byte",
            },
            "rule": {
                "each fragment": "there is no such rule: a fragment may end inside of a character (5.6)",
                "FIN": "01, 00, 00, 80: FIN stands on the last fragment alone, as it should",
                "opcode": "01 and then 00, as in the lines that came back (5.4)",
            },
            "side": {"client": "join the payloads of frames 8 to 11: they are good UTF-8"},
        },
        culprit="""
def text_of(fragments):  # the payloads of one message, as bytes
    return "".join(fragment.decode() for fragment in fragments)
""",
        mend=mend_reading,
        clues=(
            "Two lines in fragments come back. What does the third one have that they had not?",
            "⚽ has three bytes, e2 9a bd. Where do they stand in frames 8 and 9?",
            "5.6 says it: a fragment may hold a part of a character, the whole message must be UTF-8.",
        ),
        solution="""
def text_of(fragments):
    return b"".join(fragments).decode()

answer = {"frame": 12, "rule": "whole message", "side": "server", "repair": text_of}
""",
    ),
    Case(
        "15.4",
        "The heartbeat that killed the healthy",
        task=(
            "Which frame is the first that should not be there, why is it ('timeout too short', 'no pong',"
            " 'wrong pong' or 'period too long'), and which side would you mend, 'client' or 'server'?"
        ),
        evidence=killed_in_the_train,
        finding={"frame": 15, "rule": "timeout too short", "side": "server"},
        choices={
            "rule": ("timeout too short", "no pong", "wrong pong", "period too long"),
            "side": ("client", "server"),
        },
        astray={
            "frame": {
                16: "frame 16 is a pong, and it is the best that this phone can do: look at what came before",
                13: "frame 13 is a ping, and a server may send one at any time (5.5.2)",
            },
            "rule": {
                "no pong": "there is one: frame 16 left in the moment in which the ping arrived",
                "wrong pong": "frame 16 carries the payload of the ping in frame 13",
                "period too long": "a shorter period asks more often, and waits no longer for the answer",
            },
            "side": {"client": "the phone answers each ping in the moment in which it arrives"},
        },
        culprit="""
{"ping_period": 5, "timeout": 2}  # options of the server
# and who has really gone is to be noticed within 30 s
""",
        mend=mend_heartbeat,
        clues=(
            "For each ping compare sent and received. What happens to the way there?",
            "The ping of frame 13 was under way for 2.65 s. How long did the server wait for its pong?",
            "Frame 15 is sent 2 s behind the ping, while the link holds its breath. The phone is alive.",
        ),
        solution="""
answer = {
    "frame": 15,
    "rule": "timeout too short",
    "side": "server",
    "repair": {"ping_period": 10, "timeout": 8},
}
""",
    ),
    Case(
        "15.5",
        "The phones that never left",
        task=(
            "Which frame is the first that counts too many, why does it ('no ping', 'no finally', 'no Close'"
            " or 'wrong order'), and which side would you mend, 'client' or 'server'?"
        ),
        evidence=phones_that_never_left,
        finding={"frame": {10, 11, 12}, "rule": "no ping", "side": "server"},
        choices={
            "rule": ("no ping", "no finally", "no Close", "wrong order"),
            "side": ("client", "server"),
        },
        astray={
            "frame": {
                13: "four are too many, and three were too many before",
                5: "at 10 s Ana, Ben and Cem are there, and three are counted",
                8: "Ana has gone, with a Close, and two are counted",
            },
            "rule": {
                "no finally": "when Ana had left, the count went down: whatever counts, it works",
                "no Close": "a phone in a tunnel can say nothing, and no rule can make it",
                "wrong order": "each count was sent behind its event",
            },
            "side": {"client": "who is in a tunnel can mend nothing. Who could have noticed?"},
        },
        culprit="""
{"ping_period": None}  # options of the server
# who has gone is to be noticed within 30 s; the handler is right:

viewers[session] = name
try:
    async for frame in session.incoming:
        pass
finally:
    del viewers[session]
""",
        mend=mend_ghosts,
        clues=(
            "Look for frames that were never received. Whose are they?",
            "Ben was cut off between 15.1 s and 30.15 s. Which frame tells the server so?",
            "None does. Only a ping that stays without a pong tells, and nobody sends one.",
        ),
        solution="""
answer = {
    "frame": 10,
    "rule": "no ping",
    "side": "server",
    "repair": {"ping_period": 10, "timeout": 8},
}
""",
    ),
    Case(
        "15.6",
        "Clear at first, garbage from the second message on",
        task=(
            "Which frame is the first that is wrong, which rule does it break ('context', 'RSV1', 'UTF-8' or"
            " 'window'), and whose is it, 'client' or 'server'?"
        ),
        evidence=clear_at_first,
        finding={"frame": 1, "rule": "context", "side": "server"},
        choices={"rule": ("context", "RSV1", "UTF-8", "window"), "side": ("client", "server")},
        astray={
            "frame": {
                2: "frame 2 says that frame 1 could not be inflated, and that is true",
                0: "frame 0 was read well",
            },
            "rule": {
                "RSV1": "frames 0 and 1 are compressed, and both have RSV1: c1",
                "UTF-8": "nobody came so far: the payload could not be inflated",
                "window": "no head speaks of window bits, so 32 KiB are allowed: two scores are far shorter",
            },
            "side": {"client": "the client forgets message 0, as the heads have agreed"},
        },
        culprit="""
import zlib

compressor = zlib.compressobj(wbits=-15)

def compress(message):  # of the server
    return (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
""",
        mend=mend_compression,
        clues=(
            "Read both heads: what was agreed about the server's context?",
            "server_no_context_takeover: each message by itself. Compare the sizes of frames 0 and 1.",
            "13 bytes are enough only if frame 1 looks back to message 0, and the client has forgotten that.",
        ),
        solution="""
import zlib

def compress(message):
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]

answer = {"frame": 1, "rule": "context", "side": "server", "repair": compress}
""",
    ),
    Case(
        "15.7",
        "Refused only in production",
        task=(
            "Two refusals, on Monday and on Tuesday. For each: which header is to blame ('Host', 'Upgrade',"
            " 'Origin' or 'Sec-WebSocket-Key'), which rule decides ('hop by hop', 'version', 'origin' or"
            " 'key'), and whose is it to mend, 'page', 'proxy' or 'server'?"
        ),
        evidence=refused_in_production,
        finding={
            "header": ("Upgrade", "Origin"),
            "rule": ("hop by hop", "origin"),
            "side": ("proxy", "server"),
        },
        choices={
            "header": ("Host", "Upgrade", "Origin", "Sec-WebSocket-Key"),
            "rule": ("hop by hop", "version", "origin", "key"),
            "side": ("page", "proxy", "server"),
        },
        astray={
            "header": {
                "Host": "the server takes any Host, as long as there is one",
                "Sec-WebSocket-Key": "the key stands in both requests, and is the same",
            },
            "rule": {
                "version": "such a 426 would say Sec-WebSocket-Version: 13; this one says Upgrade: websocket",
                "key": "a wrong key is answered with 400",
            },
            "side 1": {
                "page": "outside, the request is complete",
                "server": "a request without Upgrade is no handshake; where was it lost?",
            },
            "side 2": {
                "page": "a browser writes Origin, and the page is where it is",
                "proxy": "outside and inside, the request is the same now",
            },
        },
        culprit="""
HOP_BY_HOP = {"connection", "upgrade", "keep-alive", "te", "trailer", "transfer-encoding"}

def handed_on(headers):  # of the proxy: a dictionary in, and one out
    return {name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP}

origins = ["https://lab.example", "https://stadium.example"]  # of the server

# the repair is (handed_on, origins)
""",
        mend=mend_production,
        clues=(
            "Put the two heads of Monday beside each other, outside and inside. What is missing inside?",
            "Compare Tuesday's Origin with those that the server lets in, to its last character.",
            "A proxy keeps Upgrade for itself unless told otherwise, and :8443 belongs to an origin.",
        ),
        solution="""
HOP_BY_HOP = {"connection", "upgrade", "keep-alive", "te", "trailer", "transfer-encoding"}

def handed_on(headers):
    kept = {name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP}
    if "Upgrade" in headers:
        kept |= {"Connection": "Upgrade", "Upgrade": headers["Upgrade"]}
    return kept

answer = {
    "header": ("Upgrade", "Origin"),
    "rule": ("hop by hop", "origin"),
    "side": ("proxy", "server"),
    "repair": (handed_on, ["https://lab.example", "https://stadium.example:8443"]),
}
""",
    ),
    Case(
        "15.8",
        "The server says 4001, the page says 1005, the log says 1000",
        task=(
            "Which frame is the first Close that has lost the code, which frame does the log's 1000 speak of,"
            " which rule explains it ('two legs', 'echo', 'no 1005' or 'lost Close'), and which side would"
            " you mend, 'page', 'proxy' or 'server'?"
        ),
        evidence=three_stories_of_one_end,
        finding={"frame": 4, "log": 5, "rule": "two legs", "side": "proxy"},
        choices={
            "rule": ("two legs", "echo", "no 1005", "lost Close"),
            "side": ("page", "proxy", "server"),
        },
        astray={
            "frame": {
                3: "frame 3 is the proxy's echo, with the code, as it should be",
                5: "frame 5 answers a Close without a code, and can have none",
            },
            "log": {
                2: "frame 2 says 4001, and the log stands on the page's leg",
                3: "frame 3 says 4001, and the log stands on the page's leg",
                4: "the proxy has sent frame 4 itself; its log says what it heard",
            },
            "rule": {
                "echo": "each Close is echoed, on its own leg (5.5.1)",
                "no 1005": "1005 is on no wire here: the page was told it for a Close without a code",
                "lost Close": "all four Closes arrived",
            },
            "side": {
                "page": "the page was told what came: a Close without a code",
                "server": "the server said 4001, and heard it back",
            },
        },
        culprit="""
from wslearn import Close

def ending(reason):  # of the proxy: how one leg ended goes in, the Close for the other comes out
    return Close()
""",
        mend=mend_ending,
        clues=(
            "There are two connections, and each is closed by itself. Follow the 4001.",
            "88 00 has no payload. What does a page note for that, and what does a careless log?",
            "Frame 4 has no code, and frame 5 answers it. 1005 and 1000 are made up, for the same nothing.",
        ),
        solution="""
from wslearn import Close

def ending(reason):
    if reason.code in (1005, 1006):
        return Close()
    return Close(reason)

answer = {"frame": 4, "log": 5, "rule": "two legs", "side": "proxy", "repair": ending}
""",
    ),
]
