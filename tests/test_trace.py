"""The trace: chunks kept as they passed, frames whatever the chunks, bounds, secrets, prints, files."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import NamedTuple, get_args
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wslearn.codec import encode, read_header, wrap
from wslearn.extensions import Deflater
from wslearn.frames import Binary, Close, CloseCode, CloseReason, Frame, Ping, Pong, Text
from wslearn.trace import Dropped, Handshake, Sender, Trace, WireTrace, _are_whole, _is_whole, redact

KEY = bytes.fromhex("37fa213d")
HELLO = bytes.fromhex("818537fa213d7f9f4d5158")
REQUEST = b"GET /echo HTTP/1.1\r\nHost: server\r\n\r\n"
RESPONSE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


def continuation(data: bytes, fin: bool = True) -> Frame:
    frame = Binary(data, fin)
    frame.opcode = 0
    return frame


def recorded(*chunks: bytes, max_bytes: int = 2**20, sender: Sender = "client") -> Trace:
    """Return the trace of one session in which a chunk passed each second."""
    trace = Trace(max_bytes)
    trace.begin(0.0)
    for time, data in enumerate(chunks):
        trace.record(time, 1, sender, data)
    return trace


def cut(data: bytes, borders: Iterable[int]) -> list[bytes]:
    """Cut bytes into chunks at the borders."""
    at = sorted({0, len(data), *(border % (len(data) + 1) for border in borders)})
    return [data[begin:end] for begin, end in pairwise(at)]


def conversation() -> Trace:
    """Return a trace in which there is one of nearly everything."""
    trace = Trace()
    trace.begin(100.0)
    session = trace.number()
    trace.record_head(session, "client", [(100.0, REQUEST)], len(REQUEST))
    welcome = RESPONSE + encode(Text("Please enter your name"))
    trace.record_head(session, "server", [(100.25, welcome)], len(RESPONSE))
    trace.event(100.25, session, "opened", "/echo")
    trace.record(100.5, session, "client", HELLO + encode(Ping(b"\x00"), KEY))
    trace.record(100.75, session, "server", encode(Binary(bytes(range(30)))))
    trace.event(101.0, None, "option changed", "timeout: 15 → 1")
    trace.record(101.0, session, "client", encode(Close(CloseReason(1000, "bye")), KEY))
    trace.event(101.5, session, "closed", "1000")
    return trace


def test_a_chunk_is_kept_by_reference_with_its_time_since_the_beginning() -> None:
    trace = Trace()
    trace.begin(100.0)
    trace.begin(200.0)
    trace.record(100.5, 1, "client", HELLO)
    (chunk,) = trace.chunks
    assert chunk == (0.5, 1, "client", HELLO)
    assert chunk.data is HELLO


def test_the_first_chunk_is_the_zero_where_nobody_said_one() -> None:
    trace = Trace()
    trace.record(100.0, 1, "client", HELLO)
    assert trace.chunks[0].time == 0


def test_sessions_are_numbered_from_1() -> None:
    trace = Trace()
    assert [trace.number(), trace.number()] == [1, 2]


def test_chunks_stand_in_the_order_of_time_and_heads_in_their_place() -> None:
    trace = Trace()
    trace.record(1.0, 1, "client", HELLO)
    trace.record_head(2, "client", [(0.5, REQUEST[:9]), (1.0, REQUEST[9:])], len(REQUEST))
    trace.record(1.0, 1, "server", HELLO)
    assert [(chunk.time, chunk.session, chunk.sender) for chunk in trace.chunks] == [
        (0.0, 2, "client"),
        (0.5, 1, "client"),
        (0.5, 2, "client"),
        (0.5, 1, "server"),
    ]


def test_a_frame_is_unmasked_and_has_the_time_of_the_chunk_that_completed_it() -> None:
    trace = recorded(HELLO[:3], HELLO[3:10], HELLO[10:])
    (frame,) = trace.frames
    assert frame == (2.0, 1, "client", HELLO, Text("Hello"), None, None)
    assert frame.opcode == 1


def test_directions_and_sessions_are_cut_apart_from_each_other() -> None:
    trace = Trace()
    for at in range(len(HELLO)):
        for session in (1, 2):
            trace.record(at, session, "client", HELLO[at : at + 1])
            trace.record(at, session, "server", HELLO[at : at + 1])
    assert [(frame.session, frame.sender) for frame in trace.frames] == [
        (1, "client"),
        (1, "server"),
        (2, "client"),
        (2, "server"),
    ]


def test_a_continuation_has_the_class_of_its_message_and_the_opcode_0() -> None:
    text = [Text("a", fin=False), Ping(b"p"), continuation(b"b", fin=False), continuation(b"c")]
    trace = recorded(b"".join(encode(frame, KEY) for frame in [*text, Binary(b"d")]))
    assert [type(frame.frame) for frame in trace.frames] == [Text, Ping, Text, Text, Binary]
    assert [frame.opcode for frame in trace.frames] == [1, 9, 0, 0, 2]
    assert [frame.kind for frame in trace.frames] == [
        "Text, first fragment",
        "Ping",
        "Text, fragment",
        "Text, last fragment",
        "Binary",
    ]


@pytest.mark.parametrize(
    ("wire", "kind", "frame"),
    [
        (b"\x83\x01a", "opcode 3", None),
        (b"\x80\x01a", "Continuation, last fragment", None),
        (b"\x09\x00", "Ping, FIN 0", Ping(fin=False)),
        (b"\xf1\x00", "Text, RSV1, RSV2, RSV3", Text(rsv1=True, rsv2=True, rsv3=True)),
        (b"\x88\x01a", "Close", Close(b"a")),
        (b"\x81\x01\xff", "Text", Text(b"\xff")),
        (b"\x82\x7f" + bytes(7) + b"\x01a", "Binary", Binary(b"a")),
    ],
)
def test_a_malformed_frame_is_shown(wire: bytes, kind: str, frame: Frame | None) -> None:
    (found,) = recorded(wire).frames
    assert (found.wire, found.kind, found.frame) == (wire, kind, frame)


def test_a_ping_that_is_too_long_is_shown() -> None:
    (found,) = recorded(b"\x89\x7e\x00\x7e" + bytes(126)).frames
    assert isinstance(found.frame, Ping)
    assert len(found.frame.data) == 126


def test_bytes_that_are_no_whole_frame_are_unfinished() -> None:
    trace = recorded(HELLO + b"\x82\x7f" + b"\xff" * 8, b"abc")
    assert trace.unfinished == [(1.0, 1, "client", b"\x82\x7f" + b"\xff" * 8 + b"abc")]
    assert len(trace.frames) == 1


frames = st.one_of(
    st.builds(Text, st.text(max_size=300), fin=st.booleans()),
    st.builds(Binary, st.binary(max_size=140), fin=st.booleans()),
    st.builds(continuation, st.binary(max_size=10), fin=st.booleans()),
    st.builds(Ping, st.binary(max_size=125)),
    st.builds(Pong),
    st.builds(Close, st.sampled_from([None, CloseReason(1000, "bye")])),
)
wires = st.lists(st.tuples(frames, st.sampled_from([None, KEY])).map(lambda sent: encode(*sent)), max_size=12)
borders = st.lists(st.integers(min_value=0), max_size=30)


@given(wires, borders)
def test_frames_do_not_depend_on_the_borders_of_chunks(sent: list[bytes], at: list[int]) -> None:
    whole = recorded(b"".join(sent))
    pieces = recorded(*cut(b"".join(sent), at))
    assert [frame.wire for frame in pieces.frames] == sent
    assert [frame.frame for frame in pieces.frames] == [frame.frame for frame in whole.frames]


@settings(max_examples=30)
@given(wires, borders)
def test_a_reader_who_comes_back_sees_what_a_new_one_sees(sent: list[bytes], at: list[int]) -> None:
    trace, chunks = Trace(max_bytes=700), cut(b"".join(sent), at)
    for time, chunk in enumerate(chunks):
        trace.record(time, 1, "client", chunk)
        assert trace.frames == recorded(*chunks[: time + 1], max_bytes=700).frames


def test_a_frame_is_not_shown_to_a_reader_who_saw_it_begin_in_a_chunk_that_has_gone() -> None:
    trace = Trace(max_bytes=400)
    for time, chunk in enumerate([b"\x81\x67" + b"a" * 100, b"b", b"c", b"d"]):
        trace.record(time, 1, "client", chunk)
        assert trace.frames == []
    assert trace.dropped.chunks == 1


@given(wires, borders, st.integers(min_value=1, max_value=5))
def test_who_follows_a_trace_sees_each_frame_once(sent: list[bytes], at: list[int], pause: int) -> None:
    trace, seen, place = Trace(), [], 0
    for time, chunk in enumerate(cut(b"".join(sent), at)):
        trace.record(time, 1, "client", chunk)
        if time % pause == 0:
            new, place = trace.frames_from(place)
            seen += new
    new, place = trace.frames_from(place)
    assert [*seen, *new] == trace.frames
    assert trace.frames_from(place) == ([], place)


def test_who_follows_a_trace_too_slowly_misses_what_has_gone() -> None:
    trace = Trace(max_bytes=600)
    _, place = trace.frames_from(0)
    for time in range(40):
        trace.record(time, 1, "client", HELLO)
    assert trace.frames_from(place)[0] == trace.frames


@given(wires, borders, st.integers(min_value=200, max_value=2000))
def test_a_full_trace_knows_where_the_frames_of_its_chunks_begin(
    sent: list[bytes], at: list[int], max_bytes: int
) -> None:
    chunks = [chunk for chunk in cut(b"".join(sent), at) if chunk]
    trace = recorded(*chunks, max_bytes=max_bytes)
    if any(len(chunk) + 128 > max_bytes for chunk in chunks):
        return
    gone = len(b"".join(sent)) - sum(len(chunk.data) for chunk in trace.chunks)
    whole = recorded(*chunks).frames
    starts = [len(b"".join(sent[:n])) for n in range(len(sent))]
    kept = [frame for frame, start in zip(whole, starts, strict=True) if start >= gone]
    assert [frame.wire for frame in trace.frames] == [frame.wire for frame in kept]
    assert [type(frame.frame) for frame in trace.frames] == [type(frame.frame) for frame in kept]
    assert trace.dropped == (len(chunks) - len(trace.chunks), gone, 0, 0)


@given(wires, borders, st.integers(min_value=1, max_value=3000))
def test_a_trace_is_never_larger_than_its_bound_and_nearly_full(
    sent: list[bytes], at: list[int], max_bytes: int
) -> None:
    trace, chunks = Trace(max_bytes), cut(b"".join(sent), at)
    for time, chunk in enumerate(chunks):
        trace.record(time, 1, "client", chunk)
        kept = sum(len(chunk.data) + 128 for chunk in trace.chunks)
        assert kept <= max_bytes
    dropped = trace.dropped.chunks
    assert dropped == 0 or kept + max(map(len, chunks)) + 2 * 128 > max_bytes


def test_exactly_max_bytes_are_kept_and_one_byte_more_lets_the_oldest_go() -> None:
    chunks = [b"\x81\x01a", b"\x81\x01b", b"\x81\x01c"]
    assert [chunk.data for chunk in recorded(*chunks, max_bytes=3 * 131).chunks] == chunks
    fewer = recorded(*chunks, max_bytes=3 * 131 - 1)
    assert [chunk.data for chunk in fewer.chunks] == chunks[1:]
    assert fewer.dropped == Dropped(chunks=1, bytes=3)


def test_a_chunk_larger_than_the_trace_is_counted_and_the_others_stay() -> None:
    large = encode(Binary(bytes(1000)))
    trace = recorded(HELLO + large[:7], large[7:] + HELLO[:4], HELLO[4:] + HELLO, max_bytes=600)
    assert [chunk.time for chunk in trace.chunks] == [0.0, 2.0]
    assert [frame.time for frame in trace.frames] == [0.0, 2.0]
    assert trace.dropped == Dropped(chunks=1, bytes=len(large) - 7 + 4)


@given(max_bytes=st.integers(1, 100_000), sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=120))
def test_what_is_kept_is_the_newest_that_fits_but_for_one_block(max_bytes: int, sizes: list[int]) -> None:
    trace, all_chunks = Trace(max_bytes), []
    for time, size in enumerate(sizes):
        trace.record(time, 1, "client", bytes(size))
        trace.event(time, 1, "recorded")
        if size + 128 <= max_bytes:
            all_chunks.append((float(time), size))
        kept = [(chunk.time, len(chunk.data)) for chunk in trace.chunks]
        assert kept == all_chunks[len(all_chunks) - len(kept) :]
        room = max_bytes - sum(size + 128 for _, size in kept)
        assert room >= 0
        if len(kept) < len(all_chunks):
            # a block holds one chunk, or no more than its part; marks of chunks that never fit cost, too
            block = max(all_chunks[-len(kept) - 1][1] + 128, max_bytes // 16)
            marks = 128 * sum(size + 128 > max_bytes for size in sizes[: time + 1])
            assert room < 2 * block + marks
    assert [event.time for event in trace.events] == [*map(float, range(len(sizes)))]


def test_frames_behind_a_gap_stay_right_when_the_gap_goes() -> None:
    trace = Trace(max_bytes=600)
    trace.record(0, 1, "client", bytes.fromhex("017e03e8") + bytes(700))
    for time in range(1, 7):
        trace.record(time, 1, "client", bytes(50))
    trace.record(7, 1, "client", encode(continuation(b"b")))
    assert [frame.kind for frame in trace.frames] == ["Text, last fragment"]


sizes_of_frames = st.sampled_from([0, 1, 124, 125, 126, 127, 129, 131, 300, 65535, 65536])
frames_of_sizes = st.builds(
    lambda size, key: encode(Binary(bytes(size)), key), sizes_of_frames, st.sampled_from([None, b"mask"])
)
cut_frames = st.builds(lambda wire, at: wire[at:] or wire[:-1], frames_of_sizes, st.integers(0, 5))


@given(st.lists(frames_of_sizes | cut_frames | st.binary(max_size=140), min_size=1, max_size=5))
def test_chunks_are_whole_frames_all_at_once_only_if_each_is(chunks: list[bytes]) -> None:
    assert not _are_whole(chunks, [*map(len, chunks)]) or all(map(_is_whole, chunks))


@pytest.mark.parametrize("payloads", [(0, 125), (128, 65535)])
@pytest.mark.parametrize("key", [None, b"mask"])
def test_chunks_that_are_all_short_or_all_long_are_looked_at_at_once(
    payloads: tuple[int, ...], key: bytes | None
) -> None:
    chunks = [encode(Binary(bytes(size)), key) for size in payloads]
    sizes = [*map(len, chunks)]
    assert _are_whole(chunks, sizes)
    assert not _are_whole([chunks[0], chunks[1][:-1]], [sizes[0], sizes[1] - 1])
    assert not _are_whole([chunks[0], b"\x01" + chunks[1][1:]], sizes)


class TraceThatLooksAtEachChunk(Trace):
    def _let_whole_go(self, *columns: object) -> bool:
        return False


def play(trace: Trace, scripts: list[tuple[str, list[bytes]]], rounds: int) -> Trace:
    """Let sessions begin as their scripts say, and all of them send chunks in turn, some rounds long."""
    for now in range(rounds):
        sessions = [(trace.number(), *script) for script in scripts]
        for session, opening, _ in sessions:
            behind = HELLO if opening == "frame behind" else b""
            chunks = [(now, chunk) for chunk in cut(REQUEST + behind, [9] if opening == "cut" else [])]
            trace.record_head(session, "client", chunks, None if opening == "no head" else len(REQUEST))
            answer = b"HTTP/1.1 404 Not Found\r\n\r\n" if opening in ("no head", "refused") else RESPONSE
            body = b"no path" if opening == "refused" else b""
            trace.record_head(session, "server", [(now, answer + body)], len(answer))
        for at in range(max(len(chunks) for *_, chunks in sessions)):
            for session, _, chunks in sessions:
                for chunk in chunks[at : at + 1]:
                    trace.record(now, session, "client", chunk)
        for session, *_ in sessions:
            trace.end(session)
    return trace


refusals = st.tuples(st.sampled_from(["no head", "refused"]), st.just([]))
openings = st.sampled_from(["whole", "whole", "cut", "frame behind"])
scripts = st.lists(
    refusals
    | st.tuples(openings, wires | st.builds(lambda wires, at: cut(b"".join(wires), at), wires, borders)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=50)
@given(scripts, st.integers(1, 9), st.integers(200, 8000))
def test_what_goes_at_once_leaves_the_same_trace_as_what_goes_chunk_by_chunk(
    scripts: list[tuple[str, list[bytes]]], rounds: int, max_bytes: int
) -> None:
    trace = play(Trace(max_bytes), scripts, rounds)
    other = play(TraceThatLooksAtEachChunk(max_bytes), scripts, rounds)
    (first, *lines), (other_first, *other_lines) = trace._lines(), other._lines()
    assert sorted(first.pop("starts")) == sorted(other_first.pop("starts"))
    assert (first, lines) == (other_first, other_lines)
    assert trace.frames == other.frames


@settings(max_examples=50)
@given(scripts, st.integers(1, 9), st.integers(200, 8000))
def test_a_trace_that_forgets_ended_sessions_shows_the_same(
    scripts: list[tuple[str, list[bytes]]], rounds: int, max_bytes: int
) -> None:
    forgetful = Trace(max_bytes)
    forgetful._forget_at = 5
    trace = play(Trace(max_bytes), scripts, rounds)
    assert repr(play(forgetful, scripts, rounds)) == repr(trace)
    assert (forgetful.frames, forgetful.chunks) == (trace.frames, trace.chunks)
    assert (forgetful.dropped, forgetful.handshakes) == (trace.dropped, trace.handshakes)


# ── compression ──────────────────────────────────────────────────────────────────────────────────────

# RFC 7692, sections 7.2.3.1 and 7.2.3.2
DEFLATED = bytes.fromhex("c107f248cdc9c90700")
AGAIN = bytes.fromhex("c105f200110000")
PARTS = bytes.fromhex("4103f248cd"), bytes.fromhex("8004c9c90700")


def deflated(*chunks: bytes, answer: str = "permessage-deflate", max_bytes: int = 2**20) -> Trace:
    """Return the trace of a session that agreed on compression, in which the server sent chunks."""
    trace = Trace(max_bytes)
    response = RESPONSE[:-2] + f"Sec-WebSocket-Extensions: {answer}\r\n\r\n".encode()
    trace.record_head(trace.number(), "client", [(0.0, REQUEST)], len(REQUEST))
    trace.record_head(1, "server", [(0.0, response)], len(response))
    for time, data in enumerate(chunks, 1):
        trace.record(time, 1, "server", data)
    return trace


def compressed(data: bytes) -> bytes:
    """Return the frame of a message that looks back to nothing."""
    return encode(Binary(Deflater(15, False, -1).deflate(data, True), rsv1=True))


def inflated(trace: Trace) -> list[bytes | None]:
    return [frame.inflated for frame in trace.frames]


def test_a_compressed_frame_has_both_forms() -> None:
    trace = deflated(DEFLATED, AGAIN, encode(Text("plain")), encode(Ping(b"p")))
    assert inflated(trace) == [b"Hello", b"Hello", None, None]
    assert trace.frames[0].frame == Text(DEFLATED[2:], rsv1=True)
    assert "Text, RSV1      9  'Hello'" in repr(trace)
    assert repr(trace.frames[1]).endswith("rsv1=True), inflated 'Hello')")


def test_both_directions_inflate_by_their_own_terms() -> None:
    trace = deflated(DEFLATED, AGAIN, answer="permessage-deflate; client_no_context_takeover")
    for data in (DEFLATED, AGAIN, DEFLATED):
        trace.record(9, 1, "client", data)
    assert inflated(trace) == [b"Hello", b"Hello", b"Hello", None, b"Hello"]


def test_each_fragment_inflates_to_what_it_tells() -> None:
    trace = deflated(PARTS[0] + encode(Ping(b"p")), PARTS[1] + AGAIN)
    assert inflated(trace) == [b"He", None, b"llo", b"Hello"]


@pytest.mark.parametrize("answer", ["", "x", "permessage-deflate; server_max_window_bits=99", "a;"])
def test_without_an_agreement_nothing_inflates(answer: str) -> None:
    assert inflated(deflated(DEFLATED, answer=answer)) == [None]


def test_payload_that_is_no_deflate_and_all_behind_it_is_unknown() -> None:
    trace = deflated(DEFLATED, bytes.fromhex("c10107"), AGAIN, encode(Text("plain")))
    assert inflated(trace) == [b"Hello", None, None, None]


def test_context_goes_with_the_first_compressed_frame_that_goes(tmp_path: Path) -> None:
    room = len(DEFLATED) + len(AGAIN) + 2 * 128
    trace = deflated(encode(Text("x" * 4)), DEFLATED, AGAIN, max_bytes=room)
    assert inflated(trace) == [b"Hello", b"Hello"]
    trace.save(tmp_path / "full")
    assert inflated(Trace.load(tmp_path / "full")) == [b"Hello", b"Hello"]
    trace.record(9, 1, "server", AGAIN)
    trace.save(tmp_path / "gone")
    assert inflated(Trace.load(tmp_path / "gone")) == [None, None]


def test_without_takeover_only_the_message_that_is_cut_is_lost() -> None:
    terms = "permessage-deflate; server_no_context_takeover"
    room = len(PARTS[1] + DEFLATED) + 2 * 128
    trace = deflated(*PARTS, DEFLATED, answer=terms, max_bytes=room)
    assert inflated(trace) == [None, b"Hello"]


def test_what_frames_inflate_to_is_bounded_and_the_oldest_is_forgotten_first() -> None:
    trace = deflated(*[compressed(b"x" * 1000)] * 20, max_bytes=10_000)
    assert [payload is not None for payload in inflated(trace)] == [False] * 12 + [True] * 8


def test_a_bomb_inflates_to_nothing() -> None:
    bomb = compressed(bytes(2**24))
    tracemalloc.start()
    assert inflated(deflated(bomb, DEFLATED)) == [None, None]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**21


@pytest.mark.parametrize("max_bytes", [0, -1, True, 1.5, "8"])
def test_a_bound_that_is_no_number_of_bytes_is_refused(max_bytes: object) -> None:
    with pytest.raises((ValueError, TypeError), match=rf"max_bytes is {max_bytes!r}: "):
        Trace(max_bytes)  # type: ignore[arg-type]


def test_a_head_goes_with_the_oldest_chunks_and_its_handshake_stays() -> None:
    trace = Trace(max_bytes=600)
    trace.record_head(1, "client", [(0.0, REQUEST[:9]), (1.0, REQUEST[9:] + HELLO[:4])], len(REQUEST))
    for time in range(2, 6):
        trace.record(time, 1, "client", HELLO[4:] + HELLO[:4])
    assert [chunk.time for chunk in trace.chunks] == [2.0, 3.0, 4.0, 5.0]
    assert [frame.time for frame in trace.frames] == [3.0, 4.0, 5.0]
    assert trace.handshakes[0].request == REQUEST
    assert trace.dropped == Dropped(chunks=2, bytes=len(REQUEST) + 4)


def test_ended_sessions_leave_nothing_behind() -> None:
    trace = Trace(max_bytes=1000)
    for session in range(5000):
        trace.record(session, session, "client", HELLO)
        trace.end(session)
    assert len(trace._starts) < 3000
    assert len(trace._ended) < 3000


def test_what_arrives_after_close_reason_is_known_is_no_new_beginning() -> None:
    trace = Trace(max_bytes=1000)
    trace._forget_at = 1
    big = encode(Binary(HELLO * 100))
    trace.record(0.0, 1, "client", big[:48])
    trace.event(0.5, 1, "closed", "1009")
    for time in range(1, 20):
        trace.record(time, 2, "server", HELLO)
    trace.record(20.0, 1, "client", big[48:81])
    assert not [frame for frame in trace.frames if frame.session == 1]


def test_events_stand_in_the_order_of_time_and_the_oldest_go() -> None:
    trace = Trace()
    for time in range(5000):
        trace.event(float(time), None, "option changed", str(time))
    assert [event.time for event in trace.events] == [float(time) for time in range(904, 5000)]
    assert trace.dropped == Dropped(events=904)


def test_a_handshake_has_both_heads() -> None:
    assert conversation().handshakes == [Handshake(0.0, 1, REQUEST, RESPONSE, len(REQUEST), len(RESPONSE))]


def test_bytes_behind_a_head_are_of_the_same_chunk_and_are_frames() -> None:
    trace = conversation()
    assert trace.chunks[1].data == RESPONSE + encode(Text("Please enter your name"))
    assert trace.frames[0].frame == Text("Please enter your name")


def test_of_a_head_that_never_completed_only_the_length_is_kept() -> None:
    trace = Trace()
    trace.record_head(1, "client", [(0.0, b"GET / HTTP/1.1\r\nCook"), (1.0, b"ie: secret")], None)
    assert trace.chunks == []
    assert trace.handshakes == [Handshake(1.0, 1, b"", b"", 30, 0)]
    assert [line.split("  ")[-1] for line in repr(trace).splitlines()[2:]] == [
        "not kept: incomplete, or not HTTP"
    ]


def test_the_body_of_a_refusal_is_no_frame() -> None:
    trace = Trace()
    refusal = b"HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\n"
    trace.record_head(1, "client", [(0.0, REQUEST)], len(REQUEST))
    trace.record_head(1, "server", [(0.5, refusal + b"no path")], len(refusal))
    assert trace.frames == []
    assert trace.chunks[1].data == refusal + b"no path"
    assert repr(trace).splitlines()[-1] == "0.5000        1  server → client  body          7  'no path'"


@pytest.mark.parametrize("at_once", [1, 7, 100])
def test_a_response_whose_request_has_gone_is_no_handshake(at_once: int, tmp_path: Path) -> None:
    trace, head = Trace(), REQUEST[:-2] + b"X: " + b"y" * 1000 + b"\r\n\r\n"
    for first in range(0, 200, at_once):
        sessions = range(first, min(first + at_once, 200))
        for session in sessions:
            trace.record_head(session, "client", [(0.0, head)], len(head))
        for session in sessions:
            trace.record_head(session, "server", [(1.0, RESPONSE)], len(RESPONSE))
    for handshake in trace.handshakes:
        assert (handshake.request, handshake.response) == (head, RESPONSE)
    assert 30 < len(trace.handshakes) < 60
    trace.save(tmp_path / "trace.jsonl")
    assert Trace.load(tmp_path / "trace.jsonl").handshakes == trace.handshakes


def test_events_may_be_recorded_by_another_thread_while_somebody_reads() -> None:
    trace = Trace()
    for _ in range(4096):
        trace.event(0.0, 1, "option changed")
    recording = Thread(target=lambda: [trace.event(1.0, 1, "option changed") for _ in range(100_000)])
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        recording.start()
        while recording.is_alive():
            assert len(trace.events) >= 4095
    finally:
        sys.setswitchinterval(interval)
        recording.join()


def test_the_oldest_handshakes_go_and_are_counted() -> None:
    trace = Trace()
    for session in range(1, 102):
        head = b"GET /%03d HTTP/1.1\r\nHost: server\r\nX: %s\r\n\r\n" % (session, bytes(600))
        trace.record_head(session, "client", [(session, head)], len(head))
    assert trace.dropped.heads == 101 - len(trace.handshakes)
    assert sum(handshake.request_length + 128 for handshake in trace.handshakes) <= 64 * 1024
    assert trace.handshakes[-1].session == 101


def test_a_handshake_that_goes_takes_its_response_along() -> None:
    trace = Trace()
    for session in range(1, 500):
        trace.record_head(session, "client", [(session, REQUEST)], len(REQUEST))
        trace.record_head(session, "server", [(session, RESPONSE)], len(RESPONSE))
        assert trace.handshakes[0].request == REQUEST
    assert trace.handshakes[-1] == Handshake(498.0, 499, REQUEST, RESPONSE, len(REQUEST), len(RESPONSE))
    assert trace.dropped.heads == 2 * (499 - len(trace.handshakes))


@pytest.mark.parametrize(
    ("line", "starred"),
    [
        (b"GET /a?token=abc&b=&c HTTP/1.1", b"GET /a?token=***&b=&c HTTP/1.1"),
        (b"GET /a?b=c=d;e=f g HTTP/1.1", b"GET /a?b=********* HTTP/1.1"),
        (b"HTTP/1.1 400 ?a=b HTTP/1.1", b"HTTP/1.1 400 ?a=b HTTP/1.1"),
        (b"GET http://ann:a@b@host/@c HTTP/1.1", b"GET http://***:***@host/@c HTTP/1.1"),
        (b"GET HTTPS://ann@host?b=c@d HTTP/1.1", b"GET HTTPS://***@host?b=*** HTTP/1.1"),
        (b"GET /http://ann:a@host HTTP/1.1", b"GET /http://ann:a@host HTTP/1.1"),
        (b"HTTP/1.1 400 http://ann:a@host", b"HTTP/1.1 400 http://ann:a@host"),
    ],
)
def test_the_secrets_of_a_target_are_starred(line: bytes, starred: bytes) -> None:
    rest = b"\r\nReferer: http://ann:a@host/?a=b HTTP/1.1\r\n\r\n"
    assert redact(line + rest) == starred + rest


@pytest.mark.parametrize(
    ("lines", "starred"),
    [
        (b"cOOkie: a=b; c=d ", b"cOOkie: ******** "),
        (b"Cookie:a\r\n\tb c\r\nX: d", b"Cookie:*\r\n\t***\r\nX: d"),
        (b"Set-Cookie: a\r\nSet-Cookie: b", b"Set-Cookie: *\r\nSet-Cookie: *"),
        (b"Authorization: Basic YQ==", b"Authorization: **********"),
        (b"proxy-authorization : a", b"proxy-authorization : *"),
        (b"Cookie:", b"Cookie:"),
        (b"X-Cookie: a\r\nCookies: b", b"X-Cookie: a\r\nCookies: b"),
    ],
)
def test_secrets_in_headers_are_starred_in_equal_length(lines: bytes, starred: bytes) -> None:
    assert (
        redact(b"GET / HTTP/1.1\r\n" + lines + b"\r\n\r\n") == b"GET / HTTP/1.1\r\n" + starred + b"\r\n\r\n"
    )


@given(borders)
def test_secrets_are_starred_across_chunks(at: list[int]) -> None:
    head = b"GET /?key=secret HTTP/1.1\r\nCookie: secret\r\n secret\r\nauthorization: secret\r\n\r\n"
    chunks = cut(head + HELLO, at)
    trace = Trace()
    trace.record_head(1, "client", [(time, data) for time, data in enumerate(chunks)], len(head))
    assert [len(chunk.data) for chunk in trace.chunks] == [len(chunk) for chunk in chunks]
    assert b"".join(chunk.data for chunk in trace.chunks) == head.replace(b"secret", b"******") + HELLO
    assert b"secret" not in trace.handshakes[0].request
    assert [frame.frame for frame in trace.frames] == [Text("Hello")]


def test_an_empty_trace_prints_a_line() -> None:
    assert repr(Trace()) == "Trace: nothing has passed yet"
    assert Trace()._repr_html_() == (
        '<table><caption style="text-align:left">Trace: nothing has passed yet</caption></table>'
    )


def test_a_trace_prints_as_a_table() -> None:
    assert repr(conversation()).splitlines() == [
        "Trace: 1 session, 5 frames, 177 bytes",
        "time/s  session  direction        what            bytes  payload",
        "0.0000        1  client → server  request            36  GET /echo HTTP/1.1",
        "0.2500        1  server → client  response           56  HTTP/1.1 101 Switching Protocols",
        "0.2500        1  server → client  Text               24  'Please enter your name'",
        "0.2500        1                   opened                 /echo",
        "0.5000        1  client → server  Text               11  'Hello'",
        "0.5000        1  client → server  Ping                7  00",
        "0.7500        1  server → client  Binary             32  00 01 02 03 04 05 06 07 08 09"
        " 0a 0b 0c 0d 0e 0f 10 11 12 13 … 30 bytes",
        "1.0000                            option changed         timeout: 15 → 1",
        "1.0000        1  client → server  Close              11  1000 normal closure 'bye'",
        "1.5000        1                   closed                 1000",
    ]


@pytest.mark.parametrize(
    ("wire", "payload"),
    [
        (encode(Text("é" * 61)), f"'{'é' * 60}' … 61 characters"),
        (encode(Text("a\n\u202eb")), r"'a\n\u202eb'"),
        (encode(Text("é".encode()[:1], fin=False)), "'�'"),
        (encode(Text("compressed", rsv1=True)), "63 6f 6d 70 72 65 73 73 65 64"),
        (encode(Ping(b"[ping 00 ping]")), "'[ping 00 ping]'"),
        (encode(Close()), "no code"),
        (encode(Close(b"a")), "61"),
        (encode(Close(CloseReason(4001))), "4001"),
        (encode(Close(CloseReason(CloseCode.GOING_AWAY))), "1001 going away"),
        (b"\x83\x81\x37\xfa\x21\x3d\x56", "61"),
        (b"\x81\x05a", "of 7 bytes: 81 05 61"),
        (b"\x81", "of a header: 81"),
    ],
)
def test_a_payload_prints_as_people_read_it(wire: bytes, payload: str) -> None:
    assert repr(recorded(wire)).endswith(f"  {payload}")


def test_what_came_over_the_wire_stays_on_its_line() -> None:
    trace = Trace()
    trace.event(0.0, 1, "opened", "/a\nb\x1b[0m")
    assert repr(trace).splitlines()[2:] == [r"0.0000        1             opened         '/a\nb\x1b[0m'"]
    assert repr(trace.events[0]) == r"Event(0.0000 s, session 1, opened: '/a\nb\x1b[0m')"


@given(
    st.lists(
        st.tuples(
            st.integers(0, 255) | st.sampled_from([0x81, 0x88]),
            st.binary(max_size=200) | st.sampled_from([b"\x03\xe8" + b"\xff" * 60, b"\x03\xe8" + b"a" * 124]),
            st.none() | st.just(KEY),
        )
    )
)
def test_frames_of_a_hostile_peer_print_too(frames) -> None:
    trace = recorded(*(wrap(*frame) for frame in frames))
    assert str(len(frames)) in repr(trace) or not frames
    assert trace._repr_html_()
    assert len([repr(frame) for frame in trace.frames]) == len(frames)


def test_a_long_table_shows_its_beginning_and_its_end() -> None:
    assert len(repr(recorded(*[HELLO] * 41)).splitlines()) == 2 + 41
    lines = repr(recorded(*[HELLO] * 42)).splitlines()
    assert len(lines) == 2 + 41
    assert lines[22].strip() == "… 2 rows between …"
    assert "<td" in recorded(*[HELLO] * 42)._repr_html_()


def test_a_full_trace_says_what_it_let_go() -> None:
    trace = recorded(HELLO, HELLO, encode(Binary(bytes(300))), max_bytes=300)
    assert repr(trace).splitlines() == [
        "Trace: 1 session, 1 frame, 11 bytes, 2 chunks of 315 bytes not kept",
        "time/s  session  direction        what      bytes  payload",
        "1.0000        1  client → server  Text         11  'Hello'",
        "2.0000        1  client → server  not kept    304  larger than max_bytes",
    ]


def test_html_is_the_same_table_and_escapes_what_came_over_the_wire() -> None:
    html = recorded(encode(Text("<script>&")))._repr_html_()
    assert html == recorded(encode(Text("<script>&")))._repr_html_()
    assert "<caption" in html
    assert '<th scope="col">time/s</th>' in html
    assert "&#x27;&lt;script&gt;&amp;&#x27;</td>" in html
    assert "<script" not in html


def test_what_a_trace_holds_prints_on_one_line() -> None:
    trace = conversation()
    assert repr(trace.chunks[2]) == (
        "Chunk(0.5000 s, session 1, client → server, 18 bytes: "
        "81 85 37 fa 21 3d 7f 9f 4d 51 58 89 81 37 fa 21 3d 37)"
    )
    assert repr(trace.events[0]) == "Event(0.2500 s, session 1, opened: /echo)"
    assert repr(trace.events[1]) == "Event(1.0000 s, option changed: timeout: 15 → 1)"
    assert (
        repr(trace.frames[1]) == "TracedFrame(0.5000 s, session 1, client → server, 11 bytes, Text('Hello'))"
    )
    assert repr(trace.handshakes[0]) == (
        "Handshake(0.0000 s, session 1, 'GET /echo HTTP/1.1', 'HTTP/1.1 101 Switching Protocols')"
    )
    assert repr(trace.dropped) == "Dropped(chunks=0, bytes=0, heads=0, events=0)"


def full_trace() -> Trace:
    return recorded(HELLO + HELLO[:5], HELLO[5:], bytes(300), HELLO, max_bytes=400)


def opened_at_once_and_long_ago() -> Trace:
    trace = Trace(max_bytes=400)
    trace.record_head(1, "client", [(0.0, REQUEST)], len(REQUEST))
    trace.record_head(1, "server", [(0.0, RESPONSE)], len(RESPONSE))
    trace.event(0.0, 1, "opened", "/echo")
    for _ in range(5):
        trace.record(0.0, 1, "client", HELLO)
    return trace


@pytest.mark.parametrize(
    "trace",
    [Trace(), conversation(), full_trace(), opened_at_once_and_long_ago()],
    ids=["empty", "whole", "full", "at once"],
)
def test_a_saved_trace_is_loaded_as_it_was(trace: Trace, tmp_path: Path) -> None:
    trace.save(tmp_path / "trace.jsonl")
    loaded = Trace.load(tmp_path / "trace.jsonl")
    assert loaded == trace
    assert repr(loaded) == repr(trace)
    assert loaded.number() == trace.number()


def test_each_line_of_a_file_is_json(tmp_path: Path) -> None:
    conversation().save(tmp_path / "trace.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    assert lines[0]["trace"] == 1
    chunk = {"time": 0.5, "session": 1, "sender": "client", "data": HELLO.hex() + "898137fa213d37"}
    assert chunk in lines


HEADER = b'{"trace": 1, "max_bytes": 1000, "sessions": 1, "dropped": {}, "starts": []}\n'


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b"", "an empty file"),
        (b"{}", "line 1: no line of a trace"),
        (b"no", "line 1: no line of a trace"),
        (b"\xff", "line 1: no line of a trace"),
        (b'{"max_bytes": 1}', "line 1: no line of a trace"),
        (HEADER + b"5", "line 2: no line of a trace"),
        (
            HEADER + b'{"time": 0.5, "session": 1, "sender": "proxy", "data": "00"}',
            "line 2: no line of a trace",
        ),
        (
            HEADER + b'{"time": 0.5, "session": 1, "sender": "client", "data": "0g"}',
            "line 2: no line of a trace",
        ),
        (
            HEADER + b'{"time": "0", "session": 1, "sender": "client", "data": "00"}',
            "line 2: no line of a trace",
        ),
    ],
)
def test_a_file_that_is_no_trace_is_refused_with_the_line(text: bytes, place: str, tmp_path: Path) -> None:
    (tmp_path / "trace.jsonl").write_bytes(text)
    with pytest.raises(ValueError, match=place):
        Trace.load(tmp_path / "trace.jsonl")


class Segment:
    """Bytes on a wire of a test."""

    def __init__(self, data: bytes, sent: float, received: float | None = None) -> None:
        self.data = data
        self.sent = sent
        self.received = received


def test_heads_that_never_end_are_loaded_beside_as_many_as_a_trace_keeps(tmp_path: Path) -> None:
    trace = WireTrace()
    for session in range(1, 500):
        trace.tap(session, "client", Segment(REQUEST, session))
        trace.tap(session + 1000, "client", Segment(REQUEST[:9], session))
    trace.save(tmp_path / "trace.jsonl")
    loaded = WireTrace.load(tmp_path / "trace.jsonl")
    assert loaded == trace
    assert repr(loaded) == repr(trace)


def test_a_wire_finds_its_heads_and_has_both_times(tmp_path: Path) -> None:
    trace = WireTrace()
    trace.begin(0.0)
    lost = Segment(HELLO, 2.0)
    trace.tap(1, "client", Segment(b"", 0.0))
    trace.tap(1, "client", Segment(b"GET /?a=secret HTTP/1.1\r\n", 0.0, 0.5))
    assert trace.handshakes == [Handshake(0.0, 1, b"", b"", 25, 0)]
    trace.tap(1, "client", Segment(b"Cookie: secret\r\n\r\n" + HELLO, 1.0, 1.5))
    trace.tap(1, "client", lost)
    assert [(chunk.time, *chunk[4:]) for chunk in trace.chunks] == [(0, 0, 0.5), (1, 1, 1.5), (2, 2, None)]
    assert [(frame.frame, frame.received) for frame in trace.frames] == [
        (Text("Hello"), 1.5),
        (Text("Hello"), None),
    ]
    lost.received = 9.0
    assert trace.frames[1].received == 9.0
    assert b"secret" not in b"".join(chunk.data for chunk in trace.chunks)
    trace.save(tmp_path / "trace.jsonl")
    assert Trace.load(tmp_path / "trace.jsonl") == trace
    assert repr(trace).splitlines()[1:] == [
        "sent/s  received/s  session  direction        what     bytes  payload",
        "1.0000      1.5000        1  client → server  request     43  GET /?a=****** HTTP/1.1",
        "1.0000      1.5000        1  client → server  Text        11  'Hello'",
        "2.0000      9.0000        1  client → server  Text        11  'Hello'",
    ]
    assert repr(trace.chunks[2]).startswith(
        "TransitChunk(2.0000 s, session 1, client → server, received at 9.0000 s"
    )


def test_a_wire_keeps_only_the_length_of_what_is_no_http() -> None:
    trace = WireTrace()
    trace.tap(1, "client", Segment(b"secret\r\n\r\n", 0.0))
    trace.tap(1, "client", Segment(b"Cookie: secret\r\n\r\n", 1.0))
    assert trace.handshakes == [Handshake(0.0, 1, b"", b"", 10, 0)]
    assert trace.chunks == []


def test_a_wire_keeps_only_lengths_of_what_a_tunnel_brings() -> None:
    trace = WireTrace()
    trace.tap(1, "client", Segment(b"CONNECT server:80 HTTP/1.1\r\nHost: server\r\n\r\n", 0.0))
    trace.tap(1, "server", Segment(b"HTTP/1.1 200 OK\r\n\r\n", 1.0))
    trace.tap(1, "server", Segment(b"HTTP/1.1 101 OK\r\nSet-Cookie: secret\r\n\r\n", 2.0))
    assert trace.chunks == []
    assert [line.split("  ")[-1] for line in repr(trace).splitlines()[2:]] == [
        "not kept: incomplete, or not HTTP"
    ]


def test_a_wire_gives_up_on_a_head_without_end() -> None:
    trace = WireTrace()
    for at in range(5):
        trace.tap(1, "client", Segment(b"GET / HTTP/1.1\r\nCookie: " + b"secret" * 3000, at))
    assert trace.handshakes[0].request_length > 64 * 1024
    assert trace.chunks == []


class Packet(NamedTuple):
    """What a test looks at in one packet of a capture."""

    time: float
    source: int
    target: int
    flags: int
    number: int
    acknowledged: int
    data: bytes


SYN, ACK, DATA = 0x02, 0x10, 0x18


def packets(trace: Trace, path: Path) -> list[Packet]:
    trace.to_pcap(path)
    data, at, found = path.read_bytes(), 24, []
    while at < len(data):
        seconds, microseconds, size, _ = struct.unpack_from("<IIII", data, at)
        source, target, number, acknowledged, begin, flags = struct.unpack_from("!HHIIBB", data, at + 36)
        payload = data[at + 36 + (begin >> 4) * 4 : at + 16 + size]
        time = seconds + microseconds / 1e6
        found.append(Packet(time, source, target, flags, number, acknowledged, payload))
        at += 16 + size
    return found


def test_a_capture_begins_with_its_header_and_the_opening_of_tcp(tmp_path: Path) -> None:
    trace = recorded(HELLO)
    trace.to_pcap(tmp_path / "trace.pcap")
    assert (tmp_path / "trace.pcap").read_bytes() == bytes.fromhex(
        # the file: microseconds, version 2.4, packets up to 65,535 bytes that begin with IP
        "d4c3b2a1 0200 0400 00000000 00000000 ffff0000 65000000"
        # the client's SYN: time 0, 44 bytes; 198.51.100.1 to 192.0.2.1; 50001 to 80
        "00000000 00000000 2c000000 2c000000"
        "4500 002c 0000 4000 4006 4e96 c6336401 c0000201"
        "c351 0050 00000000 00000000 6002 ffff df03 0000 03030e00"
        # the server's SYN and ACK
        "00000000 00000000 2c000000 2c000000"
        "4500 002c 0000 4000 4006 4e96 c0000201 c6336401"
        "0050 c351 00000000 00000001 6012 ffff def2 0000 03030e00"
        # the client's ACK
        "00000000 00000000 28000000 28000000"
        "4500 0028 0000 4000 4006 4e9a c6336401 c0000201"
        "c351 0050 00000001 00000001 5010 ffff fffa 0000"
        # the frame
        "00000000 00000000 33000000 33000000"
        "4500 0033 0000 4000 4006 4e8f c6336401 c0000201"
        "c351 0050 00000001 00000001 5018 ffff 003a 0000 818537fa213d7f9f4d5158"
    )


def test_each_session_has_its_own_port_and_opens_before_its_first_bytes(tmp_path: Path) -> None:
    trace = Trace()
    trace.record(0.0, 1, "server", b"\x81\x00")
    trace.record(1.5, 2, "client", HELLO)
    assert [packet[:4] for packet in packets(trace, tmp_path / "trace.pcap")] == [
        (0.0, 50001, 80, SYN),
        (0.0, 80, 50001, SYN | ACK),
        (0.0, 50001, 80, ACK),
        (0.0, 80, 50001, DATA),
        (1.5, 50002, 80, SYN),
        (1.5, 80, 50002, SYN | ACK),
        (1.5, 50002, 80, ACK),
        (1.5, 50002, 80, DATA),
    ]


def test_a_chunk_over_the_size_of_a_packet_is_cut(tmp_path: Path) -> None:
    data = encode(Binary(bytes(131_000)))
    found = packets(recorded(data), tmp_path / "trace.pcap")[3:]
    assert [(packet.number, len(packet.data)) for packet in found] == [
        (1, 65495),
        (65496, 65495),
        (130991, 20),
    ]
    assert b"".join(packet.data for packet in found) == data


def test_bytes_that_are_not_kept_are_missing_in_the_numbers(tmp_path: Path) -> None:
    trace = Trace(max_bytes=700)
    trace.record_head(1, "client", [(0.0, REQUEST)], len(REQUEST))
    trace.record_head(1, "server", [(0.5, RESPONSE)], len(RESPONSE))
    trace.record(1, 1, "client", HELLO + HELLO[:4])
    for time in range(2, 5):
        trace.record(time, 1, "client", HELLO[4:] + HELLO[:4])
    trace.record(5, 1, "server", encode(Binary(bytes(1000))))
    trace.record(6, 1, "server", b"\x89\x00")
    assert packets(trace, tmp_path / "trace.pcap")[3:] == [
        # the heads are kept apart; of the frames only the whole ones are there
        (0.0, 50001, 80, DATA, 1, 1, REQUEST),
        (0.5, 80, 50001, DATA, 1, 37, RESPONSE),
        (2.0, 50001, 80, DATA, 37 + 22, 57, HELLO[:4]),
        (3.0, 50001, 80, DATA, 63, 57, HELLO[4:] + HELLO[:4]),
        (4.0, 50001, 80, DATA, 74, 57, HELLO[4:] + HELLO[:4]),
        (6.0, 80, 50001, DATA, 57 + 1004, 85, b"\x89\x00"),
    ]


def test_the_pieces_of_a_large_frame_that_went_are_missing_in_the_numbers(tmp_path: Path) -> None:
    frame = encode(Binary(bytes(4000)))
    trace = recorded(*cut(frame, range(0, 4000, 500)), HELLO, max_bytes=1500)
    assert [chunk.time for chunk in trace.chunks] == [6.0, 7.0, 8.0]
    assert trace.dropped.bytes == 3000
    assert [packet[4:] for packet in packets(trace, tmp_path / "trace.pcap")[3:]] == [(4005, 1, HELLO)]


def test_a_capture_of_a_wire_acknowledges_what_has_arrived(tmp_path: Path) -> None:
    trace = WireTrace()
    trace.begin(0.0)
    trace.tap(1, "client", Segment(REQUEST, 0.0, 1.0))
    trace.tap(1, "server", Segment(RESPONSE, 1.0, 2.0))
    trace.tap(1, "server", Segment(b"\x89\x00", 1.5))
    trace.tap(1, "client", Segment(HELLO, 1.9, 2.9))
    trace.tap(1, "client", Segment(HELLO, 2.0, 3.0))
    found = packets(trace, tmp_path / "trace.pcap")[3:]
    begin = 1 + len(RESPONSE)
    assert [(packet.time, packet.acknowledged) for packet in found] == [
        (0.0, 1),
        (1.0, 1 + len(REQUEST)),
        (1.5, 1 + len(REQUEST)),
        (1.9, 1),
        (2.0, begin),
    ]


def wireshark(trace: Trace, path: Path, shown: str) -> ElementTree.Element:
    """Return what Wireshark makes of the packets of a trace that a filter shows."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is missing, Wireshark on the command line: apt-get install tshark")
    trace.to_pcap(path)
    checks = ["-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"]
    command = ["tshark", "-n", "-r", str(path), "-T", "pdml", "-Y", shown, *checks]
    return ElementTree.fromstring(subprocess.run(command, capture_output=True, check=True).stdout)


