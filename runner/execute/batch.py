"""One environment, one job, one process: runs the cells, keeps what finishes, retries the rest alone.

A crash, a hang, an out-of-memory kill or rubbish on standard output costs only the cells that had not
finished: each of those gets a process of its own, and fails by itself or not at all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.engines.base import Built, Engine, RunLimits
from runner.execute.lines import BadLineError, End, Fingerprint, Finished, Started, parse
from runner.plan import Cell, job
from runner.results.record import Outcome

_TAIL = 4096
_WORDS = 300


@dataclass(slots=True, kw_only=True)
class BatchResult:
    """What one repeat of a batch gave: a `Finished` for every cell, and the fingerprint if one came."""

    finished: dict[str, Finished] = field(default_factory=dict)
    fingerprint: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """One process: the reason it stopped early, None if it did not."""

    failure: str | None
    outcome: Outcome


def run_batch(
    cells: Sequence[Cell],
    *,
    engine: Engine,
    built: Built,
    limits: RunLimits,
    log: Path,
    done: Callable[[Finished], None],
) -> BatchResult:
    """Run cells that share environment and settings, once each; `done` hears of every finished cell.

    Every cell is in the result: what no process finished is `failed` or `timed_out`, with the reason.
    """
    result = BatchResult()
    attempt = _attempt(cells, result, engine=engine, built=built, limits=limits, log=log, done=done)
    if attempt.failure is None:
        return result
    alone = [cell for cell in cells if cell.id not in result.finished]
    for cell in alone:
        last = attempt
        if len(cells) > 1:  # a batch of one was alone already
            last = _attempt([cell], result, engine=engine, built=built, limits=limits, log=log, done=done)
        if cell.id not in result.finished:
            reason = last.failure or "the process ended without a result"
            failed = Finished(id=cell.id, outcome=last.outcome, reason=reason, trajectory=None)
            result.finished[cell.id] = failed
            done(failed)
    return result


def _attempt(
    cells: Sequence[Cell],
    result: BatchResult,
    *,
    engine: Engine,
    built: Built,
    limits: RunLimits,
    log: Path,
    done: Callable[[Finished], None],
) -> _Attempt:
    by_id = {cell.id: cell for cell in cells}
    gpu = cells[0].device != "cpu"
    ended = False
    log.parent.mkdir(parents=True, exist_ok=True)
    with engine.run(built, stdin=job(cells), limits=limits, variables={}, gpu=gpu, log=log) as run:
        for raw in run.lines():
            try:
                line = parse(raw, by_id)
            except BadLineError as error:
                return _Attempt(failure=f"rubbish on standard output: {error}", outcome=Outcome.FAILED)
            match line:
                case Fingerprint(content=content):
                    result.fingerprint = result.fingerprint or content
                case Started():
                    pass
                case Finished(id=cell_id):
                    result.finished[cell_id] = line
                    done(line)
                case End():
                    ended = True
        exit_ = run.result()
    complete = all(cell.id in result.finished for cell in cells)
    if complete and ended:
        return _Attempt(failure=None, outcome=Outcome.OK)
    outcome = Outcome.TIMED_OUT if exit_.timed_out else Outcome.FAILED
    reason = exit_.explain(limits)
    if exit_.code is not None:  # ended by itself: its last words say why
        reason = ": ".join(part for part in (reason, _last_words(log)) if part)
    return _Attempt(failure=reason, outcome=outcome)


def _last_words(log: Path) -> str:
    """Return the last line of a log that is not blank, bounded."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _TAIL))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip()[:_WORDS] for line in reversed(lines) if line.strip()), "")
