"""`repromatrix clean`: remove what repromatrix made on this machine, chosen by age, by environment or by use."""

import re
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.story import Story
from repromatrix.errors import NoEngineError, UsageError

if TYPE_CHECKING:
    from repromatrix.engines.docker_images import DockerImages
    from repromatrix.images.clean import Wish
    from repromatrix.images.cleaning import Cleaned
    from repromatrix.images.inventory import Thing

_SECONDS = {"d": 86400, "h": 3600}


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    shared.selection(parser, own=True)
    parser.set_defaults(profile=None)
    parser.add_argument("--older-than", type=_age, metavar="AGE", help="only what was made longer ago: 30d, 12h")
    parser.add_argument(
        "--unused",
        action="store_true",
        help="what is no longer used: images and wheels that the matrix does not name, values that no trace names",
    )
    parser.add_argument("--all", action="store_true", help="everything, base images too")
    shared.results(parser)
    parser.add_argument("--dry-run", action="store_true", help="remove nothing, only print what would go")
    shared.json_output(parser)
    shared.examples(
        parser,
        "clean --unused --dry-run",
        "clean --older-than 30d",
        "clean --select 'jax-*'",
        more=("clean --all --dry-run",),
    )


def _age(text: str) -> int:
    """Return an age in seconds.

    Raises:
        UsageError: it is none.
    """
    match = re.fullmatch(r"([0-9]+)([dh])", text)
    if not match:
        raise UsageError(f"no age: {text!r}", hint="days or hours: --older-than 30d, --older-than 12h")
    return int(match[1]) * _SECONDS[match[2]]


def run(options: Namespace) -> int:
    """Remove what is chosen and not in use, and say what went, what stayed and why."""
    from repromatrix.images.cleaning import cleaned
    from repromatrix.images.inventory import Kind
    from repromatrix.matrix import load, passed
    from repromatrix.operations.release import release

    part = options.profile or options.select or options.unused
    with passed.nothing_kept():
        wish, story = _wish(options), Story.of(options)
        # To clean all, or by age, no matrix need be there.
        environments = load(options.matrix).environments if part or options.matrix.is_file() else ()
    done = cleaned(wish, environments, _images(story), release(), dry_run=options.dry_run)
    _tell(done, "would go" if options.dry_run else "removed", options)
    if options.unused:
        _sweep(options.results, story, dry_run=options.dry_run)
    if not options.dry_run and any(thing.kind is Kind.IMAGE for thing in done.gone):
        story.say("Docker's build cache may still hold the layers of what went: docker builder prune")
    return 0


def _wish(options: Namespace) -> "Wish":
    """Return what the options ask for.

    Raises:
        UsageError: nothing is asked for, or all and a part at once.
    """
    from repromatrix.images.clean import Wish
    from repromatrix.matrix import load
    from repromatrix.plan import environments_of

    part = bool(options.profile or options.select or options.unused)
    if not (part or options.all or options.older_than is not None):
        raise UsageError(
            "what is to be removed? Everything that repromatrix made can be made again, but it takes time",
            hint="repromatrix clean --unused (what the matrix no longer uses), --older-than 30d, --profile NAME, "
            "--select PATTERN, or --all; with --dry-run nothing is removed",
        )
    if options.all and part:
        raise UsageError("--all and a part of it were asked for", hint="leave out --all, or the others")
    named = options.profile or options.select
    chosen = environments_of(load(options.matrix), options.profile, options.select) if named else ()
    return Wish(
        everything=options.all,
        before=None if options.older_than is None else time.time() - options.older_than,
        environments=frozenset(environment.name for environment in chosen) if named else None,
        unused=options.unused,
    )


def _images(story: Story) -> "DockerImages | None":
    from repromatrix.engines import docker_images

    try:
        return docker_images.DockerImages()
    except NoEngineError as error:
        story.say(f"{'not seen':<10} images: {error.what}")
        return None


def _sweep(results: Path, story: Story, *, dry_run: bool) -> None:
    """Remove the bits of values that no trace of the results folder names."""
    from repromatrix.images.disk import in_words
    from repromatrix.results.store import Store

    store = Store(results)
    count, size = store.sweep_values(remove=not dry_run) if store.has_manifest else (0, 0)
    if count:
        word = "would go" if dry_run else "removed"
        story.say(f"{word:<10} {count} values of {results} that no trace names, {in_words(size)}")


def _tell(done: "Cleaned", word: str, options: Namespace) -> None:
    from repromatrix.images.disk import in_words

    if options.json:
        result = {
            "dry_run": options.dry_run,
            "removed": [_entry(thing) for thing in done.gone],
            "skipped": [_entry(thing) | {"reason": reason} for thing, reason in done.skipped],
            "foreign": [str(path) for path in done.foreign],
            "bytes": done.freed,
        }
        out.document(result, indent=1)
        return
    for thing in done.gone:
        out.say(f"{word:<10} {thing.kind:<15} {in_words(thing.size):>10}  {thing.name}")
    for thing, reason in done.skipped:
        out.say(f"{'skipped':<10} {thing.kind:<15} {in_words(thing.size):>10}  {thing.name}: {reason}")
    for path in done.foreign:
        out.say(f"{'left':<10} {path}: repromatrix did not make it")
    out.say(f"{word:<10} {len(done.gone)} things, {in_words(done.freed)}")


def _entry(thing: "Thing") -> dict[str, str | int]:
    return {"kind": thing.kind.value, "name": thing.name, "bytes": thing.size}
