"""`verify` finds whatever was changed in a report or in the records behind it, whatever it is about."""

import copy
import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repromatrix.errors import UsageError
from repromatrix.report.render import contents
from repromatrix.report.verify import check
from repromatrix.report.verify.check import compare, expected, verify
from repromatrix.report.verify.form import read_document
from repromatrix.report.verify.layout import same_files
from tests import values
from tests.report import oracles

ALL = sorted(check.KINDS)


@pytest.fixture(scope="module")
def files(rich):
    return contents(rich.view)


@pytest.fixture(scope="module")
def written(files):
    return json.loads(files["report.json"])


@pytest.fixture(scope="module")
def due(rich):
    return expected(rich.evidence)


@pytest.fixture
def complaints(rich, written, due):
    """Return what is found in the report's document after a change to it."""

    def find(change):
        document = copy.deepcopy(written)
        change(document)
        return compare(document, rich.evidence, due)

    return find


def of_kind(document, kind):
    return next(each for each in document["sentences"] if each["kind"] == kind)


def leaves(value, path=()):
    """Every place in nested lists and mappings that holds a single value."""
    if isinstance(value, dict):
        return [leaf for name, each in value.items() for leaf in leaves(each, (*path, name))]
    if isinstance(value, list):
        return [leaf for place, each in enumerate(value) for leaf in leaves(each, (*path, place))]
    return [path]


