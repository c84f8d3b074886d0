"""`repromatrix exec ENV -- COMMAND ...`: run a command of your own in one of the environments.

The environment is made if it is absent. The command runs in this folder and on this terminal; in a plain environment
with these variables too, but for those of the environment. Its exit code is ours.
"""

import argparse
from argparse import ArgumentParser, Namespace
from pathlib import Path

from repromatrix.cli import options as shared
from repromatrix.cli.story import Story
from repromatrix.errors import EnvironmentFailedError, UsageError


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "environment",
        metavar="ENV",
        help="an environment of the matrix, FRAMEWORK==VERSION, a lock, a requirements.txt, or a wheel of your own",
    )
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="what to run, and its arguments"
    )
    shared.matrix(parser)
    parser.add_argument(
        "--engine",
        choices=("process", "docker"),
        default="process",
        help="a plain virtual environment with your variables, or a container with this folder in it; default: process",
    )
    shared.examples(parser, "exec torch-2.13.0-cpu -- python train.py --epochs 3", "exec numpy==2.0.2 -- python")


def run(options: Namespace) -> int:
    """Run the command and return its exit code."""
    from repromatrix.engines.choose import choose
    from repromatrix.execute import host
    from repromatrix.images.build import ensure
    from repromatrix.images.lockable import Spare
    from repromatrix.matrix import load

    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise UsageError("which command?", hint=f"repromatrix exec {options.environment} -- python train.py")
    story, spare, engine = Story.of(options), Spare(), choose(options.engine).engine
    meant = spare.meant(load(options.matrix), options.environment)
    environment = spare.first(meant)
    folder: Path | None = spare.places([environment]).get(environment.name)
    ready = ensure(environment, engine, folder)
    story.ready(environment.name, made=ready.made)
    try:
        gpu = any(each != "cpu" for each in environment.devices) and bool(host.nvidia_devices())
        return engine.execute(ready.built, command, gpu=gpu)
    except OSError as error:
        raise EnvironmentFailedError(
            f"{command[0]} does not start: {error.strerror}",
            where=environment.name,
            hint="name a command that is there",
        ) from error
