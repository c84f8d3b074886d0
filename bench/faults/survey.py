"""Where the named values of a workload stand in its code, found by looking: no name is known here beforehand.

A clean run is noted hook by hook. A hook whose bits are those of a recorded value at every step may be where it is
computed; it is, if the run keeps every bit when the value is made anew there, and if a change there is recorded and
goes on into what follows. Automatic differentiation leaves fewer of them: a value made anew has no gradient.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from bench.faults.draw import Fault, Ground, Job, Room, job_of
from bench.faults.harness import Harness, Rows, Run
from bench.faults.hooks import HANDLE, Forcing, Key, Site
from bench.faults.values import Shown, turned

NULL = Fault(kind="null", at="value", site=None, how="scale", amount=1.0)
PROBE = Fault(kind="probe", at="value", site=None, how="scale", amount=1.5, first=1, last=1)


@dataclass(slots=True, kw_only=True)
class Survey:
    """What a run with certain options is made of.

    Attributes:
        sites: recorded value -> where it can be changed and forced.
        hidden: recorded values that cannot, as they are computed where nobody can reach.
        room: what faults can be put into.
    """

    sites: Mapping[str, Site]
    hidden: frozenset[str]
    room: Room
    harness: Harness
    job: Job
    rows: Rows
    usable: dict[Key, bool] = field(default_factory=dict)

    def can_use(self, key: Key) -> bool:
        """Whether a hook can be used: a value that is made anew there changes nothing."""
        if key not in self.usable:
            self.usable[key] = _keeps(self.harness, self.job, self.rows, key)
        return self.usable[key]

    def forced(self, job: Job, rows: Rows) -> dict[tuple[str, int], int]:
        """Return where a clean run differs from recorded values that it is forced to go on with, by how many elements.

        Outputs after the last step are compared too; so is what cannot be forced, though all that follows from it
        within the step differs with it.
        """
        at = {site.key: (name, site.turned) for name, site in self.sites.items()}
        forcing = Forcing(sites=at, rows={step: row for step, row in rows.items() if step <= job.steps})
        run = self.harness.train(job, forcing=forcing)
        found = dict(forcing.differing)
        for step, row in rows.items():
            for name, shown in row.items():
                if step > job.steps or name in self.hidden:
                    count = _apart(run.rows[step][name], shown)
                    if count:
                        found[name, step] = count
        return found


def examined(harness: Harness, options: Mapping[str, str]) -> Survey:
    """Return the survey of a run with these options.

    Raises:
        Exception: the framework cannot do that.
    """
    ground = harness.ground
    job = job_of(ground, random.Random(repr(sorted(options.items()))), probe=True, options=options)  # noqa: S311
    run = harness.train(job, noting=True)
    noted, reached = harness.hooks.noted, harness.hooks.reached
    steps = range(1, job.steps + 1)
    loop = [key for key in noted[1] if all(key in noted[step] for step in steps)]
    names = [name for name in run.rows[1] if all(name in run.rows[step] for step in steps)]
    found = {name: _site(harness, job, run.rows, name, noted=noted, loop=loop) for name in names}
    sites = {name: site for name, site in found.items() if site is not None}
    recorded = {
        step: {shown.texts for row in (run.rows[step],) for each in row.values() for shown in (each, turned(each))}
        for step in steps
    }
    hooks = [
        key for key in loop if HANDLE not in key and not any(noted[step][key].texts in recorded[step] for step in steps)
    ]
    live = set.intersection(*(reached.get(step, set()) for step in steps))
    code: dict[str, list[tuple[int, str]]] = {}
    for each in harness.mutations:
        if each.number in live:
            code.setdefault(each.kind, []).append((each.number, f"{ground.framework}.py:{each.line}: {each.wrong}"))
    return Survey(
        sites=sites,
        hidden=frozenset(names) - sites.keys(),
        room=Room(values=list(sites), hooks=hooks, code=code),
        harness=harness,
        job=job,
        rows=run.rows,
    )


def _site(
    harness: Harness, job: Job, rows: Rows, name: str, *, noted: Mapping[int, Mapping[Key, Shown]], loop: list[Key]
) -> Site | None:
    """Return the first place that computes a recorded value, None if nobody can reach it."""
    for is_turned, key in _alike(rows, name, noted, loop):
        if _keeps(harness, job, rows, key) and _carries(harness, job, rows, name, key, is_turned=is_turned):
            return Site(key=key, turned=is_turned)
    return None


def _alike(
    rows: Rows, name: str, noted: Mapping[int, Mapping[Key, Shown]], loop: list[Key]
) -> Iterator[tuple[bool, Key]]:
    ways: tuple[tuple[bool, Callable[[Shown], Shown]], ...] = ((False, lambda shown: shown), (True, turned))
    steps = [step for step in rows if name in rows[step] and step in noted and step <= max(noted)]
    for key in loop:
        for is_turned, way in ways:
            if all(noted[step][key].texts == way(rows[step][name]).texts for step in steps if key in noted[step]):
                yield is_turned, key
                break


def _keeps(harness: Harness, job: Job, rows: Rows, key: Key) -> bool:
    run = _tried(harness, job, {key: NULL})
    return run is not None and not _differing(run.rows, rows)


def _carries(harness: Harness, job: Job, rows: Rows, name: str, key: Key, *, is_turned: bool) -> bool:
    """Whether a change there is what is recorded, and changes more than that."""
    run = _tried(harness, job, {key: PROBE})
    if run is None:
        return False
    before = turned(rows[1][name]) if is_turned else rows[1][name]
    due = before.of([number * PROBE.amount for number in before.numbers])
    shown = turned(run.rows[1][name]) if is_turned else run.rows[1][name]
    others = _differing(run.rows, rows) - {(name, 1)}
    return shown.texts == due.texts and (bool(others) or name in harness.ground.metrics)


def _tried(harness: Harness, job: Job, faults: Mapping[Key, Fault]) -> Run | None:
    try:
        return harness.train(job, faults=faults)
    except Exception:  # noqa: BLE001 - a value made anew may have no gradient, and each framework says so in its own way
        return None


def _differing(one: Rows, other: Rows) -> set[tuple[str, int]]:
    return {(name, step) for step, row in other.items() for name in row if one[step][name].texts != row[name].texts}


def _apart(one: Shown, other: Shown) -> int:
    return sum(left != right for left, right in zip(one.texts, other.texts, strict=True))


def grounds(document: Mapping[str, object]) -> Ground:
    """Return a ground from JSON data."""
    return Ground(**document)  # type: ignore[arg-type]
