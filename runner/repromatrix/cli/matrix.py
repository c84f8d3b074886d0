"""`repromatrix matrix`: plan, build, run, report, explain, and report again with the explanations, in order."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.report import asked, demanded, print_json, tell
from repromatrix.cli.run import arguments as run_arguments
from repromatrix.cli.run import execute, exit_code
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode

if TYPE_CHECKING:
    from repromatrix.execute.run import Summary


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    run_arguments(parser)
    shared.report(parser)
    parser.add_argument("--no-explain", action="store_true", help="do not explain why cells differ")
    parser.add_argument("--no-operations", action="store_true", help="explain without replaying operations")
    parser.set_defaults(budget=None)
    shared.examples(
        parser,
        "matrix",
        "matrix --select numpy --no-explain",
        "matrix --profile nightly",
        more=("matrix --here torch --python ~/envs/torch/bin/python --label gpu-node --device cuda:0",),
    )


def run(options: Namespace) -> int:
    """Run what has no answer yet and write the report, even if cells failed; if none ran, the last one stays."""
    from repromatrix.cli.explained import explained
    from repromatrix.report.renew import renewed
    from repromatrix.results.stamps import Stamps

    story, stamps = Story.of(options), Stamps()
    summary = execute(options, story)
    if summary.nothing_ran:
        return _leave_report(options, story, summary)
    report = renewed(asked(options), stamps)
    tell(report, story)
    # Explanations need pinned environments.
    if not (options.no_explain or options.here) and explained(options, story, stamps):
        before, report = report, renewed(asked(options), stamps)
        if report.new:
            tell(report, story, before.gist)
    if options.json:
        print_json(report)
    code = exit_code(summary)
    return int(code if code is not ExitCode.OK else demanded(options, report.gist))


def _leave_report(options: Namespace, story: Story, summary: "Summary") -> int:
    story.say(f"{'no report':<10} no cell ran, so {options.output} stays as it is")
    if options.json:
        out.document({"files": [], "missing": []})
    return int(exit_code(summary))
