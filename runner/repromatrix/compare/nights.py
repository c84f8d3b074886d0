"""A run and the nights before it -> what changed: each cell against itself, or against the release before. Pure.

Only cells of one CPU class are compared: a night on another machine is no change. A cell that is new in its class is
held against the same job in the release before it, where that one is known.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from repromatrix.compare import arrays
from repromatrix.compare.allowance import Allowances, Floor
from repromatrix.compare.difference import judge
from repromatrix.compare.versions import version_key
from repromatrix.results import document, packed
from repromatrix.results.history import Change, Night, State
from repromatrix.results.record import Outcome, Record
from repromatrix.results.value import Column, Role

UNSTABLE = "unstable"
ABSENT = "absent"
_DIGITS = 16  # of a SHA-256 that are kept: 64 bits tell some million values apart
_SAID = ("lock", "image", "base", "harness", "code", "task")  # what a cell is made of, in words of the report


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What a run adds to a history."""

    night: Night
    changes: tuple[Change, ...]
    states: tuple[State, ...]

    @property
    def drifted(self) -> tuple[Change, ...]:
        """What moved though its release stayed."""
        return tuple(each for each in self.changes if not each.by_release)


def added(
    name: str,
    run: str,
    records: Sequence[Record],
    known: Mapping[tuple[str, str], State],
    allowed: Allowances,
) -> Added:
    """Return what a run adds.

    Args:
        name: of the night.
        run: where a person finds it.
        records: of the run, without members of ensembles.
        known: the last states, by CPU class and cell.
        allowed: what rounding alone may do.
    """
    now = [_state(name, each) for each in records if each.provenance is not None]
    by_line = _by_line([*known.values(), *now])
    changes, states, new = list[Change](), list[State](), 0
    for each in now:
        own = known.get((each.cpu, each.cell))
        new += own is None
        before = own or _release_before(each, by_line)
        if before is not None:
            changes += _changes(before, each, allowed)
        if own is None or _differs(own, each):
            states.append(_short(each, before))
    night = Night(
        night=name,
        run=run,
        cells=len(now),
        new=new,
        changes=len(changes),
        classes=tuple(sorted({each.cpu for each in now})),
    )
    return Added(night=night, changes=tuple(changes), states=tuple(_after_what_they_are_like(states)))


def _state(night: str, record: Record) -> State:
    made, cell = record.provenance, record.cell
    assert made is not None  # noqa: S101 - the caller chose those that ran
    stable = len(record.trajectories) == 1
    outcome = record.outcome.value if stable or record.outcome is not Outcome.OK else UNSTABLE
    columns = record.trajectories[0].columns if stable else ()
    digests = {
        "lock": made.lock_digest,
        "image": made.image_digest,
        "base": made.base_digest,
        "harness": made.entrypoint_digest,
        "code": cell.code,
        "task": cell.task,
    }
    line = (cell.workload, cell.framework, cell.flavour, cell.python, cell.variant, cell.device, cell.settings)
    return State(
        night=night,
        cpu=made.cpu_class,
        cell=cell.id,
        line="/".join(line),
        release=cell.version,
        outcome=outcome,
        made={name: (digests[name] or "").removeprefix("sha256:")[:_DIGITS] for name in _SAID},
        values=_values(columns),
        metrics={
            each.name: (each.dtype, packed.pack(each.texts, each.dtype)) for each in columns if each.role is Role.METRIC
        },
    )


def _values(columns: Iterable[Column]) -> dict[str, str]:
    """Return a digest a name: metrics by their own, outputs by the operation in front of the slash, state as one."""
    groups: dict[str, list[Column]] = {}
    for each in columns:
        name = {Role.METRIC: each.name, Role.OUTPUT: each.name.partition("/")[0]}.get(each.role, "state")
        groups.setdefault(name, []).append(each)
    return {
        name: hashlib.sha256(document.canonical(sorted(group, key=lambda each: each.name))).hexdigest()[:_DIGITS]
        for name, group in groups.items()
    }


def _by_line(states: Iterable[State]) -> dict[tuple[str, str], dict[str, State]]:
    """Return states by CPU class and line, then by cell; a cell's later state replaces its earlier one."""
    found: dict[tuple[str, str], dict[str, State]] = {}
    for each in states:
        found.setdefault((each.cpu, each.line), {})[each.cell] = each
    return found


def _release_before(state: State, by_line: Mapping[tuple[str, str], Mapping[str, State]]) -> State | None:
    older = [
        each
        for each in by_line[state.cpu, state.line].values()
        if version_key(each.release) < version_key(state.release)
    ]
    return max(older, key=lambda each: version_key(each.release), default=None)


def _differs(a: State, b: State) -> bool:
    return (a.outcome, a.made, a.values, a.release) != (b.outcome, b.made, b.values, b.release)


def _short(state: State, before: State | None) -> State:
    """Return a state that tells only what is not as before."""
    if before is None or not before.values:
        return state
    gone = dict.fromkeys(before.values.keys() - state.values.keys(), "")
    moved = {name: digest for name, digest in state.values.items() if before.values.get(name) != digest}
    return State(
        night=state.night,
        cpu=state.cpu,
        cell=state.cell,
        line=state.line,
        release=state.release,
        like=before.cell,
        outcome=state.outcome,
        made=state.made,
        values={**moved, **gone},
        metrics=state.metrics,
    )


def _after_what_they_are_like(states: Sequence[State]) -> list[State]:
    """Return states with the older releases first: those that others are like must stand before them."""
    return sorted(states, key=lambda each: version_key(each.release))


def _changes(before: State, now: State, allowed: Allowances) -> Iterator[Change]:
    because = tuple(
        name
        for name in _SAID
        if before.cell == now.cell and before.made.get(name) and before.made.get(name) != now.made.get(name)
    )

    def change(value: str, was: str, then: str, **size: object) -> Change:
        return Change(
            night=now.night,
            cpu=now.cpu,
            cell=now.cell,
            before=before.cell,
            release=now.release,
            before_release=before.release,
            value=value,
            was=was,
            now=then,
            because=because,
            **size,  # type: ignore[arg-type]
        )

    if before.outcome != now.outcome:
        yield change("outcome", before.outcome, now.outcome)
        return
    for name in (*now.values, *(name for name in before.values if name not in now.values)):
        was, then = before.values.get(name, ABSENT), now.values.get(name, ABSENT)
        if was != then:
            yield change(name, was, then, **_size(name, before, now, allowed))


def _size(name: str, before: State, now: State, allowed: Allowances) -> dict[str, object]:
    """Return how far a metric moved; nothing for what is no metric."""
    one, other = before.metrics.get(name), now.metrics.get(name)
    if one is None or other is None or one[0] != other[0] or before.made.get("task") != now.made.get("task"):
        return {}
    dtype = one[0]
    a, b = (arrays.decode(packed.unpack(text, dtype)) for _, text in (one, other))
    measure = arrays.measure(a, b, dtype)
    workload, first = now.line.partition("/")[0], next(iter(now.metrics))
    allowance = allowed.of(workload, dtype, measure.steps) if name == first else allowed.tolerances.get(dtype)
    share = None
    if isinstance(allowance, Floor) and measure.first_difference is not None and measure.unmeasured is None:
        share = allowance.share(a, b)
    return {
        "verdict": judge(a, b, measure, allowance, dtype).verdict.value,
        "step": measure.first_difference,
        "ulp": measure.max_ulp,
        "share": share,
    }
