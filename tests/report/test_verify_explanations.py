"""What a report says of causes is recomputed by another way, from the losses, whatever was tried."""

import json
import math
import re
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix.__main__ import main
from repromatrix.floats import FORMS
from repromatrix.report.evidence import Evidence
from repromatrix.report.render import contents
from repromatrix.report.run import run_of
from repromatrix.report.sections import explanations
from repromatrix.report.verify import measure
from repromatrix.report.verify.cells import classes as classes_again
from repromatrix.report.verify.check import KINDS, verify
from repromatrix.report.verify.experiments import honest
from repromatrix.report.verify.explanations import explained
from repromatrix.results.experiments import Experiments, Factor, Run, Side
from repromatrix.results.record import Outcome
from repromatrix.results.store import Store
from tests.moved import with_members
from tests.report import tried
from tests.values import unseal

LOSSES = [0.5, 0.25, 0.25 + 2.0**-54, 0.2500001, 0.2501, 0.0, -0.0, math.nan, math.inf, 1e300, -1e300]
OWN = (("settings", "x"), ("update", "parallel"))  # options of a cell, and one that is called as another factor
NAMES = ("update", "dtype", "threads", "isa", "layout")


def both_ways(builder, records, experiments, known):
    """What the report says of experiments and what `verify` comes to, by id."""
    manifest = builder.manifest(records, tables=())
    evidence = Evidence(manifest=manifest, records=tuple(records), experiments=experiments, tried=known)
    stated = [each for each in explanations.build(run_of(evidence, {})).sentences if each.kind in KINDS]
    plain = tuple(classes_again(records))
    again = tuple(explained(experiments, manifest, known, measure.judges_of(manifest, records), plain))
    assert len({each.id for each in again}) == len(again) == len(stated)
    return tuple({each.id: (each.kind, each.cells, each.values) for each in way} for way in (stated, again))


@st.composite
def tried_pairs(draw, builder):
    """Records, experiments on their pairs, and the records that those stand on, with ends of every kind."""
    losses = st.tuples(*[st.sampled_from(LOSSES)] * 2)
    kinds = st.sampled_from(list(FORMS))
    records = [builder.record(draw(losses), dtype=draw(kinds), id=f"mazur/x/{number}", steps=2) for number in range(3)]
    changed_cells = [
        replace(
            builder.record(
                draw(losses),
                dtype=draw(kinds),
                id=f"mazur/x/h{number}",
                outcome=draw(st.sampled_from([Outcome.OK, Outcome.OK, Outcome.OK, Outcome.FAILED])),
                reason="it broke",
                repeats=((0.5, 0.75),) if draw(st.integers(0, 9)) == 0 else (),
            ),
            fingerprint={"kernels": {"core": draw(st.sampled_from("ab")), "x_requested": draw(st.sampled_from("ab"))}},
        )
        for number in range(6)
    ]
    runs = [Side(run=tried.run(each)) for each in (*changed_cells, *records)]
    gone = Side(run=Run(id="mazur/x/gone", key="00"))
    ends = st.sampled_from([*runs, *runs, tried.NONE, tried.LEFT, gone]).flatmap(
        lambda end: st.booleans().map(lambda left: replace(end, left=left or end.left))
    )
    sets = [each for size in (1, 2, 3) for each in combinations(NAMES, size)]
    pairs = []
    for a, b in combinations(draw(st.permutations(records)), 2):
        names = draw(st.lists(st.sampled_from(sets), unique=True, max_size=6))
        conditions = [
            tried.condition(f"c{number}", draw(st.sampled_from(["settings", "option"])), (), draw(ends), draw(ends))
            for number in range(draw(st.integers(0, 2)))
        ]
        found = tried.pair(
            a,
            b,
            tuple(sorted(draw(st.sets(st.sampled_from(["asked", "classes", "published"]), min_size=1)))),
            tuple((name, "x", "y") for name in NAMES[: draw(st.sampled_from([1, 5, 5]))] or NAMES),
            (),
            tuple(conditions),
            exhausted=draw(st.booleans()),
        )
        known = {each.name for each in found.factors}
        attempts = [tried.Flip(factors=each, a=draw(ends), b=draw(ends)) for each in names if known.issuperset(each)]
        if draw(st.integers(0, 9)) == 0:
            found = replace(found, a=Run(id=found.a.id, key="11"))
        pairs.append(replace(found, flips=tuple(attempts)))
    known = {each.key: each for each in (*records, *changed_cells)}
    if draw(st.booleans()):
        pairs = [with_members(pair, known) for pair in pairs]
        for key in draw(st.lists(st.sampled_from(sorted(known)), max_size=5)):  # members that are as they please
            if "~" in known[key].cell.id:
                known[key] = replace(known[key], trajectories=(builder.trajectory(draw(losses), None, 1.0),))
    return records, Experiments(pairs=tuple(pairs)), known


