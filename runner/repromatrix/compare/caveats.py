"""What to beware of in a pair of series, in words."""

from collections.abc import Iterable

from repromatrix.compare import series
from repromatrix.compare.series import Reading, Series


def of_series(a: Series, b: Series, *, same_cpu_class: bool | None) -> list[str]:
    """Return what to beware of whatever the numbers are."""
    found = []
    if same_cpu_class is False:
        found.append("the CPU classes differ too, so this is not a difference of the versions alone")
    for each in dict.fromkeys((a, b)):
        if each.deterministic is False:
            found.append(f"{each.name} is not deterministic: its first repeat is compared")
        if each.logged:
            found.append(f"{each.name} has steps {each.logged[0]} to {each.logged[-1]}; here they are counted from 1")
        if each.skipped:
            entries = "1 entry" if each.skipped == 1 else f"{each.skipped:,} entries"
            found.append(f"{each.name}: {entries} without a loss left out")
        if each.first_step == 0 and not each.logged:
            found.append(f"{each.name} counts its steps from 0; here they are counted from 1")
    return found


def of_reading(own: Series, other: Series, dtype: str) -> list[str]:
    """Return what a series was taken for beside another."""
    if own.dtype:
        return []
    found = []
    if own.texts is not None:
        found.append(f"{own.name} is decimal text: each number is taken as the nearest {dtype}")
    if other.dtype and other.dtype != dtype:
        found.append(f"{own.name} has numbers that are no {other.dtype}")
    elif own.texts is None and not series.fits(own, dtype):
        found.append(f"{own.name} has numbers that are no {dtype}")
    return found


def of_digits(sides: Iterable[tuple[Series, Reading]]) -> list[str]:
    """Return which series show too few digits to tell their bits."""
    found = []
    for own, reading in sides:
        if own.texts is not None and not reading.told_apart:
            counts = sorted(map(series.significant, own.texts))
            digits = str(counts[0]) if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
            found.append(
                f"{own.name} shows {digits} significant digits, too few to tell {reading.dtype} values apart: "
                "compared at the printed digits"
            )
    return found
