"""`repromatrix matrix`: plan, build, run, explain and report, in order."""

import json
from argparse import Namespace

from repromatrix.cli.explain import everything
from repromatrix.cli.gist import demanded, print_json, tell
from repromatrix.cli.report import produce
from repromatrix.cli.run import execute, exit_code, no_cell_ran
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode
from repromatrix.execute.run import Summary


def run(options: Namespace) -> int:
    """Run what has no answer yet and write the report, even if cells failed; if none ran, the last one stays."""
    story = Story.of(options)
    summary = execute(options, story)
    if no_cell_ran(summary):
        return _leave_report(options, story, summary)
    if not (options.no_explain or options.here):  # hybrids need pinned environments
        everything(options, story)
    report = produce(options)
    tell(report, story)
    if options.json:
        print_json(report)
    code = exit_code(summary)
    return int(code if code is not ExitCode.OK else demanded(options, report.gist))


def _leave_report(options: Namespace, story: Story, summary: Summary) -> int:
    story.say(f"{'no report':<10} no cell ran, so {options.output} stays as it is")
    if options.json:
        print(json.dumps({"files": [], "missing": []}))
    return int(exit_code(summary))
