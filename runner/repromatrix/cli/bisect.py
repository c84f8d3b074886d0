"""`repromatrix bisect PACKAGE GOOD BAD --on TARGET`: the release in which a value changed.

Both ends are tried first, then releases between them, by halving; what ran before is not run again, so an interrupted
search goes on where it was. Both neighbours of the change run once more. Exit 0: found and confirmed; 1: both ends have
the same value, or the change could not be narrowed down to one release.
"""

from argparse import ArgumentParser, Namespace
from math import ceil, log2
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.select import execution_of
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode

if TYPE_CHECKING:
    from repromatrix.explain.bisect import Change, Search
    from repromatrix.explain.bisected import Releases, Target
    from repromatrix.images.lockable import Spare
    from repromatrix.images.releases import Line
    from repromatrix.matrix import Environment


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "package", metavar="PACKAGE", help="a framework: numpy, torch, tensorflow, jax, or keras[FLAVOUR]"
    )
    parser.add_argument("good", metavar="GOOD", help="a release")
    parser.add_argument("bad", metavar="BAD", help="another one, with another value")
    parser.add_argument(
        "--on",
        required=True,
        metavar="TARGET",
        help="operation:NAME:DTYPE, WORKLOAD[/VARIANT][:VALUE], or a file of losses that GOOD agrees with",
    )
    parser.add_argument("--all", action="store_true", help="run every release: changes that come and go are seen too")
    shared.matrix(parser)
    shared.engine(parser)
    shared.cluster(parser)
    shared.results(parser)
    shared.json_output(parser)
    shared.examples(
        parser, "bisect numpy 1.24.4 2.4.6 --on operation:exp:float64", "bisect numpy 1.26.4 2.0.2 --on mlp"
    )


def run(options: Namespace) -> int:
    """Find the release in which a value changed."""
    document = searched(options, Story.of(options))
    if options.json:
        out.document(document, indent=1)
    else:
        out.say(text(document))
    settled = document["changes"] and all(each["confirmed"] and not each["between"] for each in document["changes"])
    return int(ExitCode.OK if settled else ExitCode.DIFFERENCE)


def searched(options: Namespace, story: Story) -> dict[str, Any]:
    """Return what the command finds.

    Raises:
        RepromatrixError: there is nothing to look for, or no way to look.
    """
    from repromatrix.engines.homes import home
    from repromatrix.explain.bisect import Search
    from repromatrix.explain.bisected import target
    from repromatrix.images.releases import line
    from repromatrix.matrix import load

    matrix = load(options.matrix)
    found = line(matrix, options.package, options.good, options.bad)
    wanted = target(matrix, options.on, found.environment(found.versions[0]))
    count = len(found.versions)
    most = count if options.all else min(count, ceil(log2(max(count - 1, 1))) + 2)
    told = f"from {found.versions[0]} to {found.versions[-1]} on Python {found.python}"
    story.say(f"{'releases':<10} {count} of {options.package} {told}; at most {most} environments, if none is skipped")
    with home() as folder:
        releases = _releases(options, found, wanted, story, folder)
        search = Search(versions=found.versions, ask=_told(releases, story))
        first = None if options.all else search.first()
        changes = search.every() if options.all else (first,) if first else ()
        answers = [_answer(each, search, releases) for each in changes]
        others = search.others(first) if first else ()
    return {
        "package": options.package,
        "on": options.on,
        "from": found.versions[0],
        "to": found.versions[-1],
        "python": found.python,
        "environments": releases.made,
        "changes": answers,
        "others": [{"after": each.last, "until": each.first} for each in others],
        "releases": _tried(search),
    }


def _releases(options: Namespace, line: "Line", wanted: "Target", story: Story, scratch: Path) -> "Releases":
    """Return what gives the values of releases; what is confirmed runs anew, with its results in `scratch`."""
    from repromatrix.explain.bisected import Releases
    from repromatrix.images.lockable import Spare

    locked = _Locked(line, Spare())
    cells = wanted.cells(line.matrix, locked.of(line.versions[0]))[:1]
    one = execution_of(line.matrix, cells, options, story, lock_folders=locked.folders)
    anew = Namespace(**vars(options) | {"results": scratch})  # with the engine that was chosen
    other = execution_of(line.matrix, cells, anew, story, lock_folders=locked.folders)
    return Releases(line.matrix, wanted, locked, one, other)


class _Locked:
    """The environments of releases; `folders` tells where the locks lie, and grows."""

    def __init__(self, line: "Line", spare: "Spare") -> None:
        self._line, self._spare = line, spare
        self.folders: dict[str, Path] = {}

    def of(self, version: str) -> "Environment":
        found = self._line.environment(version)
        self.lock(found)
        return found

    def lock(self, environment: "Environment") -> None:
        self._spare.require(environment)
        self.folders.update(self._spare.places([environment]))


def _told(releases: "Releases", story: Story) -> Any:
    def ask(version: str) -> Any:
        found = releases.ask(version)
        story.say(f"{'tried' if found.value else 'skipped':<10} {version}{f': {found.reason}' if found.reason else ''}")
        return found

    return ask


def _answer(change: "Change", search: "Search", releases: "Releases") -> dict[str, Any]:
    return {
        "last": change.last,
        "first": change.first,
        "between": list(change.between),
        "confirmed": releases.confirmed(change, search.tried),
        "companions": [each.document() for each in releases.moved(change)],
        "by": releases.blamed(change, search.tried),
    }


def _tried(search: "Search") -> list[dict[str, Any]]:
    labels = search.labels()
    tried = [search.tried[each] for each in search.versions if each in search.tried]
    return [
        {"version": each.version, "value": labels.get(each.version), "reason": each.reason or None} for each in tried
    ]


def text(document: dict[str, Any]) -> str:
    """Return what was found as a person reads it; the first line says it."""
    changes, package = document["changes"], document["package"]
    told = f"from {document['from']} to {document['to']} on Python {document['python']}"
    lines = [sentence(each, package, document["on"]) for each in changes] or [
        f"{document['on']}: the same in the first and the last release of {package}, {told}; --all runs every release"
    ]
    lines += [
        "",
        *(f"  {each['version']:<12} {each['value'] or 'skipped: ' + each['reason']}" for each in document["releases"]),
    ]
    for each in document["others"]:
        ends = [version.partition("@")[0] for version in (each["after"], each["until"])]
        lines += ["", f"another change lies after {each['after']}, until {each['until']}:"]
        lines += [f"  repromatrix bisect {package} {ends[0]} {ends[1]} --on {document['on']}"]
    for each in changes:
        moved = [f"  {one['name']}: {one['a']} -> {one['b']}" for one in each["companions"]]
        lines += ["", f"what else moved from {each['last']} to {each['first']}:", *moved] if moved else []
    lines += ["", f"{document['environments']} environments, Python {document['python']}"]
    return "\n".join(lines)


def sentence(change: dict[str, Any], package: str, on: str) -> str:
    """Return one change in words."""
    ends = [change[each].partition("@") for each in ("last", "first")]
    where = f"{package} {change['first']}"
    if ends[0][0] == ends[1][0]:  # the bridge between two Pythons
        where = f"no release, but from Python {ends[0][2]} to {ends[1][2]}"
    if change["between"]:
        names = ", ".join([*change["between"], change["first"]])
        where = f"one of {package} {names}, of which only the last could be tried"
    sure = (
        "both neighbours gave the same values again" if change["confirmed"] else "NOT confirmed: run again, it differs"
    )
    by = "" if change["by"] == "the package" else f"; made by: {change['by']}"
    return f"{on} changed in {where}; {change['last']} still has the value of before ({sure}){by}"
