"""`repromatrix clean`: remove what repromatrix made on this machine, chosen by age, by environment or by use."""

import json
import re
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable

from repromatrix.cli import options as shared
from repromatrix.cli.lock import environments_of
from repromatrix.cli.story import Story
from repromatrix.engines.docker import TAG_LABEL
from repromatrix.engines.docker_images import DockerImages, Held
from repromatrix.errors import NoEngineError, UsageError
from repromatrix.images import clean, uses
from repromatrix.images.disk import in_words
from repromatrix.images.inventory import BASE_LABEL, Kind, Thing, in_cache, of_engine
from repromatrix.matrix import load
from repromatrix.operations.release import release
from repromatrix.results.store import Store

_SECONDS = {"d": 86400, "h": 3600}


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    shared.selection(parser)
    parser.set_defaults(profile=None)
    parser.add_argument("--older-than", metavar="AGE", help="only what was made longer ago: 30d, 12h")
    parser.add_argument(
        "--unused",
        action="store_true",
        help="what the matrix does not use: older images, other wheels; in the results values of no trace",
    )
    parser.add_argument("--all", action="store_true", help="everything, base images too")
    shared.results(parser)
    parser.add_argument("--dry-run", action="store_true", help="remove nothing, only print what would go")
    shared.json_output(parser)
    shared.examples(parser, "clean --unused --dry-run", "clean --older-than 30d", "clean --select 'jax-*'")


def run(options: Namespace) -> int:
    """Remove what is chosen and not in use, and say what went, what stayed and why."""
    wish = _wish(options)
    story = Story.of(options)
    images = _images(story)
    with uses.cleaning() as in_use:
        held = images.held(BASE_LABEL, TAG_LABEL) if images else ()
        cache = in_cache()
        choice = clean.choose((*of_engine(held), *cache.things), wish, _used(options, held), in_use)
        gone, skipped = choice.going, list(choice.skipped)
        total = clean.freed(gone)
        if not options.dry_run:
            gone, kept = _remove(gone, images.remove if images else _no_engine)
            skipped += kept
            total -= sum(thing.size for thing, _ in kept)
    _tell(options, gone, skipped, [str(path) for path in cache.foreign], max(total, 0))
    if options.unused:
        _sweep(options, story)
    if not options.dry_run and any(each.kind is Kind.IMAGE for each in gone):
        story.say("Docker's build cache may still hold the layers of what went: docker builder prune")
    return 0


def _sweep(options: Namespace, story: Story) -> None:
    """Remove the bits of values that no trace of the results folder names."""
    store = Store(options.results)
    if store.has_manifest:
        count, size = store.sweep_values(remove=not options.dry_run)
        if count:
            word = "would go" if options.dry_run else "removed"
            story.say(f"{word:<10} {count} values of {options.results} that no trace names, {in_words(size)}")


def _wish(options: Namespace) -> clean.Wish:
    """Return what the options ask for.

    Raises:
        UsageError: nothing is asked for, or all and a part at once, or no age.
    """
    part = bool(options.profile or options.select or options.unused)
    if not (part or options.all or options.older_than):
        raise UsageError(
            "what is to be removed? Everything that repromatrix made can be made again, but it takes time",
            hint="repromatrix clean --unused (what the matrix no longer uses), --older-than 30d, --profile NAME, "
            "--select PATTERN, or --all; with --dry-run nothing is removed",
        )
    if options.all and part:
        raise UsageError("--all and a part of it were asked for", hint="leave out --all, or the others")
    return clean.Wish(
        everything=options.all,
        before=time.time() - _age(options.older_than) if options.older_than else None,
        environments=_names(options) if options.profile or options.select else None,
        unused=options.unused,
    )


def _age(text: str) -> float:
    """Return an age in seconds."""
    match = re.fullmatch(r"([0-9]+)([dh])", text)
    if not match:
        raise UsageError(f"no age: {text!r}", hint="days or hours: --older-than 30d, --older-than 12h")
    return int(match[1]) * _SECONDS[match[2]]


def _names(options: Namespace) -> frozenset[str]:
    return frozenset(each.name for each in environments_of(options, load(options.matrix)))


def _used(options: Namespace, held: tuple[Held, ...]) -> clean.Used:
    """Return what the matrix uses; to clean all, or by age, none need be there."""
    needed = options.profile or options.select or options.unused
    environments = load(options.matrix).environments if needed or options.matrix.is_file() else ()
    return clean.used(environments, held, release())


def _images(story: Story) -> DockerImages | None:
    try:
        return DockerImages()
    except NoEngineError as error:
        story.say(f"{'not seen':<10} images: {error.what}")
        return None


def _no_engine(reference: str) -> str:
    raise AssertionError(f"no image was seen, but {reference} is to go")


def _remove(things: tuple[Thing, ...], drop: Callable[[str], str]) -> tuple[tuple[Thing, ...], list[tuple[Thing, str]]]:
    gone: list[Thing] = []
    kept: list[tuple[Thing, str]] = []
    for each in things:
        reason = clean.remove(each, drop)
        if reason:
            kept.append((each, reason))
        else:
            gone.append(each)
    return tuple(gone), kept


def _tell(
    options: Namespace, gone: tuple[Thing, ...], skipped: list[tuple[Thing, str]], foreign: list[str], total: int
) -> None:
    if options.json:
        result = {
            "dry_run": options.dry_run,
            "removed": [_entry(each) for each in gone],
            "skipped": [_entry(each) | {"reason": reason} for each, reason in skipped],
            "foreign": foreign,
            "bytes": total,
        }
        print(json.dumps(result, indent=1))
        return
    word = "would go" if options.dry_run else "removed"
    for each in gone:
        print(f"{word:<10} {each.kind:<15} {in_words(each.size):>10}  {each.name}")
    for each, reason in skipped:
        print(f"{'skipped':<10} {each.kind:<15} {in_words(each.size):>10}  {each.name}: {reason}")
    for path in foreign:
        print(f"{'left':<10} {path}: repromatrix did not make it")
    print(f"{word:<10} {len(gone)} things, {in_words(total)}")


def _entry(thing: Thing) -> dict[str, str | int]:
    return {"kind": thing.kind.value, "name": thing.name, "bytes": thing.size}
