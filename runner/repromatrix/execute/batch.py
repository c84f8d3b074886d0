"""One environment, one job, one process: runs the cells, keeps what finishes, retries the rest alone.

A crash, a hang, an out-of-memory kill or rubbish on standard output costs only the cells that had not
finished: each of those gets a process of its own, and fails by itself or not at all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repromatrix.engines.base import Built, Engine, Exit, Run, RunLimits
from repromatrix.errors import EnvironmentFailedError
from repromatrix.execute.lines import BadLineError, End, Fingerprint, Finished, Reader, Recorded, Started
from repromatrix.job import Asked, Fetch, as_it_is, cell_of, job
from repromatrix.results.record import Outcome

_TAIL = 4096
_WORDS = 300


class StoppedError(Exception):
    """The engine was told to stop in the middle of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """What a job on another machine leaves there.

    Attributes:
        built: the environment in which it ran.
        log: the end of its standard error.
    """

    built: Built
    log: bytes


@dataclass(slots=True, kw_only=True)
class BatchResult:
    """What one repeat of a batch gave: a `Finished` for every cell, and the fingerprint if one came.

    Attributes:
        started: how often a cell was begun, over all processes of the repeat.
        bits: cell id -> (step, name) -> the bits of the values that were asked for.
        elsewhere: of a job on another machine.
    """

    finished: dict[str, Finished] = field(default_factory=dict)
    started: int = 0
    fingerprint: dict[str, Any] = field(default_factory=dict)
    bits: dict[str, dict[tuple[int, str], bytes]] = field(default_factory=dict)
    elsewhere: Elsewhere | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """Why a process did not give all that it was asked for."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where and how the processes of a batch run, and who hears of what finishes."""

    engine: Engine
    built: Built
    limits: RunLimits
    log: Path
    done: Callable[[Finished], None]
    trace: bool
    fetch: Fetch


def run_batch(
    cells: Sequence[Asked],
    *,
    result: BatchResult,
    engine: Engine,
    built: Built,
    limits: RunLimits,
    log: Path,
    done: Callable[[Finished], None],
    trace: bool = False,
    fetch: Fetch | None = None,
) -> None:
    """Run cells that share environment and settings, once each; `done` hears of every cell when it is in `result`.

    Operations of cells run as cells do. Each ends up there: what no process finished is `failed` or `timed_out`, with
    the reason.

    Raises:
        NoEngineError: the engine itself is gone.
        StoppedError: the engine was told to stop; what had not finished is no result.
    """
    place = _Place(engine=engine, built=built, limits=limits, log=log, done=done, trace=trace, fetch=fetch or {})
    together = _attempt(cells, result, place)
    if together is None:
        return
    hopeless = together if len(cells) == 1 else None  # a batch of one was alone already
    for cell in [cell for cell in cells if cell.id not in result.finished]:
        failure = hopeless or _attempt([cell], result, place)
        if failure and not result.started:
            hopeless = failure  # twice no cell was even begun: the environment fails before any, so no other is tried
        if failure and cell.id not in result.finished:
            failed = Finished(id=cell.id, outcome=failure.outcome, reason=failure.reason)
            result.finished[cell.id] = failed
            done(failed)


def _attempt(cells: Sequence[Asked], result: BatchResult, place: _Place) -> _Failure | None:
    """Run one process over the cells; None if each of them finished."""
    limits = place.limits
    begin = 0
    try:
        place.log.parent.mkdir(parents=True, exist_ok=True)
        begin = place.log.stat().st_size if place.log.exists() else 0
        places = place.engine.data_place if limits.data else as_it_is
        stdin, gpu = job(cells, trace=place.trace, fetch=place.fetch, places=places), cells[0].device != "cpu"
        with place.engine.run(place.built, stdin=stdin, limits=limits, variables={}, gpu=gpu, log=place.log) as run:
            _read(run, cells, result, place)
            ending = run.result()
    except BadLineError as error:
        return _Failure(outcome=Outcome.FAILED, reason=f"rubbish on standard output: {error}")
    except EnvironmentFailedError as error:
        return _Failure(outcome=Outcome.FAILED, reason=error.what)
    except OSError as error:
        return _Failure(outcome=Outcome.FAILED, reason=f"its process cannot be run: {error}")
    if ending.stopped:
        raise StoppedError
    if all(cell.id in result.finished for cell in cells):
        return None
    outcome = Outcome.TIMED_OUT if ending.timed_out else Outcome.FAILED
    command = any(cell_of(each).workload.command for each in cells)
    return _Failure(outcome=outcome, reason=_explain(ending, limits, place.log, begin, command=command))


def _read(run: Run, cells: Sequence[Asked], result: BatchResult, place: _Place) -> None:
    """Keep what the process prints.

    Raises:
        BadLineError: it prints something else than the contract's lines; what came before is kept.
    """
    reader = Reader({cell.id: cell for cell in cells})
    for raw in run.lines():
        try:
            line = reader.read(raw)
        except BadLineError as error:
            _distrust(error, reader, result, place)
            raise
        match line:
            case Fingerprint(content=content):
                result.fingerprint = result.fingerprint or content
            case Finished(id=cell_id) as finished:
                result.finished[cell_id] = finished
                place.done(finished)
            case Recorded(id=cell_id, bits=bits):
                result.bits.setdefault(cell_id, {}).update(bits)
            case Started():
                result.started += 1
            case End():
                pass  # for a person who reads along


def _distrust(error: BadLineError, reader: Reader, result: BatchResult, place: _Place) -> None:
    """Take back the result of the cell that a line of rubbish is about: a second result, or one after the end."""
    finished = result.finished.get(reader.last or "")
    if finished is not None and reader.answered(finished.id):
        reason = f"rubbish on standard output: {error}"
        failed = Finished(id=finished.id, outcome=Outcome.FAILED, reason=reason)
        result.finished[finished.id] = failed
        place.done(failed)


def _explain(ending: Exit, limits: RunLimits, log: Path, begin: int, *, command: bool) -> str:
    reason = "the process ended without its result" if ending.clean else ending.explain(limits)
    # Ended by itself: its last words say why. A command that hangs has said how far it came.
    words = _last_words(log, begin) if ending.code is not None or (command and ending.timed_out) else ""
    return ": ".join(part for part in (reason, words) if part)


def _last_words(log: Path, begin: int) -> str:
    """Return the last line of a log that is not blank, bounded; before byte `begin` other processes speak."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(begin, log.stat().st_size - _TAIL))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip()[:_WORDS] for line in reversed(lines) if line.strip()), "")
