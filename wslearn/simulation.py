"""Virtual time: the same code on a loop whose clock jumps, over a network in memory.

Here are the clock that jumps to whatever is due next, the seeded chance, and the care that a scene leaves
nothing behind. How bytes travel is the network's.
"""

from __future__ import annotations

import asyncio
import heapq
import inspect
import math
import random
import signal
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from types import FrameType
from typing import Any, NoReturn, TypeVar, TypeVarTuple

from wslearn.errors import Stalled
from wslearn.network import Endpoint, Faults, Listener, Network, ProtocolFactory, Seconds, seconds
from wslearn.trace import WireTrace

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

PATIENCE = 100_000
"""Callbacks that may run without time passing."""
BRISK = frozenset(("wslearn", "asyncio", "websockets", "random", "weakref", "_weakrefset"))
"""Modules in which no function takes long, so that the loop soon has its next turn."""


def simulate(
    scene: Callable[[SimulatedNetwork], Coroutine[Any, Any, T]],
    *,
    latency: Seconds = 0,
    jitter: Seconds = 0,
    bandwidth: float | None = None,
    seed: int | str = 0,
    horizon: Seconds = 604800,
) -> T:
    """Run `await scene(net)` on virtual time and return its result; what it leaves behind is cancelled.

    It runs inside a running loop too, such as a notebook's, which waits meanwhile. Ctrl-C ends it.

    Args:
        latency: the way of every segment, one way, in seconds.
        jitter: at most this much is added to each way, in seconds.
        bandwidth: bits per second each way of each connection; None for no limit.
        seed: of all chance; the same seed gives the same bytes at the same times.
        horizon: virtual seconds after which the scene has stalled; a week.

    Raises:
        Stalled: all waits for ever, or past the horizon, or 100,000 callbacks ran without time passing.
        RuntimeError: inside another simulation.
    """
    if isinstance(asyncio._get_running_loop(), VirtualLoop):
        _refuse("another simulate()")
    if isinstance(seed, bool) or not isinstance(seed, int | str):
        raise TypeError(f"seed is {seed!r}: a whole number or a text is needed")
    faults = Faults(latency, jitter, bandwidth, seed)
    last = seconds("horizon", horizon)
    with Interrupt() as interrupt, _outside_the_running_loop():
        loop = VirtualLoop(faults, seed, last, interrupt)
        try:
            return loop.run_until_complete(_begin(scene, loop.network))
        finally:
            loop.finish()


class SimulatedNetwork(Network):
    """The network of a scene: `net.trace` has all that passes on its wires, and the faults."""

    def __init__(self, loop: VirtualLoop, faults: Faults) -> None:
        self.trace = WireTrace()
        self.trace.begin(loop.time())
        self._loop = loop
        super().__init__(faults, self.trace.tap)

    def note(self, fault: str, detail: str) -> None:
        """Write a fault into the trace, as an event of no single session."""
        self.trace.event(self._loop.time(), None, fault, detail)

    def __repr__(self) -> str:
        return f"<SimulatedNetwork at {self._loop.time():g} s; {self.describe()}>"


class SceneTask(asyncio.Task[Any]):
    """A task whose hash is its number, so that sets of tasks have the same order in every run."""

    def __init__(self, number: int, coroutine: Any, **options: Any) -> None:
        self._number = number
        super().__init__(coroutine, **options)

    def __hash__(self) -> int:
        return self._number


class Interrupt:
    """Ctrl-C while a scene runs: heard by the loop's next turn, so that it leaves nothing half done.

    It is raised at once where that may take long, and where it strikes again. Even there somebody may catch
    it, or Python lose it, as in `__del__`: then the next turn hears it too.
    """

    struck = False
    _at_once = False
    _before: Any = None

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            before = signal.getsignal(signal.SIGINT)
            if callable(before):
                self._before = before
                signal.signal(signal.SIGINT, self._strike)
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if self.struck and not (self._at_once and kind is KeyboardInterrupt):
            # without the frames of the loop, in which nobody has anything to look for
            raise KeyboardInterrupt from None

    def _strike(self, number: int, frame: FrameType | None) -> None:
        is_first, self.struck = not self.struck, True
        if is_first and frame and frame.f_globals.get("__name__", "").partition(".")[0] in BRISK:
            return
        while frame is not None and frame.f_code.co_name != "__del__":
            if frame.f_code is VirtualLoop._run_once.__code__:
                self._at_once = True
                raise KeyboardInterrupt
            frame = frame.f_back


