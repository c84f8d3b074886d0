"""`repromatrix pins`: ask the registries whether the pinned base images still hold, or pin newer ones."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from repromatrix import resources
from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.story import Story
from repromatrix.errors import EnvironmentFailedError, ExitCode

if TYPE_CHECKING:
    from repromatrix.images.pins import Verified


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    verify = actions.add_parser(
        "verify",
        help="ask the registries whether the pins still hold",
        description="A line per base: same, moved (the tag names another digest now), gone (the pinned digest is no "
        "longer there) or unknown. Exit 1 if any moved or is gone, else 4 if a registry could not be asked.",
    )
    of = verify.add_argument("--matrix", type=Path, metavar="FILE", help="only the bases of that file's environments")
    shared.like(of, "other/matrix.yaml")
    shared.json_output(verify)
    refresh = actions.add_parser(
        "refresh",
        help="propose the newest patch release of every Python",
        description="Print what would change in images/bases.yaml as a unified diff.",
    )
    refresh.add_argument("--write", action="store_true", help="change the file too")
    shared.examples(parser, "pins verify", "pins refresh", "pins refresh --write")


def run(options: Namespace) -> int:
    """Verify or refresh."""
    return _verify(options) if options.action == "verify" else _refresh(options)


def _verify(options: Namespace) -> int:
    from repromatrix.images import base as bases
    from repromatrix.images import pins
    from repromatrix.images.pins import State
    from repromatrix.matrix import load

    environments = () if options.matrix is None else load(options.matrix).environments
    entries = dict.fromkeys(map(bases.entry, environments)) if environments else bases.entries()
    verified = pins.verify_all(entries)
    if options.json:
        out.document([_document(each) for each in verified], indent=1)
    else:
        for each in verified:
            out.say(f"{each.state.value:<8} {each.entry.registry}{_remark(each)}")
    states = {each.state for each in verified}
    if states & {State.MOVED, State.GONE}:
        return int(ExitCode.DIFFERENCE)
    return int(ExitCode.ENVIRONMENT if State.UNKNOWN in states else ExitCode.OK)


def _remark(each: "Verified") -> str:
    state = each.state.value
    if state == "same":
        return f" {each.entry.digest}"
    if state == "unknown":
        return f": {each.reason}"
    today = f"names {each.tag_digest} today" if each.tag_digest else "no longer exists"
    there = "the pin can still be pulled" if state == "moved" else "the pin cannot be pulled any more"
    return f": pinned {each.entry.digest}; the tag {today}; {there}"


def _document(each: "Verified") -> dict[str, str | None]:
    return {
        "base": each.entry.name,
        "python": each.entry.python,
        "registry": each.entry.registry,
        "digest": each.entry.digest,
        "state": each.state.value,
        "tag_digest": each.tag_digest,
        "reason": each.reason or None,
    }


def _refresh(options: Namespace) -> int:
    """Print the changes as a diff, and make them if that is asked for; an entry that fails keeps its pin.

    Raises:
        EnvironmentFailedError: the first failure, after the others have been proposed or written.
    """
    from repromatrix.images import base as bases
    from repromatrix.images import pins

    story = Story.of(options)
    found, errors = [], []
    for entry in bases.entries():
        try:
            found.append((entry, pins.newest(entry)))
        except EnvironmentFailedError as error:
            story.say(f"{'kept':<10} {entry.registry}: {error.what}")
            errors.append(error)
    path = bases.entries_path()
    before = path.read_text()
    after = pins.rewritten(before, found)
    out.say(pins.diff(before, after, path), end="")
    if options.write and after != before:
        resources.write_atomically(path, after.encode())
        story.say(f"{'written':<10} {path}")
    if errors:
        raise errors[0]
    return int(ExitCode.OK)
