"""Measures `dissect` on 10,000 frames of 64 bytes beside tshark on a capture of the same frames.

    python tests/benchmarks/dissect.py [--frames 10000] [--repeats 5]

The two alternate, in CPU time; tshark's start on a capture without frames is taken off its own. tshark prints
the fields that a dissection has too.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from wslearn import Text, Trace, dissect
from wslearn.codec import encode
from wslearn.handshake import upgrade_request, upgrade_response

KEY = bytes.fromhex("37fa213d")
FRAME = encode(Text("a" * 58), KEY)
NONCE = "dGhlIHNhbXBsZSBub25jZQ=="
REQUEST = upgrade_request("server", "/", NONCE, [], {}).encode()
RESPONSE = upgrade_response(NONCE).encode()
FIELDS = ("fin", "rsv", "opcode", "mask", "payload_length", "masking_key", "payload.text")
TSHARK = ["tshark", "-n", "-T", "fields", *(f"-ewebsocket.{name}" for name in FIELDS), "-r"]


def capture(path: Path, frames: int) -> Path:
    """Write a capture of one session with so many frames of a client."""
    trace = Trace(max_bytes=2**28)
    trace.record_head(1, "client", [(0.0, REQUEST)], len(REQUEST))
    trace.record_head(1, "server", [(0.1, RESPONSE)], len(RESPONSE))
    for number in range(frames):
        trace.record(1 + number / 1000, 1, "client", FRAME)
    trace.to_pcap(path)
    return path


def ours(frames: int) -> float:
    """Return the seconds of CPU that dissecting so many frames takes."""
    begin = time.process_time()
    for _ in range(frames):
        dissect(FRAME, "client")
    return time.process_time() - begin


def theirs(path: Path) -> float:
    """Return the seconds of CPU that tshark takes for a capture."""
    before = _cpu_of_children()
    subprocess.run([*TSHARK, str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return _cpu_of_children() - before


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    choices = parser.parse_args()
    runs: dict[str, list[float]] = {"dissect": [], "tshark": [], "tshark's start": []}
    with tempfile.TemporaryDirectory() as folder:
        full = capture(Path(folder) / "full.pcap", choices.frames)
        empty = capture(Path(folder) / "empty.pcap", 0)
        for _ in range(choices.repeats):
            runs["dissect"].append(ours(choices.frames))
            runs["tshark"].append(theirs(full))
            runs["tshark's start"].append(theirs(empty))
    for name, run in runs.items():
        print(f"{name:<15} {statistics.median(run):6.3f} s CPU  ({min(run):.3f} to {max(run):.3f})")
    mine, whole, start = map(statistics.median, runs.values())
    print(f"ratio to tshark {mine / whole:.2f}, to tshark without its start {mine / (whole - start):.2f}")


if __name__ == "__main__":
    main()
