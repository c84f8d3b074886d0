"""Which pairs of classes are explained without being named."""

import pytest

from repromatrix.explain.nearness import Nearness
from repromatrix.explain.space import Space
from repromatrix.plan import universe


@pytest.fixture
def matrix(small_matrix):
    return small_matrix()


@pytest.fixture
def cells(matrix):
    return {cell.id.removeprefix("tiny/"): cell for cell in universe(matrix)}


@pytest.fixture
def nearness(matrix):
    return Nearness({each.name: Space(matrix, each) for each in matrix.workloads})


def names(pairs) -> list[tuple[str, ...]]:
    return [tuple(cell.id.removeprefix("tiny/") for cell in pair) for pair in pairs]


def test_versions_side_by_side_come_first_and_dtypes_last(cells, nearness) -> None:
    groups = [
        [cells["numpy-2.0-cpu/parallel-float32"]],
        [cells["numpy-1.0-cpu/parallel"]],
        [cells["numpy-2.0-cpu/parallel"]],
        [cells["numpy-2.0-cpu/parallel+avx2"]],
    ]
    assert names(nearness.chosen(groups)) == [
        ("numpy-1.0-cpu/parallel", "numpy-2.0-cpu/parallel"),
        ("numpy-2.0-cpu/parallel", "numpy-2.0-cpu/parallel+avx2"),
        ("numpy-2.0-cpu/parallel-float32", "numpy-2.0-cpu/parallel"),
    ]


def test_there_are_at_most_twice_as_many_pairs_as_classes_and_each_class_is_in_one(cells, nearness) -> None:
    groups = [[cell] for cell in cells.values() if cell.device == "cpu"]
    found = names(nearness.chosen(groups))
    assert len(groups) < len(found) <= 2 * len(groups)
    assert {cell for pair in found for cell in pair} == {cell.id.removeprefix("tiny/") for (cell,) in groups}


def test_one_class_alone_has_nothing_to_be_held_against(cells, nearness) -> None:
    assert names(nearness.chosen([[cells["numpy-1.0-cpu/parallel"]]])) == []


def test_of_equally_near_cells_those_of_one_dtype_stand_for_their_classes(cells, nearness) -> None:
    left = [cells["numpy-2.0-cpu/parallel-float32"], cells["numpy-1.0-cpu/parallel"]]
    right = [cells["numpy-2.0-cpu/parallel"]]
    assert names([nearness.nearest(left, right)]) == [("numpy-1.0-cpu/parallel", "numpy-2.0-cpu/parallel")]
