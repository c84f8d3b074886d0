"""Which factors describe a set of cells: a short rule that holds for these cells and for no other.

A rule is found by search and then held against every cell; what no rule separates is said to have none. That no
shorter rule exists is not proven: the search is greedy over terms, and exact within each of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from repromatrix.results.factors import option_factors
from repromatrix.results.record import Record

NOT_STATED = "-"
# Of equally small rules the one with the weightier factors is given: what is computed before where it was computed.
_ORDER = (
    "dtype", "update", "layout", "gradient", "compile", "activation", "api", "final_forward", "loss_form", "optimizer",
    "loop", "framework", "version", "settings", "device", "python", "base", "engine", "cpu class",
)  # fmt: skip
_MOST_VERSIONS = 4  # that a term names only so that it does not say `any version`
_MOST_FACTORS = 5  # of one term; beyond, a rule explains less than the list of cells


_Shape = dict[str, set[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A conjunction: every named factor has one of the given values; a factor that is not named may have any."""

    factors: tuple[tuple[str, tuple[str, ...]], ...]
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A disjunction of terms that holds for exactly the cells of a class.

    Attributes:
        terms: the largest first.
        without: cells that no term separates from cells of other classes; they are listed instead.
        among: how many cells the rule was held against.
    """

    terms: tuple[Term, ...]
    without: tuple[str, ...]
    among: int


def factors_of(record: Record) -> dict[str, str]:
    """Return everything in which cells of one workload may differ, as text; a flavour goes with its framework."""
    cell, provenance = record.cell, record.provenance
    flavour = "" if cell.flavour == "cpu" else f"/{cell.flavour}"
    return {
        "framework": f"{cell.framework}{flavour}",
        "version": f"{cell.framework}{flavour} {cell.version}",  # a version means nothing without its framework
        "python": cell.python,
        "dtype": cell.dtype,
        "device": cell.device,
        "settings": cell.settings,
        **option_factors(cell.options),
        **option_factors(record.factors),  # an option that the matrix leaves out has a value all the same
        "engine": provenance.engine if provenance else NOT_STATED,
        "base": provenance.base_kind if provenance else NOT_STATED,
        "cpu class": provenance.cpu_class if provenance else NOT_STATED,
    }


def holds(rule: Rule, record: Record) -> bool:
    """Whether a rule describes a cell."""
    factors = factors_of(record)
    return record.cell.id in rule.without or any(
        all(factors.get(name, NOT_STATED) in values for name, values in term.factors) for term in rule.terms
    )


class Rules:
    """Finds the rules of sets of cells among all cells of a workload."""

    def __init__(self, records: Sequence[Record]) -> None:
        every = [factors_of(each) for each in records]
        names = {name for factors in every for name in factors}
        self._names = sorted(names, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))
        self._ids = [each.cell.id for each in records]
        self._place = {name: number for number, name in enumerate(self._ids)}
        self._factors = [{name: factors.get(name, NOT_STATED) for name in self._names} for factors in every]
        # factor -> value -> which cells have it, a bit each.
        self._having: dict[str, dict[str, int]] = {name: {} for name in self._names}
        for number, factors in enumerate(self._factors):
            for name, value in factors.items():
                self._having[name][value] = self._having[name].get(value, 0) | (1 << number)
        # A factor with one value tells nothing apart.
        self._telling = [name for name in self._names if len(self._having[name]) > 1]

    def rule(self, cells: Iterable[str]) -> Rule:
        """Return a short rule that holds for these cells and for no other."""
        inside = sorted(self._place[each] for each in cells)
        others = ((1 << len(self._ids)) - 1) & ~_bits(inside)
        found, without, left = [], [], list(inside)
        while left:
            group = self._grown(left, others)
            if group is None:
                without.append(self._ids[left.pop(0)])
                continue
            shape = self._shape(group, others)
            found.append(shape)
            left = [each for each in left if not self._matching(shape) >> each & 1]
        listed = _bits(self._place[each] for each in without)
        terms = [self._term(each, inside) for each in self._shortened(found, _bits(inside) & ~listed, others)]
        terms.sort(key=lambda each: -len(each.cells))
        return Rule(terms=tuple(terms), without=tuple(without), among=len(self._ids))

    def _shortened(self, found: list[_Shape], inside: int, others: int) -> list[_Shape]:
        """Return the terms without those that the rest makes superfluous, each as short as its own cells allow."""
        shapes, changed = list(found), True
        while changed:
            changed = False
            for shape in tuple(shapes):
                rest = [each for each in shapes if each is not shape]
                own = inside
                for each in rest:
                    own &= ~self._matching(each)
                shorter = self._shape(self._hull({}, _places(own)), others) if own else None
                if shorter is None or _cost(shorter) < _cost(shape):
                    shapes = [*rest, *([shorter] if shorter is not None else [])]
                    changed = True
        return shapes

    def _grown(self, left: Sequence[int], others: int) -> dict[str, set[str]] | None:
        """Return the values of a group of cells, as large as can be without taking in another class's cell."""
        whole = self._hull({}, left)
        if not self._matching(whole) & others:
            return whole
        group = self._hull({}, left[:1])
        if self._matching(group) & others:
            return None
        for each in left[1:]:
            wider = self._hull(group, [each])
            if not self._matching(wider) & others:
                group = wider
        return group

    def _hull(self, group: Mapping[str, set[str]], cells: Sequence[int]) -> dict[str, set[str]]:
        return {
            name: set(group.get(name, ())) | {self._factors[each][name] for each in cells} for name in self._telling
        }

    def _matching(self, group: Mapping[str, Iterable[str]]) -> int:
        """Return the cells, a bit each, that have one of the given values of every factor named."""
        found = (1 << len(self._ids)) - 1
        for name, values in group.items():
            having = self._having[name]
            mask = 0
            for value in values:
                mask |= having[value]
            found &= mask
        return found

    def _shape(self, group: Mapping[str, set[str]], others: int) -> _Shape:
        """Return the factors of a group with the fewest values that keep the other classes out."""
        return {name: group[name] for name in self._cheapest(group, others)}

    def _term(self, shape: _Shape, inside: Sequence[int]) -> Term:
        covered = self._matching(shape)
        cells = [each for each in inside if covered >> each & 1]
        ran = self._ran(shape, cells)
        named = {name: values for name, values in shape.items() if not (name == "framework" and ran)} | ran
        return Term(
            factors=tuple((name, tuple(sorted(named[name]))) for name in self._names if name in named),
            cells=tuple(self._ids[each] for each in cells),
        )

    def _ran(self, shape: _Shape, cells: Sequence[int]) -> _Shape:
        """Return what a term must name so that `any framework` and `any version` stand for more than one.

        A framework may stay unnamed where the term has cells of all that have cells of its dtype; a framework stands
        for its versions where the term has cells of more than one of them, and of all.
        """
        if "version" in shape:
            return {}
        dtypes = {self._factors[each]["dtype"] for each in cells}
        alike = [each for each in self._factors if each["dtype"] in dtypes]
        had = [self._factors[each] for each in cells]
        frameworks, versions = ({each[name] for each in had} for name in ("framework", "version"))
        every = {each["version"] for each in alike if each["framework"] in frameworks}
        if versions == every and len(frameworks) > 1 and frameworks == {each["framework"] for each in alike}:
            return {}
        if (versions == every and len(versions) > len(frameworks)) or len(versions) > _MOST_VERSIONS:
            return {"framework": frameworks}
        return {"version": versions}

    def _cheapest(self, group: Mapping[str, set[str]], others: int) -> list[str]:
        masks = {name: self._matching({name: group[name]}) for name in self._telling}
        useful = [name for name in self._telling if ~masks[name] & others]
        best: tuple[int, list[str]] | None = None
        for size in range(min(_MOST_FACTORS, len(useful)) + 1):
            if best is not None and size >= best[0]:
                break  # each factor costs at least one value
            for names in combinations(useful, size):
                cost = sum(len(group[name]) for name in names)
                if best is not None and cost >= best[0]:
                    continue
                found = others
                for name in names:
                    found &= masks[name]
                if not found:
                    best = (cost, list(names))
        return best[1] if best else self._thinned(useful, masks, others)

    def _thinned(self, useful: Sequence[str], masks: Mapping[str, int], others: int) -> list[str]:
        """Return factors that suffice, none of which can be dropped."""
        kept = list(useful)
        for name in reversed(useful):
            rest = [each for each in kept if each != name]
            found = others
            for each in rest:
                found &= masks[each]
            if not found:
                kept = rest
        return kept


def _cost(shape: _Shape) -> int:
    return sum(map(len, shape.values()))


def _places(bits: int) -> list[int]:
    return [each for each in range(bits.bit_length()) if bits >> each & 1]


def _bits(places: Iterable[int]) -> int:
    found = 0
    for each in places:
        found |= 1 << each
    return found
