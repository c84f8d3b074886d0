"""The sentences of the report say what was run and no more, and can be read."""

import re

import pytest

from repromatrix.compare.classes import Class
from repromatrix.compare.rules import Rule, Term
from repromatrix.compare.versions import Line, Stop, lines
from repromatrix.report import wording
from repromatrix.report.render import html, markdown
from repromatrix.report.sections import classes, versions
from repromatrix.report.sentence import short
from repromatrix.results.record import Outcome
from tests.report.reports import build


def line(*stops, **changed):
    values = {"workload": "w", "framework": "jax", "flavour": "cpu", "python": "3.9", "variant": "grad"}
    values |= {"device": "cpu", "settings": "default"} | changed
    stops = tuple(Stop(version=version, label=label, cell=None, reason=why) for version, label, why in stops)
    return versions.line_of(Line(stops=stops, **values)).text.partition(": ")


def test_a_version_that_was_not_run_breaks_a_run_of_equal_ones():
    gap = [(version, None, "not run") for version in ("0.4.38", "0.5.3")]
    said = line(("0.4.30", "A", None), *gap, ("0.6.2", "A", None), ("0.7.2", "A", None), ("0.10.2", "B", None))
    assert said[2] == "A 0.4.30; 0.4.38, 0.5.3 not run; A 0.6.2 to 0.7.2; B 0.10.2"


def test_so_does_one_without_losses_and_it_says_why():
    said = line(("1.0", "A", None), ("2.0", None, "failed: SIGILL"), ("3.0", "A", None))
    assert said[2] == "A 1.0; 2.0: failed: SIGILL; A 3.0"


def test_a_line_names_framework_and_python():
    assert line(("1.0", "A", None))[0] == "w, grad, JAX, Python 3.9"
    assert line(("1.0", "A", None), framework="keras", flavour="jax")[0] == "w, grad, Keras on JAX, Python 3.9"


def test_an_upgrade_keeps_losses_and_perhaps_weights(builder):
    records = [
        builder.record((0.5,), version=version, variant=variant, weights=weights)
        for variant, weights in (("a", 1.0), ("b", None))
        for version, weights in (("1.0", 1.0), ("2.0", weights or 2.0))
    ] + [
        builder.record((0.5,), version="1.0", variant="c"),
        builder.record((0.25,), version="2.0", variant="c"),
        builder.record((0.5,), version="1.0", variant="d"),
        builder.record(outcome=Outcome.FAILED, reason="x", version="2.0", variant="d"),
    ]
    view = build(builder.manifest(records, tables=()), records, ())
    (said,) = view.of_kind("upgrade_totals")
    assert said.text == (
        "Of 3 upgrades from a version to the next, 2 have identical losses, 1 also identical last weights; 1 more "
        "could not be compared"
    )
    assert [each.notes for each in view.sections["versions"].unchanged] == ["", "other weights at the end"]
    for page in (html(view), markdown(view).replace("\\", "")):
        assert said.text in page
        assert "steps to a newer version" not in page


@pytest.mark.parametrize(
    ("ran", "said"),
    [
        (("1.0",), "One version ran"),
        (("1.0", "2.0"), "0 of 1 line with losses of two versions or more change"),
        ((), "No version ran"),
    ],
)
def test_lines_of_one_version_are_not_counted_as_unchanging(builder, ran, said):
    records = [
        builder.record((0.5,), version=version)
        if version in ran
        else builder.record(outcome=Outcome.FAILED, reason="x", version=version)
        for version in ("1.0", "2.0")
    ]
    page = html(build(builder.manifest(records, tables=()), records, ()))
    assert said in page
    (table,) = versions.tables(lines(records))
    assert (table.ran, table.compared) == (len(ran), int(len(ran) > 1))


def test_a_noise_floor_is_a_bound_that_says_what_it_is_derived_from():
    part = versions.FloorPart(
        workload="w", dtype="float32", reference="w/ref", members=["m1", "m2"], growth=[], bound=[0.125, 0.25]
    )
    said = versions.floor_of(part).text
    assert said.endswith("a bound derived from 2 one-ULP members of w/ref")
    assert "may bring" not in said


def brief(terms):
    rule = Rule(terms=tuple(Term(factors=each, cells=()) for each in terms), without=(), among=9)
    found = Class(
        workload="w", name="C1", dtypes=(), steps=1, cells=("a", "b"), losses=(), states=(), rule=rule, cpu_classes=()
    )
    return classes.briefs([found])[0].lines


def test_report_md_has_the_count_first_then_few_terms_and_cuts_no_word():
    terms = tuple((("dtype", (f"float{number}",)), ("version", ("jax 1.0",))) for number in range(5))
    (said,) = brief(terms)
    assert said == "C1 of w, 2 cells: float0; JAX 1.0, or: float1; JAX 1.0, and 3 more terms"
    long = tuple((f"factor{number}", tuple(f"value{each}" for each in range(9))) for number in range(9))
    (said,) = brief((long,))
    assert said.startswith("C1 of w, 2 cells: factor0 value0")
    assert re.search(r"(^| )(factor\d|value\d,?;?|more;?|and|or|\d) …$", said)


def test_a_cut_falls_between_words_and_is_announced():
    said = short(" ".join(f"word{number:03}" for number in range(99)))
    assert re.search(r" word\d{3} …$", said)
    assert len(said) <= 240


def test_frameworks_are_called_as_they_are_known():
    assert wording.framework("torch", "cuda", "2.1") == "PyTorch 2.1 (cuda)"
    assert wording.framework("keras", "torch", "3.1") == "Keras 3.1 on PyTorch"
    assert wording.framework("other", "cpu") == "other"


def test_the_first_screen_names_what_ran_and_who_agrees(builder):
    records = [
        builder.record((loss,), framework=name, version=version, dtype="float32", variant=f"v{loss}",
                       options=(("loop", f"{loss}"),))
        for name, version in (("numpy", "1.0"), ("numpy", "2.0"), ("torch", "2.0"))
        for loss in (0.5, 0.25)
    ]  # fmt: skip
    first = html(build(builder.manifest(records, tables=()), records, ())).split('<div class="bar">')[0]
    assert "Frameworks that ran: NumPy 1.0, 2.0; PyTorch 2.0" in first
    assert first.count("3 cells with the same losses, the same last weights:") == 2
    assert "float32" not in first or "loop 0.5; any framework and version that ran" in first
    assert "base interpreter" not in first
    assert "no container" in first
    assert "One version ran" not in first
