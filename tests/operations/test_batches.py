"""The operations on a batch and those of optimizers, against fractions and decimals that nothing of ours computes."""

import json
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import partial
from itertools import product
from math import prod

import numpy as np
import pytest

from repromatrix import floats, resources
from repromatrix.matrix.workload import load_workload
from repromatrix.operations import fresh, truth
from repromatrix.operations.catalogue import CATALOGUE, Constants, flat, narrowed, sized
from repromatrix.operations.exact import narrow
from repromatrix.operations.exact_cases import TRUTHS
from repromatrix.operations.exact_elementwise import ELEMENTWISE, elementwise
from repromatrix.operations.exact_result import Argument

RATIONAL = {
    "matmul": lambda x, b, o: sum(p * q for p, q in zip(x["x"][b], column(x["w"], o), strict=True)),
    "add_bias": lambda x, b, o: x["p"][b][o] + x["b"][o],
    "tanh_gradient": lambda x, i: x["e"][i] - x["e"][i] * x["a"][i] ** 2,
    "weight_gradient": lambda x, i, o: sum(p * q for p, q in zip(column(x["x"], i), column(x["d"], o), strict=True)),
    "bias_gradient": lambda x, o: sum(column(x["d"], o)),
    "input_gradient": lambda x, b, i: sum(p * q for p, q in zip(x["d"][b], x["w"][i], strict=True)),
    "velocity": lambda x, i: NUMBERS["momentum"] * x["m"][i] + x["g"][i],
    "first_moment": lambda x, i: x["m"][i] + (1 - NUMBERS["beta"]) * (x["g"][i] - x["m"][i]),
    "second_moment": lambda x, i: x["v"][i] + (1 - NUMBERS["beta"]) * (x["g"][i] ** 2 - x["v"][i]),
    "update": lambda x, o, i: x["W"][o][i] - NUMBERS["rate"] * x["g"][o][i],
}
NUMBERS = {
    name: Fraction(value)
    for name, value in {
        "momentum": 0.9, "beta": 0.9, "rate": 0.002, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-4,
    }.items()
}  # fmt: skip
CONSTANTS = Constants(numbers=tuple((name, float(number)) for name, number in NUMBERS.items()))
DIGITS = 60
BOTH = sorted(
    CATALOGUE.keys() & json.loads(load_workload(resources.folder("workloads") / "operations", "operations").rows)
)
BATCHES = (*RATIONAL, "tanh", "cross_entropy", "cross_entropy_gradient", "adam_update")


def column(rows, at):
    return [row[at] for row in rows]


def fractions(tensor):
    return [fractions(each) for each in tensor] if isinstance(tensor, list) else Fraction(tensor)


def decimals(tensor):
    return [decimals(each) for each in tensor] if isinstance(tensor, list) else Decimal(tensor)


def sizes(operation, sample):
    found = {}
    for name, tensor in sample.items():
        shape = shape_of(tensor)
        found |= dict(zip(CATALOGUE[operation].letters(name, len(shape)), shape, strict=True))
    return found


def shape_of(tensor):
    return (len(tensor), *shape_of(tensor[0])) if isinstance(tensor, list) else ()