def another(value):
    """A value of the same kind that is not this one."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return value + 1
    return f"{value[:-1]}{'1' if value[-1:] != '1' else '2'}"


def change(document, path):
    *way, last = path
    for each in way:
        document = document[each]
    document[last] = another(document[last])


def test_an_honest_report_has_nothing_to_complain_about(rich, written):
    assert verify(written, rich.evidence) == ()


def test_the_run_of_these_tests_has_a_sentence_of_every_kind_that_is_computed_again(written):
    assert {each["kind"] for each in written["sentences"]} >= check.KINDS


def test_sums_lists_and_words_are_those_that_other_code_makes_of_the_records(rich, written):
    said = {each["id"]: each for each in written["sentences"] if each["kind"] != "class_rule"}
    again = {each.id: each for each in oracles.due(rich.evidence)}
    assert said.keys() == again.keys()
    for name, each in again.items():
        assert (said[name]["kind"], said[name]["cells"]) == (each.kind, list(each.cells)), name
        assert said[name]["values"] == each.values, name


@pytest.mark.parametrize("kind", ALL)
def test_every_value_of_a_sentence_is_held_against_the_records(complaints, written, kind):
    said = of_kind(written, kind)
    for path in leaves(said["values"]):
        found = complaints(lambda document, path=path: change(of_kind(document, kind)["values"], path))
        assert any(each.where.startswith(said["id"]) for each in found), path


def test_every_value_of_every_divergence_is_held_against_the_traces(complaints, written):
    said_all = [each for each in written["sentences"] if each["kind"] == "first_divergence"]
    values = [each["values"] for each in said_all]
    kinds = {(each["step"] is None, each["reason"] is None) for each in values}
    assert kinds == {(True, False), (False, True), (True, True)}
    assert any(each["caveats"] for each in values)
    for place, said in enumerate(said_all):
        for path in leaves(said["values"]):

            def damage(document, place=place, path=path):
                every = [each for each in document["sentences"] if each["kind"] == "first_divergence"]
                change(every[place]["values"], path)

            assert any(each.where.startswith(said["id"]) for each in complaints(damage)), path


@pytest.mark.parametrize("name", ["output", "loss", "output_weights"])
def test_one_bit_of_a_trace_is_enough_where_they_part(rich, written, name):
    parted = [
        each["values"] | {"cells": each["cells"]}
        for each in written["sentences"]
        if each["kind"] == "first_divergence" and each["values"]["tensor"] == name
    ]
    assert parted
    for each in parted:
        trace = rich.traces[each["cells"][0]]
        column = trace.columns[name]
        texts = list(column.texts)
        texts[(each["step"] - 1) * column.size] = math.nextafter(float.fromhex(each["a"]), math.inf).hex()
        moved = replace(trace, trajectory=values.with_column(trace.trajectory, name, texts=tuple(texts)))
        evidence = replace(rich.evidence, traces=rich.traces | {moved.cell.id: moved})
        ids = {complaint.where.partition(": ")[0] for complaint in verify(written, evidence)}
        assert f"first-divergence/{each['cells'][0]}/{each['cells'][1]}" in ids


def test_a_trace_that_is_gone_is_missed(rich, written):
    name = next(iter(rich.traces))
    traces = {each: trace for each, trace in rich.traces.items() if each != name}
    found = verify(written, replace(rich.evidence, traces=traces, damaged={name: "its file is not there"}))
    assert f"traces/{name}" in {each.where for each in found}
    assert any(each.where.startswith("first-divergence/") for each in found)


@pytest.mark.parametrize("kind", ALL)
def test_every_cell_of_a_sentence_is_held_against_the_records(complaints, written, kind):
    said = of_kind(written, kind)
    for place in range(len(said["cells"])):
        assert complaints(lambda document, place=place: of_kind(document, kind)["cells"].pop(place))
        assert complaints(lambda document, place=place: change(of_kind(document, kind)["cells"], (place,)))


def test_every_word_and_every_value_of_report_json_is_held_by_its_bytes(rich, written):
    kinds = {each["kind"]: place for place, each in enumerate(written["sentences"])}
    for kind, place in kinds.items():
        said = written["sentences"][place]
        for path in [("text",), *((("values", *way)) for way in leaves(said["values"])[:3])]:
            document = copy.deepcopy(written)
            change(document["sentences"][place], path)
            data = {"report.json": (json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()}
            (found,) = same_files(data, rich.view)
            assert found.where.startswith(f"report.json: sentences[{place}].{path[0]}"), kind


@pytest.mark.parametrize("name", ["index.html", "report.md"])
def test_a_changed_word_of_a_page_is_found_by_its_bytes(rich, files, name):
    text = files[name]
    for word in ("reproduced", "an experiment shows the cause", "102 of 102", "C1"):
        place = text.rindex(word)
        broken = {name: f"{text[:place]}x{text[place + 1 :]}".encode()}
        assert [each.where.partition(":")[0] for each in same_files(broken, rich.view)] == [name], word


@pytest.mark.parametrize("kind", ALL)
def test_a_sentence_that_is_left_out_is_missed(complaints, written, kind):
    for said in [each for each in written["sentences"] if each["kind"] == kind]:
        found = complaints(lambda document, said=said: document["sentences"].remove(said))
        assert [(each.where, each.says) for each in found] == [(said["id"], "nothing")]


@pytest.mark.parametrize("kind", ALL)
def test_a_sentence_that_the_records_do_not_call_for_is_refused(complaints, kind):
    def invent(document):
        document["sentences"].append(of_kind(document, kind) | {"id": "invented"})

    assert "invented" in {each.where for each in complaints(invent)}
    assert complaints(lambda document: document["sentences"].append(of_kind(document, kind)))


def test_what_the_report_says_a_cell_computed_is_held_against_its_record(complaints, written):
    known = {"id", "key", "outcome", "reason", "dtype", "options", "repeats", "losses", "predictions", "bits"}
    for path in leaves({name: each for name, each in written["cells"][0].items() if name in known}):
        assert complaints(lambda document, path=path: change(document["cells"][0], path)), path
    assert complaints(lambda document: document["cells"].pop())
    assert complaints(lambda document: document["missing"].pop())


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_one_bit_of_one_record_is_enough(rich, written, data):
    ran = [number for number, each in enumerate(rich.records) if each.trajectories]
    number = data.draw(st.sampled_from(ran))
    record = rich.records[number]
    first = record.trajectories[0]
    column = data.draw(st.sampled_from(first.columns))
    place = data.draw(st.integers(0, len(column.texts) - 1))
    texts, old = list(column.texts), column.texts[place]
    texts[place] = math.nextafter(float.fromhex(old), math.inf).hex() if old != "nan" else (0.5).hex()
    moved = values.with_column(first, column.name, texts=tuple(texts))
    moved = replace(record, trajectories=(moved, *record.trajectories[1:]))
    records = (*rich.records[:number], moved, *rich.records[number + 1 :])
    found = verify(written, replace(rich.evidence, records=records))
    # Of a member of an ensemble only the losses measure anything.
    measures = "~" not in record.cell.id or (column.name == "loss" and place == 1 and record.cell.id.endswith("~2"))
    assert bool(found) == measures


def test_a_report_of_other_records_is_refused(rich, written, builder):
    records = builder.run()
    other = replace(rich.evidence, manifest=builder.manifest(records), records=records, missing=(), accepted=None)
    assert "no such cell: made from other records" in {each.records for each in verify(written, other)}


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{", b"null", b'{"format": 1}', b'{"format": 9, "sentences": [], "cells": []}',
     b'{"format": 1, "sentences": [7], "cells": []}', b'{"format": 1, "sentences": [], "cells": [{"id": 3}]}',
     b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_report_is_refused_with_the_next_step(data):
    with pytest.raises(UsageError, match="repromatrix report"):
        read_document(data, "report.json")
