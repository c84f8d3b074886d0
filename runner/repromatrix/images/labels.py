"""What an image says of itself: the OCI labels. None of them changes what it is made of."""

import os
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

from repromatrix import __version__, resources
from repromatrix.engines.base import Base
from repromatrix.images import base as bases
from repromatrix.images.lock import Lock
from repromatrix.matrix import Environment

_OCI = "org.opencontainers.image"
# What may change an image, or the way in which it is made.
_MATTERS = ("images", "runner")
_PROJECT_PAGES = ("source", "repository", "source code", "homepage")


def labels(environment: Environment, base: Base, lock: Lock, sources: str) -> tuple[tuple[str, str], ...]:
    """Return the labels of an environment's image; one that is not known is left out, never made up."""
    known = {
        f"{_OCI}.title": environment.name,
        f"{_OCI}.version": environment.version,
        f"{_OCI}.source": source(),
        f"{_OCI}.revision": revision(resources.folder("images").parent),
        f"{_OCI}.base.name": _base_name(environment, base),
        f"{_OCI}.base.digest": base.digest,
        "repromatrix.version": __version__,
        "repromatrix.lock": lock.digest,
        "repromatrix.sources": sources,
    }
    return tuple((name, value) for name, value in known.items() if value)


def _base_name(environment: Environment, base: Base) -> str:
    """Return the name that a person knows the base by; its digest stands beside it."""
    return bases.entry(environment).registry if base.kind == "registry" else base.reference


def source() -> str:
    """Return the project's own page as its package metadata tells it, or an empty text."""
    try:
        told = metadata.metadata("repromatrix").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return ""
    return project_page(told)


def project_page(urls: list[str]) -> str:
    """Return the address of the sources out of `Label, URL` lines, or an empty text."""
    pages = {label.strip().lower(): url.strip() for label, _, url in (each.partition(",") for each in urls)}
    return next((pages[name] for name in _PROJECT_PAGES if name in pages), "")


@cache
def revision(checkout: Path) -> str:
    """Return the commit of a checkout, with `-dirty` if what goes into images differs from it; else an empty text.

    An installed wheel has no commit, even where it lies in a folder of somebody else's repository.
    """
    top = _git(checkout, "rev-parse", "--show-toplevel", "HEAD")
    place, _, commit = (top or "").partition("\n")
    if not commit or Path(place).resolve() != checkout.resolve():
        return ""
    changed = _git(checkout, "status", "--porcelain", "--", *_MATTERS)
    return "" if changed is None else f"{commit}-dirty" if changed else commit


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git says, None where there is no git or it refuses."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    plain["GIT_OPTIONAL_LOCKS"] = "0"  # looking must not be in the way of a person's own git
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, env=plain, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
