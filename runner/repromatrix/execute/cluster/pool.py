"""The workers of a Dask cluster as an executor: what is asked waits here, and goes to a worker that has room for it.

Dask carries what is asked and what comes of it, and tells who is there. Who gets what is decided here, for only we know
which host has which environment: each thread of a worker takes the next that suits it. So no more is under way than
there are threads, and a few; and what was under way on a worker, or a scheduler, that went away is asked of another.

All state belongs to one thread, in which the loop of the client runs; `submit` and `close` may be called from any.
"""

import asyncio
import atexit
import contextlib
import logging
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from dataclasses import dataclass
from functools import partial
from threading import Event, Thread
from typing import Any

import dask.config
from distributed import Client, KilledWorker

from repromatrix import __version__, resources
from repromatrix.errors import AbsentError, EnvironmentFailedError, NoEngineError
from repromatrix.execute.cluster.there import LEAST_FREE, Announced, Needs, Unfit, announce, stop_there
from repromatrix.images.disk import in_words
from repromatrix.listener import Listener

PATIENCE = 300.0  # seconds without a worker, or a scheduler, before what waits for one is given up
_LOOK = 1.0  # seconds between looks at who is there
_ANSWER = 30.0  # seconds for an answer of the scheduler, or of workers that are asked what they are
_CONNECT = 10.0  # seconds for a scheduler to answer
_LOSSES = 3  # workers that may go away under a job
_PLACES = 3  # hosts that try to make an environment
_START = "start one there: dask worker {address} --nworkers 1  (docs/cluster.md)"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Member:
    """A worker that takes part."""

    address: str
    threads: int
    told: Announced

    def fits(self, needs: Needs) -> bool:
        """Whether it is what is needed."""
        machine = self.told.machine
        return (
            needs.cpu_class == machine.cpu_class
            and needs.engine in self.told.engines
            and needs.gpu in ((), machine.gpu)
            and needs.place in ("", self.told.place)
        )


@dataclass(slots=True, kw_only=True, eq=False)
class _Order:
    """What was asked, and how often a worker went away under it."""

    needs: Needs
    call: Callable[[], Any]
    future: Future[Any]
    losses: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class _Slot:
    """A thread of a worker; `spare`: one more, so that there is no pause between two jobs."""

    member: Member
    spare: bool
    given: "asyncio.Future[_Order] | None" = None


