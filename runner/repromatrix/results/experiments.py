"""What was tried to explain pairs of cells, as frozen values and as JSON (schemas/experiments.json, format 1).

Only what ran, and why the rest could not: findings are judged again from the records by whoever reads this.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, cast, get_args

from repromatrix.errors import NewerFormatError, ResultsError
from repromatrix.results import document as documents

FORMAT = 1
_AGAIN = "delete that file and explain again: repromatrix explain"

# Why a pair is explained: it stands for two classes, for two published columns, or somebody asked for it.
Origin: TypeAlias = Literal["classes", "published", "asked"]
ORIGINS: tuple[Origin, ...] = get_args(Origin)
# A condition is a named settings of the matrix, or an option with a value.
Kind: TypeAlias = Literal["settings", "option"]
KINDS: tuple[Kind, ...] = get_args(Kind)


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
class Attempt:
    """What was run at one end; without a run `reason` says why there is none.

    Attributes:
        left: it could have been run, and the budget did not reach it.
    """

    run: Run | None
    reason: str | None = None
    left: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Factors that were flipped, together if several: A with them from B, and B with them from A."""

    factors: tuple[str, ...]
    a: Attempt
    b: Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionTrial:
    """A named change that neither side has: A under it, and B under it.

    Attributes:
        name: the settings' name, or `option=value`.
        changes: what it sets, sorted by name; for settings all that they set.
    """

    name: str
    kind: Kind
    changes: tuple[tuple[str, str], ...]
    a: Attempt
    b: Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """All that was tried on two cells.

    Attributes:
        budget: how many cells might be looked at, A and B included; `spent`: how many were.
        exhausted: whether the budget ended the search.
    """

    a: Run
    b: Run
    of: tuple[Origin, ...]
    factors: tuple[Factor, ...]
    trials: tuple[Trial, ...]
    conditions: tuple[ConditionTrial, ...]
    budget: int
    spent: int
    exhausted: bool

    @property
    def cells(self) -> frozenset[str]:
        """The ids of its two cells, whichever comes first."""
        return frozenset((self.a.id, self.b.id))

    @property
    def runs(self) -> tuple[Run, ...]:
        """All that it stands on, each once: A and B first."""
        tried: tuple[Trial | ConditionTrial, ...] = (*self.trials, *self.conditions)
        found = [end.run for each in tried for end in (each.a, each.b) if end.run]
        return tuple(dict.fromkeys((self.a, self.b, *found)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiments:
    """The pairs that were explained."""

    pairs: tuple[Pair, ...] = ()

    def fitting(self, keys: Mapping[str, str | None]) -> "Experiments":
        """Return the pairs whose two cells still have these keys (cell id -> key)."""
        kept = [each for each in self.pairs if all(keys.get(run.id) == run.key for run in (each.a, each.b))]
        return Experiments(pairs=tuple(kept))

    def merged(self, new: Iterable[Pair], whole: Iterable[Origin] = ()) -> "Experiments":
        """Return these with new pairs added; a pair of the same two cells is replaced and keeps why it was explained.

        Args:
            new: pairs.
            whole: origins of which `new` has every pair, so that older ones of them are forgotten.
        """
        gone = frozenset(whole)
        fresh = {each.cells: each for each in new}
        pairs: list[Pair] = []
        for each in self.pairs:
            of = tuple(origin for origin in each.of if origin not in gone)
            found = fresh.pop(each.cells, None)
            if found is not None:
                pairs.append(replace(found, of=tuple(origin for origin in ORIGINS if origin in {*of, *found.of})))
            elif of:
                pairs.append(replace(each, of=of))
        return Experiments(pairs=(*pairs, *fresh.values()))


def encode(experiments: Experiments) -> bytes:
    """Return the experiments as canonical JSON: sorted keys, one trailing newline."""
    return documents.write({"format": FORMAT, "pairs": [_write_pair(each) for each in experiments.pairs]})


def decode(data: bytes, where: str) -> Experiments:
    """Read experiments.

    Raises:
        NewerFormatError: a newer release wrote them.
        ResultsError: damaged.
    """
    try:
        document = documents.read(data)
        if document["format"] != FORMAT:
            raise NewerFormatError(
                f"experiments of format {document['format']}, this release reads format {FORMAT}",
                where=where,
                hint="update repromatrix, or explain into another --results folder",
            )
        return Experiments(pairs=tuple(_read_pair(each) for each in document["pairs"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"not readable experiments ({type(error).__name__}: {error})", where=where, hint=_AGAIN
        ) from error


def _write_pair(pair: Pair) -> dict[str, Any]:
    return {
        "a": _write_run(pair.a),
        "b": _write_run(pair.b),
        "of": list(pair.of),
        "factors": [{"name": each.name, "a": each.a, "b": each.b, "silent": each.silent} for each in pair.factors],
        "trials": [{"factors": list(each.factors), **_write_ends(each)} for each in pair.trials],
        "conditions": [
            {"name": each.name, "kind": each.kind, "changes": dict(each.changes), **_write_ends(each)}
            for each in pair.conditions
        ],
        "budget": pair.budget,
        "spent": pair.spent,
        "exhausted": pair.exhausted,
    }


def _write_ends(trial: Trial | ConditionTrial) -> dict[str, Any]:
    return {
        name: {"run": _write_run(end.run) if end.run else None, "reason": end.reason, "left": end.left}
        for name, end in (("a", trial.a), ("b", trial.b))
    }


def _write_run(run: Run) -> dict[str, str]:
    return {"id": run.id, "key": run.key}


def _read_pair(entry: Mapping[str, Any]) -> Pair:
    pair = Pair(
        a=_read_run(entry["a"]),
        b=_read_run(entry["b"]),
        of=tuple(cast("Origin", _one_of(each, ORIGINS)) for each in _list(entry["of"])),
        factors=tuple(map(_read_factor, _list(entry["factors"]))),
        trials=tuple(map(_read_trial, _list(entry["trials"]))),
        conditions=tuple(map(_read_condition, _list(entry["conditions"]))),
        budget=_whole(entry["budget"]),
        spent=_whole(entry["spent"]),
        exhausted=_truth(entry["exhausted"]),
    )
    known = {each.name for each in pair.factors}
    if strange := sorted({name for each in pair.trials for name in each.factors} - known):
        raise ValueError(f"{strange[0][:40]!r} was flipped, which is no factor of {pair.a.id} and {pair.b.id}")
    return pair


def _read_factor(entry: Mapping[str, Any]) -> Factor:
    return Factor(name=_text(entry["name"]), a=_text(entry["a"]), b=_text(entry["b"]), silent=_truth(entry["silent"]))


def _read_trial(entry: Mapping[str, Any]) -> Trial:
    names = tuple(map(_text, _list(entry["factors"])))
    return Trial(factors=names, a=_read_attempt(entry["a"]), b=_read_attempt(entry["b"]))


def _read_condition(entry: Mapping[str, Any]) -> ConditionTrial:
    return ConditionTrial(
        name=_text(entry["name"]),
        kind=cast("Kind", _one_of(entry["kind"], KINDS)),
        changes=tuple(sorted((_text(name), _text(value)) for name, value in entry["changes"].items())),
        a=_read_attempt(entry["a"]),
        b=_read_attempt(entry["b"]),
    )


def _read_attempt(entry: Mapping[str, Any]) -> Attempt:
    run = None if entry["run"] is None else _read_run(entry["run"])
    reason = None if entry["reason"] is None else _text(entry["reason"])
    if (run is None) == (reason is None):
        raise ValueError("an end has either a run or a reason")
    return Attempt(run=run, reason=reason, left=_truth(entry["left"]))


def _read_run(entry: Mapping[str, Any]) -> Run:
    return Run(id=_text(entry["id"]), key=_text(entry["key"]))


def _one_of(value: Any, known: Iterable[str]) -> str:
    if value not in known:
        raise ValueError(f"{value!r} where one of {', '.join(known)} is due")
    return str(value)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} where a list is due"[:80])
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} where text is due"[:80])
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} where true or false is due"[:80])
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} where a whole number is due"[:80])
    return value
