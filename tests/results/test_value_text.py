"""What is the text of a value: of each dtype every exponent that it has, and none that it has not."""

import math

import pytest

from repromatrix.floats import FORMS
from repromatrix.results.value import Column, Role, Trajectory, check, exact

EXPONENTS = {"float64": (-1022, 1023), "float32": (-126, 127), "float16": (-14, 15), "bfloat16": (-126, 127)}
DIGITS = {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7}


@pytest.mark.parametrize("dtype", sorted(FORMS))
def test_every_exponent_of_a_dtype_is_taken_in_one_go(dtype: str) -> None:
    least, most = EXPONENTS[dtype]
    values = [sign * math.ldexp(1 + 2 ** -DIGITS[dtype], n) for n in range(least, most + 1) for sign in (1, -1)]
    texts = tuple(value.hex() for value in (*values, 0.0, -0.0, math.inf, -math.inf, math.nan))
    assert exact(texts, dtype) == texts


@pytest.mark.parametrize("dtype", sorted(FORMS))
def test_an_exponent_or_a_bit_too_much_is_refused(dtype: str) -> None:
    least, most = EXPONENTS[dtype]
    wrong = [f"0x1.0000000000000p+{most + 1}", "0x1.0000000000000p+00", "0x1.0000000000000p-0", "0x1.0p+0", "1.0"]
    if dtype != "float64":
        wrong += [(1 + 2 ** -(DIGITS[dtype] + 1)).hex(), math.ldexp(1, least - DIGITS[dtype] - 1).hex()]
    for text in wrong:
        with pytest.raises(ValueError, match="not a"):
            exact(["0x1.0000000000000p+0", text], dtype)


@pytest.mark.parametrize("dtype", sorted(FORMS))
def test_subnormal_values_are_values(dtype: str) -> None:
    least, _ = EXPONENTS[dtype]
    texts = (math.ldexp(1, least - DIGITS[dtype]).hex(),)
    assert exact(texts, dtype) == texts


@pytest.mark.parametrize("steps", [(1, 2), (1, 2, 4), (2, 3, 4), (1, 3), (2, 3)])
def test_a_metric_is_there_at_every_step(steps: tuple[int, ...]) -> None:
    texts = ("0x1.0000000000000p+0",) * len(steps)
    told = None if steps == (1, 2) else steps
    loss = Column(name="loss", role=Role.METRIC, dtype="float64", steps=told, texts=texts)
    with pytest.raises(ValueError, match=r"where 3 are due|has a step 4 of 3"):
        check(Trajectory(columns=(loss,)), 3)
