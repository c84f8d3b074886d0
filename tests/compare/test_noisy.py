"""Noisy scores: the rate of false alarms holds whatever the noise looks like, and the stated shift is seen."""

from itertools import combinations

import numpy as np
import pytest

from repromatrix.compare import noisy

RUNS = 20_000
DISTRIBUTIONS = {
    "normal": lambda draw, count: draw.standard_normal(count),
    "heavy tails": lambda draw, count: draw.standard_t(1.5, count),
    "skewed": lambda draw, count: draw.lognormal(0, 1.5, count),
    "an accuracy over 100 examples": lambda draw, count: draw.binomial(100, 0.93, count) / 100,
    "nearly always the same": lambda draw, count: draw.binomial(1, 0.1, count).astype(float),
    "two modes": lambda draw, count: np.where(draw.random(count) < 0.2, 5.0, 0.0) + draw.standard_normal(count) / 10,
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("sizes", [(8, 8), (20, 4)], ids=str)
def test_no_more_than_the_stated_share_of_equal_repeats_fails(name: str, sizes: tuple[int, int]) -> None:
    draw = np.random.default_rng(7)
    alarms = sum(
        noisy.chance(DISTRIBUTIONS[name](draw, sizes[0]), DISTRIBUTIONS[name](draw, sizes[1])) <= noisy.RATE
        for _ in range(RUNS)
    )
    due = noisy.RATE * RUNS
    assert alarms <= due + 4 * due**0.5


@pytest.mark.parametrize("sizes", [(7, 7), (12, 6), (20, 20)], ids=str)
def test_the_stated_shift_is_seen_nine_times_in_ten(sizes: tuple[int, int]) -> None:
    draw, shift = np.random.default_rng(3), noisy.smallest(*sizes, noisy.RATE)
    seen = sum(
        noisy.chance(draw.standard_normal(sizes[0]), draw.standard_normal(sizes[1]) + shift) <= noisy.RATE
        for _ in range(2000)
    )
    assert 0.87 < seen / 2000 < 0.93


@pytest.mark.parametrize("values", [(1, 2, 3, 4, 5, 6), (1, 1, 2, 2, 2, 3), (5, 5, 5, 5, 5, 5), (0, 9, 9, 1, 1, 0)])
def test_the_chance_is_that_of_all_choices_counted_one_by_one(values: tuple[int, ...]) -> None:
    every = np.array(values, dtype=float)
    ranks = np.array([(every < each).sum() + ((every == each).sum() + 1) / 2 for each in every])
    own = ranks[4:].sum()
    sums = [sum(ranks[list(chosen)]) for chosen in combinations(range(6), 2)]
    due = min(1.0, 2 * min(sum(each <= own for each in sums), sum(each >= own for each in sums)) / len(sums))
    assert noisy.chance(every[:4], every[4:]) == pytest.approx(due)


def test_how_many_repeats_are_needed_is_the_least_number_that_can_fail() -> None:
    assert noisy.needed(noisy.RATE) == 7
    apart = np.arange(7.0)
    assert noisy.chance(apart, apart + 100) <= noisy.RATE < noisy.chance(apart[:6], apart[:6] + 100)
    assert noisy.needed(noisy.RATE, 20) == 4
    assert noisy.needed(noisy.RATE, 1) is None


def test_several_metrics_share_the_rate() -> None:
    scores = {name: [float(each) for each in range(10)] for name in ("a", "b", "c", "d")}
    found = noisy.judged(scores, scores)
    assert [each.rate for each in found] == [noisy.RATE / 4] * 4
    assert all(each.passes and each.shift == 0 for each in found)


def test_repeats_that_never_differ_see_any_shift() -> None:
    (found,) = noisy.judged({"acc": [0.5] * 8}, {"acc": [0.5000001] * 8})
    assert not found.passes
    assert found.seen == 0
