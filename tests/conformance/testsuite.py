"""The Autobahn TestSuite (RFC 6455 and RFC 7692) on loopback, in both directions, judged strictly.

Here the suite is installed, run and judged; our echo stands in the tests. It needs CPython 2.7.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from installing import installed

SUITE = "autobahntestsuite==25.10.1"
FUZZER = Path(__file__).with_name("fuzzer.py")

# Autobahn itself judges nothing here: data after a Close, and close codes that nobody has registered.
INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}

Results = dict[str, dict[str, Any]]


class Suite(NamedTuple):
    """An installed suite: the interpreter that runs it, and the folder where it is."""

    python: str
    folder: Path


def install() -> Suite:
    """Return the suite, installed if it was not yet."""
    python = python27()
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries=1"]
    return Suite(python, installed(SUITE, *pip, "--target={folder}", SUITE))


def python27() -> str:
    """Return a CPython 2.7 that starts: pyenv may have shims of one that is not chosen."""
    pyenv = sorted(Path.home().glob(".pyenv/versions/2.7.*/bin/python2.7"))
    for candidate in [shutil.which("python2.7"), *map(str, pyenv)]:
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True).returncode == 0:
            return candidate
    pytest.skip("no CPython 2.7 here, which the Autobahn TestSuite needs")


@asynccontextmanager
async def fuzzing(suite: Suite, cases: list[str], url: str | None = None) -> AsyncIterator[Fuzzer]:
    """Run the suite as the client of a server at `url`, or as a server when there is none."""
    asked = json.dumps({"cases": cases, "url": url})
    command = [suite.python, str(FUZZER), str(suite.folder), asked]
    process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE)
    try:
        assert process.stdout is not None
        plan = json.loads(await process.stdout.readline() or b"null")
        assert plan, "the Autobahn TestSuite did not start"
        yield Fuzzer(process, plan)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class Fuzzer:
    """A run of the suite: the cases that it plans, and its port if it is the server."""

    def __init__(self, process: Process, plan: dict[str, Any]) -> None:
        self.cases: list[str] = plan["cases"]
        self.port: int | None = plan.get("port")
        self._process = process

    async def results(self) -> Results:
        """Return the results of all planned cases, or of those that were over before the run ended."""
        results: Results = {}
        assert self._process.stdout is not None
        while len(results) < len(self.cases) and (line := await self._process.stdout.readline()):
            result = json.loads(line)
            results[result["id"]] = result
        return results


def failures(cases: list[str], results: Results) -> list[str]:
    """Return a line for each case that is not strictly as the RFC wants it, or has no result."""
    return [line for case in cases if (line := _failure(case, results.get(case)))]


def _failure(case: str, result: dict[str, Any] | None) -> str | None:
    if result is None:
        return f"{case}: no result"
    due = "INFORMATIONAL" if case in INFORMATIONAL else "OK"
    if (result["behavior"], result["behaviorClose"]) in ((due, "OK"), (due, due)):
        return None
    return f"{case}: {json.dumps(result, indent=1)}"
