import pytest

from wslearn.lab.answers import verdict
from wslearn.lab.edits import flip
from wslearn.lab.exercises import exercise
from wslearn.lab.lesson_03 import EXERCISES, FAULTY, HEADERS, HELLO, LONG_HELLO, WRONG_BITS
from wslearn.lab.plots import header_share
from wslearn.lab.two_servers import ours, theirs


@pytest.fixture(autouse=True)
def progress_in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def answered(code):
    names = {}
    exec(code, names)
    return names["answer"]


def solved(number):
    return answered(exercise(number).solution_code)


@pytest.mark.parametrize("each", EXERCISES, ids=lambda each: each.number)
def test_starter_runs_and_is_not_right(each):
    assert not each.check(answered(each.starter))


@pytest.mark.parametrize("each", EXERCISES, ids=lambda each: each.number)
def test_solution_is_right(each):
    assert each.check(answered(each.solution_code))


def test_exercises_are_numbered_in_order():
    assert [each.number for each in EXERCISES] == ["03.1", "03.2", "03.3", "03.4", "03.5"]


def test_numbers_of_a_frame_with_a_key_forgotten_are_almost_right():
    found = exercise("03.1").check((4, 200, 10, 65_536, 2, 0))
    assert repr(found) == "◐ almost: 4 of 6 fit; header of frame 1: 4 is not it"


def test_verdict_may_be_a_number_or_a_word():
    assert exercise("03.2").check([int(word) if word.isdecimal() else word for word in solved("03.2")])


def test_unknown_verdict_is_named():
    found = exercise("03.2").check(["echo"] * 8)
    assert repr(found) == "✗ not yet: 'echo' is no verdict: text, pong, silence, 1002, 1007 are"


def test_prediction_of_one_word_is_not_enough():
    assert "8 values are needed" in exercise("03.2").check("silence").text


def test_wrong_prediction_names_the_bit():
    found = exercise("03.2").check(["text", *solved("03.2")[1:]])
    assert repr(found) == "◐ almost: 7 of 8 fit; bit 0, FIN: 'text' is not it"


def parser(**changes):
    """Return the parser of the solution with some of its values replaced."""
    good = solved("03.3")
    names = ("fin", "rsv", "opcode", "key", "length", "size")

    def read_header(data):
        read = good(data)
        return read and tuple(changes.get(name, value) for name, value in zip(names, read, strict=True))

    return read_header


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fin": True}, "01 00: 5 of 6 fit; fin: True is not it"),
        ({"rsv": 0}, "c1 07: 5 of 6 fit; rsv: 0 is not it"),
        ({"opcode": 1}, "80 7d: 5 of 6 fit; opcode: 1 is not it"),
        ({"key": None}, "81 85 37 fa 21 3d: 5 of 6 fit; key: None is not it"),
        ({"length": 5}, "01 00: 5 of 6 fit; length: 5 is not it"),
        ({"size": 2}, "82 7e 00 7e: 5 of 6 fit; size: 2 is not it"),
    ],
)
def test_parser_with_one_wrong_value_hears_which(changes, said):
    assert exercise("03.3").check(parser(**changes)).text.startswith(said)


def test_parser_that_reads_past_the_end_hears_how_much_was_there():
    found = exercise("03.3").check(lambda data: (data[0], data[1]))
    assert found.text.startswith("no bytes: your function reads past the end; None is due")


def test_parser_that_answers_too_early_hears_what_is_missing():
    found = exercise("03.3").check(lambda data: solved("03.3")(data + bytes(14)))
    assert found.text.startswith("no bytes: None is due while bytes are missing")


def test_parser_that_lets_long_forms_pass_is_almost_right():
    def lenient(data):
        try:
            return solved("03.3")(data)
        except ValueError:
            return True, 0, 1, None, 5, 4

    found = exercise("03.3").check(lenient)
    assert (found.state, found.text[:12]) == ("almost", "81 7e 00 05:")