def nearest(value, dtype):
    """The value of a dtype nearest to a fraction, ties to even: of that nearest to its float64 and those beside it."""
    about = floats.ordinal(floats.nearest(str(float(value)), dtype), dtype)
    near = [about + off for off in (-1, 0, 1)]
    return floats.at(min(near, key=lambda place: (abs(Fraction(floats.at(place, dtype)) - value), place & 1)), dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("operation", RATIONAL)
def test_sums_and_products_are_what_fractions_give_element_by_element(operation, dtype):
    for sample in fresh.samples(operation, dtype)[:40]:
        given = {name: fractions(tensor) for name, tensor in sample.items()}
        shape = sized(CATALOGUE[operation].gives, sizes(operation, sample))
        exact = [RATIONAL[operation](given, *index) for index in product(*map(range, shape))]
        assert truth.correct(operation, sample, dtype, CONSTANTS) == tuple(nearest(each, dtype) for each in exact)


def by_decimals(operation, sample):
    x = {name: decimals(tensor) for name, tensor in sample.items()}
    if operation == "tanh":
        return [1 - 2 / ((2 * z).exp() + 1) for z in x["z"]]
    if operation == "adam_update":
        rate, beta1, beta2, epsilon = (Decimal(float(NUMBERS[name])) for name in ("rate", "beta1", "beta2", "epsilon"))
        first, second = (1 - beta ** int(sample["t"]) for beta in (beta1, beta2))
        return [
            w - rate * (m / first) / ((v / second).sqrt() + epsilon)
            for w, m, v in zip(x["W"], x["m"], x["v"], strict=True)
        ]
    labels = [int(label) for label in sample["y"]]
    shares = [[o.exp() / sum(each.exp() for each in row) for o in row] for row in x["o"]]
    if operation == "cross_entropy":
        return [-sum(row[label].ln() for row, label in zip(shares, labels, strict=True)) / len(labels)]
    return [
        (share - (at == label)) / len(labels)
        for row, label in zip(shares, labels, strict=True)
        for at, share in enumerate(row)
    ]


@pytest.mark.parametrize("operation", ["tanh", "cross_entropy", "cross_entropy_gradient", "adam_update"])
def test_what_is_not_rational_is_what_sixty_decimal_digits_give(operation):
    with localcontext() as context:
        context.prec = DIGITS
        for sample in fresh.samples(operation, "float64")[:40]:
            exact = [Fraction(each) for each in by_decimals(operation, sample)]
            assert truth.correct(operation, sample, "float64", CONSTANTS) == tuple(nearest(e, "float64") for e in exact)


@pytest.mark.parametrize("operation", BOTH)
def test_a_name_means_the_same_operation_in_both_tables(operation):
    """The workload `operations` has exact results of its own; those of a step are the same numbers."""
    for sample in fresh.samples(operation, "float64")[:10]:
        given = [sample[name] for name in CATALOGUE[operation].takes]
        arguments = [Argument(shape=shape_of(each), values=np.array(each, np.float64).reshape(-1)) for each in given]
        other = (
            elementwise(operation, arguments)
            if operation in ELEMENTWISE
            else narrow(partial(TRUTHS[operation], arguments, {}))[""]
        )
        assert tuple(other.high.reshape(-1)) == truth.correct(operation, sample, "float64", CONSTANTS)


@pytest.mark.parametrize("operation", CATALOGUE)
def test_an_element_is_the_same_from_what_it_is_computed_from_alone(operation):
    for sample in fresh.samples(operation, "float32")[:3]:
        whole = truth.correct(operation, sample, "float32", CONSTANTS)
        shape = sized(CATALOGUE[operation].gives, sizes(operation, sample))
        assert len(whole) == prod(shape)
        for place, index in enumerate(product(*map(range, shape))):
            few, at = narrowed(operation, sample, index)
            assert truth.correct(operation, few, "float32", CONSTANTS)[at] == whole[place]


def test_what_an_element_has_no_part_in_is_left_out():
    sample = {"x": [[1.0, 2.0], [3.0, 4.0]], "w": [[5.0, 6.0, 7.0], [8.0, 9.0, 10.0]]}
    assert narrowed("matmul", sample, (1, 2)) == ({"x": [[3.0, 4.0]], "w": [[7.0], [10.0]]}, 0)
    kept = {"o": [[1.0, 2.0], [3.0, 4.0]], "y": [0.0, 1.0]}  # the mean is over all of the batch
    assert narrowed("cross_entropy_gradient", kept, (1, 0)) == (kept, 2)


@pytest.mark.parametrize("operation", BATCHES)
def test_fresh_calls_give_about_as_many_values_as_those_of_other_operations(operation):
    calls = fresh.samples(operation, "float32")
    values = prod(sized(CATALOGUE[operation].gives, sizes(operation, calls[0])))
    assert 2000 <= values * len(calls) <= 2 * 2048 * 2
    assert {each for name in CATALOGUE[operation].whole for call in calls for each in flat(call[name])} <= set(
        range(11)
    )
