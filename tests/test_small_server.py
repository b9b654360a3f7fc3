import ast
import asyncio
import inspect

import pytest
from websockets.asyncio.client import connect as connect_witness

from wslearn import connect, simulate
from wslearn.lab import small_server
from wslearn.lab.exercises import exercise
from wslearn.lab.parts import PARTS
from wslearn.lab.two_servers import REQUEST

pytestmark = pytest.mark.usefixtures("own_folder")


def test_server_has_about_a_hundred_lines_of_code():
    tree = ast.parse(inspect.getsource(small_server))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    sentences = sum(ast.get_docstring(node) is not None for node in functions)
    assert 90 <= sum(len(ast.unparse(node).splitlines()) for node in functions) - sentences <= 120


@pytest.mark.parametrize("number", PARTS)
def test_parts_of_the_reference_are_right_answers(number):
    if number == "06.4":
        assert small_server.pong(b"hi?") == b"\x8a\x03hi?"
    else:
        assert exercise(number).check(getattr(small_server, PARTS[number]))


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 2**20])
def test_both_clients_get_back_what_they_send(size):
    async def main():
        async with await asyncio.start_server(small_server.echo, "127.0.0.1", 0) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            async with connect(url) as session, connect_witness(url, max_size=None) as witness:
                await session.send(bytes(size))
                await witness.send(bytes(size))
                return len((await session.incoming.receive()).data), len(await witness.recv())

    assert asyncio.run(main()) == (size, size)


def test_message_of_one_byte_more_than_the_limit_is_refused_at_the_header_of_a_fragment():
    buffer = bytearray(b"\x02\x80\0\0\0\0" + b"\x80\xff" + (2**20 + 1).to_bytes(8, "big") + bytes(4))
    assert list(small_server.items(buffer)) == [1009]


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_every_opcode_that_nobody_has_defined_is_refused(opcode):
    assert list(small_server.items(bytearray([0x80 | opcode, 0x80, 0, 0, 0, 0]))) == [1002]


@pytest.mark.parametrize("opcode", [8, 9, 10])
def test_control_frame_in_fragments_is_refused(opcode):
    assert list(small_server.items(bytearray([opcode, 0x80, 0, 0, 0, 0]))) == [1002]


def test_client_that_never_leaves_is_cut_after_a_while():
    async def scene(net):
        done = asyncio.get_running_loop().create_future()

        async def served(reader, writer):
            await small_server.echo(reader, writer)
            done.set_result(asyncio.get_running_loop().time())

        await asyncio.start_server(served, "server", 80)
        reader, writer = await asyncio.open_connection("server", 80)
        writer.write(REQUEST + b"\x81\x00")
        return (await reader.read())[-4:], await done

    assert simulate(scene) == (b"\x88\x02\x03\xea", small_server.PATIENCE)
