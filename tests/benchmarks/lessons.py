"""Measures how long nbval takes for each lesson, wall time, pytest and the start of a kernel included.

python tests/benchmarks/lessons.py [notebooks/01-first-conversation.ipynb ...]
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def main(arguments: list[str]) -> int:
    lessons = [Path(argument).resolve() for argument in arguments] or sorted(ROOT.glob("notebooks/*.ipynb"))
    codes = [measure(lesson) for lesson in lessons]
    return max(codes, default=0)


def measure(lesson: Path) -> int:
    """Run one lesson, print its time and pytest's last line, return pytest's exit code."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(lesson)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    seconds = time.perf_counter() - start
    print(f"{lesson.stem:<32} {seconds:5.1f} s   {done.stdout.strip().splitlines()[-1]}", flush=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
