import asyncio

import pytest

from wslearn import Application, Binary, WebSockets, connect_raw, simulate
from wslearn.codec import wrap
from wslearn.lab.answers import frames_in, told, verdict
from wslearn.lab.exercises import exercise
from wslearn.lab.lesson_05 import (
    CASES,
    KEY,
    PHOTO,
    RECEIVED,
    SEQUENCES,
    SEVEN,
    TEXTS,
    ChunkSlider,
    in_chunks,
    split,
)
from wslearn.lab.two_servers import ours, theirs
from wslearn.lab.view import PRE

pytestmark = pytest.mark.usefixtures("own_folder")


def said(number, answer):
    return repr(exercise(number).check(answer))


def solved(number):
    names = {}
    exec(f"{exercise(number).setup}\n{exercise(number).solution_code}", names)
    return names["answer"]


def masked(frames):
    return b"".join(wrap(first, payload, KEY) for first, payload in frames)


def in_masks(parts):
    return masked(((fin << 7) | opcode, payload) for fin, opcode, payload in parts)


# the slider


async def listen(session):
    async for _ in session.incoming:
        pass


def passed(size):
    """Return the trace of 20 bytes in fragments of this size."""

    async def scene(net):
        app = Application()
        app.install(WebSockets, ping_period=None)
        app.websocket_raw("/")(listen)
        server = await app.start("server", 80)
        peer = await connect_raw(server.url("/"))
        for part in in_chunks(b"g" * 20, size):
            await peer.send(Binary(part, fin=False))
        await asyncio.sleep(1)
        return net.trace

    return simulate(scene, latency=0.01)


def test_chunk_slider_lets_the_conversation_pass_again():
    slider = ChunkSlider(passed, value=10, most=20)
    assert repr(slider).count("fragment") == 0
    assert repr(slider).splitlines()[4].split()[-1] == "2"
    before = slider.view
    slider.children[0].value = 5
    assert slider.children[1] is slider.view
    assert slider.view is not before
    assert repr(slider).splitlines()[4].split()[-1] == "4"


def test_chunk_slider_reads_well_without_a_kernel():
    shown = ChunkSlider(passed, value=10, most=20)._repr_mimebundle_()
    assert "frames" in shown["text/plain"]
    assert f"{PRE}client → server" in shown["text/html"]


# 05.1


def test_seven_frames_are_seven_and_legal_for_both_servers():
    frames = [*split(SEVEN)]
    assert len(frames) == 7
    for answers in (ours, theirs):
        back = [frame.unmasked for _, frame in frames_in(answers(masked(frames))[0])]
        assert {*back} == {*solved("05.1")}


@pytest.mark.parametrize(
    ("place", "other", "expected"),
    [
        (0, b"2:1 ", "◐ almost: the first message: the first 4 fit; these are 4 in all"),
        (0, b"\x00", "✗ not yet: the first message: byte 0 is 00"),
        (1, b"ok", "◐ almost: the answer: byte 0 is 6f"),
        (2, b"\x07\x43", "◐ almost: the second message: the first 2 fit"),
        (2, 7, "◐ almost: the second message: bytes are needed, this is 7"),
    ],
)
def test_rows_of_bytes_are_judged_in_their_order(place, other, expected):
    answer = list(solved("05.1"))
    answer[place] = other
    assert said("05.1", answer).startswith(expected)


def test_text_may_stand_for_bytes():
    text, pong, message = solved("05.1")
    assert exercise("05.1").check((text.decode(), pong.decode(), message))
    assert said("05.1", b"2:1").startswith("✗ not yet: three rows of bytes are needed")


# 05.2


@pytest.mark.parametrize("name", SEQUENCES)
def test_both_servers_judge_a_sequence_alike(name):
    wire = masked(SEQUENCES[name])
    assert verdict(ours(wire)[0]) == verdict(theirs(wire)[0])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (("legal", "1002 at 2", "legal", "1007 at 2", "1002 at 2"), "◐ almost: 4 of 5 fit; sequence B: '"),
        (("legal", "1002 at 3", "1007 at 1", "1007 at 3", "1002 at 2"), "◐ almost: 3 of 5 fit; sequence C"),
        (("1002 at 2", "1002 at 3", "1007 at 1", "1007 at 3", "legal"), "✗ not yet: 1 of 5 fit; sequence A"),
        ("legal", "✗ not yet: 5 values are needed"),
        (("legal", "1002", "legal", "1007 at 2", "1002 at 2"), "✗ not yet: '1002' is neither 'legal' nor"),
    ],
)
def test_wrong_sequences_hear_the_first(answer, expected):
    assert said("05.2", answer).startswith(expected)


# 05.3


