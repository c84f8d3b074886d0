"""`repromatrix workload check PATH`: run a training job of your own once, and say what it records and what it lacks."""

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path

from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("what", choices=("check",), help="run it in the Python at hand, nothing is kept")
    parser.add_argument(
        "folder", type=Path, metavar="PATH", help="a folder with workload.yaml and a module per framework"
    )
    parser.add_argument("--python", metavar="PATH", help="another Python than the first one on PATH")
    shared.json_output(parser)
    shared.examples(parser, "workload check ./my_job", "workload check ./my_job --python ~/envs/torch/bin/python")


def run(options: Namespace) -> int:
    """Say what the workload records, by framework; exit 5 if it failed in one, or this Python has none."""
    from repromatrix.execute.workload import check_workload

    checked = list(check_workload(options.folder, Story.of(options), options.python))
    if options.json:
        out.document([asdict(each) for each in checked], indent=1)
    else:
        for each in checked:
            out.say(f"\n{each.framework}")
            for line in each.lines or (f"did not run: {each.problem}",):
                out.say(f"  {line}")
            if each.absent:
                cells = f"{options.folder.resolve().name}/{each.framework}-*/default"
                out.say(f"  in a pinned environment of your matrix.yaml: repromatrix run --select '{cells}'")
    failed = any(each.problem and not each.absent for each in checked) or all(each.problem for each in checked)
    return int(ExitCode.CELL_FAILED if failed else ExitCode.OK)
