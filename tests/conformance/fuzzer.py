"""Autobahn's half of a run: CPython 2.7 executes this file, given the suite's folder and what to run.

The suite is as it was published, but it listens on loopback alone, on a free port, and each result is a
line of JSON on standard output as soon as its case is over; no report is written.
"""
# ruff: noqa: E402, I001, N802

import json
import os
import site
import sys

site.addsitedir(sys.argv[1])  # for its .pth files, which PYTHONPATH does not read
asked = json.loads(sys.argv[2])
told = os.fdopen(os.dup(1), "w")
sys.stdout = open(os.devnull, "w")  # noqa: SIM115  the suite prints what it does

from autobahntestsuite import choosereactor  # noqa: F401  before anything of Twisted
from autobahntestsuite import fuzzing
from twisted.internet import reactor

SAID = ["id", "behavior", "behaviorClose", "remoteCloseCode", "result", "resultClose"]


def tell(**facts):
    told.write(json.dumps(facts) + "\n")
    told.flush()


class Telling:
    """A factory of the suite that tells each result."""

    def logCase(self, result):
        seen = {name: repr(result[name])[:1000] for name in ("expected", "received")}
        tell(**dict(seen, **{name: result[name] for name in SAID}))

    def createReports(self):
        pass


class Server(Telling, fuzzing.FuzzingServerFactory):
    pass


class Client(Telling, fuzzing.FuzzingClientFactory):
    pass


def listen(cases):
    server = Server({"url": "ws://127.0.0.1", "cases": cases})
    port = reactor.listenTCP(0, server, interface="127.0.0.1").getHost().port
    server.setSessionParameters(url="ws://127.0.0.1:" + str(port))
    tell(cases=server.specCases, port=port)


def connect(cases, url):
    client = Client({"cases": cases, "servers": [{"agent": "wslearn", "url": url}]})
    tell(cases=client.specCases)


if asked["url"] is None:
    listen(asked["cases"])
else:
    connect(asked["cases"], str(asked["url"]))
reactor.run()
