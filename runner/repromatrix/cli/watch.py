"""`repromatrix watch`: does a release newer than the newest pinned one move the numbers? Made for a night.

For each framework of the matrix the package index is asked for newer releases; the newest of them is held against the
newest pinned one by `impact`, and where numbers move and there are releases between, `bisect` names the one that did
it. Exit 0: nothing new, or nothing moved; 1: something moved, or a release cannot be tried.
"""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode, RepromatrixError, UsageError

if TYPE_CHECKING:
    from repromatrix.explain.impact.rows import Impact
    from repromatrix.matrix import Environment, Matrix

_MOST_BYTES = 64 << 20


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    shared.matrix(parser)
    parser.add_argument(
        "--framework", action="append", default=[], metavar="NAME", help="only this one; default: all of the matrix"
    )
    parser.add_argument("--pre", action="store_true", help="pre-releases too")
    parser.add_argument("--select", action="append", default=[], metavar="PATTERN", help="only these variants")
    parser.add_argument("--output", type=Path, metavar="DIR", help="write watch.md and watch.json there too")
    parser.add_argument("--night", default="", metavar="NAME", help="what this night is called: 2026-11-29")
    parser.add_argument(
        "--last",
        type=Path,
        metavar="FILE",
        help="the watch.json of the last night, if it is there: since when it is so",
    )
    shared.engine(parser)
    shared.cluster(parser)
    shared.results(parser)
    shared.json_output(parser)
    shared.examples(
        parser,
        "watch --framework numpy --framework jax",
        "watch --pre --output watch",
        more=(
            "watch --night 2026-11-29 --last data/watch.json --output watch",
            "watch --select 'mlp/*'",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What there is of a framework.

    Attributes:
        pinned: the newest release that the matrix pins, in `environment`.
        newer: releases of the index that are newer, the oldest first.
        impact: of the newest of them; None: there is none, or it cannot be tried.
        release: in words, which release moved what; None: not asked for.
        problem: why it cannot be tried; empty: it was.
        since: the first night that said the same of it; empty: nights are not told.
    """

    framework: str
    pinned: str
    environment: str
    newer: tuple[str, ...] = ()
    impact: "Impact | None" = None
    release: str | None = None
    problem: str = ""
    since: str = ""

    @property
    def moved(self) -> bool:
        """Whether numbers moved or nobody can say."""
        return bool(self.problem) or (self.impact is not None and bool(self.impact.level))

    @property
    def title(self) -> str:
        """What happened, in a line."""
        name = f"{self.framework} {self.newer[-1]}" if self.newer else f"{self.framework} {self.pinned}"
        if self.problem:
            return f"{name} cannot be tried"
        if self.impact is None:
            return f"no release newer than {name}"
        return f"{name}: {self.impact.level.words}"

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "framework": self.framework,
            "pinned": self.pinned,
            "environment": self.environment,
            "newer": list(self.newer),
            "moved": self.moved,
            "title": self.title,
            "since": self.since,
            "release": self.release,
            "problem": self.problem or None,
            "impact": self.impact.document() if self.impact else None,
        }


def run(options: Namespace) -> int:
    """Look at every framework.

    Raises:
        UsageError: the matrix has no such framework.
    """
    from repromatrix import resources
    from repromatrix.matrix import load

    story, matrix = Story.of(options), load(options.matrix)
    last = _last(options.last)
    found = [_seen(each, options, story) for each in _newest(matrix, options.framework)]
    seen = [replace(each, since=last.get((each.framework, each.title), options.night)) for each in found]
    text = "\n".join(_markdown(seen)) + "\n"
    document = {
        "moved": any(each.moved for each in seen),
        "title": _title(seen),
        "frameworks": [each.document() for each in seen],
    }
    if options.output:
        resources.write_together(
            {
                options.output / "watch.md": text.encode(),
                options.output / "watch.json": (json.dumps(document, indent=1) + "\n").encode(),
            }
        )
    if options.json:
        out.document(document, indent=1)
    else:
        out.presented(text)
    return int(ExitCode.DIFFERENCE if document["moved"] else ExitCode.OK)


def _last(path: Path | None) -> dict[tuple[str, str], str]:
    """Return since when something is said of a framework, by framework and what is said; empty without a last night.

    Raises:
        UsageError: not what `watch` writes.
    """
    from repromatrix import resources
    from repromatrix.results import document

    if path is None:
        return {}
    try:
        found = document.read(resources.read_regular(path, most=_MOST_BYTES, links=True))
        return {(each["framework"], each["title"]): str(each["since"]) for each in found["frameworks"]}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError("not what watch wrote", where=str(path), hint="delete that file") from error


def _newest(matrix: "Matrix", frameworks: Sequence[str]) -> "Iterator[Environment]":
    """Yield the environment of the newest pinned release of each framework on the CPU."""
    from packaging.version import Version

    from repromatrix.matrix.check import suggest

    known = list(dict.fromkeys(each.framework for each in matrix.environments))
    for name in frameworks:
        if name not in known:
            raise UsageError(f"no framework {name!r} in {matrix.path.name}", hint=suggest(name, known))
    for name in frameworks or known:
        own = [each for each in matrix.environments if each.framework == name]
        plain = (
            [each for each in own if each.flavour == "cpu"] or [each for each in own if each.flavour != "cuda"] or own
        )
        yield max(plain, key=lambda each: (Version(each.version), Version(each.python) <= Version("3.11"), each.python))


def _seen(environment: "Environment", options: Namespace, story: Story) -> Seen:
    from packaging.version import Version

    from repromatrix.images.releases import releases

    seen = Seen(framework=environment.framework, pinned=environment.version, environment=environment.name)
    try:
        package = environment.requirements[0].partition("=")[0].partition("[")[0].strip()
        every = releases(package, environment, pre=options.pre)
        seen = replace(seen, newer=tuple(each for each in every if Version(each) > Version(seen.pinned)))
        if not seen.newer:
            story.say(f"{'watched':<10} {seen.framework}: {seen.pinned} is the newest")
            return seen
        story.say(f"{'watched':<10} {seen.framework}: {', '.join(seen.newer)} after {seen.pinned}")
        flavour = "" if environment.flavour == "cpu" else f"[{environment.flavour}]"
        return _tried(seen, f"{environment.framework}{flavour}", options, story)
    except RepromatrixError as error:
        return replace(seen, problem=error.what)


def _tried(seen: Seen, word: str, options: Namespace, story: Story) -> Seen:
    from repromatrix.cli.impact import compared

    asked = asked_too("impact", options, seen.environment, f"{word}=={seen.newer[-1]}")
    found = replace(seen, impact=compared(asked, story))
    return replace(found, release=_release(found, word, options, story))


def _release(seen: Seen, word: str, options: Namespace, story: Story) -> str | None:
    """Return in words which of several releases it was; None where there is but one, or nothing moved."""
    from repromatrix.cli.bisect import searched, text
    from repromatrix.explain.impact.rows import changed, most

    rows = most(changed(seen.impact.operations)) if seen.impact else []
    jobs = [each for each in most(changed(seen.impact.training)) if each.first_step is not None] if seen.impact else []
    if len(seen.newer) == 1 or not (rows or jobs):
        return None
    target = f"operation:{rows[0].operation}:{rows[0].dtype}" if rows else f"{jobs[0].workload}/{jobs[0].variant}"
    asked = asked_too("bisect", options, word, seen.pinned, seen.newer[-1], "--on", target)
    try:
        return text(searched(asked, story)).splitlines()[0]
    except RepromatrixError as error:
        return f"which of the releases changed {target} is not known: {error.what}"


def asked_too(command: str, options: Namespace, *arguments: str) -> Namespace:
    """Return what another command is asked: those arguments, and all that was said here and it takes as well."""
    from repromatrix.cli.main import parser_of

    own = vars(parser_of(command).parse_args(list(arguments)))
    return Namespace(**own | {name: said for name, said in vars(options).items() if name in own})


def _title(seen: Sequence[Seen]) -> str:
    moved = [each.title for each in seen if each.moved]
    if not moved:
        return "no newer release moves a number"
    return moved[0] if len(moved) == 1 else f"{moved[0]}, and {len(moved) - 1} more"


def _markdown(seen: Sequence[Seen]) -> Iterator[str]:
    from repromatrix import harmless
    from repromatrix.explain.impact.text import markdown

    yield f"## {harmless.markdown(_title(seen))}"
    for each in sorted(seen, key=lambda one: not one.moved):
        yield from ("", f"### {harmless.markdown(each.title)}", "")
        if each.moved and each.since:
            yield from (f"So since the night {harmless.markdown(each.since)}.", "")
        if each.newer:
            names = harmless.markdown(", ".join(each.newer))
            yield from (f"Pinned is {each.pinned} (`{each.environment}`); the index has {names}.", "")
        if each.problem:
            yield harmless.markdown(each.problem)
        if each.release:
            yield from (harmless.markdown(each.release), "")
        if each.impact:
            yield markdown(each.impact)
            yield from ("", "See it on a machine of yours:", "", "```sh", *_commands(each), "```")


def _commands(seen: Seen) -> Iterable[str]:
    yield f"repromatrix impact {seen.environment} {seen.framework}=={seen.newer[-1]}"
    if seen.impact and len(seen.newer) > 1:
        yield f"repromatrix bisect {seen.framework} {seen.pinned} {seen.newer[-1]} --on operation:NAME:DTYPE"