def _refuse(what: str) -> NoReturn:
    raise RuntimeError(f"{what}: not in a simulation, which is one thread, virtual time, a network in memory")


def _absent(what: str) -> Any:
    def refuse(self: VirtualLoop, *arguments: object, **options: object) -> NoReturn:
        _refuse(what)

    return refuse


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop whose clock starts at 0 and jumps to whatever is due next."""

    # BaseEventLoop's own, the same from Python 3.11 to 3.14.
    _check_closed: Callable[[], None]
    _closed: bool
    _ready: deque[asyncio.Handle]
    _scheduled: list[tuple[float, int, asyncio.TimerHandle]]
    _stopping: bool
    _thread_id: int | None
    _timer_cancelled_count: int

    def __init__(self, faults: Faults, seed: int | str, horizon: float, interrupt: Interrupt) -> None:
        super().__init__()
        self._now = 0.0
        self.network = SimulatedNetwork(self, faults)
        self._horizon = horizon
        self._interrupt = interrupt
        self._chance = random.Random(f"{seed}/bytes")
        self._callbacks = 0
        self._timers = 0
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._task_count = 0
        self._finishing = False
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        """Return the virtual seconds since the scene began."""
        return self._now

    def token_bytes(self, size: int) -> bytes:
        """Return seeded bytes, where a real loop has `secrets.token_bytes`."""
        return self._chance.randbytes(size)

    async def create_server(  # type: ignore[override]
        self,
        protocol_factory: ProtocolFactory,
        host: Any = None,
        port: Any = None,
        *,
        ssl: object = None,
        sock: object = None,
        start_serving: bool = True,
        **_: object,
    ) -> Listener:
        _check_plain(ssl, sock)
        return await self.network.create_server(protocol_factory, host, port, start_serving)

    async def create_connection(
        self,
        protocol_factory: ProtocolFactory,
        host: Any = None,
        port: Any = None,
        *,
        ssl: object = None,
        sock: object = None,
        **_: object,
    ) -> tuple[Endpoint, Any]:
        _check_plain(ssl, sock)
        return await self.network.create_connection(protocol_factory, host, port)

    run_in_executor = set_default_executor = _absent("threads and executors")
    subprocess_exec = subprocess_shell = _absent("subprocesses")
    start_tls = _absent("ssl")
    getaddrinfo = getnameinfo = _absent("name resolution")
    add_reader = add_writer = create_datagram_endpoint = connect_accepted_socket = _absent("sockets")
    create_unix_connection = create_unix_server = sock_connect = sock_accept = _absent("sockets")
    connect_read_pipe = connect_write_pipe = _absent("pipes")
    add_signal_handler = _absent("signal handlers")

    def finish(self) -> None:
        """Cancel what is left and close the loop; nobody is told."""
        self.set_exception_handler(lambda loop, context: None)
        self._finishing, self._horizon, self._callbacks = True, math.inf, 0
        self.network.tap = None
        self.network.shut_down()
        try:
            with suppress(Stalled):
                while self._tasks:
                    self.run_until_complete(asyncio.wait(self._cancelled_tasks()))
            self._callbacks = 0
            with suppress(Stalled):
                self.run_until_complete(self.shutdown_asyncgens())
                # The last reference to a server may have gone, which begins to stop it.
                while self._tasks:
                    self.run_until_complete(asyncio.wait(self._cancelled_tasks()))
        finally:
            for task in self._tasks:
                _drop(task)
            self.close()

    def create_task(self, coro: Any, *, name: object = None, **options: Any) -> asyncio.Task[Any]:
        """Make a task that is numbered from 1, and kept until it is done, whoever forgets it."""
        self._task_count += 1
        task: asyncio.Task[Any] = super().create_task(
            coro, name=name or f"Task-{self._task_count}", **options
        )
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        return task

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call back at a virtual time; at the same time, first come, first served."""
        if self._closed:
            self._check_closed()
        self._timers += 1
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._scheduled, (when, self._timers, timer))
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Call back soon, from the one thread that there is."""
        if self.is_running() and self._thread_id != threading.get_ident():
            _refuse("threads and executors")
        return self.call_soon(callback, *args, context=context)

    def _run_once(self) -> None:
        """Let time pass when nothing else is to be done, and call back whatever is due."""
        ready = self._ready
        if self._interrupt.struck and not self._finishing:
            raise KeyboardInterrupt
        if not ready and not self._stopping:
            self._jump()
        self._callbacks += len(ready) or 1
        if self._callbacks > PATIENCE:
            self._stall(f"{PATIENCE} callbacks ran and no time passed")
        scheduled, now = self._scheduled, self._now
        while scheduled and scheduled[0][0] <= now:
            ready.append(self._pop_timer())
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _jump(self) -> None:
        if self._timer_cancelled_count > max(100, len(self._scheduled) // 2):
            self._scheduled = [entry for entry in self._scheduled if not entry[2]._cancelled]
            self._timer_cancelled_count = 0
            heapq.heapify(self._scheduled)
        scheduled = self._scheduled
        while scheduled and scheduled[0][2]._cancelled:
            self._pop_timer()
        next_time = scheduled[0][0] if scheduled else math.inf
        if next_time == math.inf:
            self._stall("all wait for ever")
        if next_time > self._horizon:
            self._stall(f"not over at the horizon of {self._horizon:g} s")
        if next_time > self._now:
            self._now = next_time
            if not self._finishing:
                self._callbacks = 0

    def _pop_timer(self) -> asyncio.TimerHandle:
        timer = heapq.heappop(self._scheduled)[2]
        timer._scheduled = False  # type: ignore[attr-defined]
        if timer._cancelled:
            self._timer_cancelled_count -= 1
        return timer

    def _stall(self, why: str) -> NoReturn:
        raise Stalled(self._now, why, [_describe(task) for task in self._tasks if not task.done()])

    def _cancelled_tasks(self) -> list[asyncio.Task[Any]]:
        for task in self._tasks:
            task.cancel()
        return list(self._tasks)

    def _make_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> SceneTask:
        return SceneTask(self._task_count, coroutine, loop=loop, **options)


def _check_plain(ssl: object, sock: object) -> None:
    if ssl:
        _refuse("ssl")
    if sock is not None:
        _refuse("sockets")


def _begin(
    scene: Callable[[SimulatedNetwork], Coroutine[Any, Any, T]], network: SimulatedNetwork
) -> Coroutine[Any, Any, T]:
    if inspect.iscoroutine(scene):
        scene.close()
    if not callable(scene):
        raise TypeError(f"scene is {scene!r}: write `async def scene(net): ...` and give it without ()")
    coroutine = scene(network)
    if not inspect.iscoroutine(coroutine):
        raise TypeError(f"scene is {scene!r}: write `async def scene(net): ...`, with async")
    return coroutine


def _drop(task: asyncio.Task[Any]) -> None:
    """Let nobody be told that a task goes before its end, or before its begin."""
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    coroutine = task.get_coro()
    if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        coroutine.close()


def _describe(task: asyncio.Task[Any]) -> str:
    """Return a task's name, its coroutine with the line that waits, and what it waits in."""
    outer: Any = task.get_coro()
    inner = outer
    while inspect.iscoroutine(awaited := getattr(inner, "cr_await", None)):
        inner = awaited
    line = f", line {outer.cr_frame.f_lineno}" if getattr(outer, "cr_frame", None) else ""
    place = f", in {_name(inner)}" if inner is not outer else ""
    return f"{task.get_name()}: {_name(outer)}{line}{place}"


def _name(coroutine: Any) -> str:
    name: str = getattr(coroutine, "__qualname__", type(coroutine).__name__)
    return name.rpartition("<locals>.")[2]


@contextmanager
def _outside_the_running_loop() -> Iterator[None]:
    """Let the thread be without a loop for a while, so that another one can run."""
    loop = asyncio._get_running_loop()
    if loop is None:
        yield
        return
    task = asyncio.current_task(loop)
    if task:
        asyncio.tasks._leave_task(loop, task)
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(loop)
        if task:
            asyncio.tasks._enter_task(loop, task)
