"""`repromatrix accept`: this run's outcomes and values become what is expected, in one file to commit.

What should not be expected is refused, and what changes a value that was accepted needs its cause.
"""

from argparse import ArgumentParser, Namespace
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode, ResultsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from repromatrix.results.accepted import Accepted, Change, Moves
    from repromatrix.results.record import Record

_SHOWN = 5


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    shared.once(parser)
    shared.results(parser)
    parser.add_argument(
        "--output", type=Path, default=Path("accepted.json"), metavar="FILE", help="default: accepted.json"
    )
    parser.add_argument(
        "--because", default="", metavar="TEXT", help="the cause; needed where an accepted value or outcome changes"
    )
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        choices=("dirty", "not-finite", "repeats"),
        help="accept all the same: from a checkout that differs from its commit, numbers that are not finite, cells "
        "whose repeats differ; kept in the history; may be repeated",
    )
    parser.add_argument("--history", action="store_true", help="print who accepted what, when and why")
    shared.json_output(parser)
    shared.examples(
        parser,
        "accept",
        'accept --because "numpy 2.0.2 changes float64 exp"',
        "accept --history",
        more=("accept --output accepted/linux.json --allow repeats",),
    )


def run(options: Namespace) -> int:
    """Write the file; a run that is not whole, or should not be expected, is not accepted.

    Raises:
        ResultsError: cells of the run have no record.
        UsageError: something that should not be expected, or a change without a cause.
    """
    from repromatrix.results import accepted as expected
    from repromatrix.results.store import Store

    if options.history:
        return _history(expected.read(options.output), options)
    store, story = Store(options.results), Story.of(options)
    manifest = store.read_manifest()
    records, missing = store.records(manifest)
    if missing:
        raise ResultsError(
            f"{len(missing)} cells of the run have no record, the first is {missing[0]}",
            where=str(options.results),
            hint="finish the run first: make matrix",
        )
    before = expected.read(options.output) if options.output.exists() else None
    now = expected.accept(manifest, records, before)
    dirty = _require_sound([each for each in records if each.cell.id in now.cells], options)
    moves = expected.moves(before, now)
    _require_cause(moves, options)
    if before is None or expected.encode(now) != expected.encode(before):
        now = _with_change(now, moves, options, dirty)
        expected.write(now, options.output)
    _tell(records, now, moves, options, story)
    return int(ExitCode.OK)


def _require_sound(records: "Sequence[Record]", options: Namespace) -> tuple[str, ...]:
    """Refuse what should not be expected; return the files of the checkout that differ from its commit.

    Raises:
        UsageError: there is something that is not allowed.
    """
    from repromatrix import checkout
    from repromatrix.results import soundness

    inputs = soundness.unequal_inputs(records)
    if inputs:
        raise UsageError(inputs, where=str(options.results), hint="run them all again: repromatrix run")
    dirty = checkout.look(Path(), (options.results, options.output, Path("report"))).dirty
    faults = {
        "not-finite": soundness.not_finite(records),
        "repeats": soundness.repeats_differ(records),
        "dirty": [f"{each} is not as in the commit" for each in dirty],
    }
    for name, found in faults.items():
        if found and name not in options.allow:
            more = f"; and {len(found) - 1} more like it" if len(found) > 1 else ""
            mend = "commit or stash it" if name == "dirty" else "mend the cell, or leave it out of the run"
            raise UsageError(
                f"not accepted: {found[0]}{more}",
                where=str(options.results) if name != "dirty" else "",
                hint=f"{mend}; or accept it all the same, which is kept: --allow {name}",
            )
    return dirty


def _require_cause(moves: "Moves", options: Namespace) -> None:
    changed = [*moves.moved, *moves.gone]
    if changed and not options.because.strip():
        listed = ", ".join(changed[:_SHOWN]) + (f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else "")
        raise UsageError(
            f"{len(changed)} accepted cells change: {listed}",
            where=str(options.output),
            hint='say why, it is kept: repromatrix accept --because "numpy 2.0.2 changes float64 exp"',
        )


def _with_change(now: "Accepted", moves: "Moves", options: Namespace, dirty: tuple[str, ...]) -> "Accepted":
    from repromatrix import checkout
    from repromatrix.results.accepted import Change

    place = checkout.look(Path())
    change = Change(
        when=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        who=place.who,
        because=" ".join(options.because.split()),
        commit=place.commit,
        allowed=tuple(sorted({*options.allow})),
        dirty=dirty,
        new=len(moves.new),
        gone=moves.gone,
        moved=moves.moved,
    )
    return now.changed(change)


def _tell(records: "Sequence[Record]", now: "Accepted", moves: "Moves", options: Namespace, story: Story) -> None:
    from repromatrix.results.record import Outcome

    own = [each for each in records if each.cell.id in now.cells]
    for each in own:
        if each.outcome in (Outcome.FAILED, Outcome.TIMED_OUT):
            story.say(f"{'warning':<10} {each.cell.id} is accepted as {each.outcome.value.replace('_', ' ')}")
    outcomes = Counter(each.outcome for each in own)
    counted = ", ".join(f"{outcomes[each]} {each.value.replace('_', ' ')}" for each in Outcome if outcomes[each])
    changed = f"{len(moves.new)} new, {len(moves.moved)} changed, {len(moves.gone)} gone"
    story.say(f"{'accepted':<10} {len(own)} cells: {counted}; {changed} ({options.output}); commit it")
    if options.json:
        out.document({"file": str(options.output), "cells": len(own), "digest": now.digest})


def _history(accepted: "Accepted", options: Namespace) -> int:
    if options.json:
        out.document(accepted.told(), indent=1)
        return int(ExitCode.OK)
    for each in reversed(accepted.history):
        out.say(_line(each))
    return int(ExitCode.OK)


def _line(change: "Change") -> str:
    at = f" at {change.commit[:12]}" if change.commit else ""
    counted = f"{change.new} new, {len(change.moved)} changed, {len(change.gone)} gone"
    lines = [f"{change.when}  {change.who}{at}: {counted}", f"  because: {change.because or 'nobody had to say'}"]
    lines += [f"  allowed: {', '.join(change.allowed)}"] if change.allowed else []
    lines += [f"  not as in the commit: {', '.join(change.dirty[:_SHOWN])}"] if change.dirty else []
    lines += [f"  changed: {each}" for each in change.moved[:_SHOWN]]
    lines += [f"  and {len(change.moved) - _SHOWN} more: --json"] if len(change.moved) > _SHOWN else []
    return "\n".join(lines)
