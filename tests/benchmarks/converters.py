"""Measures an object of 20 fields there and back, by each converter beside its library called directly.

    python tests/benchmarks/converters.py [--repeats 60]

Directly means: the library writes `vars(row)`, and `Row(**data)` is made of what it reads, with no check of
any type. Both alternate, and the fastest sample of each counts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import make_dataclass

import cbor2
import msgpack

from wslearn import CborConverter, JsonConverter, MessagePackConverter, ProtobufConverter
from wslearn.converters import _form

KINDS = [int, str, float, bool]
FIELDS = [(f"field_{n}", KINDS[n % 4]) for n in range(20)]
Row = make_dataclass("Row", FIELDS)
ROW = Row(*([1000 * n, f"value {n}", n * 1.5, True][n % 4] for n in range(20)))
MESSAGE = _form(Row).message
ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
DECODER = json.JSONDecoder()


def protobuf_there_and_back() -> None:
    message = MESSAGE.FromString(MESSAGE(**vars(ROW)).SerializeToString())
    Row(*(getattr(message, name) for name, _ in FIELDS))


def rows() -> dict[str, tuple[object, Callable[[], object]]]:
    """Return by format the converter, and what goes there and back directly."""
    return {
        "JSON": (JsonConverter(), lambda: Row(**DECODER.decode(ENCODER.encode(vars(ROW)).encode().decode()))),
        "CBOR": (CborConverter(), lambda: Row(**cbor2.loads(cbor2.dumps(vars(ROW))))),
        "MessagePack": (MessagePackConverter(), lambda: Row(**msgpack.unpackb(msgpack.packb(vars(ROW))))),
        "Protocol Buffers": (ProtobufConverter(), protobuf_there_and_back),
    }


def sample(run: Callable[[], object], times: int = 300) -> float:
    """Return microseconds of one run."""
    begin = time.perf_counter()
    for _ in range(times):
        run()
    return 1e6 * (time.perf_counter() - begin) / times


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=60)
    repeats = parser.parse_args().repeats
    for name, (converter, directly) in rows().items():
        pairs = [
            (sample(lambda c=converter: c.deserialize(c.serialize(ROW), Row)), sample(directly))
            for _ in range(repeats)
        ]
        ours, theirs = map(min, zip(*pairs, strict=True))
        print(f"{name:<17} {ours:5.1f} µs, directly {theirs:5.1f} µs, ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
