"""Bounded queues between a session and its handler, and one flow to many.

Here is what waits and what overflows; what an overflow means to a connection is the session's.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from contextvars import Context
from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace
from typing import Any, Generic, NoReturn, Protocol, TypeVar, cast

from wslearn.errors import ChannelClosed, ChannelOverflow

T = TypeVar("T")
U = TypeVar("U", contravariant=True)


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
        TypeError: n is no whole number.
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

    def __post_init__(self) -> None:
        for name in ("incoming", "outgoing"):
            if not isinstance(bound := getattr(self, name), Bound):
                raise TypeError(f"{name} is {bound!r}: bounded(…) or unlimited() is needed")


DONE: asyncio.Future[None] = asyncio.Future(loop=cast("Any", SimpleNamespace(get_debug=bool)))
"""What a task that is called gets, as it asks a future of asyncio's own in no time; it belongs to no loop."""
DONE.set_result(None)


class Turn:
    """What a task waits for, as for a future; but where a future calls a task in the loop's next round,
    `call_all` calls it at once.

    Source: what `asyncio.Task` asks of a future, which its documentation calls a Future-like object.
    """

    __slots__ = ("_asyncio_future_blocking", "_context", "_go_on", "_loop", "is_over")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._asyncio_future_blocking = self.is_over = False

    def __await__(self) -> Generator[Turn, None, None]:
        self._asyncio_future_blocking, self.is_over = True, False
        # all that a task needs of a generator which yields this, and less than one costs
        return iter((self,))  # type: ignore[return-value]

    def add_done_callback(self, go_on: Callable[[asyncio.Future[None]], object], *, context: Context) -> None:
        self._go_on, self._context = go_on, context

    def cancel(self, msg: object = None) -> bool:
        """Call the task, which knows by itself that somebody cancels it."""
        self.call_soon()
        return False

    def call_soon(self) -> None:
        """Call the task in the loop's next round, if it still waits."""
        if not self.is_over:
            self.is_over = True
            self._loop.call_soon(self._go_on, DONE, context=self._context)
            del self._go_on  # who keeps a turn that is over does not keep its task


def call_all(turns: list[Turn]) -> None:
    """Call tasks, one after the other: at once, or soon if another one runs."""
    waiting = iter(turns)
    try:
        if asyncio.current_task() is None:
            for turn in waiting:
                if not turn.is_over:
                    turn.is_over = True
                    turn._context.run(turn._go_on, DONE)
    finally:
        # also those behind a task that stops the loop
        for turn in waiting:
            turn.call_soon()