def values(trace: Trace, path: Path) -> list[dict[str, str]]:
    """Return the fields of each WebSocket frame that Wireshark finds, in hex."""
    found = wireshark(trace, path, "websocket").iterfind("packet/proto[@name='websocket']")
    return [
        {
            field.get("name", "").removeprefix("websocket."): field.get("value", "")
            for field in proto.iter("field")
        }
        for proto in found
    ]


def test_wireshark_reads_the_frames_as_they_are(tmp_path: Path) -> None:
    frames = values(conversation(), tmp_path / "trace.pcap")
    read = [[*map(frame.get, ("opcode", "fin", "mask", "payload_length"))] for frame in frames]
    assert read == [
        ["1", "1", "0", "16"],
        ["1", "1", "1", "5"],
        ["9", "1", "1", "1"],
        ["2", "1", "0", "1E"],
        ["8", "1", "1", "5"],
    ]
    assert bytes.fromhex(frames[0]["payload.text"]) == b"Please enter your name"
    assert bytes.fromhex(frames[1]["payload.text"]) == b"Hello"
    assert frames[2]["payload.ping"] == "00"
    assert frames[4]["payload.close.status_code"] == "03e8"
    assert bytes.fromhex(frames[4]["payload.close.reason"]) == b"bye"


def pieces(trace: Trace, size: int) -> Trace:
    """Record two sessions whose chunks of one size hold every kind and length of frame."""
    sent = [
        Text("a", fin=False),
        Ping(b"p"),
        continuation(b"b"),
        Binary(bytes(126)),
        Text("é" * 40_000),
        Pong(),
    ]
    wires = {
        "client": b"".join(encode(frame, KEY) for frame in sent),
        "server": b"".join(map(encode, reversed(sent))),
    }
    for session in (1, 2):
        trace.record_head(session, "client", [(0.0, REQUEST)], len(REQUEST))
        trace.record_head(session, "server", [(0.5, RESPONSE)], len(RESPONSE))
    for at in range(0, len(wires["client"]), size):
        for session in (1, 2):
            for sender in get_args(Sender):
                trace.record(1 + at / 1000, session, sender, wires[sender][at : at + size])
    return trace


