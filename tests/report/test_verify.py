"""`verify` finds whatever was changed in a report or in the records behind it, whichever kind of claim it is about."""

import copy
import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repromatrix import resources
from repromatrix.errors import UsageError
from repromatrix.report.claims import pages
from repromatrix.report.render import html, json_text, markdown
from repromatrix.report.verify.check import Written, compare, expected, verify
from repromatrix.report.verify.form import read_document
from tests import values

KINDS = json.loads(resources.schema("report").read_text("utf-8"))["$defs"]["claim"]["properties"]["kind"]["enum"]


@pytest.fixture(scope="module")
def written(rich):
    view = rich.view
    return Written(document=json.loads(json_text(view)), html=html(view), markdown=markdown(view))


@pytest.fixture(scope="module")
def due(rich):
    return expected(rich.evidence)


@pytest.fixture
def complaints(rich, written, due):
    """Return what is found in the report's document after a change to it."""

    def find(change):
        document = copy.deepcopy(written.document)
        change(document)
        return compare(Written(document=document, html=None, markdown=None), rich.evidence, due)

    return find


def of_kind(document, kind):
    return next(each for each in document["claims"] if each["kind"] == kind)


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


def test_the_run_of_these_tests_makes_claims_of_every_kind(written):
    assert {each["kind"] for each in written.document["claims"]} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_value_of_a_claim_is_held_against_the_records(complaints, written, kind):
    claim = of_kind(written.document, kind)
    for path in leaves(claim["values"]):
        found = complaints(lambda document, path=path: change(of_kind(document, kind)["values"], path))
        assert any(each.claim.startswith(claim["id"]) for each in found), path


def test_every_value_of_every_divergence_is_held_against_the_traces(complaints, written):
    claims = [each for each in written.document["claims"] if each["kind"] == "first_divergence"]
    values = [each["values"] for each in claims]
    kinds = {(each["step"] is None, each["reason"] is None) for each in values}
    assert kinds == {(True, False), (False, True), (True, True)}
    assert any(each["caveats"] for each in values)
    for place, claim in enumerate(claims):
        for path in leaves(claim["values"]):

            def damage(document, place=place, path=path):
                every = [each for each in document["claims"] if each["kind"] == "first_divergence"]
                change(every[place]["values"], path)

            assert any(each.claim.startswith(claim["id"]) for each in complaints(damage)), path


def test_the_list_of_divergences_is_held_against_the_traces(complaints, written):
    told = {"workload", "a", "b", "steps", "tensors", "reason", "caveats", "point", "same"}
    for place, each in enumerate(written.document["divergences"][:12]):
        known = {name: value for name, value in each.items() if name in told}
        for path in leaves(known):
            if path[-1] != "decimal":
                found = complaints(lambda document, way=(place, *path): change(document["divergences"], way))
                assert "divergences" in {each.claim for each in found}, path
    for damage in (None, 7, [7], [], [{}]):
        assert complaints(lambda document, damage=damage: document.update(divergences=damage))


