"""Members of the one-ULP ensemble for records of tests: as the records themselves are, under names of their own."""

from dataclasses import replace
from hashlib import sha256

from repromatrix.results.experiments import Condition, Flip, Pair, Run, Side

NUMBERS = range(1, 9)


def with_members(pair: Pair, records) -> Pair:
    """Return a pair in which everything that ran ran as members, too; their records are added to `records`."""

    def moved(run: Run) -> tuple[Run, ...]:
        record = records.get(run.key)
        if record is None or record.trajectory is None:
            return ()
        runs = [Run(id=f"{run.id}~{n}", key=sha256(f"{run.key} {n}".encode()).hexdigest()) for n in NUMBERS]
        for new in runs:
            records[new.key] = replace(record, key=new.key, cell=replace(record.cell, id=new.id))
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