class Incoming(Generic[T]):
    """What has arrived and waits for the handler; the end of the conversation is its last item.

    `holders` are the tasks that took an item and have not asked for the next one yet. What one of them
    leaves when it ends is in the hands of the `owner`, the task of the handler, if there is one. `on_room`
    is called when an item has been taken, `on_end` when somebody asked and got the end. Who puts items and
    will call who waits for them, when it has put all, sets `called` to the list of those. Only the session
    looks at `items` themselves.
    """

    __slots__ = (
        "__weakref__",
        "_end",
        "_spare",
        "_waiting",
        "called",
        "capacity",
        "full",
        "holders",
        "items",
        "on_end",
        "on_room",
        "owner",
    )

    def __init__(self, capacity: float) -> None:
        self.called: list[Turn] | None = None
        self.capacity = capacity
        self.full = False
        self.holders: list[asyncio.Task[Any]] = []
        self.owner: asyncio.Task[Any] | None = None
        self.on_room: Callable[[], None] | None = None
        self.on_end: Callable[[], None] | None = None
        self.items: deque[T] = deque()
        self._spare: Turn | None = None
        self._waiting: list[Turn] = []
        self._end: Exception | None = None

    async def receive(self) -> T:
        """Wait for the next item.

        Raises:
            ChannelClosed: the conversation is over; or the error that ended it.
        """
        try:
            return await self.__anext__()
        except StopAsyncIteration:
            assert self._end is not None
            raise self._end.with_traceback(None) from None

    def try_receive(self) -> T | None:
        """Return the next item if one waits, else None."""
        task = asyncio.current_task() if asyncio._get_running_loop() else None
        held = self.put_down(task)
        if self.items:
            return self._take(task)
        if self._end is not None:
            self._come_to_the_end(held)
        return None

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        task = asyncio.current_task()
        if self.items and self.holders == [task]:
            # who puts one down takes the next: `_take` without its call, as this runs for every message
            item = self.items.popleft()
            self.full = False
            if self.on_room is not None:
                self.on_room()
            return item
        held = self.put_down(task)
        while not self.items:
            if self._end is not None:
                self._come_to_the_end(held)
                self._raise_the_end()
            turn, self._spare = self._spare or Turn(), None
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._give_up(turn)
                raise
            self._spare = turn
        return self._take(task)

    def __len__(self) -> int:
        return len(self.items)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        state = "" if self._end is None else f", ended by {type(self._end).__name__}"
        return f"<incoming: {len(self)} of {_shown(self.capacity)}{state}>"

    @property
    def ended(self) -> bool:
        """Whether the last item is set."""
        return self._end is not None

    @property
    def idle(self) -> bool:
        """Whether no item waits and none is in anybody's hands."""
        if self.items:
            return False
        is_owned = self.owner is not None and not self.owner.done()
        return not self.holders or (not is_owned and all(holder.done() for holder in self.holders))

    def put_down(self, task: asyncio.Task[Any] | None) -> bool:
        """Note that a task is done with its item, as one that has ended is; tell whether it had one."""
        if not self.holders:
            return False
        if self.holders == [task]:
            self.holders.clear()
            return True
        held = task in self.holders
        self.holders = [holder for holder in self.holders if holder is not task and not holder.done()]
        return held

    def put(self, item: T) -> bool:
        """Add an item if there is room for it; what comes behind the end is nobody's."""
        if self._end is not None:
            return True
        if self.full:
            return False
        self.items.append(item)
        self.full = len(self.items) >= self.capacity
        if self._waiting:
            self._wake()
        return True

    def drop_oldest(self) -> None:
        """Make room for one item."""
        self.items.popleft()
        self.full = False

    def end(self, error: Exception) -> None:
        """Set the last item, once."""
        if self._end is not None:
            return
        self._end = error
        while self._waiting:
            self._wake()

    def _take(self, task: asyncio.Task[Any] | None) -> T:
        item = self.items.popleft()
        self.full = False
        if task is not None:
            self.holders.append(task)
        if self.on_room is not None:
            self.on_room()
        return item

    def _come_to_the_end(self, held: bool) -> None:
        """Tell that somebody asked and got the end; who had nothing in hand asked for who waits for it."""
        if not held:
            self.holders.clear()
        if self.on_end is not None:
            self.on_end()

    def _raise_the_end(self) -> NoReturn:
        assert self._end is not None
        if isinstance(self._end, ChannelClosed):
            raise StopAsyncIteration
        raise self._end.with_traceback(None)

    def _wake(self) -> None:
        turn = self._waiting.pop(0)
        if turn.is_over:
            return
        if self.called is None:
            turn.call_soon()
        else:
            self.called.append(turn)

    def _give_up(self, turn: Turn) -> None:
        """Leave the line; who was called already calls the next one."""
        if turn in self._waiting:
            self._waiting.remove(turn)
        elif self._waiting and self.items:
            self._wake()


NOTHING: deque[bytes] = deque()
"""What waits in nearly all sessions nearly always; an empty queue of its own has room for 64 already."""


class Way(Protocol[U]):
    """What stands behind `outgoing`: a session."""

    async def send(self, message: U) -> None:
        """Send an item, and wait if it has to."""

    def _try_send(self, message: U) -> bool:
        """Send an item if that needs no waiting; tell whether it did."""

    def _share(self, message: U) -> tuple[int, bytes]:
        """Return first byte and bytes of a message that nobody masks or extends; 0 and none of others."""

    def _try_share(self, first: int, wire: bytes) -> bool:
        """Send what `_share` has returned if that is what would be sent now; tell whether it is."""

    def _encode(self, message: U) -> bytes:
        """Return the bytes of an item whose turn has come, or raise."""


class Outgoing(Generic[T]):
    """What waits to be sent while the peer, or the network, takes no more."""

    __slots__ = ("_end", "_suspended", "_way", "_wires", "capacity", "taken")

    def __init__(self, capacity: float, way: Way[T]) -> None:
        self.capacity = capacity
        self.taken = 0
        self._way: Way[T] | None = way
        self._end: Exception | None = None
        self._wires: deque[bytes] = NOTHING
        self._suspended: list[tuple[T, asyncio.Future[None]]] = []

    async def send(self, frame: T) -> None:
        """Send a frame, as `session.send` does."""
        if self._way is None:
            assert self._end is not None
            raise self._end.with_traceback(None)
        await self._way.send(frame)

    def try_send(self, frame: T) -> bool:
        """Send a frame if that needs no waiting; tell whether it was taken."""
        return self._way is not None and self._way._try_send(frame)

    def __len__(self) -> int:
        return len(self._wires)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<outgoing: {len(self)} of {_shown(self.capacity)}>"

    @property
    def full(self) -> bool:
        return len(self._wires) >= self.capacity

    def put(self, item: T) -> None:
        """Add an item; who puts looks at `full` first."""
        assert self._way is not None
        wire = self._way._encode(item)
        if self._wires is NOTHING:
            self._wires = deque()
        self._wires.append(wire)

    async def wait(self, item: T) -> None:
        """Stand in line until there is room for the item."""
        turn = asyncio.get_running_loop().create_future()
        self._suspended.append((item, turn))
        try:
            await turn
        except asyncio.CancelledError:
            self._suspended = [waiting for waiting in self._suspended if waiting[1] is not turn]
            raise

    def take(self) -> bytes:
        """Take the oldest; the first that stands in line moves up."""
        wire = self._wires.popleft()
        self.taken += 1
        while self._suspended and not self.full:
            self._move_up(*self._suspended.pop(0))
        return wire

    def _move_up(self, item: T, turn: asyncio.Future[None]) -> None:
        if turn.done():
            return
        try:
            self.put(item)
        except Exception as error:  # an extension may have its own
            turn.set_exception(error)
        else:
            turn.set_result(None)

    def drop(self, error: Exception) -> None:
        """Forget what waits; who stands in line gets the error."""
        self.taken += len(self._wires)
        self._wires.clear()
        suspended, self._suspended = self._suspended, []
        for _, turn in suspended:
            if not turn.done():
                turn.set_exception(error)

    def end(self, error: Exception) -> None:
        """Send nothing any more, and let go of who did: each holds the other."""
        self._end, self._way = error, None


