"""How large a difference is, in a few words: at most, in ULPs or percent, and from which step. Pure.

A doubled loss and a last bit must not read alike, so every line that tells of a difference says this of it.
"""

import math

from repromatrix.compare.difference import Difference

_PERCENT = 0.001  # from this relative difference on, percent say more than ULPs
_MANY = 100_000  # ULPs that nobody counts


def size(found: Difference, *, dtype: bool = True) -> str:
    """Return the size of a difference: `5.55e-17 (1 ULP of float64, from step 9)`; nothing where it was not measured.

    Args:
        found: the difference.
        dtype: whether to say of which dtype the ULPs are.
    """
    measure = found.measure
    if measure is None or measure.first_difference is None:
        return ""
    if measure.max_abs is None:
        return f"(not finite at step {measure.unmeasured}, from step {measure.first_difference})"
    return sized(
        measure.max_abs,
        ulps=measure.max_ulp,
        dtype=found.ulp_dtype if dtype else None,
        relative=measure.max_rel,
        first=measure.first_difference,
    )


def sized(largest: float, *, ulps: int | None, dtype: str | None, relative: float | None, first: int | None) -> str:
    """Return a size in words: percent where it is large, else ULPs.

    Args:
        largest: the largest absolute difference.
        ulps: the largest distance in ULPs.
        dtype: whose ULPs.
        relative: the largest relative difference.
        first: the first step that differs.
    """
    parts = []
    if relative is not None and relative >= _PERCENT:
        parts.append(f"{100 * relative:.3g} %")
    elif ulps is not None:
        parts.append(f"{ulps if ulps < _MANY else f'{ulps:.2g}'} ULP{f' of {dtype}' if dtype else ''}")
    if first is not None:
        parts.append(f"from step {first}")
    return number(largest) + (f" ({', '.join(parts)})" if parts else "")


def number(value: float) -> str:
    """Return a distance with three significant digits: `4.04e-8`."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa}e{int(exponent)}"
