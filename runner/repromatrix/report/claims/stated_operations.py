"""Replays of operations -> the claims that the report makes of them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from repromatrix.compare.trace import Value
from repromatrix.errors import ResultsError
from repromatrix.explain.judge.operations import OperationFinding, Output, PairFinding, PlaceFinding
from repromatrix.explain.judge.replays import pair_finding
from repromatrix.floats import FORMS
from repromatrix.operations.catalogue import CATALOGUE
from repromatrix.operations.judgement import Arithmetic, Memo
from repromatrix.operations.listing import Entry as Listed
from repromatrix.operations.listing import entries
from repromatrix.report.claims.base import Claim
from repromatrix.report.claims.forms import NOT_THERE, How, NotListed, OperationForm, OperationPair, distance_in_ulps
from repromatrix.report.claims.operations import AnatomyOf, OperationSource, OperationTotals, SourceTotals
from repromatrix.report.replayed import Replayed
from repromatrix.results.manifest import Entry
from repromatrix.results.record import Description
from repromatrix.results.replays import ReplayedCell, ReplayedPair

# The options by which a catalogue tells cells of an environment and dtype apart.
_VARIED = ("gradient", "activation")


def of_operations(replayed: Replayed, manifest: Iterable[Entry], memo: Memo) -> tuple[Claim, ...]:
    """Return what is said of operations; nothing where none was replayed.

    Args:
        replayed: what was.
        manifest: the entries of the run.
        memo: what was judged before (`arithmetic`).

    Raises:
        ResultsError: replays that do not belong together, or fresh inputs that this release makes otherwise.
    """
    try:
        return _stated(replayed, manifest, memo)
    except ValueError as error:
        raise ResultsError(
            f"the replays of operations cannot be judged: {error}",
            where="operations.json",
            hint="ask again: repromatrix operations, repromatrix explain A B",
        ) from error


def _stated(replayed: Replayed, manifest: Iterable[Entry], memo: Memo) -> tuple[Claim, ...]:
    keys = {each.id: each.key for each in manifest}
    current = [each for each in replayed.index.pairs if each.is_of(keys)]
    found = _anatomies(current, replayed, memo)
    outdated = len(replayed.index.pairs) - len(current)
    return (
        *([_totals(found, outdated)] if replayed.index.pairs else ()),
        *_sources(found),
        *map(_anatomy, found),
        *_details(found),
        *_forms(replayed, memo),
        *(
            NotListed(cells=(each.cell,), reason=NOT_THERE)
            for each in replayed.index.listed
            if each.cell not in replayed.listed
        ),
    )


def _anatomies(pairs: Iterable[ReplayedPair], replayed: Replayed, memo: Memo) -> tuple[PairFinding, ...]:
    """Return what each pair shows; many are replayed as the same two cells, which are judged once."""
    judged: dict[tuple[ReplayedCell | None, ReplayedCell | None], PairFinding] = {}
    found = []
    for pair in pairs:
        ends = pair.left, pair.right
        if None in ends or ends not in judged:
            a, b = (replayed.ends.get(each) if each else None for each in ends)
            judged[ends] = pair_finding(pair, a, b, memo)
        found.append(replace(judged[ends], a=pair.a, b=pair.b))
    return tuple(found)


def _totals(found: Sequence[PairFinding], outdated: int) -> Claim:
    answered = [each for each in found if each.reason is None]
    apart = sum(bool(each.sources) for each in answered)
    joined = sum(bool(each.wiring) and not each.sources for each in answered)
    whole = [each for each in answered if each.separable and not any(place.reason for place in each.places)]
    same = sum(not each.sources and not each.wiring for each in whole)
    return OperationTotals(
        cells=_cells(found),
        apart=apart,
        joined=joined,
        same=same,
        unclear=len(answered) - apart - joined - same,
        not_replayed=len(found) - len(answered),
        outdated=outdated,
    )


def _sources(found: Iterable[PairFinding]) -> Iterable[Claim]:
    answered = [each for each in found if each.reason is None]
    for name in dict.fromkeys(place.operation for each in answered for place in each.places):
        apart = [each for each in answered if any(place.operation == name for place in each.sources)]
        passing = [each for each in answered if each not in apart and any(p.operation == name for p in each.passing)]
        if apart:
            yield SourceTotals(
                cells=_cells(apart), operation=name, apart=len(apart), passing=len(passing), among=len(answered)
            )


def _anatomy(found: PairFinding) -> Claim:
    sides = [each for each in (found.left, found.right) if each is not None]
    return AnatomyOf(
        cells=(found.a, found.b),
        replayed=tuple(each.cell for each in sides),
        dtype=found.dtype,
        sources=tuple((each.place, each.operation) for each in found.sources),
        passing=tuple(each.place for each in found.passing),
        wiring=found.wiring,
        unknown=tuple((each.place, each.reason) for each in found.places if each.reason),
        fused=tuple(each.cell for each in sides if each.separable is not True),
        reason=found.reason,
    )


def _details(found: Iterable[PairFinding]) -> Iterable[Claim]:
    """Return what is said of each two cells that were replayed, once."""
    done: set[tuple[str, str]] = set()
    for each in found:
        if each.left is None or each.right is None or each.dtype is None:
            continue
        pair = each.left.cell, each.right.cell
        if pair in done:
            continue
        done.add(pair)
        yield from (_source(place, pair, each.dtype) for place in each.sources)
        yield from (claim for p in each.operations for claim in _pair(p, pair, each.dtype))


def _source(found: PlaceFinding, pair: tuple[str, str], dtype: str) -> Claim:
    example = found.example
    if example is None:
        raise ValueError(f"{found.place} differs, and no call of it does")
    (a, a_off), (b, b_off) = _given(example.a), _given(example.b)
    return OperationSource(
        cells=(*pair, example.cell),
        dtype=dtype,
        place=found.place,
        operation=found.operation,
        compared=found.compared,
        differing=found.differing,
        step=example.step,
        index=example.index,
        inputs=tuple((name, each.hexadecimal) for name, each in example.inputs),
        a=a.hexadecimal,
        a_bits=a.bits,
        a_off=a_off,
        b=b.hexadecimal,
        b_bits=b.bits,
        b_off=b_off,
        correct=example.correct.hexadecimal if example.correct else None,
        correct_bits=example.correct.bits if example.correct else None,
    )


def _given(output: Output) -> tuple[Value, str | None]:
    return output.value, distance_in_ulps(output.ulps)


def _pair(found: OperationFinding, pair: tuple[str, str], dtype: str) -> Iterable[Claim]:
    if found.a is not None and found.b is not None:
        yield OperationPair(
            cells=pair,
            dtype=dtype,
            operation=found.operation,
            fresh=found.fresh,
            fresh_differing=found.fresh_differing,
            reason=found.reason,
            a=_how(found.a),
            b=_how(found.b),
        )


def _forms(replayed: Replayed, memo: Memo) -> Iterable[Claim]:
    every = [each for listing in replayed.index.listed for each in entries(replayed.listed.get(listing.cell, {}), memo)]
    groups: dict[tuple[str, str, How], list[Listed]] = {}
    for each in every:
        groups.setdefault((each.operation, each.cell.dtype, _how(each.how)), []).append(each)
    names, dtypes = tuple(CATALOGUE), tuple(FORMS)

    def order(key: tuple[str, str, How]) -> tuple[int, int]:
        return names.index(key[0]), dtypes.index(key[1])

    for (operation, dtype, how), members in sorted(groups.items(), key=lambda item: order(item[0])):
        siblings = [each.cell for each in every if (each.operation, each.cell.dtype) == (operation, dtype)]
        cells = [each.cell for each in members]
        yield OperationForm(
            cells=tuple(each.id for each in cells),
            operation=operation,
            dtype=dtype,
            where=tuple(_where(cells, siblings)),
            how=how,
        )


def _where(cells: Sequence[Description], siblings: Sequence[Description]) -> Iterable[tuple[str, tuple[str, ...]]]:
    for name in dict.fromkeys(map(_environment, cells)):
        own, every = ([each for each in some if _environment(each) == name] for some in (cells, siblings))
        yield name, () if len(own) == len(every) else tuple(map(_options, own))


def _environment(cell: Description) -> str:
    return cell.environment if cell.device == "cpu" else f"{cell.environment}@{cell.device}"


def _options(cell: Description) -> str:
    return " ".join(f"{name}={value}" for name, value in cell.options if name in _VARIED) or cell.variant


def _how(found: Arithmetic) -> How:
    return How(
        values=found.values,
        forms=found.forms,
        tried=found.tried,
        nearest=found.nearest,
        agreeing=found.agreeing,
        correct=found.correct,
        worst=distance_in_ulps(found.worst),
        reason=found.reason,
    )


def _cells(found: Iterable[PairFinding]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cell for each in found for cell in (each.a, each.b)))
