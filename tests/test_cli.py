"""The commands as a person types them: real processes for what listens, plain calls for the rest."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from jupyterlab.labapp import LabApp
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from wslearn import cli

NOTEBOOKS = Path(cli.__file__).parent.parent / "notebooks"


@contextmanager
def running(*arguments, **environment):
    """Start a command; end it whatever happens."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; from wslearn.cli import main; sys.exit(main())", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_listener(port):
    """Knock until somebody opens."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


# dissect


def test_dissect_prints_the_fields_of_a_frame(capsys):
    assert cli.main(["dissect", "81", "05", "48", "65", "6c", "6c", "6f"]) == 0
    shown = capsys.readouterr().out
    assert "Text frame: header 2 bytes, payload 5 bytes" in shown
    assert "the text 'Hello'" in shown


@pytest.mark.parametrize(
    "typed", ["810548656c6c6f", "81:05:48:65:6c:6c:6f", "0x81, 0x05 48 65 6C 6C 6F", " 8105 48656c6c6f "]
)
def test_dissect_takes_hex_as_people_copy_it(typed, capsys):
    assert cli.main(["dissect", typed]) == 0
    assert "the text 'Hello'" in capsys.readouterr().out


def test_dissect_shows_every_frame_of_the_bytes(capsys):
    cli.main(["dissect", "8900", "8a00"])
    shown = capsys.readouterr().out
    assert "Ping frame" in shown
    assert "Pong frame" in shown


def test_dissect_shows_the_head_of_a_handshake_and_the_frames_behind_it(capsys):
    cli.main(["dissect", (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + b"\x89\x00").hex()])
    shown = capsys.readouterr().out
    assert shown.startswith("request: 27 bytes")
    assert "Ping frame" in shown


def test_dissect_knows_the_rules_of_a_sender(capsys):
    cli.main(["dissect", "8900", "--sender", "client"])
    assert "violation" in capsys.readouterr().out


@pytest.mark.parametrize(("typed", "wrong"), [("81 0g", "0g"), ("81 5", "5"), ("", ""), ("hello", "hello")])
def test_dissect_names_the_typo_in_one_line(typed, wrong, capsys):
    assert cli.main(["dissect", typed]) == 2
    expected = (
        f"wslearn dissect: {wrong!r} is no hex: two digits of 0-9 and a-f a byte, as 81 05 48 65 6c 6c 6f\n"
    )
    assert capsys.readouterr() == ("", expected)


# serve


def test_serve_runs_the_echo_example_until_ctrl_c():
    with running("serve") as process:
        url = process.stdout.readline().split()[0]
        with connect(url, proxy=None) as client:
            assert client.recv() == "Please enter your name"
            client.send("Ana")
            assert client.recv() == "Hi, Ana!"
            process.send_signal(signal.SIGINT)
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(timeout=20)
        assert closed.value.rcvd.code == 1001
        assert process.communicate(timeout=20) == ("stopped\n", "")
        assert process.returncode == 0


def test_serve_says_good_bye():
    with running("serve") as process, connect(process.stdout.readline().split()[0], proxy=None) as client:
        client.recv()
        client.send("bye")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv()
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1000, "Client said BYE")


def test_serve_names_a_port_in_use_in_one_line(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert cli.main(["serve", "--port", str(port)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"wslearn serve: cannot listen on 127.0.0.1:{port}: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("port", ["65536", "-1", "http", "1.5"])
def test_serve_refuses_a_port_that_is_none(port, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["serve", f"--port={port}"])
    assert left.value.code == 2
    assert f"port is '{port}': 0 to 65535 are allowed" in capsys.readouterr().err


# lab


def test_lab_without_the_extra_prints_the_line_to_type(monkeypatch, capsys):
    monkeypatch.setattr(cli, "find_spec", lambda name: None if name == "jupyterlab" else name)
    assert cli.main(["lab"]) == 2
    assert capsys.readouterr() == ("", 'wslearn lab: jupyterlab not installed: pip install "wslearn[lab]"\n')


@pytest.fixture
def launched(monkeypatch):
    """The arguments that Jupyter gets."""
    launches = []
    monkeypatch.setattr(LabApp, "launch_instance", launches.append)
    return launches


def test_lab_in_a_checkout_opens_lesson_00_of_the_checkout(launched, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["lab"]) == 0
    extensions = NOTEBOOKS.parent / "wslearn" / "lab" / "labextensions"
    assert launched[0][:3] == [
        f"--ServerApp.root_dir={NOTEBOOKS}",
        "--LabApp.default_url=/lab/tree/00-start-here.ipynb",
        f"--LabApp.extra_labextensions_path={extensions}",
    ]
    assert list(tmp_path.iterdir()) == []


def test_lab_passes_other_arguments_to_jupyter(launched):
    cli.main(["lab", "--no-browser", "--port", "8889", "--ip", "::1"])
    assert launched[0][-5:] == ["--no-browser", "--port", "8889", "--ip", "::1"]


def test_lab_copies_the_lessons_into_a_folder_that_is_named(launched, tmp_path, capsys):
    cli.main(["lab", str(tmp_path / "mine"), "--no-browser"])
    assert f"--ServerApp.root_dir={tmp_path / 'mine'}" in launched[0]
    copied = {path.name for path in (tmp_path / "mine").glob("*.ipynb")}
    assert copied == {path.name for path in NOTEBOOKS.glob("*.ipynb")}
    assert capsys.readouterr().out == f"The lessons are in {tmp_path / 'mine'}\n"


def test_lab_of_an_installed_package_copies_into_a_folder_of_the_learner(launched, tmp_path, monkeypatch):
    (tmp_path / "site" / "notebooks").mkdir(parents=True)
    (tmp_path / "site" / "notebooks" / "00-start-here.ipynb").write_text("lesson")
    monkeypatch.setattr(cli, "PACKAGE", tmp_path / "site")
    monkeypatch.chdir(tmp_path)
    cli.main(["lab"])
    assert (tmp_path / "wslearn-lessons" / "00-start-here.ipynb").read_text() == "lesson"
    assert f"--ServerApp.root_dir={tmp_path / 'wslearn-lessons'}" in launched[0]


def test_lab_names_a_folder_that_is_a_file(launched, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["lab", str(tmp_path / "file")]) == 1
    assert (
        capsys.readouterr().err
        == f"wslearn lab: cannot copy the lessons to {tmp_path / 'file'}: File exists\n"
    )
    assert launched == []


def test_lab_serves_lesson_00(tmp_path, free_port):
    home = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    options = ["--no-browser", "--IdentityProvider.token=secret", f"--port={free_port}"]
    with running("lab", *options, **home) as process:
        server = f"http://127.0.0.1:{free_port}"
        assert any(f"{server}/lab/tree/00-start-here.ipynb" in line for line in process.stderr)
        wait_for_listener(free_port)
        with urllib.request.urlopen(f"{server}/api/contents/00-start-here.ipynb?token=secret") as answer:
            assert json.load(answer)["type"] == "notebook"


# copies of the lessons


@pytest.fixture
def shipped(tmp_path):
    """The lessons of the package: one with a picture."""
    folder = tmp_path / "shipped"
    (folder / "pictures").mkdir(parents=True)
    (folder / "01.ipynb").write_text("version 1")
    (folder / "pictures" / "view.png").write_bytes(b"picture")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "01-checkpoint.ipynb").write_text("left by Jupyter")
    return folder


@pytest.fixture
def mine(tmp_path):
    return tmp_path / "mine"


def names(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != cli.RECORD)


def test_lessons_and_pictures_are_copied_without_checkpoints(shipped, mine):
    assert list(cli.copy_lessons(shipped, mine)) == []
    assert names(mine) == ["01.ipynb", "view.png"]


def test_a_lesson_that_the_learner_has_not_changed_is_refreshed_silently(shipped, mine):
    list(cli.copy_lessons(shipped, mine))
    (shipped / "01.ipynb").write_text("version 2")
    assert list(cli.copy_lessons(shipped, mine)) == []
    assert (mine / "01.ipynb").read_text() == "version 2"


def test_a_changed_lesson_stays_and_nothing_is_said_while_there_is_no_new_version(shipped, mine):
    list(cli.copy_lessons(shipped, mine))
    (mine / "01.ipynb").write_text("with my answers")
    assert list(cli.copy_lessons(shipped, mine)) == []
    assert (mine / "01.ipynb").read_text() == "with my answers"
    assert names(mine) == ["01.ipynb", "view.png"]


def test_the_new_version_of_a_changed_lesson_is_put_beside_it_once(shipped, mine):
    list(cli.copy_lessons(shipped, mine))
    (mine / "01.ipynb").write_text("with my answers")
    (shipped / "01.ipynb").write_text("version 2")
    assert list(cli.copy_lessons(shipped, mine)) == [
        "You have changed 01.ipynb, so it stays; its new version is 01-new.ipynb"
    ]
    assert list(cli.copy_lessons(shipped, mine)) == []
    assert (mine / "01.ipynb").read_text() == "with my answers"
    assert (mine / "01-new.ipynb").read_text() == "version 2"


def test_a_second_new_version_does_not_overwrite_the_first(shipped, mine):
    list(cli.copy_lessons(shipped, mine))
    (mine / "01.ipynb").write_text("with my answers")
    for version in ("version 2", "version 3"):
        (shipped / "01.ipynb").write_text(version)
        list(cli.copy_lessons(shipped, mine))
    assert [(mine / name).read_text() for name in ("01.ipynb", "01-new.ipynb", "01-new-2.ipynb")] == [
        "with my answers",
        "version 2",
        "version 3",
    ]


def test_a_deleted_lesson_comes_back(shipped, mine):
    list(cli.copy_lessons(shipped, mine))
    (mine / "01.ipynb").unlink()
    list(cli.copy_lessons(shipped, mine))
    assert (mine / "01.ipynb").read_text() == "version 1"


@pytest.mark.parametrize("record", [None, "not JSON"])
def test_without_a_readable_record_a_different_file_is_kept(shipped, mine, record):
    mine.mkdir()
    (mine / "01.ipynb").write_text("a file of that name")
    if record is not None:
        (mine / cli.RECORD).write_text(record)
    assert len(list(cli.copy_lessons(shipped, mine))) == 1
    assert (mine / "01.ipynb").read_text() == "a file of that name"
