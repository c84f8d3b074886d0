"""Every option of a command with an example, for the page of the reference; a test holds each against the parser."""

import argparse
import contextlib
import io
import shlex
from argparse import ArgumentParser
from collections.abc import Iterator

from repromatrix.cli import options
from repromatrix.cli.main import parser_of


def examples(name: str) -> tuple[tuple[str, str | None], ...]:
    """Return each option of a command, as `-q, --quiet`, and what one types: one of its examples if it is in one.

    None: nobody said what its value may be.
    """
    return tuple(
        (", ".join(action.option_strings), _example(name, action, known, before))
        for before, parser, known in _parsers(name, parser_of(name), ())
        for action in parser._actions  # noqa: SLF001 - argparse tells them in no other way
        if action.option_strings and action.dest != "help"
    )


def _parsers(
    before: str, parser: ArgumentParser, known: tuple[str, ...]
) -> Iterator[tuple[str, ArgumentParser, tuple[str, ...]]]:
    """Yield a parser and those of its actions, each with what stands in front of its own words, and its examples."""
    own = options.typed(parser) or known
    yield before, parser, own
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for name, below in action.choices.items():
                yield from _parsers(f"{before} {name}", below, own)


def _example(name: str, action: argparse.Action, known: tuple[str, ...], before: str) -> str | None:
    with_it = (line for line in known if set(shlex.split(line)) & set(action.option_strings))
    shown = next(with_it, None) or _added(name, action, (*known, before))
    return f"repromatrix {shown}" if shown else None


def _added(name: str, action: argparse.Action, lines: tuple[str, ...]) -> str | None:
    """Return the plainest line that takes the option: at its end, or where all behind a word is no longer ours."""
    option = options.typical(action)
    plain = sorted(lines, key=lambda line: line.count(" -"))
    tried = [(f"{line} {option}", f"{name} {option}{line.removeprefix(name)}") for line in plain if option]
    return next((line for pair in tried for line in pair if _takes(name, line, action)), None)


def _takes(name: str, line: str, action: argparse.Action) -> bool:
    words = shlex.split(line.partition(" > ")[0])
    if " > " in line and not set(words) & set(action.option_strings):
        return False
    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(SystemExit):
        told = vars(parser_of(name).parse_args(words[1:]))
        return told.get(action.dest) != action.default or action.dest not in told
    return False
