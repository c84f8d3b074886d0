"""A ledger as a table that a person reads."""

from collections.abc import Sequence

from runner.compare.difference import Difference, Verdict
from runner.compare.ledger import End, Factor, Ledger, Row

_WIDEST = 28  # characters of a value


def tell(ledger: Ledger) -> str:
    """Return the ledger in lines of text: the difference, a row per factor, the sets, the reasons, the conclusion."""
    lines = [f"A  {ledger.a}", f"B  {ledger.b}", f"difference: {_difference(ledger.before)}"]
    if ledger.rows:
        lines += ["", *_table(ledger)]
    lines += [f"note: {each}" for each in _notes((*ledger.rows, *ledger.sets))]
    lines += [f"caveat: {each}" for each in ledger.before.caveats]
    more = (
        [f"  next: repromatrix explain {ledger.a} {ledger.b} --budget {2 * ledger.budget}"] if ledger.exhausted else []
    )
    return "\n".join([*lines, "", ledger.sentence, *more])


def _table(ledger: Ledger) -> list[str]:
    values = {each.name: each for each in ledger.factors}
    head = ("factor", "A", "B", "flipped at A", "flipped at B", "share", "verdict")
    rows = [head, *(_row(each, values) for each in (*ledger.rows, *ledger.sets))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(row: Row, factors: dict[str, Factor]) -> tuple[str, ...]:
    own = factors[row.factors[0]] if len(row.factors) == 1 else None
    a, b = (_short(own.a), _short(own.b)) if own else ("", "")
    share = " | ".join(_share(each.share) for each in (row.a, row.b))
    return " + ".join(row.factors), a, b, _end(row.a), _end(row.b), share, row.finding.value


def _share(share: float | None) -> str:
    """Return a share in percent; only all of it is 100%."""
    if share is None:
        return "-"
    return ">99%" if 0.995 <= share < 1 else f"{share:.0%}"  # noqa: PLR2004 - what would be rounded to all of it


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."


def _end(end: End) -> str:
    if end.after is None:
        return "not tested"
    return f"{_size(end.after)}{', no bit changed' if end.changed is False else ''}"


def _size(found: Difference) -> str:
    if found.verdict is Verdict.IDENTICAL or found.measure is None or found.measure.max_abs is None:
        return found.verdict.value
    return f"{found.verdict.value} {found.measure.max_abs:.3g}"


def _difference(found: Difference) -> str:
    by = f", judged by {found.judged_by}" if found.judged_by else ""
    return f"{_size(found)}{by}"


def _notes(rows: Sequence[Row]) -> list[str]:
    found = []
    for row in rows:
        for side, end in (("A", row.a), ("B", row.b)):
            if end.reason:
                found.append(f"{' + '.join(row.factors)} at {side}'s end: {end.reason.splitlines()[0][:200]}")
    return list(dict.fromkeys(found))
