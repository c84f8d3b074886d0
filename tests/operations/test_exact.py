"""Exact results against what other code says: NumPy in float64, fractions, differences of the values themselves."""

import importlib
import json
import math
import shutil
import sys
from decimal import Decimal, localcontext
from fractions import Fraction
from types import ModuleType

import numpy as np
import pytest

from repromatrix import draw, resources
from repromatrix.matrix.workload import load_workload
from repromatrix.operations import truths
from repromatrix.operations.cases import NONE, cases
from repromatrix.operations.exact import TooWideError, narrow, of_balls, split
from repromatrix.operations.exact_arrays import ARRAYS
from repromatrix.operations.exact_cases import TRUTHS, computed
from repromatrix.operations.exact_elementwise import ELEMENTWISE, elementwise
from repromatrix.operations.exact_result import Argument
from repromatrix.operations.results import Errors, Output, errors, numbers

FOLDER = resources.folder("workloads") / "operations"
WORKLOAD = load_workload(FOLDER, "operations")
ROWS = json.loads(WORKLOAD.rows)
CASES = {case.name: case for case in cases(ROWS)}
GIVEN = {each.name: each for each in WORKLOAD.inputs}
TENTH = 0.1
# Where NumPy's formula loses digits, or the row has another one: how far it may be off, beside the largest element.
LOOSE = {"matrix_power": 1e-10, "inverse": 1e-9, "solve": 1e-9, "determinant": 1e-9}


def given(name: str, dtype: str = "float64") -> Argument:
    entry = GIVEN[name]
    return Argument(shape=entry.shape, values=numbers(entry.dtype or dtype, draw.bits(entry, dtype)))


def arguments(name: str) -> list[Argument]:
    return [given(each) for each in CASES[name].args]


def of(*values: float) -> Argument:
    return Argument(shape=(len(values),), values=np.array(values, np.float64))


def exact(name: str) -> dict:
    case = CASES[name]
    names = [*case.args, *([case.weights] if case.weights else [])]
    return computed(case, {each: given(each) for each in names})


@pytest.fixture(scope="module")
def lines():
    """The lines of the workload's own module for NumPy."""
    package = ModuleType("workload")
    package.__path__ = [str(FOLDER)]
    sys.modules["workload"] = package
    yield importlib.import_module("workload.numpy").LINES
    for name in [name for name in sys.modules if name.partition(".")[0] == "workload"]:
        del sys.modules[name]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.truth != NONE])
def test_numpy_in_float64_is_near_the_exact_result(lines, name: str) -> None:
    line = lines.get(name.partition("/")[0])
    if line is None or "special" in name:
        pytest.skip("NumPy has no such operation")
    shaped = [
        argument.values.reshape(argument.shape).astype(GIVEN[each].dtype or "float64")
        for each, argument in zip(CASES[name].args, arguments(name), strict=True)
    ]
    dtype = {"dtype": "float64"} if ROWS[name.partition("/")[0]].get("typed") else {}
    result = line(*shaped, **CASES[name].options, **dtype)
    results = {f"{name}/{end}": each for end, each in result.items()} if isinstance(result, dict) else {name: result}
    found = exact(name)
    for key in results.keys() & found.keys():
        value = np.asarray(results[key])
        flat = value.view(f"f{value.itemsize // 2}") if value.dtype.kind == "c" else value
        off = np.abs(np.ravel(flat).astype(np.float64) - found[key].high)[found[key].known]
        scale = np.max(np.abs(found[key].high))
        assert off.max(initial=0) <= LOOSE.get(name, 1e-12) * scale
    assert found.keys() & results.keys()


def whole(found, weights) -> Fraction:
    """The weighted sum of exact results, exact itself."""
    pairs = zip(found.high.tolist(), found.low.tolist(), weights, strict=True)
    return sum((Fraction(w) * (Fraction(high) + Fraction(low)) for high, low, w in pairs), Fraction(0))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.slopes and case.truth in TRUTHS])
