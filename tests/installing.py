"""Software of other people that tests talk to, installed once, outside the checkout.

It is in `$WSLEARN_CACHE`, by default `~/.cache/wslearn`; tests of what cannot be installed skip and say why.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("WSLEARN_CACHE") or Path.home() / ".cache" / "wslearn")


def installed(name: str, *command: str) -> Path:
    """Return the folder where some software is, installed if it was not yet.

    Args:
        name: with the version, so that another one is another folder.
        command: installs it; `{folder}` in it is where.
    """
    folder = CACHE / name
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        half = tempfile.mkdtemp(prefix=f"{name}-", dir=CACHE)
        install = [part.replace("{folder}", half) for part in command]
        done = subprocess.run(install, capture_output=True, text=True)
        if done.returncode:
            shutil.rmtree(half)
            pytest.skip(f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}")
        os.rename(half, folder)
    return folder
