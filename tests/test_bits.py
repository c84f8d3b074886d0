"""The bits of every cell of the default matrix, as recorded on one class of CPU: no change of ours may move them.

`tests/data/mazur/<CPU class>.json` holds them. Reads what a run left in the checkout (`make matrix`), in either engine;
`.ci/run` makes both. On another class of CPU the frameworks choose other kernels, so nothing is compared there.
"""

import json
from pathlib import Path

import pytest

from repromatrix.results.record import Record
from repromatrix.results.store import Store

ROOT = Path(__file__).parent.parent
DATA = ROOT / "tests" / "data" / "mazur"


def _records(name: str) -> list[Record]:
    """Return the records of a results folder of the checkout, without the cells that measure noise; or skip."""
    store = Store(ROOT / name)
    if not store.has_manifest:
        pytest.skip(f"no run in {name}/: make matrix")
    manifest = store.read_manifest()
    members = {name for each in manifest.ensembles for name in each.members}
    return [each for each in store.records(manifest)[0] if each.cell.id not in members]


def _bits(record: Record) -> dict[str, object]:
    trajectory = record.trajectory
    assert trajectory is not None
    assert record.deterministic is not False
    return {
        "losses": " ".join(trajectory.losses),
        "predictions": [" ".join(row) for row in trajectory.predictions],
        "hidden_weights": [" ".join(row) for row in trajectory.tensor("hidden_weights")],
        "output_weights": [" ".join(row) for row in trajectory.tensor("output_weights")],
    }


@pytest.mark.parametrize("folder", ["results", "results-process"])
def test_every_cell_has_the_bits_that_it_had(folder: str) -> None:
    compared = 0
    for record in _records(folder):
        path = DATA / f"{record.provenance.cpu_class}.json" if record.provenance else None
        if path is None or not path.is_file() or not record.cell.id.startswith("mazur/"):
            continue
        expected = json.loads(path.read_text()).get(record.cell.id)
        if expected is not None:
            assert _bits(record) == expected, record.cell.id
            compared += 1
    if not compared:
        pytest.skip("no cell of this run has recorded bits for this class of CPU")


def test_the_recorded_bits_are_those_of_the_whole_default_matrix() -> None:
    for path in DATA.glob("*.json"):
        cells = json.loads(path.read_text())
        assert len(cells) == 159
        assert all(len(each["losses"].split()) + 1 == len(each["predictions"]) for each in cells.values())
