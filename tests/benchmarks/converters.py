"""Measures an object of 20 fields there and back, by each converter beside its library called directly.

    python tests/benchmarks/converters.py [--repeats 500]

Like is compared with like: who calls the library directly makes the same frame, and of what the library
reads pydantic makes a `Row` whose fields have the right types. The second ratio is to the same without
that check: `Row(**data)`, whatever the types are. Protocol Buffers check by themselves, so both are one.
The three alternate, and of each the fastest of short samples counts, which a busy machine spares.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import make_dataclass
from typing import Any

import cbor2
import msgpack
from pydantic import TypeAdapter

from wslearn import Binary, CborConverter, JsonConverter, MessagePackConverter, ProtobufConverter, Text
from wslearn.converters import _form

KINDS = [int, str, float, bool]
FIELDS = [(f"field_{n}", KINDS[n % 4]) for n in range(20)]
Row = make_dataclass("Row", FIELDS)
ROW = Row(*([1000 * n, f"value {n}", n * 1.5, True][n % 4] for n in range(20)))
CHECKED = TypeAdapter(Row).validate_python
MESSAGE = _form(Row).message
ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
DECODER = json.JSONDecoder()


def unchecked(data: dict[str, Any]) -> object:
    return Row(**data)


def json_directly(make: Callable[[Any], object]) -> object:
    frame = Text(ENCODER.encode(vars(ROW)))
    return make(DECODER.decode(frame.read_text()))


def cbor_directly(make: Callable[[Any], object]) -> object:
    frame = Binary(cbor2.dumps(vars(ROW)))
    return make(cbor2.loads(frame.data))


def message_pack_directly(make: Callable[[Any], object]) -> object:
    frame = Binary(msgpack.packb(vars(ROW)))
    return make(msgpack.unpackb(frame.data))


def protobuf_directly(make: object) -> object:
    frame = Binary(MESSAGE(**vars(ROW)).SerializeToString())
    message = MESSAGE.FromString(frame.data)
    return Row(*[getattr(message, name) for name, _ in FIELDS])


FORMATS = {
    "JSON": (JsonConverter(), json_directly),
    "CBOR": (CborConverter(), cbor_directly),
    "MessagePack": (MessagePackConverter(), message_pack_directly),
    "Protocol Buffers": (ProtobufConverter(), protobuf_directly),
}


def sample(run: Callable[[], object], times: int = 50) -> float:
    """Return microseconds of one run."""
    begin = time.perf_counter()
    for _ in range(times):
        run()
    return 1e6 * (time.perf_counter() - begin) / times


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=500)
    repeats = parser.parse_args().repeats
    for name, (converter, directly) in FORMATS.items():
        runs = (
            lambda: converter.deserialize(converter.serialize(ROW), Row),  # noqa: B023
            lambda: directly(CHECKED),  # noqa: B023
            lambda: directly(unchecked),  # noqa: B023
        )
        assert all(run() == ROW for run in runs)
        samples = [[sample(run) for run in runs] for _ in range(repeats)]
        ours, theirs, bare = map(min, zip(*samples, strict=True))
        print(
            f"{name:<17} {ours:5.1f} µs, directly {theirs:5.1f} µs, ratio {ours / theirs:.2f};"
            f" unchecked {bare:5.1f} µs, ratio {ours / bare:.2f}"
        )


if __name__ == "__main__":
    main()
