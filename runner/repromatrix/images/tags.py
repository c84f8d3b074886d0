"""Which wheels fit: the one platform that all locks are made for, in uv's word and in wheel tags."""

from functools import cache

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

# The oldest C library that the wheels of every framework here agree on; the bases are newer.
PLATFORM = "x86_64-manylinux_2_28"
# manylinux tags up to that C library, newest first; and their old names.
_GLIBC_MINORS = range(28, 4, -1)
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


def platforms() -> list[str]:
    """Return the platform tags of x86-64 Linux up to `PLATFORM`, the newest first."""
    names = []
    for each in _GLIBC_MINORS:
        names.append(f"manylinux_2_{each}_x86_64")
        if each in _LEGACY:
            names.append(f"{_LEGACY[each]}_x86_64")
    return [*names, "linux_x86_64"]


@cache
def ranked_tags(python: str) -> tuple[Tag, ...]:
    """Return the wheel tags that a CPython of that minor version takes on x86-64 Linux, the best first."""
    major, minor = (int(part) for part in python.split("."))
    names = platforms()
    cpython = cpython_tags((major, minor), platforms=names)
    return tuple(dict.fromkeys((*cpython, *compatible_tags((major, minor), f"cp{major}{minor}", names))))


@cache
def supported_tags(python: str) -> frozenset[Tag]:
    """Return the same tags without their order."""
    return frozenset(ranked_tags(python))


def rank(wheel: str, python: str) -> int | None:
    """Return how well the wheel of that file name fits, 0 the best; None if it does not, or is no wheel's name."""
    try:
        tags = parse_wheel_filename(wheel)[3]
    except InvalidWheelFilename:
        return None
    if supported_tags(python).isdisjoint(tags):
        return None
    return min(place for place, tag in enumerate(ranked_tags(python)) if tag in tags)