@pytest.mark.parametrize("name", CASES)
def test_our_server_makes_of_a_case_what_is_due(name):
    """A ping comes back as its pong, a message as it is, a code as a Close; a pong gets nothing."""
    frames, due = CASES[name]
    back = ours(in_masks(frames))[0]
    came = []
    for wire, frame in frames_in(back):
        opcode = wire[0] & 15
        if opcode == 8:
            came.append(int.from_bytes(frame.unmasked[:2], "big"))
        else:
            came.append((9 if opcode == 10 else opcode, frame.unmasked))
    assert came == [each for each in due if each == 1002 or each == 1007 or each[0] != 10]


@pytest.mark.parametrize("name", CASES)
def test_websockets_ends_a_case_as_ours_does(name):
    wire = in_masks(CASES[name][0])
    assert verdict(theirs(wire)[0]) == verdict(ours(wire)[0])


def only_whole_messages(frames):
    return ((opcode, payload) for fin, opcode, payload in frames)


def waits_for_all(frames):
    return list(solved("05.3")(frames))


def forgets_utf8(frames):
    for each in solved("05.3")(frames):
        yield (1, b"?") if each == 1007 else each


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (only_whole_messages, "✗ not yet: a text in three frames: [(False, 1, b'GO')"),
        (waits_for_all, "◐ almost: all is as it should be, only too late"),
        (forgets_utf8, "◐ almost: a wrong second half of a character:"),
        (lambda frames: None, "○ not tried: nothing comes out yet"),
        (b"GOAL", "✗ not yet: a function is needed"),
    ],
)
def test_wrong_ways_to_assemble_hear_the_first_case(answer, expected):
    assert said("05.3", answer).startswith(expected)


def test_assembling_may_begin_before_the_last_frame_is_there():
    def frames():
        yield (False, 1, b"GO")
        yield (True, 9, b"hi?")
        raise AssertionError("nobody should ask for more before the ping is out")

    assert next(solved("05.3")(frames())) == (9, b"hi?")


# 05.4


def faulty():
    names = {}
    exec(f"{exercise('05.4').setup}\n{exercise('05.4').starter}", names)
    return names["answer"]


def test_faulty_reader_works_where_each_read_is_one_frame():
    reads = [wrap(0x81, text.encode()) for text in TEXTS]
    assert faulty()(reads) == [text.encode() for text in TEXTS]
    assert b"".join(reads) == RECEIVED


def one_frame_a_read(reads):
    """Keep what is left over, and take one frame off it at most."""
    found, buffer = [], b""
    for data in reads:
        buffer += data
        if len(buffer) >= 2 and len(buffer) >= 2 + buffer[1]:
            end = 2 + buffer[1]
            found.append(buffer[2:end])
            buffer = buffer[end:]
    return found


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            lambda reads: [b"".join(reads)],
            "✗ not yet: chunks of 1: message 1 has 8 bytes and begins b'Kick-off'",
        ),
        (one_frame_a_read, "✗ not yet: chunks of 1: message 4 has 165 bytes"),
        (lambda reads: solved("05.4")(reads)[:5], "✗ not yet: chunks of 1: 5 messages, and 6 are due"),
        (lambda reads: solved("05.4")(reads) if len(reads) > 25 else [], "◐ almost: chunks of"),
        ([], "✗ not yet: a function is needed"),
    ],
)
def test_readers_that_trust_chunks_hear_at_which_size(answer, expected):
    assert said("05.4", answer).startswith(expected)


# 05.5


async def in_one_frame(session, photo):
    await session.send(photo)


async def in_messages(session, photo):
    for part in in_chunks(photo, 2**18):
        await session.send(part)


async def without_an_end(session, photo):
    for part in in_chunks(photo, 2**14):
        await session.send(Binary(part, fin=False))


async def in_two(session, photo):
    await session.send(Binary(photo[: 2**19], fin=False))
    await session.send(Binary(photo[2**19 :]))


async def nothing(session, photo):
    pass


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (in_one_frame, "◐ almost: the photo is there, and the longest round trip of a ping was 8."),
        (in_two, "◐ almost: the photo is there, and the longest round trip of a ping was 4."),
        (in_messages, "✗ not yet: 4 messages came, of 262,144, 262,144, 262,144 bytes; one is due"),
        (without_an_end, "✗ not yet:"),
        (nothing, "✗ not yet: nothing was sent"),
        (lambda session, photo: None, "✗ not yet: a function is needed that begins with async def"),
    ],
)
def test_photos_that_hold_pings_or_fall_apart_are_told(answer, expected):
    assert said("05.5", answer).startswith(expected)


def test_photo_has_as_many_bytes_as_the_limit_lets_in():
    assert len(PHOTO) == WebSockets().max_frame_size


def test_longest_ping_is_told_when_it_is_right():
    assert told(b"") == "silence"
    assert "equal to the photo, and the longest round trip of a ping was 0." in said("05.5", solved("05.5"))