def test_a_gradient_is_the_difference_of_the_values(name: str) -> None:
    case, step = CASES[name], 2.0**-24
    found = exact(name)
    weights = given(case.weights).values.tolist() if case.weights else None
    for slope, place in case.slopes.items():
        sums = []
        for move in (step, -step):
            moved = arguments(name)
            values = moved[place].values.copy()
            values[3] += move
            moved[place] = Argument(shape=moved[place].shape, values=values)
            value = next(iter(narrow(lambda given=moved: TRUTHS[case.truth](given, case.options)).values()))
            sums.append(whole(value, weights or [1.0] * len(value.high)))
        difference = float((sums[0] - sums[1]) / Fraction(2 * step))
        assert found[slope].high[3] == pytest.approx(difference, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_derivative_is_the_difference_of_the_values(name: str) -> None:
    entry, step = ELEMENTWISE[name], 2.0**-24
    at = [0.3, 0.4, 0.7] if name != "acosh" else [1.3]
    rounds = name in ("floor", "ceil", "round", "trunc", "sign", "floor_divide")
    for count in range(1, 4):
        try:
            middle = [of(value) for value in at[:count]]
            elementwise(name, middle)
        except TypeError:
            continue
        for place in range(len(entry.slopes)):
            sides = [[*middle[:place], of(at[place] + move), *middle[place + 1 :]] for move in (step, -step)]
            sums = [whole(elementwise(name, side), [1.0]) for side in sides]
            slope = float((sums[0] - sums[1]) / Fraction(2 * step))
            told = elementwise(name, middle, place)
            assert told.high[0] == pytest.approx(0 if rounds else slope, rel=1e-9, abs=1e-12)
        return
    raise AssertionError(f"{name} takes no one, two or three arguments")


def test_an_exact_exponential_has_twice_the_digits_of_float64() -> None:
    found = elementwise("exp", [of(TENTH)])
    with localcontext() as context:
        context.prec = 60
        true = Decimal(TENTH).exp()
        assert abs(Decimal(float(found.high[0])) + Decimal(float(found.low[0])) - true) < true * Decimal("1e-30")


def test_a_sum_is_that_of_fractions_and_knows_how_large_its_terms_are() -> None:
    values = [1e16, 1.0, -1e16, 2.0**-60]
    found = narrow(lambda: ARRAYS["sum"]([of(*values)], {}))[""]
    assert whole(found, [1.0]) == sum(map(Fraction, values))
    assert (found.terms, found.sizes.tolist()) == (4, [math.fsum(map(abs, values))])


@pytest.mark.parametrize(
    ("name", "value", "result"),
    [
        ("exp", math.inf, math.inf), ("exp", -math.inf, 0.0), ("exp", math.nan, math.nan), ("exp", 1e4, math.inf),
        ("log", 0.0, -math.inf), ("log", -1.0, math.nan), ("sqrt", -1.0, math.nan), ("sin", math.inf, math.nan),
        ("tanh", math.inf, 1.0), ("log1p", -1.0, -math.inf), ("exp", -1e38, 0.0),
    ],
)  # fmt: skip
def test_what_is_not_finite_has_the_result_of_its_limit(name: str, value: float, result: float) -> None:
    found = elementwise(name, [of(value)])
    assert found.known.tolist() == [True]
    assert found.high[0] == result or math.isnan(found.high[0]) == math.isnan(result) is True


def test_what_has_no_single_result_has_no_exact_one() -> None:
    assert elementwise("maximum", [of(1.0, 2.0), of(1.0, 1.0)], 0).known.tolist() == [False, True]
    assert elementwise("power", [of(math.inf), of(0.0)]).known.tolist() == [False]
    found = TRUTHS["argsort"]([of(2.0, 1.0, 2.0)], {})[""]
    assert (found.high.tolist(), found.known.tolist()) == ([1.0, 0.0, 2.0], [True, False, False])


def test_an_enclosure_that_is_too_wide_is_no_result() -> None:
    import flint  # noqa: PLC0415 - one test of many

    with pytest.raises(TooWideError):
        split(flint.arb(0, 1))
    assert of_balls([flint.arb(0, 1e-60)], scale=1.0).known.tolist() == [False]


def judged(values: list[float], given: list[float], dtype: str = "float32") -> Errors:
    found = elementwise("exp", [of(*given)])
    kind = {"float32": np.float32, "float64": np.float64, "float16": np.float16}[dtype]
    return errors(found, Output(dtype=dtype, shape=(len(values),), data=np.array(values, kind).tobytes()))


def test_the_nearest_number_is_at_most_half_a_unit_off_and_its_neighbour_more() -> None:
    nearest = np.float32(math.exp(0.1))
    assert judged([float(nearest)], [0.1]).largest <= 0.5
    assert 0.5 < judged([float(np.nextafter(nearest, np.float32(9)))], [0.1]).largest <= 1.5


def test_a_result_beyond_the_bound_is_wrong_and_so_is_a_nan() -> None:
    assert judged([math.exp(0.1) * (1 + 70 * 2**-23)], [0.1]).wrong == 1
    found = judged([math.nan, math.exp(0.2)], [0.1, 0.2])
    assert (found.wrong, found.largest, found.mean < 1) == (1, math.inf, True)


def test_infinity_is_right_beyond_the_largest_number_and_wrong_below_it() -> None:
    assert judged([math.inf], [100.0]).largest == 0
    assert judged([math.inf], [88.0]).wrong == 1
    assert judged([math.nan], [math.nan]).largest == 0


def test_a_subnormal_result_that_was_flushed_is_named_so_and_counts_for_nothing_else() -> None:
    found = judged([0.0], [-100.0])
    assert (found.flushed, found.judged, found.wrong, found.largest) == (1, 0, 0, 0.0)


def test_another_number_of_elements_is_wrong_with_its_reason() -> None:
    found = judged([1.0, 2.0], [0.0])
    assert (found.wrong, found.reason) == (2, "2 numbers where the exact result has 1")


def test_the_bound_of_a_sum_grows_with_its_terms_and_not_with_what_is_left() -> None:
    found = ARRAYS["sum"]([of(1.0, -1.0, 2.0**-40)], {})[""]
    for off, wrong in ((2**-20, 0), (2**-12, 1)):
        data = np.array([2.0**-40 + off], np.float32).tobytes()
        assert errors(found, Output(dtype="float32", shape=(), data=data)).wrong == wrong


def test_exact_results_are_kept_and_made_again_where_the_file_is_damaged(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path))
    case = CASES["sum"]
    bits = dict.fromkeys(case.args, "0" * 64)
    first = truths.exact(case, {"x": of(1.0, 2.0)}, bits)
    kept = truths.exact(case, {"x": of(7.0)}, bits)
    assert kept["sum"].high.tolist() == first["sum"].high.tolist() == [3.0]
    (path,) = tmp_path.glob("exact/*/*")
    path.write_bytes(b"damaged")
    assert truths.exact(case, {"x": of(7.0)}, bits)["sum"].high.tolist() == [7.0]
    shutil.rmtree(tmp_path / "exact")
    (tmp_path / "exact").write_bytes(b"")  # nothing can be kept
    assert truths.exact(case, {"x": of(8.0)}, bits)["sum"].high.tolist() == [8.0]


