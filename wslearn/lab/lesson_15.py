"""Lesson 15: what is to be found in eight broken conversations, and when a repair is one.

The conversations themselves are scenes of their own; each repair is played in the scene that went wrong.
"""

from __future__ import annotations

from typing import Any

from wslearn.lab.answers import told
from wslearn.lab.case_scenes import (
    LINES,
    SAID,
    Echoes,
    always_at_the_ball,
    chat_with,
    gone_after_a_minute,
    lines_with,
    quiet_match,
    short_and_long_lines,
    texts_in,
)
from wslearn.lab.cases import Case
from wslearn.lab.exercises import Verdict, almost, not_yet, right

MOST_PINGS = 50


def _echoed(echoes: Echoes, lines: tuple[str, ...]) -> Verdict:
    """Judge a scene in which each line should have come back."""
    back = texts_in(echoes.back)
    for number, line in enumerate(lines):
        if number >= len(back) or back[number] != line:
            size = f"{len(line.encode())} bytes"
            return not_yet(
                f"played with your repair, line {number + 1}, {size}, does not come back as it was"
                f"; what came: {told(echoes.back)}"
            )
    return right(f"played with your repair, all {len(lines)} lines come back")


def mend_header(header: Any) -> Verdict:
    if not callable(header):
        return not_yet(f"a function is needed, this is {header!r}")
    return _echoed(lines_with(header), LINES)


def mend_silence(options: Any) -> Verdict:
    """Play the quiet match with these options of the server."""
    if not isinstance(options, dict):
        return not_yet(f'options of the server are needed, as {{"timeout": 15}}; this is {options!r}')
    watched = quiet_match(**{"ping_period": None, **options})
    if watched.ends:
        return not_yet(f"played with your repair, the page is gone at {watched.ends[0]:.0f} s")
    pings = sum(each.kind == "Ping" and each.session == 1 for each in watched.trace.frames)
    stays = f"played with your repair, the page stays for all of the match, for {pings} pings"
    if pings > MOST_PINGS:
        return almost(f"{stays}; a phone wakes up for each: with at most {MOST_PINGS}")
    return right(stays)


def mend_reading(text_of: Any) -> Verdict:
    if not callable(text_of):
        return not_yet(f"a function is needed, this is {text_of!r}")
    return _echoed(chat_with(text_of), SAID)


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
]