@pytest.mark.parametrize("answer", [5, b"\x81\x05", "read_header"])
def test_parser_has_to_be_a_function(answer):
    assert "a function is needed" in exercise("03.3").check(answer).text


def test_there_are_twelve_headers_and_each_states_its_own_size():
    assert len(HEADERS) == 12
    assert all(len(bytes.fromhex(shown)) == expected[-1] for shown, expected in HEADERS.items())


def test_length_that_is_not_minimal_divides_the_two_servers():
    assert (verdict(ours(LONG_HELLO)[0]), verdict(theirs(LONG_HELLO)[0])) == ("1002", "text")


@pytest.mark.parametrize(("frame", "bit"), list(zip(FAULTY, WRONG_BITS, strict=True)))
def test_faulty_frame_is_repaired_by_one_bit_alone(frame, bit):
    repairs = [n for n in range(16) if ours(flip(frame, n))[0] == ours(flip(frame, bit))[0]]
    assert repairs == [bit]
    assert verdict(ours(flip(frame, bit))[0]) == "text"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ((3, "5.2", HELLO), "2 of 3 are right; frame 1: bit 3 is not the wrong one"),
        ((2, "5.4", HELLO), "2 of 3 are right; frame 1: section 5.4 says nothing of this bit"),
        ((2, "5.2", "81 84"), "2 of 3 are right; frame 1: bytes are needed, the repaired ones are '81 84'"),
        (
            (2, "5.2", HELLO),
            "2 of 3 are right; frame 1: Text 'Hello' comes back, and more than the wrong bit has changed",
        ),
        ((2, "5.2", flip(HELLO, 0)), "2 of 3 are right; frame 1: the repaired bytes get silence"),
    ],
)
def test_wrong_finding_is_told_in_words(changed, said):
    found = exercise("03.4").check([changed, *solved("03.4")[1:]])
    assert (found.state, found.text) == ("almost", said)


@pytest.mark.parametrize("answer", [5, [], [(2, "5.2")] * 3, [(2, "5.2", HELLO)]])
def test_findings_of_another_shape_are_refused(answer):
    assert "three" in exercise("03.4").check(answer).text


@pytest.mark.parametrize("size", [1001, 2**20])
def test_too_big_in_eight_bytes_or_fewer(size):
    wire = b"\x82\xfe" + size.to_bytes(2, "big") if size < 65536 else b"\x82\xff" + size.to_bytes(8, "big")
    found = exercise("03.5").check(wire)
    assert bool(found) is (len(wire) <= 8)
    assert "Close 1009" in found.text


def test_whole_frame_of_1001_bytes_is_almost_right():
    found = exercise("03.5").check(b"\x82\xfe\x03\xe9" + bytes(1005))
    assert (found.state, found.text[-20:]) == ("almost", "; now with at most 8")


def test_frame_of_exactly_the_limit_waits_for_its_payload():
    found = exercise("03.5").check(bytes.fromhex("82 fe 03 e8 37 fa 21 3d"))
    assert repr(found) == "✗ not yet: 8 bytes get silence; 1009 is wanted"


@pytest.mark.parametrize("answer", ["82 fe 03 e9", 1009])
def test_too_big_has_to_be_bytes(answer):
    assert "bytes are needed" in exercise("03.5").check(answer).text


def test_header_share_prints_and_draws_the_two_steps():
    def header_size(length, masked):
        return 2 + (0 if length < 126 else 2 if length < 65_536 else 8) + (4 if masked else 0)

    picture = header_share(header_size)
    assert repr(picture).splitlines() == [
        "payload/bytes         1        5      125      126   65,535   65,536",
        "client, %          85.7     54.5     4.58     5.97   0.0122   0.0214",
        "server, %          66.7     28.6     1.57     3.08   0.0061   0.0153",
    ]
    assert len(picture._repr_png_()) < 60_000
