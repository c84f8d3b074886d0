"""The steps of two series: the same, those that both have, or why they cannot be compared step by step."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from repromatrix.compare.series import Series

_COMMON = "--common-steps compares those that both have"
_PLACE = "--by-place compares the first with the first, the second with the second, whatever the steps say"


def parted(a: Series, b: Series) -> str | None:
    """Return in which step two series differ, in words, where their common places are of other steps; None: in none."""
    if a.logged is None and b.logged is None:
        return None
    if a.logged is None or b.logged is None:
        own, bare = (a, b) if a.logged is not None else (b, a)
        return _beside_none(own, bare)
    if a.logged.shape[1] != b.logged.shape[1]:
        return f"{a.name} counts {' and '.join(a.axis)}, {b.name} counts {' and '.join(b.axis)}: {_PLACE}"
    count = min(a.steps, b.steps)
    other = np.flatnonzero((a.logged[:count] != b.logged[:count]).any(axis=1))
    if not len(other):
        return None
    at = int(other[0])
    return f"{a.name} has {label(a, at)} where {b.name} has {label(b, at)}: {_COMMON}, {_PLACE}"


def _beside_none(own: Series, bare: Series) -> str | None:
    """Steps that count from 0 or 1 without a gap, and parts of an epoch, are the places of a series without steps."""
    steps = own.logged[:, -1] if own.logged is not None else np.zeros(0)
    if not own.whole or (own.logged is not None and own.logged.shape[1] > 1):
        return None
    first = steps[0] if len(steps) else 1
    if first in (0, 1) and (steps == first + np.arange(len(steps))).all():
        return None
    return f"{own.name} has {label(own, 0)} first, and {bare.name} says no steps: {_PLACE}"


def label(series: Series, place: int) -> str:
    """Return what a source calls a place, in words: `step 10`, `epoch 2, batch 5`."""
    if series.logged is None or place >= len(series.logged):
        return f"step {place + 1}"
    row = series.logged[place].tolist()
    if len(row) == 1:
        name = "step" if series.whole else series.axis[0]
        return f"{name} {row[0]:.15g}"
    return ", ".join(f"{name} {value:.15g}" for name, value in zip(series.axis, row, strict=True))


def common(a: Series, b: Series) -> tuple[Series, Series] | None:
    """Return two series at the steps that both have; None: they have none in common, or say none."""
    if a.logged is None or b.logged is None or a.logged.shape[1] != b.logged.shape[1]:
        return None
    places = {tuple(row): at for at, row in enumerate(b.logged.tolist())}
    both = [(at, places[key]) for at, row in enumerate(a.logged.tolist()) if (key := tuple(row)) in places]
    if not both:
        return None
    left, right = (np.array(each) for each in zip(*both, strict=True))
    return at(a, left), at(b, right)


def at(of: Series, places: npt.NDArray[np.int64]) -> Series:
    """Return a series at some of its places."""
    texts = of.texts
    return replace(
        of,
        values=None if of.values is None else of.values[places],
        joined=None if texts is None else "\n".join(texts[at] for at in places.tolist()),
        logged=None if of.logged is None else of.logged[places],
    )
