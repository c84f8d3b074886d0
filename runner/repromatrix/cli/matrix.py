"""`repromatrix matrix`: plan, build, run, report, explain, and report again with the explanations, in order."""

import json
from argparse import Namespace

from repromatrix.cli.explained import explained
from repromatrix.cli.gist import demanded, print_json, tell
from repromatrix.cli.renew import renewed
from repromatrix.cli.run import execute, exit_code, no_cell_ran
from repromatrix.cli.stamps import Stamps
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode
from repromatrix.execute.run import Summary


def run(options: Namespace) -> int:
    """Run what has no answer yet and write the report, even if cells failed; if none ran, the last one stays."""
    story, stamps = Story.of(options), Stamps()
    summary = execute(options, story)
    if no_cell_ran(summary):
        return _leave_report(options, story, summary)
    report = renewed(options, stamps)
    tell(report, story)
    # Changed cells need pinned environments.
    if not (options.no_explain or options.here) and explained(options, story, stamps):
        before, report = report, renewed(options, stamps)
        if report.new:
            tell(report, story, before.gist)
    if options.json:
        print_json(report)
    code = exit_code(summary)
    return int(code if code is not ExitCode.OK else demanded(options, report.gist))


def _leave_report(options: Namespace, story: Story, summary: Summary) -> int:
    story.say(f"{'no report':<10} no cell ran, so {options.output} stays as it is")
    if options.json:
        print(json.dumps({"files": [], "missing": []}))
    return int(exit_code(summary))
