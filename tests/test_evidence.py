import asyncio

import pytest

from wslearn import simulate
from wslearn.lab.evidence import Evidence
from wslearn.lab.two_servers import REQUEST, echoing


def recorded(*wires, pause=1):
    """Return the evidence of a client that shakes hands and writes these bytes."""

    async def scene(net):
        async with echoing().start("server", 80):
            reader, writer = await asyncio.open_connection("server", 80)
            writer.write(REQUEST)
            await reader.readuntil(b"\r\n\r\n")
            for wire in wires:
                writer.write(wire)
                await asyncio.sleep(pause)
            return Evidence(net.trace)

    return simulate(scene, latency=0.1)


HI = bytes.fromhex("81 82 01 02 03 04 69 6b")


def test_frames_are_numbered_and_heads_are_not():
    rows = recorded(HI).rows
    assert [row[0] for row in rows] == ["frame", "", "", "0", "1"]


def test_row_shows_the_header_without_key_and_the_payload_unmasked():
    sent, back = recorded(HI).rows[3:]
    assert sent[-5:] == ["Text", "81 82", "'hi'", "8", "68 69"]
    assert back[-5:] == ["Text", "81 02", "'hi'", "4", "68 69"]


def test_frame_that_never_became_whole_stands_where_it_began_and_the_rest_behind():
    evidence = recorded(HI, bytes.fromhex("82 8a 01 02 03 04 01 02 03"), bytes.fromhex("07 00"))
    begun, more = evidence.rows[-2:]
    assert begun[:2] == ["2", "1.400"]
    assert begun[-5:] == ["unfinished", "82 8a", "", "9", "00 00 00 03 01"]
    assert more[:2] == ["", "2.400"]
    assert more[-5:] == ["more of it", "", "", "2", "03 01"]
    assert evidence[2] == bytes.fromhex("82 8a 01 02 03 04 01 02 03 07 00")


def test_frame_without_a_key_shows_all_of_its_header():
    assert recorded(bytes.fromhex("81 02 68 69")).rows[3][-5:] == ["Text", "81 02", "'hi'", "4", "68 69"]


@pytest.mark.parametrize(("number", "said"), [(0, "client's Text 'hi'"), (1, "server's Text 'hi'")])
def test_frame_can_be_named_in_words(number, said):
    assert recorded(HI).said(number) == said


def test_connections_are_named_and_others_left_out():
    trace = recorded(HI).trace
    assert {row[3] for row in Evidence(trace, {1: "phone"}).rows[1:]} == {"phone"}
    assert len(Evidence(trace, {2: "page"}).rows) == 1


def test_long_words_and_payloads_are_cut():
    row = recorded(bytes.fromhex("81 ff 00 00 00 00 00 00 00 09 00 00 00 00")).rows[-1]
    assert row[-3][59:] == "…"
    assert row[-1].endswith(" …")


def test_table_prints_its_columns_below_each_other():
    lines = repr(recorded(HI)).splitlines()
    assert lines[0].index("what") == lines[3].index("Text")
    assert (
        '<td style="text-align:left;white-space:pre;font-family:monospace">81 82</td>'
        in recorded(HI)._repr_html_()
    )


def test_column_of_what_is_said_stays_wide_on_a_narrow_page():
    html = recorded(HI)._repr_html_()
    assert '<th scope="col" style="text-align:left;min-width:26ch">says</th>' in html
    assert html.count("min-width") == 1
