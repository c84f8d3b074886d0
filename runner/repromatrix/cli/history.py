"""`repromatrix history`: what changed over all nights, a line a change; `history add` brings one run in."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode, UsageError
from repromatrix.tables import aligned, grid

if TYPE_CHECKING:
    from repromatrix.results.history import Change, Night

_SHOWN = 40


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "what", nargs="?", choices=("show", "add"), default="show", help="show the changes (the default), or add a run"
    )
    parser.add_argument("--log", type=Path, default=Path("history"), metavar="DIR", help="the log; default: history")
    parser.add_argument("--cell", metavar="WORD", help="show: only cells whose id has this in it")
    parser.add_argument("--operation", metavar="NAME", help="show: only this operation, or other value")
    parser.add_argument("--since", metavar="NIGHT", help="show: only this night and later ones")
    parser.add_argument(
        "--limit", type=int, metavar="N", help=f"show: the last N; 0: all; default: {_SHOWN}, and all on a page"
    )
    parser.add_argument(
        "--night", metavar="NAME", help="add: what the night is called, 2026-11-29; later ones sort later"
    )
    parser.add_argument(
        "--run", default="", metavar="ADDRESS", help="add: where a person finds the run", dest="address"
    )
    shared.results(parser)
    form = parser.add_mutually_exclusive_group()
    shared.json_output(form)
    form.add_argument("--markdown", action="store_true", help="print Markdown")
    form.add_argument("--html", type=Path, metavar="FILE", help="show: write a page instead, the newest night first")
    shared.examples(
        parser,
        "history --operation exp",
        "history --cell mlp/torch --since 2026-10-01",
        "history --html history.html",
        "history add --results results --night 2026-11-29",
        more=(
            "history add --night 2026-11-29 --run https://github.com/OWNER/NAME/actions/runs/17",
            "history --log data --limit 0 --json",
        ),
    )


def run(options: Namespace) -> int:
    """Add a night, or show the changes."""
    if options.what == "add":
        return _add(options)
    return _show(options)


def _add(options: Namespace) -> int:
    from repromatrix.compare.allowance import allowances
    from repromatrix.compare.nights import added
    from repromatrix.results.history import History
    from repromatrix.results.store import Store

    if options.html:
        raise UsageError("a page shows nights that were added", hint=f"add it first: history --html {options.html}")
    if not options.night:
        raise UsageError("which night?", hint="history add --night 2026-11-29 --results results")
    history, store, story = History(options.log), Store(options.results), Story.of(options)
    last = max((each.night for each in history.nights()), default="")
    if options.night <= last:
        raise UsageError(
            f"the last night is {last}, and {options.night} is not later",
            where=str(options.log),
            hint="a night is added once, and later ones have names that sort later",
        )
    manifest = store.read_manifest()
    records, missing = store.records(manifest)
    members = {name for each in manifest.ensembles for name in each.members}
    allowed = allowances(manifest, {each.cell.id: each for each in records})
    ran = [each for each in records if each.cell.id not in members]
    found = added(options.night, options.address, ran, history.states(), allowed)
    history.add(found.night, found.changes, found.states)
    story.say(
        f"{'added':<10} {found.night.night}: {found.night.cells} cells, {found.night.new} new in their CPU class"
        + (f"; {len(missing)} of the run are missing" if missing else "")
    )
    _print(options, (found.night,), found.changes)
    return int(ExitCode.OK)


def _show(options: Namespace) -> int:
    from repromatrix.results.history import History

    history = History(options.log)
    nights = history.nights()
    if not nights:
        raise UsageError("no night is there yet", where=str(options.log), hint="repromatrix history add --night NAME")
    wanted = [
        each
        for each in history.changes(options.operation or "")
        if (options.cell or "") in each.cell
        and options.operation in (None, each.value)
        and each.night >= (options.since or "")
    ]
    limit = options.limit if options.limit is not None else 0 if options.html else _SHOWN
    some = wanted[-limit:] if limit > 0 else wanted
    if options.html:
        _write(options, nights, some)
    else:
        _print(options, nights, some, len(wanted))
    return int(ExitCode.OK)


def _write(options: Namespace, nights: "Sequence[Night]", changes: "Sequence[Change]") -> None:
    from repromatrix import resources
    from repromatrix.report.history import view
    from repromatrix.report.render import history

    asked = {"operation": options.operation, "cells": options.cell, "nights since": options.since}
    words = ", ".join(f"{name} {told}" for name, told in asked.items() if told)
    resources.write_atomically(options.html, history(view(nights, changes, words)).encode())
    Story.of(options).say(f"{'wrote':<10} {options.html}: {_changes(len(changes))} in {_nights(nights)}")


def _print(options: Namespace, nights: "Sequence[Night]", changes: "Sequence[Change]", of: int | None = None) -> None:
    if options.json:
        import msgspec

        out.document({"nights": len(nights), "changes": [msgspec.to_builtins(each) for each in changes]}, indent=1)
        return
    from repromatrix.report.history import HEAD, row

    total = len(changes) if of is None else of
    classes = {name for each in nights for name in each.classes}
    told = f"{_nights(nights)} up to {nights[-1].night}, CPU class {', '.join(sorted(classes))}"
    more = f", the last {len(changes)} of them" if len(changes) < total else ""
    head = f"{_changes(total)}{more}: {told}"
    rows = list(map(row, changes))
    if options.markdown:
        from repromatrix import harmless

        out.presented("\n".join([harmless.markdown(head), "", *(grid(HEAD, rows) if rows else ())]) + "\n")
    else:
        out.say("\n".join([head, *(["", *aligned([HEAD, *rows])] if rows else [])]))


def _changes(count: int) -> str:
    return f"{count or 'no'} change{'s' * (count > 1)}"


def _nights(nights: "Sequence[Night]") -> str:
    return f"{len(nights)} night{'s' * (len(nights) > 1)}"
