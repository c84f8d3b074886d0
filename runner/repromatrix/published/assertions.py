"""What a published document states beside its figures, in forms that can be tested; as its data file has them.

A difference is its own test; every other statement has a `test` of one of the types here. Pure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

Pair = tuple[str, str]
_MOST_PLACES = 2000  # the smallest number of float64 has 1074


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Two columns differ by `value` at an iteration (from 1); a zero says that they are the same."""

    a: str
    b: str
    iteration: int
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverEqual:
    """None of these pairs of columns has the same bits at every common step."""

    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Equal:
    """Each of these pairs of columns has the same bits at every common step."""

    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordering:
    """At every common step the loss of one column is lower than that of the other."""

    lower: str
    higher: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """At every common step any two of these columns are at least `low` and at most `high` apart."""

    pairs: tuple[Pair, ...]
    low: str
    high: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlyEqual:
    """Of all pairs of these columns, only one has the same bits at any step, and that at one iteration alone."""

    pairs: tuple[Pair, ...]
    pair: Pair
    iteration: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Blamed:
    """What a document blames a difference on: a factor in which the columns differ, or a change that neither has.

    Attributes:
        kind: `factor`, `option` or `settings`.
        name: the factor's, the option's or the settings'.
        value: the option's; empty otherwise.
    """

    kind: str
    name: str
    value: str = ""

    @property
    def said(self) -> str:
        """What it is called: as a explanation calls its rows."""
        return f"{self.name}={self.value}" if self.kind == "option" else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Two columns differ because of these things."""

    pair: Pair
    blamed: tuple[Blamed, ...]


Test: TypeAlias = Difference | NeverEqual | Equal | Ordering | Range | OnlyEqual | Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of a document; without a test nobody can tell what it means.

    Attributes:
        says: the sentence, in its document's words.
    """

    id: str
    says: str
    test: Test | None


def read(entry: Mapping[str, Any], losses: Mapping[str, Sequence[str]]) -> Statement:
    """Read a statement of a published table's data file.

    Raises:
        ValueError: it cannot be read; the statement and what is wrong with it are named.
    """
    name = entry.get("id") if isinstance(entry, Mapping) else None
    if not isinstance(name, str) or not name:
        raise ValueError(f"a claim without an id: {entry!r}"[:120])
    try:
        if entry.get("kind") == "difference":
            test: Test | None = _difference(entry, losses)
        else:
            test = _test(entry["test"], losses) if "test" in entry else None
        says = entry["says"] if "says" in entry or not isinstance(test, Difference) else said(test)
    except KeyError as error:
        raise ValueError(f"claim {name} lacks {error}") from error
    except (TypeError, ValueError, AttributeError, InvalidOperation) as error:
        raise ValueError(f"claim {name}: {error}") from error
    if not isinstance(says, str):
        raise ValueError(f"claim {name}: `says` is no text: {says!r}"[:120])  # noqa: TRY004 - as all of them
    return Statement(id=name, says=says, test=test)


def said(test: Difference) -> str:
    """Return a stated difference as a sentence."""
    if Decimal(test.value) == 0:
        return f"{test.a} and {test.b} are the same at iteration {test.iteration}"
    return f"{test.a} and {test.b} differ by {test.value} at iteration {test.iteration}"


def _test(entry: Any, losses: Mapping[str, Sequence[str]]) -> Test:
    if not isinstance(entry, Mapping):
        raise TypeError(f"`test` is no object: {entry!r}"[:80])
    readers: dict[str, Callable[[Mapping[str, Any], Mapping[str, Sequence[str]]], Test]] = {
        "difference": _difference,
        "never_equal": lambda e, known: NeverEqual(pairs=_pairs(e, known)),
        "equal": lambda e, known: Equal(pairs=_pairs(e, known)),
        "ordering": lambda e, known: Ordering(lower=_column(e["lower"], known), higher=_column(e["higher"], known)),
        "range": _range,
        "only_equal": _only_equal,
        "cause": _cause,
    }
    if entry["type"] not in readers:
        raise ValueError(f"no test is called {entry['type']!r}; there are {', '.join(readers)}")
    return readers[entry["type"]](entry, losses)


