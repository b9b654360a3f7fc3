"""Measures the CPU time of `import wslearn` beside `import websockets.asyncio.server`, each in new processes.

    python tests/benchmarks/imports.py [--repeats 15]

The two alternate, and the interpreter's own start is measured in the same way and taken off both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

OURS, THEIRS = "import wslearn", "import websockets.asyncio.server"


def cpu_milliseconds(statement: str) -> float:
    """Return the CPU time of a new interpreter that runs one statement."""
    code = f"{statement}\nimport time\nprint(time.process_time())"
    # As pip leaves a package: compiled. A checkout is not, where Python is told to write no bytecode.
    compiled = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], env=compiled, stdout=subprocess.PIPE, text=True, check=True
    )
    return 1000 * float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    runs: dict[str, list[float]] = {OURS: [], THEIRS: [], "pass": []}
    for statement in runs:
        cpu_milliseconds(statement)  # compiles what is not compiled yet
    for _ in range(repeats):
        for statement, run in runs.items():
            run.append(cpu_milliseconds(statement))
    median = {statement: statistics.median(run) for statement, run in runs.items()}
    for statement, run in runs.items():
        print(f"{statement:<34} {median[statement]:6.1f} ms CPU  ({min(run):.1f} to {max(run):.1f})")
    start = median["pass"]
    print(f"ratio without the interpreter's start {(median[OURS] - start) / (median[THEIRS] - start):.2f}")


if __name__ == "__main__":
    main()
