import asyncio
import inspect

import pytest
from websockets.asyncio.server import serve

from wslearn.lab import small_server
from wslearn.lab.board import CASES, LOOPS, Board, converse, judge
from wslearn.lab.two_servers import QUIET, echoing

SOURCE = inspect.getsource(small_server)

# Changes of the reference, each with the case that it turns red.
MUTANTS = [
    (1, "(nonce + guid)", "(guid + nonce)"),
    (2, 'headers.get("upgrade", "").lower()', 'headers.get("upgrade", "")'),
    (2, '"upgrade" in headers.get("connection", "").lower()', '"Upgrade" == headers.get("connection", "")'),
    (3, "{both}Sec-WebSocket-Version: 13", "{both}"),
    (4, " or len(nonce) != 24", ""),
    (5, ' or not headers.get("host")', ""),
    (6, ' and "upgrade" in headers.get("connection", "").lower()', ""),
    (7, r'reader.readuntil(b"\r\n\r\n")', "reader.read(65_536)"),
    (8, "bytes([0x80 | opcode, sign])", "bytes([0x82, sign])"),
    (8, "bytes([0x80 | opcode, sign])", "bytes([0x81, sign])"),
    (9, "key[i % 4]", "key[i % 3]"),
    (10, "if opcode != 10 or not fin:", "if opcode != 10 and payload:"),
    (10, "if size < 126 else", "if size < 125 else"),
    (11, "if size < 126 else", "if size <= 126 else"),
    (12, "(2, 126) if size < 65_536", "(2, 126) if size < 65_535"),
    (12, "(2, 126) if size < 65_536", "(2, 126) if size <= 65_536"),
    (13, "if width and length <", "if width and length * 100 <"),
    (14, "if len(data) < size:", "if len(data) < 2:"),
    (15, "del buffer[: size + length]", "buffer.clear()"),
    (16, "yield kind, data\n", "yield kind, payload\n"),
    (17, "data + payload", 'data + payload.decode(errors="ignore").encode()'),
    (18, "if opcode != 10 or not fin:", "if opcode < 11:"),
    (19, "if opcode >= 8 and fin:\n", "if opcode >= 8 and fin and not kind:\n"),
    (19, "if opcode >= 8 and fin:\n", "if opcode >= 8:\n"),
    (20, "yield 1007", "yield 1002"),
    (21, "await leave(reader, writer, close_reply(payload))\n                    return", "yield 8, payload"),
    (21, " or not payload else", " else"),
    (22, " or not payload else", " or len(payload) < 2 else"),
    (23, "<= 1003 or", "<= 1006 or"),
    (24, "rsv or key is None or", "rsv or"),
    (25, "if rsv or key is None", "if key is None"),
    (26, "length > 125", "length > 126"),
    (27, "opcode not in (0, 1, 2, 8, 9, 10)", "False"),
    (28, "if total > LIMIT:", "if total > 2**63:"),
    (29, "GONE = (ConnectionError, ", "GONE = ("),
    (30, "asyncio.wait_for(shake_hands(reader, writer), PATIENCE)", "shake_hands(reader, writer)"),
]


def changed(old, new):
    """Return the `echo` of a reference in which some text was replaced."""
    assert old in SOURCE
    names = {"__name__": "changed"}
    exec(SOURCE.replace(old, new), names)
    return names["echo"]


@pytest.fixture(scope="module")
def reference():
    return Board(small_server.echo)


def test_there_are_thirty_cases_ten_for_each_sitting():
    assert [case.number for case in CASES] == list(range(1, 31))
    assert [case.sitting for case in CASES] == [1] * 10 + [2] * 10 + [3] * 10


def test_reference_has_all_thirty_green(reference):
    assert reference.red == []


def test_every_case_can_fail():
    assert sorted({number for number, *_ in MUTANTS}) == [case.number for case in CASES]


@pytest.mark.parametrize(("number", "old", "new"), MUTANTS)
def test_server_with_a_fault_has_its_case_red(number, old, new):
    assert finding(changed(old, new), number)


def inside(start):
    """Return a handler that carries bytes to a server of a library, which it starts in the simulation."""

    async def carry(reader, writer):
        try:
            while data := await reader.read(65_536):
                writer.write(data)
            writer.write_eof()
        except ConnectionError:
            writer.close()

    async def handler(reader, writer):
        async with start():
            inner_reader, inner_writer = await asyncio.open_connection("inner", 80)
            there = asyncio.ensure_future(carry(reader, inner_writer))
            try:
                await carry(inner_reader, writer)
            finally:
                there.cancel()
                writer.close()

    return handler


