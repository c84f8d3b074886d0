"""What the operations of a pair show, in lines that a person reads."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from repromatrix.compare.trace import Point, Value
from repromatrix.explain.judge.operations import (
    Example,
    OperationFinding,
    Output,
    PairFinding,
    PlaceFinding,
    SideFinding,
)
from repromatrix.explain.judge.sources import Source
from repromatrix.operations.judgement import Arithmetic
from repromatrix.tables import aligned

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_MANY = 4  # forms that are named in full
_INPUTS = 8  # numbers that an element is computed from, that are printed


def tell(found: PairFinding) -> str:
    """Return what was found in lines of text."""
    head = "operations on the same inputs"
    if found.reason is not None or found.left is None or found.right is None:
        caveats = () if found.first is None else found.first.caveats
        return "\n".join([f"{head}: {conclusion(found)}", *(f"  {caveat}" for caveat in caveats)])
    sides = (found.left, found.right)
    lines = [f"{head} ({found.dtype}): {conclusion(found)}"]
    if found.step is not None:
        lines.append(f"  replayed is step {found.step} alone: the first in which their traces differ, if they do")
    for name, asked, side in (("A", found.a, found.left), ("B", found.b, found.right)):
        if side.cell != asked:
            lines.append(f"  {name} is replayed as {side.cell}")
        lines += [f"  {each}" for each in _side(name, side)]
    if found.options:
        told = ", ".join(f"{name} ({a} against {b})" for name, a, b in found.options)
        lines.append(f"  these two still differ in {told}")
    if any(each.source or each.passes or each.reason for each in found.places):
        lines += ["", *_table(found.places)]
    for operation in found.operations:
        example = next((e.example for e in found.places if e.source and e.operation == operation.operation), None)
        if example is not None or operation.fresh_differing:
            lines += ["", *_operation(operation, example, sides)]
    return "\n".join(lines)


def document(found: PairFinding) -> dict[str, Any]:
    """Return what was found as JSON data, with its sentence."""
    return {"sentence": conclusion(found), "separable": found.separable, **plain(found)}


def plain(found: "DataclassInstance") -> dict[str, Any]:
    """Return a value as JSON data; a distance that is not finite is `inf` or `nan`, as JSON has no such number."""
    return {name: _plain(entry) for name, entry in dataclasses.asdict(found).items()}


def _plain(entry: Any) -> Any:
    if isinstance(entry, dict):
        return {name: _plain(each) for name, each in entry.items()}
    if isinstance(entry, list | tuple):
        return [_plain(each) for each in entry]
    return str(entry) if isinstance(entry, float) and not math.isfinite(entry) else entry


def conclusion(found: PairFinding) -> str:
    """Return in one sentence what the operations show."""
    if found.reason is not None:
        return _not_replayed(found)
    names = tuple(dict.fromkeys(each.operation for each in found.sources))
    unknown = [each.place for each in found.places if each.reason and each.other is None]
    others = [each for each in found.places if each.other is not None]
    parts = []
    if names:
        where = ", ".join(each.place for each in found.sources)
        parts.append(f"{_listed(names)} {'differs' if len(names) == 1 else 'differ'} on the same inputs (at {where})")
    else:
        parts.append("no operation differs on the same inputs" if not unknown else "no operation is seen to differ")
    if found.wiring:
        parts.append(
            f"the steps combine them in another order: {', '.join(found.wiring)} differs though its inputs are the same"
        )
    if others:
        told = ", ".join(f"{each.place} ({each.operation} against {each.other or 'nothing'})" for each in others)
        parts.append(f"of other operations are {told}")
    if unknown:
        parts.append(f"nothing is known of {', '.join(unknown)}")
    if not found.separable:
        parts.append("not both steps can be taken apart, so this need not be what makes the cells differ")
    return "; ".join(parts)


def _not_replayed(found: PairFinding) -> str:
    """Return why two cells were not replayed, and what is known of them instead."""
    told = f"not replayed, as {found.reason}"
    if found.first is None or found.first.reason is not None:
        return told
    if found.first.point is None:
        return f"{told}; every traced value is the same"
    return f"{told}; the two {_differ(found.first.point)}"


def _differ(point: Point) -> str:
    index = "".join(f"[{each}]" for each in point.index)
    where = f"differ first at step {point.step} in {point.tensor}{index}"
    if point.a is None or point.b is None:
        return f"{where}, of which only digests are known"
    a, b = (f"{each.decimal} ({each.bits})" for each in (point.a, point.b))
    size = "not finite" if point.ulps is None else f"{point.ulps} ULP of {point.ulp_dtype} apart"
    return f"{where}: {a} against {b}, {size}"


def _side(name: str, side: SideFinding) -> Iterator[str]:
    if side.reason is not None:
        yield f"{name}'s step cannot be replayed: {side.reason}"
    elif side.fused:
        lost = ", ".join(_at(each) for each in side.fused)
        yield f"{name}'s step is fused: computed operation by operation, its own trace is not given back in {lost}"
    if side.untraced:
        yield f"{name} does not tell {', '.join(tensor for tensor, _ in side.untraced)}: {side.untraced[0][1]}"


def _at(source: Source) -> str:
    return f"{source.tensor} (step {source.step})"


def _table(places: Sequence[PlaceFinding]) -> Iterator[str]:
    rows = [("value", "operation", "calls", "differ", "")]
    for each in places:
        word = each.reason or ("differs" if each.source else "passes on" if each.passes else "the same")
        counts = ("", "") if each.reason else (str(each.compared), str(each.differing))
        rows.append((each.place, each.operation, *counts, word))
    return (f"  {line}" for line in aligned(rows))


def _operation(found: OperationFinding, example: Example | None, sides: Sequence[SideFinding]) -> Iterator[str]:
    fresh = found.reason or f"{found.fresh_differing} of {found.fresh} results differ"
    yield f"{found.operation}: on fresh inputs {fresh}"
    if example is not None:
        yield from _example(example)
    for name, _, how in zip(("A", "B"), sides, (found.a, found.b), strict=True):
        if how is not None:
            yield f"  {name}: {forms(how)}"


def _example(found: Example) -> Iterator[str]:
    index = "".join(f"[{each}]" for each in found.index)
    yield f"  first at step {found.step} of {found.cell}{f', element {index}' if index else ''}, from"
    rows = [(f"    {name}", *_value(value), "") for name, value in found.inputs[:_INPUTS]]
    if len(found.inputs) > _INPUTS:
        rows.append((f"    and {len(found.inputs) - _INPUTS} more numbers (--json)", "", "", "", ""))
    rows += [("    A", *_output(found.a)), ("    B", *_output(found.b))]
    if found.correct is not None:
        rows.append(("    correctly rounded", *_value(found.correct), ""))
    yield from aligned(rows)


def _value(value: Value) -> tuple[str, str, str]:
    return value.decimal, value.hexadecimal, value.bits


def _output(output: Output) -> tuple[str, str, str, str]:
    off = "no true value" if output.ulps is None else f"{output.ulps:.3g} ULP from the truth"
    return (*_value(output.value), off)


def forms(how: Arithmetic) -> str:
    """Return in one sentence which forms give a cell's values."""
    if how.reason is not None:
        return how.reason
    if how.forms:
        more = f" and {len(how.forms) - _MANY} more" if len(how.forms) > _MANY else ""
        unique = "" if len(how.forms) == 1 else ", sufficient, not unique"
        return f"{', '.join(how.forms[:_MANY])}{more} (all {how.values} values{unique})"
    if not how.tried:
        return f"it computes differently; no form of it is known here ({how.values} values)"
    nearest = f"; nearest {how.nearest} agrees on {how.agreeing} of {how.values}" if how.nearest else ""
    return f"none of {how.tried} forms{nearest}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
