"""What can go wrong in a conversation, each with the close code and the section that decide it.

Here are the exceptions, their texts and nothing else; who raises one says the fact and the limit.
"""

from __future__ import annotations

from collections.abc import Mapping

from wslearn.frames import CloseCode, CloseReason, Frame

RFC = "RFC 6455"


class ProtocolViolation(Exception):
    """The peer broke a rule of the protocol: a close code, the section of the rule, the fact.

    Args:
        code: the close code that answers it, 1002 or 1007.
        section: the section of the RFC, as "5.5".
        rfc: the one that has the rule.
    """

    def __init__(self, code: int, section: str, message: str, rfc: str = RFC) -> None:
        super().__init__(code, section, message)
        self.code = code
        self.section = section
        self.message = message
        self.rfc = rfc

    def __str__(self) -> str:
        return f"{self.message} ({self.rfc}, section {self.section})"


class FrameTooBig(Exception):
    """A data frame or message is larger than `max_frame_size`; both sizes are in bytes."""

    code = CloseCode.MESSAGE_TOO_BIG
    section = "10.4"

    def __init__(self, frame_size: int, max_frame_size: int) -> None:
        super().__init__(frame_size, max_frame_size)
        self.frame_size = frame_size
        self.max_frame_size = max_frame_size

    def __str__(self) -> str:
        return (
            f"frame is too big: {self.frame_size} bytes, max_frame_size is {self.max_frame_size}"
            f" ({RFC}, section {self.section})"
        )


class PingTimeout(Exception):
    """No matching pong came in time.

    Args:
        timeout: how long the pong was awaited, in seconds.
    """

    def __init__(self, timeout: float) -> None:
        super().__init__(timeout)
        self.timeout = timeout

    def __str__(self) -> str:
        return f"no matching pong within timeout={self.timeout:g} s ({RFC}, section 5.5.2)"


class ChannelClosed(Exception):
    """The conversation is over: nothing more can be received, or nothing more sent.

    Args:
        reason: why it ended.
    """

    def __init__(self, reason: CloseReason) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the session is closed: {self.reason!r}"


class ChannelOverflow(Exception):
    """A bounded channel with `on_overflow=CLOSE` was full.

    Args:
        capacity: how many items the channel holds.
    """

    def __init__(self, channel: str, capacity: float) -> None:
        super().__init__(channel, capacity)
        self.channel = channel
        self.capacity = capacity

    def __str__(self) -> str:
        return f"{self.channel} overflowed: it holds {self.capacity} and its on_overflow is CLOSE"


class HandshakeError(Exception):
    """The opening handshake failed.

    Args:
        status: the HTTP status that the server answered.
        headers: looked up by name in any case.
        body: what the server wrote behind the head.
        message: what is wrong with the answer; None where the status says it.
    """

    def __init__(
        self, status: int, headers: Mapping[str, str], body: bytes = b"", message: str | None = None
    ) -> None:
        super().__init__(status, headers, body, message)
        self.status = status
        self.headers = headers
        self.body = body
        self.message = message

    def __str__(self) -> str:
        if self.message:
            return self.message
        said = self.body[:200].decode(errors="replace").strip()
        return f"server answered {self.status}, not 101" + (f": {said}" if said else "")


class ConverterNotFound(Exception):
    """An object was to be sent or received, and the option `content_converter` is None."""

    def __str__(self) -> str:
        return "no content_converter: write install(WebSockets, content_converter=JsonConverter())"


class DeserializeError(Exception):
    """A frame does not hold what was asked for; the session goes on.

    Args:
        frame: the frame that was taken from `incoming`.
        message: what does not fit, and where.
        code: the close code if nobody catches it: 1007, or 1003 for the wrong kind of frame.
    """

    def __init__(self, frame: Frame, message: str, code: int = CloseCode.INVALID_DATA) -> None:
        super().__init__(frame, message, code)
        self.frame = frame
        self.message = message
        self.code = code

    def __str__(self) -> str:
        return self.message


class Stalled(Exception):
    """A simulation cannot go on: all waits for ever, or time stands still.

    Args:
        time: virtual seconds since the start.
        waiting: a line for each task that waits.
    """

    def __init__(self, time: float, why: str, waiting: list[str]) -> None:
        super().__init__(time, why, waiting)
        self.time = time
        self.why = why
        self.waiting = waiting

    def __str__(self) -> str:
        waits = "; ".join(self.waiting) or "nothing"
        return f"simulation stalled at {self.time:g} s: {self.why}; waiting: {waits}"
