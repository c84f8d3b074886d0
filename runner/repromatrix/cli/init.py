"""`repromatrix init`: begin in an empty folder, with a small matrix and a training job that runs as it is."""

import shlex
from argparse import ArgumentParser, Namespace
from pathlib import Path

from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.errors import UsageError

_FIRST = "numpy"  # its environments are made in seconds


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), metavar="FOLDER", help="default: this one")
    parser.add_argument(
        "--framework",
        action="append",
        default=[],
        metavar="NAME",
        help=f"numpy, torch, tensorflow, jax or keras; may be repeated; default: {_FIRST}",
    )
    parser.add_argument(
        "--job", default="my_job", metavar="NAME", help="name of the workload's folder; default: my_job"
    )
    parser.add_argument(
        "--script",
        type=Path,
        metavar="FILE",
        help="run this script as it is; what it needs is guessed from its imports, and nothing else is read",
    )
    parser.add_argument(
        "--github",
        metavar="OWNER/NAME@COMMIT",
        help="write nothing but workflows, of a night and of an upgrade check, that take repromatrix from there",
    )
    parser.add_argument(
        "--pages",
        action="store_true",
        help="with --github: the night publishes its report and the history on GitHub Pages, where that is enabled; "
        "they take the place of the site that is there",
    )
    shared.examples(
        parser,
        "init",
        "init --framework torch --framework jax",
        "init my-project --job classifier",
        "init --script train.py",
        "init --github OWNER/repromatrix@COMMIT",
        "init --github OWNER/repromatrix@COMMIT --pages",
    )


def run(options: Namespace) -> int:
    """Write the files and say what to type next."""
    from repromatrix.matrix.starter import begin, needed, versions, workflows

    if options.github:
        for path in workflows(options.folder, options.github, pages=options.pages):
            out.say(f"wrote      {path}")
        out.say("\nnext: commit them with matrix.yaml and its locks, and run the night once by hand")
        if options.pages:
            out.say("      to publish: Settings, Pages, Source: GitHub Actions")
        return 0
    if options.pages:
        raise UsageError(
            "--pages goes with --github", hint="repromatrix init --github OWNER/repromatrix@COMMIT --pages"
        )
    frameworks = list(dict.fromkeys(options.framework)) or ([] if options.script else [_FIRST])
    for path in begin(options.folder, frameworks, options.job, options.script):
        out.say(f"wrote      {path}")
    locked = True
    if options.script:
        needs = needed(options.script, frameworks)
        frameworks, locked = list(needs.frameworks), not needs.packages
        out.say(f"guessed    from the imports of {options.script}: {', '.join((*frameworks, *needs.packages))}")
    place = "" if options.folder == Path() else f"cd {_typed(options.folder)} && "
    first, found = frameworks[0], versions(frameworks)[frameworks[0]]
    out.say("\nnext:")
    out.say(f"  {place}repromatrix workload check {options.job}   # what the job records, in the Python at hand")
    if not locked:
        out.say(f"  {place}repromatrix lock   # resolve the packages that it needs, with hashes")
    out.say(f"  {place}repromatrix matrix   # run it everywhere and write report/index.html")
    last = f"impact {first}=={found[0]} {first}=={found[-1]}" if len(found) > 1 else "plan"
    out.say(
        f"  {place}repromatrix {last}" + ("   # what changes if you upgrade" if len(found) > 1 else "   # every cell")
    )
    return 0


def _typed(folder: Path) -> str:
    """Return a folder as a shell takes it."""
    name = str(folder)
    return shlex.quote(f"./{name}" if name.startswith("-") else name)
