"""How long is left is said by what was measured, in words no finer than a guess."""

import pytest

from repromatrix.explain.pace import Pace, in_words


def test_before_anything_was_measured_nothing_is_said() -> None:
    assert Pace().of(5) is None


def test_nothing_left_takes_no_time_that_is_worth_a_word() -> None:
    assert Pace(runs=2, seconds=60).of(0) is None


def test_other_runs_take_as_long_as_those_that_were_measured() -> None:
    pace = Pace()
    pace.add(4, 100)
    pace.add(6, 20)
    assert pace.of(20) == "about 4 min"


def test_a_round_in_which_nothing_ran_measures_nothing() -> None:
    pace = Pace()
    pace.add(0, 1.5)
    assert pace.of(3) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "about 10 s"), (14, "about 10 s"), (88, "about 90 s"), (95, "about 2 min"), (200, "about 3 min")],
)
def test_a_guess_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