def wire() -> Trace:
    """Return the trace of a wire on which chunks take a second."""
    trace = WireTrace()
    trace.begin(0.0)
    sent = [("client", REQUEST), ("server", RESPONSE + encode(Text("a"))), ("client", HELLO * 2)]
    for time, (sender, data) in enumerate(sent):
        trace.tap(1, sender, Segment(data, time, time + 1))
    return trace


LENGTHS = ("payload_length_ext_64", "payload_length_ext_16", "payload_length")


@pytest.mark.parametrize(
    "trace",
    [
        pieces(Trace(), 100_000),
        pieces(Trace(), 999),
        pieces(Trace(max_bytes=100_000), 999),
        pieces(Trace(max_bytes=70_000), 70_000),
        wire(),
    ],
    ids=["whole", "in pieces", "full", "too large", "wire"],
)
def test_wireshark_reads_the_same_frames(trace: Trace, tmp_path: Path) -> None:
    read = []
    for frame in values(trace, tmp_path / "trace.pcap"):
        length = next(frame[name] for name in LENGTHS if name in frame)
        read.append((frame["opcode"], frame["fin"], frame["mask"], int(length, 16)))
    headers = [read_header(frame.wire) for frame in trace.frames]
    assert read == [
        (f"{header.opcode:X}", f"{header.fin:d}", f"{header.masking_key is not None:d}", header.length)
        for header in headers
        if header
    ]


