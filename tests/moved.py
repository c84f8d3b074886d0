"""Members of the one-ULP ensemble for records of tests: their values moved by a few ULP, under names of their own.

All that is equal stays equal, and all that differs stays as many ULP apart.
"""

from dataclasses import replace
from hashlib import sha256
from math import isfinite

import msgspec

from repromatrix.floats import FORMS, at, ordinal
from repromatrix.results.experiments import Condition, Flip, Pair, Run, Side
from repromatrix.results.value import Trajectory

NUMBERS = range(1, 9)


def with_members(pair: Pair, records) -> Pair:
    """Return a pair in which everything that ran ran as members, too; their records are added to `records`."""

    def moved(run: Run) -> tuple[Run, ...]:
        record = records.get(run.key)
        if record is None or record.trajectory is None:
            return ()
        runs = [Run(id=f"{run.id}~{n}", key=sha256(f"{run.key} {n}".encode()).hexdigest()) for n in NUMBERS]
        for new in runs:
            ways = tuple(_moved(each, int(new.id.rpartition("~")[2])) for each in record.trajectories)
            records[new.key] = replace(record, key=new.key, cell=replace(record.cell, id=new.id), trajectories=ways)
        return tuple(runs)

    def side(own: Side) -> Side:
        return replace(own, members=moved(own.run)) if own.run else own

    def both(changed: Flip | Condition):
        return replace(changed, a=side(changed.a), b=side(changed.b))

    return replace(
        pair,
        flips=tuple(map(both, pair.flips)),
        conditions=tuple(map(both, pair.conditions)),
        members=(*moved(pair.a), *moved(pair.b)),
    )


def _moved(found: Trajectory, number: int) -> Trajectory:
    """Return a trajectory whose floats that are told are moved."""
    columns = [
        msgspec.structs.replace(each, texts=tuple(_next(text, each.dtype, number) for text in each.texts))
        if each.dtype in FORMS
        else each
        for each in found.columns
    ]
    return msgspec.structs.replace(found, columns=tuple(columns))


def _next(text: str, dtype: str, number: int) -> str:
    value = float.fromhex(text)
    place = ordinal(value, dtype) + number if isfinite(value) else 0
    return at(place, dtype).hex() if isfinite(value) and abs(place) < FORMS[dtype].infinity else text
