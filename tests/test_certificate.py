"""The throw-away certificate is one that TLS takes, for its own address and from its own key only."""

import asyncio
import ssl

import pytest
from helpers import echo

from wslearn import Application, WebSockets, connect
from wslearn.lab.certificate import make_certificate


def talked(serving, trusting, host="127.0.0.1"):
    async def scene():
        app = Application()
        app.install(WebSockets)
        app.websocket("/echo")(echo)
        async with app.start(ssl=serving) as server:
            url = server.url("/echo").replace("127.0.0.1", host)
            async with connect(url, ssl=trusting) as session:
                await session.send("GOAL")
                return (await session.incoming.receive()).read_text()

    return asyncio.run(scene())


def test_client_that_trusts_the_certificate_talks_to_its_server():
    assert talked(*make_certificate()) == "GOAL"


def test_certificate_of_another_key_is_refused():
    with pytest.raises(ssl.SSLCertVerificationError):
        talked(make_certificate()[0], make_certificate()[1])


def test_certificate_is_for_its_address_alone():
    with pytest.raises(ssl.SSLCertVerificationError):
        talked(*make_certificate("127.0.0.2"))