def test_server_of_the_library_has_all_thirty_green():
    board = Board(inside(lambda: echoing().start("inner", 80)))
    assert {number: finding for number, finding in board.findings.items() if finding.text} == {}


def test_server_of_websockets_answers_otherwise_where_the_course_says_so():
    async def echo(connection):
        async for message in connection:
            await connection.send(message)

    start = lambda: serve(echo, "inner", 80, compression=None, ping_interval=None, logger=QUIET)  # noqa: E731
    board = Board(inside(start))
    assert {number: board.findings[number].text for number in board.red} == {
        3: "the answer has the status 400, due is 426",
        5: "the answer has the status 101, due is 400",
        6: "the answer has the status 426, due is 400",
        13: "byte 0 is 81, due is 88: Text 'Hello'",
    }


# the verdict


def finding(server, number):
    case = CASES[number - 1]
    return judge(case, converse(server, case)).text


async def silent(reader, writer):
    await reader.read()


async def raises(reader, writer):
    raise KeyError("goal")


async def spins(reader, writer):
    while True:
        pass


def test_silence_is_told():
    assert finding(silent, 1) == "nothing comes back for the request, due is 101"


def test_what_the_server_raises_is_told_with_its_line():
    assert finding(raises, 6).startswith("the server raised KeyError: 'goal', in your line: raise KeyError")


def test_first_byte_that_differs_is_named_with_what_was_read():
    found = Board(changed("bytes([0x80 | opcode, sign])", "bytes([0x81, sign])"), sitting=1).findings[8]
    assert found.text == "byte 7 is 81, due is 82: Text 'Hello', then Text 02 01 ff"
    assert found.at == 7


def test_bytes_that_are_missing_and_bytes_behind_what_is_due_are_told():
    assert (
        finding(changed("if opcode != 10 or not fin:", "if opcode == 9:"), 14)
        == "nothing came; Text 'Hello' is due"
    )
    twice = changed("writer.write(frame(opcode, payload))", "writer.write(2 * frame(opcode, payload))")
    assert finding(twice, 14) == "behind what is due comes Text 'Hello'"


def test_reason_of_a_close_is_free():
    said = changed(*('frame(8, code.to_bytes(2, "big"))', 'frame(8, code.to_bytes(2, "big") + b"why")'))
    assert 20 in Board(said).green


def test_connection_that_stays_open_is_told():
    stays = changed("    writer.write_eof()\n    async with", "    async with")
    assert finding(stays, 21).startswith("the connection is still open")


def test_server_that_never_waits_is_stopped_and_no_case_after_it_is_tried():
    board = Board(spins)
    assert board.green == []
    assert all(LOOPS in found.text for found in board.findings.values())


def test_what_is_no_server_is_refused():
    with pytest.raises(TypeError, match=r"server is 3: async def server\(reader, writer\) is needed"):
        Board(3)


# the forms


def test_board_prints_a_line_for_each_case_and_what_was_found():
    lines = Board(silent, sitting=1).plain().splitlines()
    assert lines[:3] == [
        "0 of 10 cases are green",
        "handshake, header, unmask, echo: 0 of 10",
        "  ✗  1  101 with the accept key: nothing comes back for the request, due is 101 (4.2.2)",
    ]
    assert len(lines) == 12


def test_board_as_html_has_sign_word_and_rule_and_escapes():
    html = Board(silent, sitting=1).html()
    assert html.count("<b>✗ red</b>") == 10
    assert "A request ends with its empty line" in html
    assert "<script" not in html


def test_sittings_add_up():
    assert [len(Board(silent, sitting).cases) for sitting in (1, 2, 3)] == [10, 20, 30]


def test_story_marks_the_first_byte_that_differs(reference):
    story = Board(changed("size < 65_536", "size < 65_535"), sitting=2).groups[1]["cases"][1]
    due, came = story["rows"][1:]
    assert due["bytes"][due["mark"]] == "7e"
    assert came["bytes"][came["mark"]] == "7f"
    assert [row[2] for row in story["trace"]][:2] == [
        "request GET /echo HTTP/1.1",
        "response HTTP/1.1 101 Switching Protocols",
    ]
    assert reference.groups[1]["cases"][1]["rows"][1]["mark"] == -1


def test_case_opens_as_a_ladder(reference):
    assert "Text 'Hello'" in reference.ladder(8).plain()
