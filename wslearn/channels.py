"""Bounded queues between a session and its handler, and one flow to many.

Here is what waits and what overflows; what an overflow means to a connection is the session's.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from wslearn.errors import ChannelClosed, ChannelOverflow

T = TypeVar("T")


class OnOverflow(Enum):
    """What a full channel does with one item more."""

    SUSPEND = "the sender waits"
    CLOSE = "the channel closes"
    DROP_OLDEST = "the oldest item goes"

    def __repr__(self) -> str:
        return self.name


SUSPEND, CLOSE, DROP_OLDEST = OnOverflow.SUSPEND, OnOverflow.CLOSE, OnOverflow.DROP_OLDEST


@dataclass(frozen=True, slots=True)
class Bound:
    """How many items a channel holds, and what happens then."""

    capacity: float
    on_overflow: OnOverflow = SUSPEND

    def __repr__(self) -> str:
        if self.capacity == math.inf:
            return "unlimited()"
        return f"bounded({self.capacity}, on_overflow={self.on_overflow!r})"


def bounded(n: int, on_overflow: OnOverflow = SUSPEND) -> Bound:
    """Return the bound of a channel that holds exactly n items.

    Raises:
        ValueError: n is below 1, or `on_overflow` is neither SUSPEND nor CLOSE.
    """
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"capacity is {n!r}: a whole number is needed")
    if n < 1:
        raise ValueError(f"capacity is {n}: 1 or more are allowed")
    if on_overflow not in (SUSPEND, CLOSE):
        raise ValueError(f"on_overflow is {on_overflow!r}: SUSPEND or CLOSE are allowed")
    return Bound(n, on_overflow)


def unlimited() -> Bound:
    """Return the bound of a channel that never overflows."""
    return Bound(math.inf)


@dataclass(frozen=True, slots=True)
class Channels:
    """The bounds of a session's two channels, in messages (raw sessions: frames)."""

    incoming: Bound = field(default_factory=lambda: bounded(64))
    outgoing: Bound = field(default_factory=lambda: bounded(64))


class Incoming(Generic[T]):
    """What has arrived and waits for the handler; the end of the conversation is its last item.

    Args:
        on_room: called when an item was taken.
        on_ask: called when the handler asks and gets the end.

    `in_hand` is the task that took the newest item and has not asked for the next one yet.
    """

    __slots__ = ("_end", "_items", "_on_ask", "_on_room", "_waiting", "capacity", "in_hand")

    def __init__(self, capacity: float, on_room: Callable[[], None], on_ask: Callable[[], None]) -> None:
        self.capacity = capacity
        self.in_hand: asyncio.Task[object] | None = None
        self._items: deque[T] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._end: Exception | None = None
        self._on_room = on_room
        self._on_ask = on_ask

    async def receive(self) -> T:
        """Wait for the next item.

        Raises:
            ChannelClosed: the conversation is over; or the error that ended it.
        """
        self.in_hand = None
        while not self._items:
            if self._end is not None:
                self._on_ask()
                raise self._end
            await self._wait()
        return self._take()

    def try_receive(self) -> T | None:
        """Return the next item if one waits, else None."""
        self.in_hand = None
        if self._items:
            return self._take()
        if self._end is not None:
            self._on_ask()
        return None

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.receive()
        except ChannelClosed:
            raise StopAsyncIteration from None

    def __len__(self) -> int:
        return len(self._items)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        state = "" if self._end is None else f", ended by {type(self._end).__name__}"
        return f"<incoming: {len(self)} of {_shown(self.capacity)}{state}>"

    @property
    def full(self) -> bool:
        return len(self._items) >= self.capacity

    @property
    def idle(self) -> bool:
        """Whether no item waits and none is in the handler's hands."""
        return not self._items and self.in_hand is None

    def put(self, item: T) -> None:
        """Add an item; who puts looks at `full` first."""
        if self._end is None:
            self._items.append(item)
            self._wake()

    def end(self, error: Exception) -> None:
        """Set the last item, once."""
        if self._end is None:
            self._end = error
            self._wake()

    def _take(self) -> T:
        item = self._items.popleft()
        self.in_hand = asyncio.current_task()
        self._on_room()
        return item

    async def _wait(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif turn.cancelled() or self._items:
                self._wake(but=turn)

    def _wake(self, but: asyncio.Future[None] | None = None) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done() and turn is not but:
                turn.set_result(None)
                if self._end is None:
                    return


class SharedFlow(Generic[T]):
    """One flow of items to many collectors, each with a queue of its own.

    Args:
        capacity: items that a collector's queue holds.
        on_overflow: CLOSE ends a collector that is too slow, DROP_OLDEST takes its oldest items.
    """

    def __init__(self, capacity: int = 512, on_overflow: OnOverflow = CLOSE) -> None:
        bounded(capacity)
        if on_overflow not in (CLOSE, DROP_OLDEST):
            raise ValueError(f"on_overflow is {on_overflow!r}: CLOSE or DROP_OLDEST are allowed")
        self.capacity = capacity
        self.on_overflow = on_overflow
        self._collectors: dict[Incoming[T], None] = {}

    async def emit(self, item: T) -> None:
        """Give the item to every collector; never waits for a slow one."""
        for queue in list(self._collectors):
            if queue.full:
                self._overflow(queue)
            queue.put(item)

    def _overflow(self, queue: Incoming[T]) -> None:
        if self.on_overflow is DROP_OLDEST:
            queue.try_receive()
            return
        queue.end(ChannelOverflow("flow", self.capacity))
        self._collectors.pop(queue, None)

    async def collect(self) -> AsyncIterator[T]:
        """Iterate over what is emitted from the first step on.

        Raises:
            ChannelOverflow: this collector was too slow, after the items that it still held.
        """
        queue: Incoming[T] = Incoming(self.capacity, _nothing, _nothing)
        self._collectors[queue] = None
        try:
            while True:
                yield await queue.receive()
        finally:
            self._collectors.pop(queue, None)

    def __repr__(self) -> str:
        return f"<SharedFlow: {len(self._collectors)} collectors, capacity {self.capacity}>"


def _nothing() -> None:
    return None


def _shown(capacity: float) -> str:
    return "unlimited" if capacity == math.inf else str(capacity)
