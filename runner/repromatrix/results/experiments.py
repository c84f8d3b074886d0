"""What was run to explain pairs of cells, as frozen values and as JSON (schemas/experiments.json, format 2).

Only what ran, and why the rest could not: findings are judged again from the records by whoever reads this.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

from repromatrix.errors import ResultsError
from repromatrix.results import document as documents
from repromatrix.results.record import fields_of, refuse_other_format

FORMAT = 2
_AGAIN = "delete that file and explain again: repromatrix explain"

# Why a pair is explained: it stands for two classes, for two published columns, or somebody asked for it.
Origin: TypeAlias = Literal["classes", "published", "asked"]
ORIGINS: tuple[Origin, ...] = get_args(Origin)
# A condition is a named settings of the matrix, or an option with a value.
Kind: TypeAlias = Literal["settings", "option"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A record: its cell's id and its key."""

    id: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One thing in which the cells differ, its values in A and in B, and whether a library may ignore it silently."""

    name: str
    a: str
    b: str
    silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What was run on one side.

    Attributes:
        run: the changed cell; None: there is none, and `reason` says why.
        left: it could have been run, and the budget did not reach it.
        members: the same cell from inputs moved by one ULP, as far as they were needed to tell a cause from chance.
    """

    run: Run | None
    reason: str | None = None
    left: bool = False
    members: tuple[Run, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """Factors that were flipped, together if several: A with them from B, and B with them from A."""

    factors: tuple[str, ...]
    a: Side
    b: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A named change that neither cell has: A under it, and B under it.

    Attributes:
        name: the settings' name, or `option=value`.
        changes: what it sets, sorted by name; for settings all that they set.
    """

    name: str
    kind: Kind
    changes: tuple[tuple[str, str], ...]
    a: Side
    b: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """All that was run for two cells.

    Attributes:
        budget: how many cells might be looked at, A and B included, members not; `spent`: how many were.
        exhausted: whether the budget ended the search.
        members: A and B from inputs moved by one ULP.
    """

    a: Run
    b: Run
    of: tuple[Origin, ...]
    factors: tuple[Factor, ...]
    flips: tuple[Flip, ...]
    conditions: tuple[Condition, ...]
    budget: int
    spent: int
    exhausted: bool
    members: tuple[Run, ...] = ()

    @property
    def cells(self) -> frozenset[str]:
        """The ids of its two cells, whichever comes first."""
        return frozenset((self.a.id, self.b.id))

    @property
    def runs(self) -> tuple[Run, ...]:
        """All that it stands on, each once: A and B first."""
        changed: tuple[Flip | Condition, ...] = (*self.flips, *self.conditions)
        sides = [side for each in changed for side in (each.a, each.b)]
        own = [side.run for side in sides if side.run]
        moved = [run for side in sides for run in side.members]
        return tuple(dict.fromkeys((self.a, self.b, *own, *self.members, *moved)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiments:
    """The pairs that were explained."""

    pairs: tuple[Pair, ...] = ()

    def fitting(self, keys: Mapping[str, str | None]) -> "Experiments":
        """Return the pairs whose two cells still have these keys (cell id -> key)."""
        kept = [pair for pair in self.pairs if all(keys.get(run.id) == run.key for run in (pair.a, pair.b))]
        return Experiments(pairs=tuple(kept))

    def merged(self, new: Iterable[Pair], whole: Iterable[Origin] = ()) -> "Experiments":
        """Return these with new pairs added; a pair of the same two cells is replaced and keeps why it was explained.

        Args:
            new: pairs.
            whole: origins of which `new` has every pair, so that older ones of them are forgotten.
        """
        gone = frozenset(whole)
        fresh = {pair.cells: pair for pair in new}
        pairs: list[Pair] = []
        for pair in self.pairs:
            of = tuple(origin for origin in pair.of if origin not in gone)
            newer = fresh.pop(pair.cells, None)
            if newer is not None:
                pairs.append(replace(newer, of=tuple(origin for origin in ORIGINS if origin in {*of, *newer.of})))
            elif of:
                pairs.append(replace(pair, of=of))
        return Experiments(pairs=(*pairs, *fresh.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(Experiments):
    """The experiments as they stand in their file."""

    format: int = FORMAT


def member(run: Run) -> int:
    """Return which member of the ensemble of its cell a run is; 0: the cell itself."""
    return int(run.id.rpartition("~")[2]) if "~" in run.id else 0


def encode(experiments: Experiments) -> bytes:
    """Return the experiments as canonical JSON: sorted keys, one trailing newline."""
    return documents.canonical(Document(pairs=experiments.pairs))


def decode(data: bytes, where: str) -> Experiments:
    """Read experiments, strictly: canonical JSON of known fields, nothing that contradicts itself.

    Raises:
        NewerFormatError: another release wrote them.
        ResultsError: damaged.
    """
    try:
        refuse_other_format(data, FORMAT, "experiments", where)
        found = Experiments(**fields_of(documents.strict(data, Document), Experiments))
        for pair in found.pairs:
            _check(pair)
    except ValueError as error:
        raise ResultsError(f"not readable experiments ({error})", where=where, hint=_AGAIN) from error
    return found


def _check(pair: Pair) -> None:
    """Refuse a pair that contradicts itself.

    Raises:
        ValueError: a flip of what is no factor of it, a side with both a run and a reason, a member of another cell.
    """
    known = {factor.name for factor in pair.factors}
    if strange := sorted({name for flip in pair.flips for name in flip.factors} - known):
        raise ValueError(f"{strange[0][:40]!r} was flipped, which is no factor of {pair.a.id} and {pair.b.id}")
    changed: tuple[Flip | Condition, ...] = (*pair.flips, *pair.conditions)
    for side in [side for each in changed for side in (each.a, each.b)]:
        if (side.run is None) == (side.reason is None):
            raise ValueError("a side has either a run or a reason")
        _check_members(side.members, [side.run.id] if side.run else [])
    _check_members(pair.members, [pair.a.id, pair.b.id])


def _check_members(members: Iterable[Run], cells: Iterable[str]) -> None:
    known = set(cells)
    for run in members:
        cell, _, number = run.id.rpartition("~")
        if cell not in known or not number.isdecimal() or number.startswith("0"):
            raise ValueError(f"{run.id[:80]!r} is no member of {', '.join(known) or 'a cell that did not run'}")
