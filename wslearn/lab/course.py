"""The course: its lessons in their order, and the tracks that lead through them.

Here is the list alone; what a learner has done of it stands in `progress`.
"""

from __future__ import annotations

from dataclasses import dataclass

TRACKS = ("evening", "options", "application", "protocol", "cases")

# file, title, what one will see, minutes, tracks
TABLE = """
00-start-here | Start here | 18 bytes carry a question and its answer | 25 | evening application protocol
01-first-conversation | A first conversation | either side may speak at any time | 30 | evening application protocol
02-opening-handshake | The opening handshake | HTTP once, then never again | 30 | protocol
03-anatomy-of-a-frame | Anatomy of a frame | each bit of a frame has a job | 30 | evening protocol
04-masking | Masking | the mask hides nothing | 20 | options protocol
05-messages-and-fragments | Messages and fragments | a message is not a frame | 30 | options application protocol
06-ping-and-latency | Ping and latency | a pong measures the way and the attention | 20 | evening options protocol
07-timeouts-and-dead-peers | Timeouts and dead peers | silence is noticed, and when | 30 | evening options application protocol
08-closing-well | Closing well | every end is said, answered or cut | 30 | application protocol
09-content-converters | Content converters | the frame does not care, the reader does | 25 | options application
10-many-sessions | Many sessions | one slow reader costs something | 30 | application
11-extensions-and-compression | Extensions and compression | two ends agree to change the bytes | 30 | protocol
12-security | Security | who may talk, and how much | 30 | options application
13-from-the-browser | From the browser | your page is a client with rules of its own | 25 | application
14-build-your-own | Build your own | a correct server in about 100 lines | 90 | protocol
15-case-files | Case files | a trace tells what went wrong | 48 | cases
"""  # noqa: E501


@dataclass(frozen=True)
class Lesson:
    """One lesson.

    Args:
        name: its file, without the ending.
        shows: what one will see in it.
        tracks: those that lead through it.
    """

    name: str
    title: str
    shows: str
    minutes: int
    tracks: tuple[str, ...]

    @property
    def number(self) -> str:
        """Its two digits."""
        return self.name[:2]

    @property
    def file(self) -> str:
        """Its notebook, beside the others."""
        return f"{self.name}.ipynb"

    def __str__(self) -> str:
        return f"{self.number} {self.title}"


def _lesson(row: str) -> Lesson:
    name, title, shows, minutes, tracks = row.split(" | ")
    return Lesson(name, title, shows, int(minutes), tuple(tracks.split()))


COURSE = tuple(_lesson(row) for row in TABLE.strip().splitlines())