class Pool:
    """The workers that a scheduler knows.

    Args:
        address: of the scheduler.
        listener: is told of workers that come, go and are refused.
        patience: seconds; see `PATIENCE`.

    Raises:
        NoEngineError: no scheduler answers, or it has no worker that takes part.
    """

    def __init__(self, address: str, listener: Listener, patience: float = PATIENCE) -> None:
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is told here
        warnings.filterwarnings("ignore", message="Sending large graph")
        dask.config.set({"distributed.admin.low-level-log-length": 10})  # of messages, each with a job in it
        self.address, self.token = address, uuid.uuid4().hex
        self._listener, self._patience = listener, patience
        self._members: dict[str, Member] = {}
        self._refused: dict[str, str] = {}  # address -> why
        self._slots: dict[str, list[asyncio.Task[None]]] = {}
        self._idle: list[_Slot] = []
        self._waiting: dict[Needs, deque[_Order]] = {}
        self._count = 0
        self._places: dict[str, set[str]] = {}  # environment -> where it is, or is being made
        self._unfit: dict[tuple[str, str], Unfit] = {}  # place, environment
        self._seen: dict[Needs, float] = {}  # when a worker that fits was last there
        self._lost: set[str] = set()
        self._left: list[asyncio.Task[None]] = []
        self._ready, self._loop = Event(), asyncio.new_event_loop()
        self._answered = self._stopped = self._closing = False
        self._woken = self._loop.create_future()
        self._thread = Thread(target=self._run, name="repromatrix-cluster", daemon=True)
        self._thread.start()
        atexit.register(self.close)
        self._require_worker()

    @property
    def members(self) -> tuple[Member, ...]:
        """Who is there."""
        return tuple(sorted(self._members.values(), key=lambda each: each.address))

    @property
    def threads(self) -> int:
        """How many jobs run at a time."""
        return sum(each.threads for each in self.members)

    def submit(self, needs: Needs, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have a worker that is what is needed call a function.

        The future has what that returns, or `EnvironmentFailedError`: nobody could, with the reasons.
        """
        if not self._thread.is_alive():
            raise NoEngineError(f"the cluster at {self.address} was left", hint="run the same command again")
        order = _Order(needs=needs, call=partial(function, *arguments), future=Future())
        self._loop.call_soon_threadsafe(self._put, order)
        return order.future

    def stop(self) -> None:
        """End what this command has under way on the workers, and ask nothing more of them."""
        if self._thread.is_alive() and not self._closing:
            with contextlib.suppress(TimeoutError, CancelledError):
                asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(_ANSWER)

    def close(self) -> None:
        """Leave the cluster."""
        atexit.unregister(self.close)
        self._closing = True
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._woken.cancel)
        self._thread.join(_ANSWER)

    def _require_worker(self) -> None:
        self._ready.wait(min(self._patience, _CONNECT + _ANSWER))
        if self._members:
            return
        self.close()
        if not self._answered:
            raise NoEngineError(
                f"no Dask scheduler answers at {self.address}",
                hint="start one: dask scheduler  (docs/cluster.md); or leave --cluster out",
            )
        refused = "; ".join(f"{address}: {why}" for address, why in sorted(self._refused.items()))
        what = f"no worker of {self.address} takes part: {refused}" if refused else f"{self.address} has no worker"
        raise NoEngineError(what, hint=_START.format(address=self.address))

    # All below runs in the thread of the loop.

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._main())
        finally:  # nobody waits for what will never come
            self._closing = True
            self._drop_all()

    async def _main(self) -> None:
        while not self._closing:
            with contextlib.suppress(OSError, TimeoutError):
                async with await _connected(self.address) as client:
                    self._answered = True
                    await self._session(client)
            self._give_up()

    async def _session(self, client: Client) -> None:
        """Serve as long as the scheduler is there."""
        self._client = client
        try:
            while client.status == "running" and not self._closing and not self._broken:
                there = await asyncio.wait_for(client.nthreads(), _ANSWER)  # type: ignore[no-untyped-call]
                await self._renew(client, there)
                self._give_up()
                await asyncio.wait([self._woken], timeout=_LOOK if self._ready.is_set() else _LOOK / 10)
        finally:
            for address in list(self._members):
                self._leave(address)
            left, self._left = self._left, []
            await asyncio.gather(*left, return_exceptions=True)

    @property
    def _broken(self) -> bool:
        """Whether the connection failed under what was asked."""
        return any(task.done() for tasks in self._slots.values() for task in tasks)

    async def _renew(self, client: Client, there: dict[str, int]) -> None:
        """Part with workers that went away, and ask those that came what they are."""
        for address in self._members.keys() - there.keys():
            self._listener.warned(f"the worker {address} went away; what it was doing is done by others")
            self._leave(address, lost=True)
        new = sorted(there.keys() - self._members.keys() - self._refused.keys())
        if new:
            asking = client.run(announce, workers=new, on_error="return")
            told = await asyncio.wait_for(asking, _ANSWER)
            for address in new:
                self._meet(client, address, there[address], told.get(address))
        if self._members or (there and not there.keys() - self._refused.keys()):
            self._ready.set()

    def _meet(self, client: Client, address: str, threads: int, told: Any) -> None:
        if told is None or isinstance(told, OSError):
            return  # it went away again, or is asked again
        if problem := _problem(told):
            self._refused[address] = problem
            self._listener.warned(f"the worker {address} is left out: {problem}")
            return
        member = Member(address=address, threads=threads, told=Announced.read(told))
        self._members[address] = member
        self._lost.discard(address)
        slots = [_Slot(member=member, spare=number == threads) for number in range(threads + 1)]
        self._slots[address] = [asyncio.ensure_future(self._serve(client, slot)) for slot in slots]

    def _leave(self, address: str, *, lost: bool = False) -> None:
        del self._members[address]
        if lost:
            self._lost.add(address)
        self._idle = [slot for slot in self._idle if slot.member.address != address]
        for task in self._slots.pop(address):
            task.cancel()
            self._left.append(task)

    async def _serve(self, client: Client, slot: _Slot) -> None:
        """Take what suits a worker, one after the other, as long as it is there."""
        while True:
            order = self._next(slot) or await self._given(slot)
            if not order.future.running() and not order.future.set_running_or_notify_cancel():
                continue
            self._places.setdefault(order.needs.environment, set()).add(slot.member.told.place)
            await self._ask(client, slot.member, order)

    async def _given(self, slot: _Slot) -> _Order:
        """Wait until something comes that suits a worker."""
        given: asyncio.Future[_Order] = self._loop.create_future()
        slot.given = given
        self._idle.append(slot)
        try:
            return await given
        except asyncio.CancelledError:
            if given.done() and not given.cancelled():  # at this very moment
                self._put(given.result(), first=True)
            raise

    async def _ask(self, client: Client, member: Member, order: _Order) -> None:
        """Have a worker do something; where that came to nothing, it waits for another one."""
        key, asked = f"repromatrix-{uuid.uuid4().hex}", None
        try:
            asked = client.submit(order.call, key=key, workers=[member.address], pure=False)
            result = await asked
        except (asyncio.CancelledError, CancelledError):  # the worker is gone, or the connection: the session ends
            self._again(order, lost=member.address in self._lost)
            raise
        except KilledWorker:
            self._again(order, lost=True)
            return
        except Exception as error:
            if asked is None or asked.status != "error":  # it is the connection's, and the session ends
                self._again(order)
                raise
            order.future.set_exception(error)
            return
        if isinstance(result, Unfit):
            self._note(member, order.needs.environment, result)
            self._again(order)
        else:
            order.future.set_result(result)

    def _note(self, member: Member, environment: str, unfit: Unfit) -> None:
        """Remember that a host cannot run an environment."""
        place = member.told.place
        if (place, environment) not in self._unfit:
            self._unfit[place, environment] = unfit
            self._places.get(environment, set()).discard(place)
            self._listener.warned(f"the worker {member.address} cannot run {environment}: {unfit.reason}")

    def _again(self, order: _Order, *, lost: bool = False) -> None:
        order.losses += lost
        if order.losses < _LOSSES:
            self._put(order, first=True)
            return
        order.future.set_exception(
            EnvironmentFailedError(
                f"{order.losses} workers went away while they ran it",
                hint="see the logs of the workers; a job may need more memory than they have",
            )
        )

    def _put(self, order: _Order, *, first: bool = False) -> None:
        """Give an order to a worker that waits, best to one that has the environment; else let it wait."""
        if self._stopped or self._closing:
            _drop(order)
            return
        able = [slot for slot in self._idle if self._may(slot, order.needs)]
        if able:
            slot = min(able, key=lambda each: self._rank(each.member, order.needs))
            self._idle.remove(slot)
            if slot.given is not None:
                slot.given.set_result(order)
            return
        waiting = self._waiting.setdefault(order.needs, deque())
        waiting.appendleft(order) if first else waiting.append(order)
        self._count += 1

    def _next(self, slot: _Slot) -> _Order | None:
        able = [needs for needs, waiting in self._waiting.items() if waiting and self._may(slot, needs)]
        if not able:
            return None
        self._count -= 1
        return self._waiting[min(able, key=lambda each: self._rank(slot.member, each))].popleft()

    def _may(self, slot: _Slot, needs: Needs) -> bool:
        if slot.spare and self._count <= self.threads:  # near the end, what waits is better done by who is idle
            return False
        return slot.member.fits(needs) and (slot.member.told.place, needs.environment) not in self._unfit

    def _rank(self, member: Member, needs: Needs) -> int:
        """Return how gladly a worker does something: what its host has, then what no host has."""
        places = self._places.get(needs.environment)
        return 1 if not places else 0 if member.told.place in places else 2

    def _give_up(self) -> None:
        """Let go of what nobody can do."""
        for needs, waiting in self._waiting.items():
            while waiting and (error := self._why_not(needs)):
                order = waiting.popleft()
                self._count -= 1
                if order.future.running() or order.future.set_running_or_notify_cancel():
                    order.future.set_exception(error)

    def _why_not(self, needs: Needs) -> EnvironmentFailedError | None:
        """Return why nobody will do what is asked, None where somebody may."""
        fitting = {each.told.place for each in self._members.values() if each.fits(needs)}
        tried = {place: self._unfit[key] for place in fitting if (key := (place, needs.environment)) in self._unfit}
        now = time.monotonic()
        seen = self._seen.setdefault(needs, now)
        if not fitting:
            return self._missing(needs) if needs.place or now - seen > self._patience else None
        self._seen[needs] = now
        if len(tried) < min(len(fitting), _PLACES):
            return None
        kind = AbsentError if all(each.absent for each in tried.values()) else EnvironmentFailedError
        reasons = "; ".join(f"{place}: {each.reason}" for place, each in sorted(tried.items()))
        hint = next((each.hint for each in tried.values() if each.hint), "repromatrix doctor, on these hosts")
        return kind(f"no worker of the cluster can run {needs.environment}: {reasons}", hint=hint)

    def _missing(self, needs: Needs) -> EnvironmentFailedError:
        gpu = f", with {needs.gpu[0]}" if needs.gpu else ""
        return EnvironmentFailedError(
            f"no worker of the cluster with the engine {needs.engine} and the CPU class {needs.cpu_class}{gpu} is left",
            hint=_START.format(address=self.address),
        )

    def _drop_all(self) -> None:
        for waiting in self._waiting.values():
            while waiting:
                _drop(waiting.popleft())
        self._count = 0

    async def _stop(self) -> None:
        self._stopped = True
        self._drop_all()
        with contextlib.suppress(OSError, TimeoutError):
            asking = self._client.run(stop_there, self.token, on_error="ignore")
            await asyncio.wait_for(asking, _ANSWER)
        self._closing = True


async def _connected(address: str) -> Client:
    """Return a client that the scheduler has answered.

    Raises:
        OSError, TimeoutError: it has not.
    """
    client = Client(  # type: ignore[no-untyped-call]
        address, asynchronous=True, set_as_default=False, timeout=_CONNECT, name="repromatrix"
    )
    try:
        # Dask's own limit is none for the first answer: what takes the connection and says nothing would be waited for.
        await asyncio.wait_for(client, _CONNECT)
    except (OSError, TimeoutError):
        await client.close()  # type: ignore[no-untyped-call]
        raise
    return client


def _drop(order: _Order) -> None:
    if not order.future.cancel() and not order.future.done():
        order.future.set_exception(CancelledError())


def _problem(told: Any) -> str:
    """Return why a worker cannot take part, empty where it can."""
    if isinstance(told, BaseException):
        return f"repromatrix is not installed there, or another release ({told}); this is {__version__}"
    release = told.get("release", "of another kind") if isinstance(told, dict) else "of another kind"
    if release != __version__:
        return f"it has repromatrix {release}, and this is {__version__}: install {__version__} there"
    if told.get("code") != resources.own_sha256():
        return f"its repromatrix {release} has other files than this one: install the same there"
    if told["free"] < LEAST_FREE:
        return f"only {in_words(told['free'])} are free for {told['place'].partition(':')[2]}: make room there"
    return ""


class Workers(Executor):
    """The pool as an executor of jobs whose first argument says what they need; the pool outlives it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._futures: set[Future[Any]] = set()

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **_named: Any) -> Future[Any]:
        """Have a worker call a function."""
        needs, *rest = arguments
        future = self._pool.submit(needs, function, *rest)
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - as an executor
        """Give up what has not begun, if that is asked for; the pool stays."""
        for future in list(self._futures) if cancel_futures else ():
            future.cancel()
