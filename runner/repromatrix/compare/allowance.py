"""How far apart rounding alone may bring two trajectories: measured for a workload, or a framework's own tolerance.

The noise floor comes from an ensemble: cells that start from initial weights moved by one ULP each. How far they stray
from the unmoved one is the growth of a single disturbance. Every step of either side may bring such a disturbance
anew, so after step t two honest implementations may differ by twice the sum of the growth up to t; a disturbance that
no member shows counts as one ULP of the loss, since the loss itself is rounded.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from repromatrix.compare import arrays
from repromatrix.compare.arrays import Bools, Values
from repromatrix.floats import ulp
from repromatrix.results.manifest import Ensemble, Manifest
from repromatrix.results.record import Record
from repromatrix.results.store import Store

_SIDES = 2
Stated = tuple[str, float, float, str]  # a tolerance: dtype, relative, absolute, who says so


class Allowance(Protocol):
    """Tells what is close, and by whose word."""

    @property
    def source(self) -> str:
        """Who says so, in words."""
        ...

    def close(self, a: Values, b: Values) -> Bools:
        """Tell step by step whether two trajectories are as close as rounding alone may bring them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """What a framework itself calls close: `|a - b| <= absolute + relative * max(|a|, |b|)`."""

    relative: float
    absolute: float
    source: str

    def close(self, a: Values, b: Values) -> Bools:
        """Tell step by step whether two trajectories are close; the same bits always are, NaN too."""
        with np.errstate(invalid="ignore", over="ignore"):
            bound = self.absolute + self.relative * np.maximum(np.abs(a), np.abs(b))
            return arrays.same_bits(a, b) | (arrays.distances(a, b) <= bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The measured noise of a workload in a dtype.

    Attributes:
        reference: id of the cell whose initial weights were moved.
        members: ids of the moved ones.
        growth: per step the largest |loss - reference's loss| of any member, at least one ULP of the loss.
        bound: per step what two implementations may differ by.
    """

    workload: str
    dtype: str
    reference: str
    members: tuple[str, ...]
    growth: tuple[float, ...]
    bound: tuple[float, ...]

    @property
    def source(self) -> str:
        """Who says so, in words."""
        return f"noise floor of {self.workload} in {self.dtype}, {len(self.members)} one-ULP members"

    def close(self, a: Values, b: Values) -> Bools:
        """Tell step by step whether two trajectories are within the bound; the same bits always are, NaN too."""
        bound = np.asarray(self.bound[: len(a)])
        return arrays.same_bits(a, b) | (arrays.distances(a, b) <= bound)

    def share(self, a: Values, b: Values) -> float:
        """Return the largest distance of two finite trajectories over the bound at that step."""
        return float(np.max(arrays.distances(a, b) / np.asarray(self.bound[: len(a)])))


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowances:
    """What is allowed by workload and dtype: the measured floor, else the tolerance of the dtype."""

    floors: Mapping[tuple[str, str], Floor] = field(default_factory=dict)
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)

    def of(self, workload: str, dtype: str, steps: int) -> Allowance | None:
        """Return who judges so many steps of a workload in a dtype, or None."""
        floor = self.floors.get((workload, dtype))
        if floor and len(floor.bound) >= steps:
            return floor
        return self.tolerances.get(dtype)


def tolerances(rows: Iterable[Stated]) -> dict[str, Tolerance]:
    """Return tolerances by dtype, as a matrix or a manifest states them."""
    return {
        dtype: Tolerance(relative=relative, absolute=absolute, source=source)
        for dtype, relative, absolute, source in rows
    }


def allowances(manifest: Manifest, records: Mapping[str, Record]) -> Allowances:
    """Return what a run's own ensembles measured, and its tolerances for what has none.

    Args:
        manifest: names the ensembles.
        records: by cell id, the ensembles' members included.
    """
    return measured(manifest.ensembles, records, manifest.tolerances)


def of_run(store: Store, stated: Iterable[Stated] | None = None) -> Allowances:
    """Return what the latest run of a results folder measured, or `impact` where there is no run, and tolerances.

    Args:
        store: its ensembles are read; where there is no run, there are no floors.
        stated: tolerances; None: those of the run.

    Raises:
        ResultsError: a record cannot be read.
    """
    manifest = store.read_manifest() if store.has_manifest else store.read_impact()
    if manifest is None:
        return measured((), {}, stated or ())
    names = {name for each in manifest.ensembles for name in (each.reference, *each.members)}
    read = {each.id: store.read(each.id, each.key) for each in manifest.entries if each.id in names and each.key}
    records = {name: record for name, record in read.items() if record}
    return measured(manifest.ensembles, records, manifest.tolerances if stated is None else stated)


def measured(ensembles: Iterable[Ensemble], records: Mapping[str, Record], stated: Iterable[Stated]) -> Allowances:
    """Return the floors that ensembles measure, and the tolerances that somebody states for what has none.

    Args:
        ensembles: by the ids of their cells.
        records: by cell id.
        stated: tolerances.
    """
    floors: dict[tuple[str, str], Floor] = {}
    for each in ensembles:
        members = [records[name] for name in each.members if name in records]
        found = floor(each.workload, each.dtype, records.get(each.reference), members)
        if found:
            floors.setdefault((each.workload, each.dtype), found)
    return Allowances(floors=floors, tolerances=tolerances(stated))


def floor(workload: str, dtype: str, reference: Record | None, members: Sequence[Record]) -> Floor | None:
    """Return the noise floor that an ensemble measures; None where the reference or every member has no trajectory.

    A member that does not stay finite, or has no trajectory, measures nothing and is left out.
    """
    if reference is None or reference.trajectory is None:
        return None
    start = arrays.decode(reference.trajectory.losses)
    tracks = {each.cell.id: arrays.decode(each.trajectory.losses) for each in members if each.trajectory is not None}
    usable = {name: track for name, track in tracks.items() if len(track) == len(start) and np.isfinite(track).all()}
    if not usable or not np.isfinite(start).all():
        return None
    strayed = np.max([arrays.distances(start, track) for track in usable.values()], axis=0)
    growth = np.maximum(strayed, [ulp(value, dtype) for value in start])
    return Floor(
        workload=workload,
        dtype=dtype,
        reference=reference.cell.id,
        members=tuple(usable),
        growth=tuple(map(float, growth)),
        bound=tuple(map(float, _SIDES * np.cumsum(growth))),
    )
