"""The command `report` over a folder of records: what it says of the published table, and its exit code."""

from dataclasses import replace

import pytest

from repromatrix.__main__ import main
from repromatrix.results.record import Outcome
from repromatrix.results.store import Store


@pytest.fixture
def report(builder, tmp_path, capsys):
    """Write records with a table to a folder and return the exit codes of `report`, without and with the demand."""

    def run(records, data=None):
        store = Store(tmp_path / "results")
        for each in records:
            store.write(each)
        store.write_manifest(builder.manifest(records, tables=[builder.published(data)]))
        places = ["--results", str(tmp_path / "results"), "--output", str(tmp_path / "report")]
        codes = main(["report", *places]), main(["report", "--require-published", *places])
        return *codes, capsys.readouterr().err.splitlines()[-1]

    return run


def test_a_whole_table_is_0(builder, report):
    free, demanded, said = report(builder.run())
    assert (free, demanded) == (0, 0)
    assert said.endswith("102 of 102 losses and 10 of 10 predictions reproduced to every printed digit")


def test_a_loss_that_differs_is_told_and_refused(builder, report):
    data = builder.table()
    data["losses"]["Keras"][9] = "0.2288087309"
    free, demanded, said = report(builder.run(), data)
    assert (free, demanded) == (0, 1)
    assert said.endswith("101 of 102 losses and 10 of 10 predictions reproduced to every printed digit; 1 loss differs")


def test_a_prediction_that_differs_is_told_and_refused(builder, report):
    data = builder.table()
    data["final_predictions"]["Keras"]["prediction"][0] = "0.64517379"
    free, demanded, said = report(builder.run(), data)
    assert (free, demanded) == (0, 1)
    assert said.endswith(
        "102 of 102 losses and 9 of 10 predictions reproduced to every printed digit; 1 prediction differs"
    )


def test_a_prediction_that_nobody_computed_is_refused(builder, report):
    records = [
        replace(each, outcome=Outcome.SKIPPED, reason="why", trajectories=())
        if each.cell.variant == "keras-numpy-forward"
        else each
        for each in builder.run()
    ]
    free, demanded, said = report(records)
    assert (free, demanded) == (0, 1)
    assert said.endswith(
        "102 of 102 losses and 9 of 10 predictions reproduced to every printed digit; 1 prediction was not computed"
    )


def taken_as_found(record, **words):
    """The record as `run --here` would have made it, in an environment of its own."""
    cell = replace(record.cell, **words, environment=f"{record.cell.framework}-{words['version']}-here", flavour="here")
    cell = replace(cell, id=f"{cell.workload}/{cell.environment}/{cell.variant}")
    place = replace(record.provenance, engine="here", base_kind="here", lock_digest=None)
    return replace(record, cell=cell, provenance=place)


def test_what_is_not_pinned_answers_for_nothing_that_a_pinned_environment_could_answer_for(builder, report):
    records = builder.run()
    newer = [taken_as_found(each, version="9.9+cpu") for each in records if each.cell.framework == "torch"]
    wrong = [builder.with_losses(each, {10: 0.5}) for each in newer]
    free, demanded, said = report([*records, *wrong])
    assert (free, demanded) == (0, 0)
    assert said.endswith("102 of 102 losses and 10 of 10 predictions reproduced to every printed digit")
    lacking = [each for each in records if (each.cell.framework, each.cell.variant) != ("torch", "auto")]
    free, demanded, said = report([*lacking, *newer])
    assert (free, demanded) == (0, 1)
    assert said.endswith("92 of 102 losses and 9 of 10 predictions reproduced to every printed digit; "
        "10 losses were not computed; 1 prediction was not computed")  # fmt: skip


def test_what_is_not_pinned_alone_is_shown_and_told_and_refused_where_a_proof_is_demanded(builder, report):
    records = [
        taken_as_found(each, version=each.cell.version) if each.cell.framework == "torch" else each
        for each in builder.run()
    ]
    free, demanded, said = report(records)
    assert (free, demanded) == (0, 1)
    assert said.endswith("102 of 102 losses and 10 of 10 predictions reproduced to every printed digit; "
        "30 of these losses by no pinned environment")  # fmt: skip
