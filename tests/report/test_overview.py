"""The first screen: who agrees with whom as a picture, and one number for one thing."""

import re

from repromatrix.report.render import html
from repromatrix.results.record import Outcome
from tests.report.reports import build


def grid(builder, records):
    (found,) = build(builder.manifest(records, tables=()), records).sections["overview"].grids
    return found


def looks(found):
    return [[cell and (cell.label, cell.look, cell.state) for cell in row.cells] for row in found.rows]


def test_a_cell_has_the_name_and_the_colour_of_its_class_and_a_gap_is_nothing(builder):
    records = [
        builder.record((0.5, loss), framework=framework, version="1.0", variant=variant)
        for framework, variant, loss in (("numpy", "a", 0.25), ("torch", "a", 0.25), ("numpy", "b", 0.75))
    ]
    found = grid(builder, records)
    assert found.columns == ("NumPy 1.0", "PyTorch 1.0")
    assert [(row.name, row.dtype) for row in found.rows] == [("a", "float64"), ("b", "float64")]
    assert looks(found) == [[("C1", "k1", 0), ("C1", "k1", 0)], [("C2", "own", 0), None]]
    assert [(look, name, size, same) for look, name, size, same, _ in found.key] == [("k1", "C1", 2, True)]


def test_the_same_losses_and_the_same_weights_are_told_apart(builder):
    records = [builder.record((0.5,), variant=name, weights=weights) for name, weights in (("a", 1.0), ("b", 2.0))]
    found = grid(builder, records)
    assert looks(found) == [[("C1", "k1", 1)], [("C1", "k1", 2)]]
    page = html(build(builder.manifest(records, tables=()), records))
    assert "2 cells with the same losses, different last weights" in page
    assert page.count("<sup>") == 2


def test_what_gave_no_losses_says_what_became_of_it(builder):
    records = [
        builder.record(variant="a", outcome=Outcome.FAILED, reason="x"),
        builder.record((0.5,), repeats=((0.75,),), variant="b"),
    ]
    assert looks(grid(builder, records)) == [[("failed", "lost", 0)], [("repeats differ", "lost", 0)]]


def test_only_the_largest_classes_have_a_colour_of_their_own(builder):
    records = [
        builder.record((0.5, number / 64), framework=framework, variant=f"v{number}")
        for number in range(10)
        for framework in ("numpy", "torch")
    ]
    found = grid(builder, records)
    assert [look for look, *_ in found.key] == [f"k{number}" for number in range(1, 9)]
    assert {cell.look for row in found.rows[8:] for cell in row.cells} == {"few"}


def test_environments_that_differ_in_python_alone_say_which(builder):
    records = [
        builder.record(
            (0.5,), environment=f"numpy-1.0-cpu-{python}", python=python, version="1.0", id=f"mazur/{python}"
        )
        for python in ("3.9", "3.11")
    ]
    assert grid(builder, records).columns == ("NumPy 1.0, Python 3.9", "NumPy 1.0, Python 3.11")


def test_the_dtypes_stand_together_the_finest_first(builder):
    kinds = ("float32", "float64", "float32", "float64")
    records = [builder.record((0.5,), dtype=dtype, variant=f"v{place}") for place, dtype in enumerate(kinds)]
    assert [row.name for row in grid(builder, records).rows] == ["v1", "v3", "v0", "v2"]


def test_the_first_screen_has_the_picture_then_the_answers_and_no_table_first(rich):
    first = html(rich.view).split('<div class="bar">')[0]
    assert first.index("Who agrees with whom") < first.index("What agrees") < first.index("What differs")
    assert first.index("What differs") < first.index("Largest unexplained differences") < first.index("What changed")
    assert "C2 and C5</a> of mazur differ by up to 1.63e-6 (" in first
    assert re.search(r"<h1>28 of 31 cells ran in 11 environments: their losses fall into 17 classes</h1>", first)
    assert "published" not in first.split('<div class="answers">')[0]