BYE = Close(CloseReason(4000, "bye ä"))


def said(frame: dict[str, str]) -> str:
    """Return what a frame says, in words: the text of a message stands at its last fragment."""
    if "payload.close.status_code" in frame:
        code, reason = int(frame["payload.close.status_code"], 16), frame.get("payload.close.reason", "")
        return f"{code} {bytes.fromhex(reason).decode()}"
    names = ("payload.text", "payload.ping", "payload.pong")
    return bytes.fromhex(next((frame[name] for name in names if name in frame), "")).decode()


@pytest.mark.parametrize(("size", "long"), [(1, 150), (999, 40_000), (10**6, 40_000)])
def test_wireshark_reads_every_field_of_both_directions(size: int, long: int, tmp_path: Path) -> None:
    sent: dict[Sender, list[tuple[Frame, str]]] = {
        "client": [
            (Text("a", fin=False), ""),
            (Ping(b"p"), "p"),
            (continuation("ü".encode(), fin=False), ""),
            (continuation(b"b"), "aüb"),
            (Text("é" * long), "é" * long),
            (BYE, "4000 bye ä"),
        ],
        "server": [
            (Text("Hello"), "Hello"),
            (Pong(b"p"), "p"),
            (Text("x" * 126), "x" * 126),
            (BYE, "4000 bye ä"),
        ],
    }
    trace, due = Trace(), []
    trace.record_head(1, "client", [(0.0, REQUEST)], len(REQUEST))
    trace.record_head(1, "server", [(0.5, RESPONSE)], len(RESPONSE))
    for sender, frames in sent.items():
        key = KEY if sender == "client" else None
        wire = b"".join(encode(frame, key) for frame, _ in frames)
        for at in range(0, len(wire), size):
            trace.record(1.0, 1, sender, wire[at : at + size])
        for frame, word in frames:
            due.append((f"{frame.opcode:X}", f"{frame.fin:d}", key and key.hex(), len(frame.data), word))
    read = []
    for found in values(trace, tmp_path / "trace.pcap"):
        length = next(found[name] for name in LENGTHS if name in found)
        key_read = found["masking_key"] if found["mask"] == "1" else None
        read.append((found["opcode"], found["fin"], key_read, int(length, 16), said(found)))
    assert read == due


@pytest.mark.parametrize(
    "trace", [conversation(), pieces(Trace(), 999), wire()], ids=["whole", "in pieces", "wire"]
)
def test_wireshark_finds_nothing_wrong(trace: Trace, tmp_path: Path) -> None:
    wrong = "tcp.analysis.flags or ip.checksum.status != 1 or tcp.checksum.status != 1"
    assert wireshark(trace, tmp_path / "trace.pcap", wrong).findall("packet") == []


def test_no_secret_is_in_a_capture(tmp_path: Path) -> None:
    head = b"GET /?key=secret HTTP/1.1\r\nCookie: secret\r\n\r\n"
    trace = Trace()
    trace.record_head(1, "client", [(0.0, head)], len(head))
    assert packets(trace, tmp_path / "trace.pcap")[3].data == head.replace(b"secret", b"******")
