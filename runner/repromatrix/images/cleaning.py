"""A wish -> what was removed of all that repromatrix made on this machine, and what stayed, with the reasons."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from repromatrix.engines.docker import TAG_LABEL
from repromatrix.engines.docker_images import DockerImages
from repromatrix.images import clean, uses
from repromatrix.images.inventory import BASE_LABEL, Thing, in_cache, of_engine
from repromatrix.matrix import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What went, or would go.

    Attributes:
        gone: what was removed.
        skipped: what stayed although it was meant, with the reason.
        foreign: what lies in the cache and repromatrix did not make.
        freed: bytes.
    """

    gone: tuple[Thing, ...]
    skipped: tuple[tuple[Thing, str], ...]
    foreign: tuple[Path, ...]
    freed: int


def cleaned(
    wish: clean.Wish, environments: Iterable[Environment], images: DockerImages | None, release: str, *, dry_run: bool
) -> Cleaned:
    """Remove what meets a wish and is not in use.

    Args:
        wish: what is to go.
        environments: of the matrix.
        images: the docker engine; None where it does not answer.
        release: that of the operations.
        dry_run: remove nothing.
    """
    with uses.cleaning() as in_use:
        held = images.held(BASE_LABEL, TAG_LABEL) if images else ()
        cache = in_cache()
        used = clean.used(environments, held, release)
        choice = clean.choose((*of_engine(held), *cache.things), wish, used, in_use)
        freed = clean.freed(choice.going)
        kept = () if dry_run else _remove(choice.going, images.remove if images else _no_engine)
    staying = [thing for thing, _ in kept]
    return Cleaned(
        gone=tuple(thing for thing in choice.going if thing not in staying),
        skipped=(*choice.skipped, *kept),
        foreign=tuple(cache.foreign),
        freed=max(freed - sum(thing.size for thing in staying), 0),
    )


def _remove(things: Sequence[Thing], drop: Callable[[str], str]) -> tuple[tuple[Thing, str], ...]:
    """Remove things; return those that stay, with the reason."""
    reasons = ((thing, clean.remove(thing, drop)) for thing in things)
    return tuple((thing, reason) for thing, reason in reasons if reason)


def _no_engine(reference: str) -> str:
    raise AssertionError(f"no image was seen, but {reference} is to go")