def test_an_exact_result_that_was_kept_is_read_as_it_was_or_not_at_all(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path))
    case = CASES["sum"]
    bits = dict.fromkeys(case.args, "0" * 64)
    truths.exact(case, {"x": of(1.0, 2.0)}, bits)
    (path,) = tmp_path.glob("exact/*/*")
    whole = path.read_bytes()
    places = range(0, len(whole), 3)
    cut, flipped = (
        (whole[:at] for at in places),
        (whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in places),
    )
    for data in (*cut, *flipped):
        path.write_bytes(data)
        assert truths.exact(case, {"x": of(7.0)}, bits)["sum"].high.tolist() in ([3.0], [7.0])


@pytest.mark.parametrize("name", ["exp", "sum", "fft", "argsort"])  # bounded; a sum; complex; nothing rounded
def test_a_kept_exact_result_is_the_one_that_was_computed(name, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path))
    case, x = CASES[name], of(1.0, -2.5, 1e-30)
    given = dict.fromkeys((each.partition("[")[0] for each in case.args), x)
    made, kept = (truths.exact(case, given, dict.fromkeys(given, "0" * 64)) for _ in range(2))
    assert made.keys() == kept.keys() != set()
    for output, exact in made.items():
        parts = [[getattr(each, part) for part in ("high", "low", "known", "sizes")] for each in (exact, kept[output])]
        assert [str(a) for a in parts[0]] == [str(b) for b in parts[1]]
        assert (exact.terms, exact.bounded) == (kept[output].terms, kept[output].bounded)


def test_a_subnormal_argument_that_was_taken_for_zero_is_flushed_and_not_wrong() -> None:
    found = elementwise("log", [of(1e-40, 2.0)])
    output = Output(dtype="float32", shape=(2,), data=np.array([-np.inf, np.log(2.0)], np.float32).tobytes())
    assert errors(found, output).wrong == 1
    kept = errors(found, output, np.array([True, False]))
    assert (kept.wrong, kept.flushed, kept.judged) == (0, 1, 1)
