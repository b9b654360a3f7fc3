"""Wireshark finds in every frame of the corpus what a dissection finds, at the same bits."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from corpus import KEY, frames

from wslearn import Dissection, Field, Trace, dissect
from wslearn.handshake import upgrade_request, upgrade_response

NONCE = "dGhlIHNhbXBsZSBub25jZQ=="
REQUEST = upgrade_request("server", "/", NONCE, [], {}).encode()
RESPONSE = upgrade_response(NONCE).encode()
NUMBERS = ("fin", "opcode", "mask", "payload_length", "payload_length_ext_16", "payload_length_ext_64")
MEANT = ("text", "binary", "close", "ping", "pong", "unknown", "continue")

pytestmark = pytest.mark.skipif(
    shutil.which("tshark") is None,
    reason="tshark is missing, Wireshark on the command line: apt-get install tshark",
)


def captured(wires: list[bytes], path: Path) -> list[ElementTree.Element]:
    """Return what Wireshark makes of frames, each sent on a connection of its own."""
    trace = Trace(max_bytes=2**28)
    for number, wire in enumerate(wires, 1):
        now = float(number)
        sender = "client" if len(wire) > 1 and wire[1] & 0x80 else "server"
        trace.record_head(number, "client", [(now, REQUEST)], len(REQUEST))
        trace.record_head(number, "server", [(now + 0.1, RESPONSE)], len(RESPONSE))
        trace.record(now + 0.2, number, sender, wire)
    trace.to_pcap(path)
    command = ["tshark", "-n", "-r", str(path), "-T", "pdml", "-Y", "websocket"]
    read = subprocess.run(command, capture_output=True, check=True).stdout
    return ElementTree.fromstring(read).findall("packet/proto[@name='websocket']")


def read_by_wireshark(frame: ElementTree.Element) -> dict[str, str]:
    """Return names and values in hex, and where key and payload stand as (byte, size)."""
    fields = {field.get("name", "").removeprefix("websocket."): field for field in frame.iter("field")}
    zero = int(fields["fin"].get("pos", ""))
    found = {name: f"{int(fields[name].get('value', ''), 16)}" for name in NUMBERS if name in fields}
    found["rsv"] = f"{int(fields['rsv'].get('value', ''), 16)}"
    for name in ("masking_key", "masked_payload"):
        if name in fields:
            at = int(fields[name].get("pos", "")) - zero
            found[name] = f"{fields[name].get('value')} at byte {at}, {fields[name].get('size')}"
    for name in MEANT:
        if value := fields.get(f"payload.{name}", ElementTree.Element("none")).get("value"):
            found["payload"] = value
    for name in ("status_code", "reason"):
        if f"payload.close.{name}" in fields:
            found[name] = fields[f"payload.close.{name}"].get("value", "")
    return found


def read_by_us(dissection: Dissection, like: dict[str, str]) -> dict[str, str]:
    return dict(_ours(dissection, {field.name: field for field in dissection.fields}, like))


def _ours(
    dissection: Dissection, fields: dict[str, Field], like: dict[str, str]
) -> Iterator[tuple[str, str]]:
    yield "fin", f"{fields['FIN'].value}"
    yield "rsv", f"{int(''.join(str(fields[f'RSV{bit}'].value) for bit in (1, 2, 3)), 2)}"
    yield "opcode", f"{fields['opcode'].value}"
    yield "mask", f"{fields['MASK'].value}"
    yield "payload_length", f"{fields['payload_length'].value}"
    if extended := fields.get("extended_payload_length"):
        yield f"payload_length_ext_{extended.length}", f"{extended.value}"
    if key := fields.get("masking_key"):
        yield "masking_key", f"{KEY.hex()} at byte {key.start // 8}, 4"
        assert key.value == KEY
    payload = fields.get("payload")
    if payload and key:
        yield "masked_payload", f" at byte {payload.start // 8}, {payload.length // 8}"
    # of a fragment, Wireshark shows the payload with its message only
    if payload and "payload" in like:
        yield "payload", dissection.unmasked.hex()
    for name in ("status_code", "reason"):
        if field := fields.get(name):
            place = slice(
                (field.start - payload.start) // 8, (field.start - payload.start + field.length) // 8
            )
            yield name, dissection.unmasked[place].hex()


def test_wireshark_reads_every_field_of_every_frame_as_we_do(tmp_path: Path) -> None:
    wires = list(frames())
    found = [read_by_wireshark(frame) for frame in captured(wires, tmp_path / "corpus.pcap")]
    assert len(found) == len(wires)
    assert sum("payload" in each for each in found) > 300
    for wire, wireshark in zip(wires, found, strict=True):
        assert read_by_us(dissect(wire), wireshark) == wireshark, wire[:40].hex(" ")


def test_the_corpus_has_each_first_byte_and_a_thousand_frames() -> None:
    wires = list(frames())
    assert {wire[0] for wire in wires} == set(range(256))
    assert len(wires) > 1000
    assert sum(bool(dissect(wire).violations) for wire in wires) > 500
