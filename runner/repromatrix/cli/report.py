"""`repromatrix report`: records -> index.html, report.md, report.json. Needs no engine and no matrix."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode, NothingSelectedError, UsageError

if TYPE_CHECKING:
    from repromatrix.report.gist import Gist, Request, Written


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    shared.results(parser)
    shared.report(parser)
    shared.json_output(parser)
    shared.examples(parser, "report", "report --require-accepted --junit report.xml")


def run(options: Namespace) -> int:
    """Write the report; cells of the manifest without a record are named and make the exit code 5."""
    from repromatrix.report.produce import produce

    written = produce(asked(options))
    tell(written, Story.of(options))
    if options.json:
        print_json(written)
    if written.gist.missing:
        return int(ExitCode.CELL_FAILED)
    return int(demanded(options, written.gist))


def asked(options: Namespace) -> "Request":
    """Return the report that the options ask for."""
    from repromatrix.report.gist import Request

    return Request(
        results=options.results,
        output=options.output,
        accepted=options.accepted,
        require_accepted=options.require_accepted,
        junit=options.junit,
    )


def tell(written: "Written", story: Story, before: "Gist | None" = None) -> None:
    """Say what a report holds; what was said `before`, of the one that it replaces, is not said again."""
    gist, files = written.gist, ", ".join(str(path) for path in written.files)
    missing = [cell_id for cell_id in gist.missing if before is None or cell_id not in before.missing]
    lines = [line for line in gist.lines if before is None or line not in before.lines]
    for cell_id in missing:
        story.say(f"{'missing':<10} {cell_id}")
    story.say(f"{'wrote' if written.new else 'unchanged':<10} {files}")
    for line in lines:
        story.say(line)


def print_json(written: "Written") -> None:
    """Print what was written, and what is missing in it."""
    out.document({"files": [str(path) for path in written.files], "missing": list(written.gist.missing)})


def demanded(options: Namespace, gist: "Gist") -> ExitCode:
    """Return 1 if a demand is not met.

    `--require-published`: pinned environments reproduce the whole published tables. `--require-accepted`: every cell of
    the accepted run is there, and no bits and no outcomes changed.

    Raises:
        UsageError: `--require-accepted`, and the accepted run has no cell of this one.
        NothingSelectedError: it has them for other CPU classes alone.
    """
    if options.require_accepted and not gist.compared and gist.elsewhere:
        raise NothingSelectedError(
            f"--require-accepted, and there is no baseline for this CPU class: {gist.elsewhere} cells are accepted for "
            "others alone, so nothing was compared",
            where=str(options.accepted or "accepted.json"),
            hint="accept one on this machine, beside the others: repromatrix accept",
        )
    if options.require_accepted and not gist.compared:
        raise UsageError(
            "--require-accepted, and no cell of this run is in the accepted one: nothing was compared",
            where=str(options.accepted or "accepted.json"),
            hint="run the same profile, or accept this run: repromatrix accept",
        )
    unmet = (options.require_published and not gist.reproduced) or (options.require_accepted and not gist.kept)
    return ExitCode.DIFFERENCE if unmet else ExitCode.OK
