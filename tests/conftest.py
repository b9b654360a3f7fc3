"""What tests of several files share."""

import socket

import pytest


@pytest.fixture
def free_port():
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """Progress is kept in the working folder: here it is nobody's."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