@given(data=st.data())
def test_both_ways_agree_whatever_was_tried(builder, data):
    records, experiments, known = data.draw(tried_pairs(builder))
    stated, again = both_ways(builder, records, experiments, known)
    assert stated == again


def test_with_a_measured_noise_floor_both_ways_judge_by_it(rich):
    stated = {each.id: each.values for each in rich.view.of_kind("factor_verdict")}
    assert stated
    own = tuple(classes_again([each for each in rich.records if "~" not in each.cell.id]))
    judges = measure.judges_of(rich.manifest, rich.records)
    again = explained(rich.experiments, rich.manifest, rich.tried, judges, own)
    assert {each.id: each.values for each in again if each.kind == "factor_verdict"} == stated


def test_one_bit_of_an_experiments_record_is_found(rich, builder):
    files = contents(rich.view)
    written = json.loads(files["report.json"])
    (name,) = [key for key, each in rich.tried.items() if each.cell.id.endswith("a.update-sequential")]
    moved = builder.with_losses(rich.tried[name], {2: 0.1250001})
    found = verify(written, replace(rich.evidence, tried=rich.tried | {name: moved}))
    assert "factor/mazur/numpy-2.4.6-cpu/a/mazur/numpy-2.4.6-cpu/c/update: values" in {each.where for each in found}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"dtype": "float32"}, "dtype"),
        ({"version": "9.9"}, "version"),
        ({"device": "cuda:0"}, "device"),
        ({"steps": 9}, "steps"),
    ],
)
def test_an_experiment_that_changed_more_than_it_says_is_named(rich, change, told):
    assert list(honest(rich.experiments, rich.tried)) == []
    (name,) = [key for key, each in rich.tried.items() if each.cell.id.endswith("a.update-sequential")]
    made = rich.tried[name]
    sly = rich.tried | {name: replace(made, cell=replace(made.cell, **change))}
    assert [each.where.rpartition(": ")[2] for each in honest(rich.experiments, sly)] == [told]


def test_an_option_that_was_not_flipped_as_it_says_is_named(rich):
    (name,) = [key for key, each in rich.tried.items() if each.cell.id.endswith("a.update-sequential")]
    first = rich.experiments.pairs[0]
    a, b = (rich.tried[run.key] for run in (first.a, first.b))
    known = rich.tried | {
        a.key: replace(a, factors=(("layout", "io"), ("update", "parallel"))),
        b.key: replace(b, factors=(("layout", "io"), ("update", "sequential"))),
    }
    for factors, told in [
        ((("layout", "io"), ("update", "sequential")), []),
        ((("layout", "io"), ("update", "parallel")), ["update"]),
        ((("layout", "oi"), ("update", "sequential")), ["layout"]),
    ]:
        found = honest(rich.experiments, known | {name: replace(rich.tried[name], factors=factors)})
        assert [each.where.rpartition(": ")[2] for each in found] == told


def test_a_pair_whose_factors_are_not_those_of_its_two_records_is_named(rich):
    first = rich.experiments.pairs[0]
    a, b = (rich.tried[run.key] for run in (first.a, first.b))
    known = rich.tried | {
        a.key: replace(a, factors=(("layout", "io"), ("update", "parallel"))),
        b.key: replace(b, factors=(("layout", "oi"), ("update", "sequential"))),
    }
    update = Factor(name="update", a="parallel", b="sequential")
    layout = Factor(name="layout", a="io", b="oi")
    threads = Factor(name="threads", a="1", b="2", silent=True)
    for factors, told in [
        ((layout, update, threads), []),
        ((update, threads), ["layout"]),
        ((replace(layout, b="io"), update), ["layout"]),
        ((layout, update, Factor(name="loss_form", a="half", b="mean")), ["loss_form"]),
        ((layout, update, Factor(name="dtype", a="float64", b="float32")), ["dtype"]),
        ((layout, update, replace(threads, silent=False)), ["threads"]),
        ((layout, replace(update, silent=True)), ["update"]),
    ]:
        sly = replace(first, factors=factors, flips=(), conditions=())
        found = honest(Experiments(pairs=(sly,)), known)
        assert [each.where.rpartition(": ")[2] for each in found] == told, factors


