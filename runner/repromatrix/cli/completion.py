"""`repromatrix completion SHELL`: print what lets a shell complete commands and options when TAB is pressed.

By shtab and not argcomplete: the script that it prints completes by itself, so nothing of ours runs at a TAB.
"""

import argparse
from argparse import ArgumentParser, Namespace
from pathlib import Path

from repromatrix.cli import options as shared
from repromatrix.cli import out

_SHELLS = ("bash", "zsh", "tcsh")


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("shell", choices=_SHELLS, help="whose words to print; what bash and zsh do with them is below")
    shared.examples(
        parser,
        "completion bash > ~/.local/share/bash-completion/completions/repromatrix",
        "completion zsh > ~/.zfunc/_repromatrix   # with fpath+=~/.zfunc before compinit",
    )


def run(options: Namespace) -> int:
    """Print the script."""
    import shtab

    out.presented(shtab.complete(_whole(), options.shell))
    return 0


def _whole() -> ArgumentParser:
    """Return the grammar of all commands at once, which no run needs."""
    from repromatrix.cli.main import COMMANDS, fill

    whole = ArgumentParser(prog="repromatrix")
    whole.add_argument("--version", action="version", version="")
    shared.volume(whole)
    commands = whole.add_subparsers()
    for name, text in COMMANDS.items():
        parser = commands.add_parser(name, help=text)
        fill(parser, name)
        for action in parser._actions:  # noqa: SLF001 - argparse has no public way to them
            _paths(action)
    return whole


def _paths(action: argparse.Action) -> None:
    """Have a shell offer files where one is taken."""
    import shtab

    if action.type is Path or action.metavar in ("FILE", "PATH", "DIR", "FOLDER"):
        action.complete = shtab.DIRECTORY if action.metavar in ("DIR", "FOLDER") else shtab.FILE  # type: ignore[attr-defined]
