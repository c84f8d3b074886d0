"""Which cells share a whole trajectory."""

from repromatrix.compare.classes import classes
from repromatrix.results.record import Outcome


def test_cells_with_the_same_bits_share_a_class_and_the_largest_comes_first(builder):
    records = [
        builder.record((0.5, 0.1), id="lone"),
        builder.record((0.5, 0.2), id="a"),
        builder.record((0.5, 0.2), id="b", dtype="float32"),
    ]
    first, second = classes(records)
    assert (first.name, first.cells, first.dtypes) == ("C1", ("a", "b"), ("float32", "float64"))
    assert (second.name, second.cells) == ("C2", ("lone",))


def test_a_shorter_trajectory_is_another_class(builder):
    assert len(classes([builder.record((0.5,), id="a"), builder.record((0.5, 0.5), id="b")])) == 2


def test_signed_zero_separates_and_nan_does_not(builder):
    nan = float("nan")
    assert len(classes([builder.record((nan,), id="a"), builder.record((-nan,), id="b")])) == 1
    assert len(classes([builder.record((0.0,), id="a"), builder.record((-0.0,), id="b")])) == 2


def test_the_same_losses_with_other_weights_are_said_to_be_another_state(builder):
    same = classes([builder.record(id="a"), builder.record(id="b")])
    other = classes([builder.record(id="a"), builder.record(id="b", weights=2.0)])
    assert [each.same_state for each in (*same, *other)] == [True, False]


def test_failed_and_not_deterministic_cells_have_no_class(builder):
    records = [
        builder.record(outcome=Outcome.TIMED_OUT, reason="300 s", id="a"),
        builder.record((0.5,), repeats=((0.25,),), id="b"),
    ]
    assert classes(records) == ()
