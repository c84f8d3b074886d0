"""`repromatrix post issue|pull|comment|summary FILE ...`: keep a text in one issue, pull request, comment or summary.

What was posted before under the same marker is edited in place. Reads GITHUB_TOKEN, GITHUB_REPOSITORY, GITHUB_API_URL
and GITHUB_STEP_SUMMARY, as a workflow has them.
"""

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode, UsageError

_TAKES = {  # what a place needs, what it needs too unless it is over, and what it may have
    "issue": (("marker",), ("title",), ("over",)),
    "pull": (("marker",), ("title", "head"), ("over", "base")),
    "comment": (("marker", "on"), (), ()),
    "summary": ((), (), ()),
}


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "place",
        choices=("issue", "pull", "comment", "summary"),
        help="one open issue, one open pull request, one comment, or the summary of this job",
    )
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="its text: Markdown (.md) as it is, all else as a block of code",
    )
    parser.add_argument(
        "--marker", metavar="NAME", help="which issue, pull request or comment: by this name it is found again"
    )
    parser.add_argument("--title", metavar="TEXT", help="of the issue or the pull request")
    parser.add_argument("--head", metavar="BRANCH", help="the branch of the pull request; it must be there already")
    parser.add_argument("--base", metavar="BRANCH", help="pull: the branch that it goes into; default: main")
    parser.add_argument("--on", type=int, metavar="NUMBER", help="the pull request of the comment")
    parser.add_argument(
        "--over", action="store_true", help="close the issue or the pull request with this last text, if it is open"
    )
    parser.add_argument(
        "--author",
        metavar="ACCOUNT",
        default="github-actions[bot]",
        help="whose texts are edited; default: github-actions[bot], who writes with a workflow's own token",
    )
    parser.add_argument(
        "--if-allowed", action="store_true", help="exit 0 if the token may not write, as in a pull request from a fork"
    )
    shared.examples(
        parser,
        "post summary merge.txt report/report.md",
        "post comment --on 17 --marker impact impact.md --if-allowed",
        'post issue --marker watch --title "numpy 2.5.0 moves exp" watch.md',
        "post issue --marker watch --over watch.md",
        'post pull --marker pins --title "Refresh the pins" --head repromatrix-pins --base main pins.md',
        more=("post issue --marker watch --title 'exp moves' --author my-bot watch.md",),
    )


def run(options: Namespace) -> int:
    """Post it.

    Raises:
        UsageError: what the place needs was not said.
    """
    from repromatrix.forge import API, Forge, MayNotWriteError, Posted, joined, summarise

    _require(options)
    story, text = Story.of(options), joined(options.files)
    if options.place == "summary":
        summarise(Path(os.environ["GITHUB_STEP_SUMMARY"]), text)
        return int(ExitCode.OK)
    forge = Forge(
        os.environ.get("GITHUB_REPOSITORY", ""),
        os.environ.get("GITHUB_TOKEN", ""),
        api=os.environ.get("GITHUB_API_URL") or API,
        author=options.author,
    )
    try:
        found: Posted
        if options.place == "comment":
            found = forge.comment(options.marker, options.on, text)
        elif options.over:
            found = forge.over(options.marker, text, pull=options.place == "pull")
        elif options.place == "pull":
            found = forge.pull(options.marker, options.title, text, head=options.head, base=options.base or "main")
        else:
            found = forge.issue(options.marker, options.title, text)
    except MayNotWriteError as error:
        if not options.if_allowed:
            raise
        story.say(f"{'not posted':<10} {error.what}")
        return int(ExitCode.OK)
    out.say(f"{found.done} {found.address}".rstrip())
    return int(ExitCode.OK)


def _require(options: Namespace) -> None:
    needed, opening, more = _TAKES[options.place]
    for name in (*needed, *(() if options.over else opening)):
        if getattr(options, name) is None:
            raise UsageError(f"for {options.place} --{name} is due", hint=f"repromatrix post {options.place} --help")
    for name in ("marker", "title", "head", "base", "over", "on"):
        if name not in (*needed, *opening, *more) and getattr(options, name):
            raise UsageError(f"--{name} says nothing of {options.place}", hint="leave it away")
    if options.place == "summary" and not os.environ.get("GITHUB_STEP_SUMMARY"):
        raise UsageError("this is no step of a workflow", hint="set GITHUB_STEP_SUMMARY to a file")
