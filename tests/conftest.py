"""What tests of several files share."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes is the machine's affair.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_configure(config):
    """Let Ctrl-C be heard as in a terminal, by children too: jobs in the background of a shell ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish(session):
    """Let the kernels that run the lessons see nobody's progress, whoever has learned in that folder."""
    os.environ["WSLEARN_PROGRESS"] = str(Path(tempfile.mkdtemp(prefix="wslearn-")) / "progress.json")


class Certificate(NamedTuple):
    """A certificate for localhost with its key, as files and as the contexts of both ends."""

    certificate: Path
    key: Path
    serving: ssl.SSLContext
    trusting: ssl.SSLContext


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here that could make a certificate")
    folder = tmp_path_factory.mktemp("certificate")
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    made = [*command.split(), "-keyout", str(key), "-out", str(cert), *names]
    subprocess.run(made, check=True, capture_output=True)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(cert, key)
    return Certificate(cert, key, serving, ssl.create_default_context(cafile=cert))


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
