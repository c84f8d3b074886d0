"""The pairs of cells that published documents speak of."""

from itertools import combinations

from repromatrix.published.assertions import Blamed
from repromatrix.published.pairs import Documents

SHORT = "mazur/numpy-2.4.6-cpu/unrolled"  # two steps, all others ten


def test_every_two_columns_of_one_length_are_a_pair_of_the_newest_cells(builder) -> None:
    records = builder.run()
    pairs = list(Documents(builder.manifest(records), records).pairs())
    newest = [cell for pair in pairs for cell in pair]
    assert len(pairs) == len(set(map(frozenset, pairs))) == len(list(combinations(range(10), 2)))
    assert SHORT not in newest
    assert not [cell for cell in newest if "1.26.4" in cell or "2.9.1" in cell]


def test_a_column_that_did_not_run_is_in_no_pair(builder) -> None:
    records = [record for record in builder.run() if record.cell.framework != "jax"]
    pairs = Documents(builder.manifest(records), records).pairs()
    assert not [cell for pair in pairs for cell in pair if "jax" in cell]


def test_what_statements_blame_is_told_by_the_cells_of_their_columns(builder) -> None:
    records = builder.run()
    blamed = Documents(builder.manifest(records), records).blamed()
    of_tensorflow = [things for cells, things in blamed.items() if any("tensorflow" in cell for cell in cells)]
    assert all(isinstance(thing, Blamed) for things in blamed.values() for thing in things)
    assert any(thing.name in ("layout", "loss_form") for things in of_tensorflow for thing in things)