def _difference(entry: Mapping[str, Any], losses: Mapping[str, Sequence[str]]) -> Difference:
    a, b = (_column(entry[side], losses) for side in ("a", "b"))
    return Difference(a=a, b=b, iteration=_iteration(entry, (a, b), losses), value=figure(entry["value"]))


def _range(entry: Mapping[str, Any], losses: Mapping[str, Sequence[str]]) -> Range:
    low, high = (figure(entry[end]) for end in ("low", "high"))
    if Decimal(low) > Decimal(high):
        raise ValueError(f"the range {low} to {high} is empty")
    return Range(pairs=_pairs(entry, losses), low=low, high=high)


def _only_equal(entry: Mapping[str, Any], losses: Mapping[str, Sequence[str]]) -> OnlyEqual:
    pair = _pair(entry["pair"], losses)
    return OnlyEqual(pairs=_pairs(entry, losses), pair=pair, iteration=_iteration(entry, pair, losses))


def _cause(entry: Mapping[str, Any], losses: Mapping[str, Sequence[str]]) -> Cause:
    blamed = tuple(map(_blamed, entry["blamed"]))
    if not blamed:
        raise ValueError("nothing is blamed")
    return Cause(pair=_pair(entry["columns"], losses), blamed=blamed)


def _blamed(entry: Any) -> Blamed:
    keys = {"factor": {"factor"}, "option": {"option", "value"}, "settings": {"settings"}}
    kind = next((kind for kind, known in keys.items() if isinstance(entry, Mapping) and set(entry) == known), None)
    if kind is None or not all(isinstance(each, str) and each for each in entry.values()):
        raise ValueError(f"{entry!r} can be no cause; write a factor, an option with its value, or settings")
    return Blamed(kind=kind, name=entry[kind], value=entry.get("value", ""))


def _pairs(entry: Mapping[str, Any], losses: Mapping[str, Sequence[str]]) -> tuple[Pair, ...]:
    """Return the pairs meant: those listed, every column with every other one, or with each of `others`."""
    if "pairs" in entry:
        found = [_pair(each, losses) for each in entry["pairs"]]
    else:
        columns = [_column(each, losses) for each in entry["columns"]]
        others = [_column(each, losses) for each in entry.get("others", ())]
        found = [(a, b) for place, a in enumerate(columns) for b in (others or columns[place + 1 :])]
    if not found or any(a == b for a, b in found):
        raise ValueError("two columns at least are needed, and none against itself")
    return tuple(found)


def _pair(entry: Sequence[Any], losses: Mapping[str, Sequence[str]]) -> Pair:
    if isinstance(entry, str) or len(entry) != 2:  # noqa: PLR2004 - a pair
        raise ValueError(f"{entry!r} are not two columns")
    return _column(entry[0], losses), _column(entry[1], losses)


def _column(title: Any, losses: Mapping[str, Sequence[str]]) -> str:
    if not isinstance(title, str) or title not in losses:
        raise ValueError(f"the table has no column {title!r}")
    return title


def _iteration(entry: Mapping[str, Any], pair: Pair, losses: Mapping[str, Sequence[str]]) -> int:
    found = entry["iteration"]
    if not isinstance(found, int) or not all(1 <= found <= len(losses[column]) for column in pair):
        raise ValueError(f"no iteration {found}")
    return found


def figure(text: Any) -> str:
    """Return a printed figure.

    Raises:
        ValueError: it is no finite decimal number as text, or its exponent is beyond what any dtype has.
    """
    if not isinstance(text, str) or not Decimal(text).is_finite():
        raise ValueError(f"{text!r} is not a figure as text"[:120])
    number = Decimal(text)
    # An exponent costs nothing to write, and as an exact fraction all of memory.
    if max(abs(number.adjusted()), abs(int(number.as_tuple().exponent))) > _MOST_PLACES:
        raise ValueError(f"{text!r} is no figure that a dtype can have"[:120])
    return text