@pytest.mark.parametrize("name", ["output", "loss", "output_weights"])
def test_one_bit_of_a_trace_is_enough_where_they_part(rich, written, name):
    parted = [
        each["values"] | {"cells": each["cells"]}
        for each in written.document["claims"]
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
        ids = {complaint.claim.partition(": ")[0] for complaint in verify(written, evidence)}
        assert f"first-divergence/{each['cells'][0]}/{each['cells'][1]}" in ids


def test_a_trace_that_is_gone_is_missed(rich, written):
    name = next(iter(rich.traces))
    traces = {each: trace for each, trace in rich.traces.items() if each != name}
    found = verify(written, replace(rich.evidence, traces=traces, damaged={name: "its file is not there"}))
    assert {f"traces/{name}", f"without-trace/{name}", "traced: cells"} <= {each.claim for each in found}


@pytest.mark.parametrize("kind", KINDS)
def test_every_cell_of_a_claim_is_held_against_the_records(complaints, written, kind):
    claim = of_kind(written.document, kind)
    for place in range(len(claim["cells"])):
        assert complaints(lambda document, place=place: of_kind(document, kind)["cells"].pop(place))
        assert complaints(lambda document, place=place: change(of_kind(document, kind)["cells"], (place,)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_word_of_a_sentence_is_held_against_the_records(complaints, written, kind):
    words = of_kind(written.document, kind)["text"].split(" ")
    for place in range(len(words)):
        other = " ".join([*words[:place], f"{words[place]}x", *words[place + 1 :]])
        found = complaints(lambda document, other=other: of_kind(document, kind).update(text=other))
        assert [each.claim.endswith(": text") for each in found] == [True]


@pytest.mark.parametrize("kind", KINDS)
def test_a_claim_that_is_left_out_is_missed(complaints, written, kind):
    for claim in [each for each in written.document["claims"] if each["kind"] == kind]:
        found = complaints(lambda document, claim=claim: document["claims"].remove(claim))
        assert [(each.claim, each.says) for each in found] == [(claim["id"], "nothing")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_claim_that_the_records_do_not_call_for_is_refused(complaints, kind):
    def invent(document):
        document["claims"].append(of_kind(document, kind) | {"id": "invented"})

    assert "invented" in {each.claim.partition(": ")[0] for each in complaints(invent)}
    assert complaints(lambda document: document["claims"].append(of_kind(document, kind)))


def test_a_claim_without_its_parts_is_a_complaint_and_no_crash(complaints, written):
    for kind in KINDS:
        for name in ("kind", "text", "cells", "values"):
            assert complaints(lambda document, kind=kind, name=name: of_kind(document, kind).pop(name))
            assert complaints(lambda document, kind=kind, name=name: of_kind(document, kind).update({name: 7}))
    assert written.document["claims"]


def test_what_the_report_says_a_cell_computed_is_held_against_its_record(complaints, written):
    known = {"id", "key", "outcome", "reason", "dtype", "options", "repeats", "losses", "predictions", "bits"}
    for path in leaves({name: each for name, each in written.document["cells"][0].items() if name in known}):
        assert complaints(lambda document, path=path: change(document["cells"][0], path)), path
    assert complaints(lambda document: document["cells"].pop())
    assert complaints(lambda document: document["missing"].pop())


def test_the_numbers_of_changes_are_held_against_the_accepted_run(complaints):
    for name in ("new", "gone", "outcomes", "bits", "identities", "digest"):
        assert complaints(lambda document, name=name: change(document["changes"], (name,)))
    assert complaints(lambda document: document.update(changes=None))


def test_a_rule_that_takes_in_too_much_or_too_little_is_named(complaints):
    def loosen(document):
        of_kind(document, "class_rule")["values"]["terms"] = [[]]

    (found, *_) = complaints(loosen)
    assert found.records.startswith("that holds for [")


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


def test_the_pages_must_have_the_sentences(rich, written, due):
    claims = written.document["claims"]
    for sentence in pages.on_page(claims):
        word = sentence.split()[0]
        broken = replace(written, html=written.html.replace(word, "Nonsense"))
        assert "index.html" in {each.claim for each in compare(broken, rich.evidence, due)}
    broken = replace(written, markdown=written.markdown.replace("102 of 102", "101 of 102"))
    assert {each.claim for each in compare(broken, rich.evidence, due)} == {"report.md"}


def test_a_claim_that_is_wrong_does_not_make_the_summary_lack_the_next_one_of_its_kind(rich, written, due):
    document = copy.deepcopy(written.document)
    claim = of_kind(document, "first_divergence")
    claim["values"]["steps"] += 1
    found = compare(replace(written, document=document), rich.evidence, due)
    assert {each.claim for each in found} == {f"{claim['id']}: values"}


def test_sentences_in_a_script_or_a_short_page_that_says_it_was_cut_do_not_count(rich, written, due):
    hidden = f"<script>{written.html}</script>"
    assert compare(replace(written, html=hidden), rich.evidence, due)
    cut = "**Cut here: the whole report is in index.html and report.json.**"
    assert compare(replace(written, markdown=cut), rich.evidence, due)


def test_a_report_of_other_records_is_refused(rich, written, builder):
    records = builder.run()
    other = replace(rich.evidence, manifest=builder.manifest(records), records=records, missing=(), accepted=None)
    assert "no such cell: made from other records" in {each.records for each in verify(written, other)}


def test_without_an_accepted_run_there_is_nothing_to_say_of_changes(rich):
    view = replace(rich, accepted=None, earlier={}).view
    found = Written(document=json.loads(json_text(view)), html=html(view), markdown=markdown(view))
    assert verify(found, replace(rich.evidence, accepted=None)) == ()
    assert {each.claim for each in verify(found, rich.evidence)} >= {"changes", "since-accepted"}


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{", b"null", b'{"format": 1}', b'{"format": 9, "claims": [], "cells": []}',
     b'{"format": 1, "claims": [7], "cells": []}', b'{"format": 1, "claims": [], "cells": [{"id": 3}]}',
     b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_report_is_refused_with_the_next_step(data):
    with pytest.raises(UsageError, match="repromatrix report"):
        read_document(data, "report.json")
