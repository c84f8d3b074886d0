"""`repromatrix matrix`: plan, build, run, explain and report, in order."""

from argparse import Namespace

from repromatrix.cli.explain import everything
from repromatrix.cli.report import demanded, produce
from repromatrix.cli.run import execute, exit_code
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode


def run(options: Namespace) -> int:
    """Run what has no answer yet and write the report, even if cells failed."""
    story = Story.of(options)
    summary = execute(options, story)
    if not (options.no_explain or options.here):  # hybrids need pinned environments
        everything(options, story)
    view = produce(options, story)
    code = exit_code(summary)
    return int(code if code is not ExitCode.OK else demanded(options, view))
