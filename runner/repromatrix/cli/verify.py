"""`repromatrix verify REPORT`: what it says held against the records by other code, then every byte made again."""

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path

from repromatrix import harmless
from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("report", type=Path, metavar="REPORT", help="a report's folder, or its report.json")
    shared.results(parser)
    shared.accepted(parser)
    shared.json_output(parser)
    shared.examples(parser, "verify report")


def run(options: Namespace) -> int:
    """Name what does not hold, and where a file has other bytes than the records give; 1 if there is anything."""
    from repromatrix.report.check import check

    story = Story.of(options)
    checked = check(options.report, options.results, options.accepted)
    for each in checked.differences:
        where, says, records = (harmless.line(text) for text in (each.where, each.says, each.records))
        story.say_lines(f"{'differs':<10} {where}\n  the report says:  {says}\n  the records say:  {records}")
    answer = f"{len(checked.differences)} differences" if checked.differences else "all hold"
    pages = " and ".join(checked.pages) or "no page"
    story.say(f"{'verified':<10} {checked.sentences} sentences against {checked.records} records, {pages}: {answer}")
    if options.json:
        differences = [asdict(each) for each in checked.differences]
        out.document({"sentences": checked.sentences, "differences": differences})
    return int(ExitCode.DIFFERENCE if checked.differences else ExitCode.OK)