class SharedFlow(Generic[T]):
    """One flow of items to many collectors, each with a queue of its own.

    A collector may do anything with an item; one that only sends it is `collect_into`.

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
        # No set, which would follow addresses in memory: all runs give in the order of joining.
        self._queues: dict[_Queue[T], None] = {}

    async def emit(self, item: T) -> None:
        """Give the item to every collector; never waits for a slow one."""
        called: list[Turn] = []
        first, wire = 0, b""
        for queue in list(self._queues):
            outgoing, waiting = queue.outgoing, queue.waiting
            if outgoing is not None and waiting and not waiting[0].is_over and outgoing._way is not None:
                if not wire:
                    first, wire = outgoing._way._share(item)
                if outgoing._way._try_share(first, wire):
                    continue
            if len(queue.items) >= self.capacity:
                self._overflow(queue)
            if queue.end is None:
                queue.items.append(item)
                called += waiting
                waiting.clear()
        if called:
            # once for all of them
            asyncio.get_running_loop().call_soon(call_all, called)

    def _overflow(self, queue: _Queue[T]) -> None:
        if self.on_overflow is DROP_OLDEST:
            queue.items.popleft()
        elif queue.end is None:
            queue.end = ChannelOverflow("flow", self.capacity)

    def collect(self) -> AsyncIterator[T]:
        """Iterate over what is emitted from the first step on.

        Raises:
            ChannelOverflow: this collector was too slow, after the items that it still held.
        """
        return _Collector(self)

    async def collect_into(self, outgoing: Outgoing[T]) -> None:
        """Send what is emitted from now on to a session, as by `flow.collect_into(session.outgoing)`.

        That is what one does who collects and sends each item, and costs half as much: `emit` encodes an
        item once and writes it to all who can take it now. The task of this coroutine is woken only for
        what has to wait, or is masked or changed by an extension.

        Raises:
            ChannelClosed: the session is over.
            ChannelOverflow: the session was too slow, after the items that it still held.
        """
        collector = _Collector(self, outgoing)
        try:
            while True:
                await outgoing.send(await collector.__anext__())
        finally:
            self._queues.pop(collector._queue, None)

    def __repr__(self) -> str:
        return f"<SharedFlow: {len(self._queues)} collectors, capacity {self.capacity}>"


class _Queue(Generic[T]):
    """What one collector has not taken yet, and who waits for more."""

    __slots__ = ("end", "items", "outgoing", "waiting")

    def __init__(self, outgoing: Outgoing[T] | None) -> None:
        self.items: deque[T] = deque()
        self.waiting: list[Turn] = []
        self.outgoing = outgoing
        self.end: ChannelOverflow | None = None


class _Collector(AsyncIterator[T]):
    """One look at a flow; its queue goes when it goes."""

    __slots__ = ("_flow", "_queue", "_spare")

    def __init__(self, flow: SharedFlow[T], outgoing: Outgoing[T] | None = None) -> None:
        self._flow = flow
        self._spare: Turn | None = None
        self._queue: _Queue[T] = _Queue(outgoing)

    async def __anext__(self) -> T:
        queue = self._queue
        while not queue.items:
            if queue.end is not None:
                raise queue.end.with_traceback(None)
            if (turn := self._spare) is None:
                self._flow._queues[queue] = None
                turn = Turn()
            self._spare = None
            queue.waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn in queue.waiting:
                    queue.waiting.remove(turn)
                raise
            self._spare = turn
        return queue.items.popleft()

    def __del__(self) -> None:
        self._flow._queues.pop(self._queue, None)


def _shown(capacity: float) -> str:
    return "unlimited" if capacity == math.inf else str(capacity)
