"""Many environments at once: made, or pushed to a registry. One that fails does not stop the others."""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from repromatrix.engines.base import Engine
from repromatrix.errors import AbsentError, EnvironmentFailedError
from repromatrix.images import lock as locks
from repromatrix.images.build import Ready, ensure, identify
from repromatrix.images.disk import Wanted, require_space
from repromatrix.images.share import Sent, Share
from repromatrix.images.spec import build_spec
from repromatrix.listener import Listener as Teller
from repromatrix.matrix import Environment

ResultT = TypeVar("ResultT")


class Listener(Teller, Protocol):
    """Hears what happens, from any thread."""

    def preparing(self, environment: str) -> None:
        """An environment is looked up, fetched or built."""

    def ready(self, environment: str, *, made: bool) -> None:
        """An environment can run; `made` tells whether it was built just now."""


class Fleet:
    """The environments of one engine, pulled from a registry where it has them."""

    def __init__(self, engine: Engine, share: Share | None, jobs: int, listener: Listener) -> None:
        self._engine, self._share, self._jobs, self._listener = engine, share, jobs, listener

    def build(self, environments: Sequence[Environment]) -> list[Ready | EnvironmentFailedError | None]:
        """Make what is absent; None: this machine lacks the Python that only this environment asks for.

        Raises:
            EnvironmentFailedError: the disk has no room for them.
        """
        self._require_space(environments, pulled=self._share is not None)
        return self._each(self._built, environments)

    def push(self, environments: Sequence[Environment], share: Share) -> list[Sent | EnvironmentFailedError]:
        """Push what the registry does not have; what is absent here as well is built first.

        Raises:
            EnvironmentFailedError: the disk has no room for them.
        """
        self._require_space(environments, pulled=True)
        return self._each(lambda environment: self._pushed(environment, share), environments)

    def _require_space(self, environments: Iterable[Environment], *, pulled: bool) -> None:
        wanted = []
        for each in environments:
            with contextlib.suppress(EnvironmentFailedError):  # told when its turn comes
                base = identify(each, self._engine, share=self._share).base
                wanted.append(Wanted(environment=each, base=base))
        if unknown := require_space(wanted, self._engine, self._jobs, pulled=pulled):
            self._listener.warned(unknown)

    def _each(self, work: Callable[[Environment], ResultT], environments: Sequence[Environment]) -> list[ResultT]:
        with ThreadPoolExecutor(max_workers=self._jobs) as pool:
            try:
                return list(pool.map(work, environments))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self._engine.stop()
                raise

    def _built(self, environment: Environment) -> Ready | EnvironmentFailedError | None:
        self._listener.preparing(environment.name)
        try:
            ready = ensure(environment, self._engine, share=self._share)
        except AbsentError as error:
            if not environment.suffix:
                return error
            self._listener.say(f"{'skipped':<10} {environment.name}: {error.what}")  # as `run` skips its cells
            return None
        except EnvironmentFailedError as error:
            return error
        self._listener.ready(environment.name, made=ready.made)
        return ready

    def _pushed(self, environment: Environment, share: Share) -> Sent | EnvironmentFailedError:
        self._listener.preparing(environment.name)
        try:
            sent = self._send(environment, share)
        except EnvironmentFailedError as error:
            return error
        self._listener.say(f"{'pushed' if sent.now else 'there':<10} {environment.name} {sent.reference}")
        return sent

    def _send(self, environment: Environment, share: Share) -> Sent:
        lock, base = locks.read(environment), identify(environment, self._engine, share=share).base
        spec = build_spec(environment, base, lock, ())
        if self._engine.find(spec) is None and (sent := share.promised(spec)):
            return sent  # not fetched for the sake of being looked at
        ready = ensure(environment, self._engine, share=share, base=base)
        if ready.made:
            self._listener.ready(environment.name, made=True)
        return share.push(environment, lock, ready.spec)