def test_an_option_that_is_called_as_a_setting_is_held_against_what_the_records_used(rich):
    first = rich.experiments.pairs[0]
    a, b = (rich.tried[run.key] for run in (first.a, first.b))
    known = rich.tried | {
        a.key: replace(a, factors=(("FAST", "off"), ("threads", "few"), ("version", "old"))),
        b.key: replace(b, factors=(("FAST", "on"), ("threads", "many"), ("version", "new"))),
    }
    fast, version = Factor(name="FAST", a="off", b="on"), Factor(name="option version", a="old", b="new")
    option, setting = (
        Factor(name="option threads", a="few", b="many"),
        Factor(name="threads", a="1", b="2", silent=True),
    )
    for factors, told in [
        ((fast, version, option, setting), []),
        ((fast, version, option), []),
        ((fast, version, setting), ["option threads"]),
        ((fast, option, setting), ["option version"]),
        ((replace(fast, silent=True), version, option), ["FAST"]),
        ((fast, version, replace(option, silent=True)), ["option threads"]),
        ((fast, version, option, Factor(name="variable FAST", a="none", b="1", silent=True)), []),
    ]:
        sly = replace(first, factors=factors, flips=(), conditions=())
        found = honest(Experiments(pairs=(sly,)), known)
        assert [each.where.rpartition(": ")[2] for each in found] == told, factors


def test_a_factor_whose_own_experiment_was_taken_away_is_named(rich):
    first = rich.experiments.pairs[0]
    sly = replace(first, flips=tuple(each for each in first.flips if each.factors != ("threads",)))
    (found,) = honest(Experiments(pairs=(sly,)), rich.tried)
    assert found.where.endswith(": threads")
    assert found.says == "never flipped alone, nor told why not"


@pytest.fixture
def results(builder, tmp_path):
    """A folder with two cells and an experiment between them, and its changed_cell."""
    store = Store(tmp_path / "results")
    a, b = builder.record((0.5, 0.25), variant="a"), builder.record((0.5, 0.125), variant="b")
    made = tried.changed_cell(builder, a, "update-sequential", like=b)
    attempts = ((("update",), tried.ran(made), tried.NONE),)
    found = tried.pair(a, b, ("classes",), (("update", "parallel", "sequential"),), attempts)
    keep(store, builder, found, a, b, made)
    return store, made


def keep(store, builder, pair, a, b, made):
    """Write two records, what was flipped between them and the members that exclude chance."""
    records = {each.key: each for each in (a, b, made)}
    pair = with_members(pair, records)
    for record in records.values():
        store.write(record)
    store.write_manifest(builder.manifest([a, b], tables=()))
    store.write_experiments(Experiments(pairs=(pair,)))


def command(name, store):
    report = store.folder.parent / "report"
    words = ["--output", str(report)] if name == "report" else [str(report)]
    return main([name, *words, "--results", str(store.folder)])


def test_a_report_with_experiments_says_the_cause_and_holds(results, capsys):
    store, _ = results
    assert (command("report", store), command("verify", store)) == (0, 0)
    assert "all hold" in capsys.readouterr().err
    said = (store.folder.parent / "report" / "report.md").read_text("utf-8")
    assert "For 1 of 1 pair an experiment shows the cause." in said
    assert "update alone: the cause in 1 of 1 pair" in said


def test_a_report_on_options_that_are_called_as_other_factors_holds(builder, tmp_path):
    store = Store(tmp_path / "results")
    a = replace(builder.record((0.5, 0.25), variant="a"), factors=(*OWN, ("version", "old")))
    b = replace(builder.record((0.5, 0.125), variant="b"), factors=(*OWN, ("version", "new")))
    made = replace(tried.changed_cell(builder, a, "option-version-new", like=b), factors=b.factors)
    attempts = ((("option version",), tried.ran(made), tried.NONE),)
    keep(store, builder, tried.pair(a, b, ("classes",), (("option version", "old", "new"),), attempts), a, b, made)
    assert (command("report", store), command("verify", store)) == (0, 0)
    said = (store.folder.parent / "report" / "report.md").read_text("utf-8")
    assert "option version alone: the cause in 1 of 1 pair" in said
    assert "option version old" in said


def test_a_changed_cell_that_was_changed_or_taken_away_is_found(results, capsys):
    store, made = results
    command("report", store)
    path = store.record_path(made.cell.id, made.key)
    whole = path.read_bytes()
    path.write_bytes(whole.replace((0.125).hex().encode(), (0.1875).hex().encode()))
    assert command("verify", store) == 2
    assert "its bytes have changed since" in capsys.readouterr().err
    unseal(store)
    assert command("verify", store) == 1
    path.unlink()
    assert command("verify", store) == 1
    told = capsys.readouterr().err
    assert "not testable" in told
    assert "unexplained/" in told


def test_experiments_that_were_edited_are_found(results, capsys):
    store, _ = results
    command("report", store)
    path = store.folder / "experiments.json"
    path.write_text(path.read_text("utf-8").replace('"update"', '"layout"'), "utf-8")
    assert command("verify", store) == 2
    assert "their bytes have changed since" in capsys.readouterr().err
    unseal(store)
    assert command("verify", store) == 1
    assert re.search(r"factor/\S+/layout\n  the report says:  nothing", capsys.readouterr().err)
