import linecache

import pytest

from wslearn.lab.exercises import exercise, progress
from wslearn.lab.parts import PARTS, SITTINGS, part
from wslearn.lab.progress import code_of

pytestmark = pytest.mark.usefixtures("own_folder")

TABLE = """
def unmask(key, data):
    rows = [bytes([n]) for n in range(256)]
    return b"".join(rows[byte ^ key[i % 4]] for i, byte in enumerate(data))

answer = unmask
"""


def keep(number, code):
    """Note code as a learner's right answer."""
    kept = progress()
    kept.done.add(number)
    kept.functions[number] = code
    kept.export(".wslearn-progress.json")


def cells(*sources):
    """Return the names after some cells, whose lines Python can find."""
    names = {}
    for number, source in enumerate(sources):
        file = f"<cell {number}>"
        linecache.cache[file] = (len(source), None, source.splitlines(True), file)
        exec(compile(source, file, "exec"), names)
    return names


@pytest.mark.parametrize("number", PARTS)
def test_part_is_the_reference_where_nothing_is_kept(number):
    found = part(number)
    assert found.name == PARTS[number]
    assert found.whose == f"the reference, as {number} is not done here"
    assert found.code.startswith(f"def {found.name}(")


def test_part_is_the_learners_where_it_is_right():
    keep("04.4", TABLE)
    found = part("04.4")
    assert found.whose == "yours, of 04.4"
    assert found(bytes(4), b"Hola") == b"Hola"
    assert "rows" in repr(found)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("def unmask(key, data):\n    return data\n\nanswer = unmask", "byte 0 is"),
        ("answer = unmask_all", "NameError: name 'unmask_all' is not defined"),
        ("answer = (", "SyntaxError"),
    ],
)
def test_reference_stands_in_for_kept_code_that_fails_now_and_says_so(code, why):
    keep("04.4", code)
    found = part("04.4")
    assert found.whose.startswith("the reference, as yours of 04.4 fails here: ")
    assert why in found.whose
    assert found(bytes(4), b"Hola") == b"Hola"


@pytest.mark.parametrize(
    "code",
    [
        exercise("06.4").solution_code,
        "async def answer(session):\n"
        "    while True:\n"
        "        frame = await session.incoming.receive()\n"
        "        if isinstance(frame, Ping):\n"
        "            await session.send(Pong(frame.data))",
    ],
)
def test_handler_of_a_raw_route_becomes_a_pong(code):
    keep("06.4", code)
    assert part("06.4").whose == "yours, of 06.4"
    assert part("06.4")(b"hi?") == b"\x8a\x03hi?"


@pytest.mark.parametrize("number", SITTINGS)
def test_sitting_gives_its_functions_by_name(number):
    assert part(number)["shake_hands"] is not part(number)["messages"]
    assert exercise(number).check(part(number).function)


def test_sitting_is_built_of_the_learners_parts():
    keep("04.4", TABLE)
    keep("14.1", exercise("14.1").solution_code)
    assert part("14.1")["unmask"].__code__.co_filename == "<exercise 04.4>"


def test_unknown_part_names_those_that_are_there():
    with pytest.raises(ValueError, match=r"part '02\.1': 02\.2, 03\.3, .*, 14\.3 are there"):
        part("02.1")


# what is kept of a server in several cells


def test_code_of_a_server_has_the_cells_of_all_that_it_calls():
    solution = exercise("14.1").solution_code
    pieces = solution.removesuffix("\n\nanswer = echo").split("\n\n\n")
    setup = "from wslearn.lab.small_server import accept_key, read_header, unmask\nMORE = (True, 10, b'')\n"
    names = cells(*[setup + piece for piece in pieces], "print")
    code = code_of(names["echo"])
    assert code.endswith("answer = echo")
    assert all(f"def {name}(" in code for name in ("shake_hands", "frames", "frame", "messages", "echo"))
    keep("14.1", code)
    assert part("14.1").whose == "yours, of 14.1"


def test_code_of_a_function_that_calls_itself_ends():
    names = cells("def down(n):\n    return n and down(n - 1)")
    assert code_of(names["down"]) == "def down(n):\n    return n and down(n - 1)\nanswer = down"
