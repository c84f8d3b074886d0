"""What to beware of in a pair of series, in words."""

from collections.abc import Iterable

from repromatrix.compare import series
from repromatrix.compare.series import Reading, Series


def of_series(a: Series, b: Series, *, same_cpu_class: bool | None) -> list[str]:
    """Return what to beware of whatever the numbers are."""
    found = []
    if same_cpu_class is False:
        found.append("the CPU classes differ too, so this is not a difference of the versions alone")
    found += [
        f"{each.name} is not deterministic: its first repeat is compared"
        for each in dict.fromkeys((a, b))
        if each.deterministic is False
    ]
    return found


def of_reading(own: Series, other: Series, dtype: str) -> list[str]:
    """Return what a series was taken for beside another."""
    if own.dtype:
        return []
    found = []
    if own.told == dtype:
        found.append(f"{own.name}: every number is a {dtype}, printed as Python prints one, so its dtype is {dtype}")
    elif own.joined is not None:
        found.append(f"{own.name} is decimal text: each number is taken as the nearest {dtype}")
    if other.dtype and other.dtype != dtype:
        found.append(f"{own.name} has numbers that are no {other.dtype}")
    elif own.joined is None and not series.fits(own, dtype):
        found.append(f"{own.name} has numbers that are no {dtype}")
    return found


def of_digits(sides: Iterable[tuple[Series, Reading]]) -> list[str]:
    """Return which series show too few digits to tell their bits."""
    found = []
    for own, reading in sides:
        if own.joined is not None and not reading.told_apart:
            counts = series.shown(own).significant
            least, most = int(counts.min()), int(counts.max())
            digits = str(least) if least == most else f"{least} to {most}"
            found.append(
                f"{own.name} shows {digits} significant digits, too few to tell {reading.dtype} values apart: "
                "compared at the printed digits"
            )
    return found
