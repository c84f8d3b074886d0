"""The verdicts on a document's statements are on the pages, and `verify` finds them again by another way."""

import json
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repromatrix.compare.allowance import Allowances, Tolerance
from repromatrix.explain.judge.explanation import explanations
from repromatrix.published.figures import check
from repromatrix.published.statements import judge
from repromatrix.published.verdicts import Condition, Evidence, Judged, Kind, Left, Measured, Tried, Word
from repromatrix.report.render import html, json_text, markdown
from repromatrix.report.sections import statements
from repromatrix.report.verify.check import verify
from repromatrix.report.verify.flips import judged_pair
from repromatrix.report.verify.measure import Judges
from repromatrix.report.verify.published import recompute_published
from repromatrix.results import experiments as ran
from repromatrix.results.experiments import Experiments, Factor, Flip, Pair, Run, Side
from repromatrix.results.manifest import Column, Published
from tests.moved import with_members
from tests.report.reports import build
from tests.report.texts import of_html, of_markdown

COUNTS = (
    "Of 33 statements of exact-comparison-results.md: "
    "24 confirmed, 2 confirmed with a condition, 4 refuted, 3 not tested"
)
TITLES = {"A": "numpy", "B": "numpy", "C": "jax"}


def verdict(condition=None, test="equal", **evidence):
    return Judged(
        id="n",
        says="s",
        word=Word.CONDITION,
        reason=None,
        condition=condition,
        evidence=Evidence(test=test, **evidence),
    )


def test_the_section_says_how_many_hold_and_what_is_wrong_first(builder):
    records = builder.run()
    view = build(builder.manifest(records), records, ())
    page, text = of_html(html(view)), of_markdown(markdown(view))
    for each in (page, text):
        assert COUNTS in each
        assert "What the published table got right and wrong" in each
        assert "only at steps 6 to 10" in each
    (table,) = view.sections["statements"].tables
    words = [each.verdict for each in table.rows]
    assert words == sorted(words, key=["refuted", "confirmed with a condition", "not tested", "confirmed"].index)
    assert all(each.id in page for each in table.rows)
    assert "| jax\\-pytorch\\-perfect" in markdown(view) or "jax-pytorch-perfect" in text
    assert "jaxseq-parallel-10" not in text  # what is confirmed is in index.html


def test_the_json_has_every_verdict_with_its_evidence(builder):
    records = builder.run()
    document = json.loads(json_text(build(builder.manifest(records), records, ())))
    claims = {each["id"]: each for each in document["published"]["claims"]}
    assert len(claims) == 33
    found = claims["noloop-numpy-1"]
    assert (found["verdict"], found["evidence"]["computed"]) == ("refuted", "0")
    assert claims["sequential-better"]["condition"] == {
        "kind": "steps", "steps": [6, 7, 8, 9, 10], "cells": [], "names": [], "says": "only at steps 6 to 10",
    }  # fmt: skip
    kinds = [each["kind"] for each in document["sentences"]]
    assert kinds.count("published_verdict") == 33
    assert kinds.count("published_verdict_totals") == 1


def test_verify_holds_what_stands_beside_the_table_against_the_claims(rich):
    view = rich.view
    document = json.loads(json_text(view))

    def told(change):
        damaged = json.loads(json.dumps(document))
        change(damaged["published"]["claims"])
        found = verify(damaged, rich.evidence)
        return {each.where for each in found}

    assert not told(lambda _: None)
    assert told(lambda claims: claims[3].update(verdict="refuted")) == {"published claims/numpy-pytorch-1"}
    assert told(lambda claims: claims[0]["evidence"].update(others=0)) == {"published claims/headline"}
    assert told(lambda claims: claims.pop(1)) == {"published claims/noloop-parallel-2"}
    assert told(lambda claims: claims.append(claims[1] | {"id": "x"})) == {"published claims/x"}


def test_what_is_blamed_is_told_after_the_cause():
    def row(name, finding, *, blamed=True, left="rounding"):
        ends = tuple(Left(where=w, cells=(), changed=False, verdict=left, reason=None) for w in ("a", "b"))
        ends += (Left(where="both", cells=(), changed=None, verdict=None, reason="why"),)
        return Tried(between=("a", "b"), names=(name,), kind="factors", blamed=blamed, finding=finding, ends=ends)

    cause = row("dtype", "cause", blamed=False, left="identical")
    few = statements.shown(verdict(test="cause", tried=(row("x", "refuted"), cause)))
    ends = "at A's end, at B's end; not tested (why) at both ends"
    assert few == (
        f"experiments show the cause: dtype (no bit changes, identical {ends}); "
        f"x: refuted (no bit changes, rounding {ends})"
    )
    rows = (*(row(each, "refuted") for each in "xy"), row("z", "inconclusive"))
    many = statements.shown(verdict(test="cause", tried=rows))
    assert many == "refuted: x, y; inconclusive: z"


def test_a_table_without_statements_has_no_such_section(builder):
    records = builder.run()
    data = builder.table() | {"claims": []}
    view = build(builder.manifest(records, tables=[builder.published(data)]), records, ())
    assert "got right and wrong" not in html(view) + markdown(view)


def test_conditions_are_said_with_what_they_stand_on():
    pair = (("a", "b"),)
    conditions = [Condition(kind=kind, steps=(1, 2, 4), cells=pair, names=("x", "y")) for kind in Kind]
    said = {each.kind: statements.on(verdict(each)) for each in conditions}
    assert said == {
        Kind.PRINTED: "only of the printed figures",
        Kind.STEPS: "only at steps 1 to 2, 4",
        Kind.EXCEPT: "not between a and b",
        Kind.ONLY: "only between a and b",
        Kind.EXPERIMENT: "not with x or y changed: the same bits in a and b",
        Kind.CAUSES: "of what is blamed, x, y",
        Kind.ALSO: "as well as x, y",
    }


def test_long_evidence_is_cut_and_says_how_much_more_there_is():
    one = Measured(a="A", b="B", cells=("a", "b"), own=True, steps=2, holds=(2,), least=(0.0).hex(), most=(0.5).hex())
    said = statements.shown(verdict(measured=(one,) * 5, others=7))
    assert said.startswith("A and B: the same bits at step 2 of 2, at most 5.00e-1 apart; A and B")
    assert said.endswith("and 2 more; the same answer in 7 other pairs of cells")


# The same by two ways, whatever was computed, stated and tried.

LOSSES = st.lists(st.sampled_from([0.5, 0.25, 0.5 + 2.0**-40, 0.0, -0.0, float("nan")]), min_size=3, max_size=3)
PAIRS = st.sampled_from([["A", "B"], ["A", "C"], ["C", "B"]])
FIGURES = st.sampled_from(["0.0", "2.5e-1", "0.3", "9.1e-13", "0.25"])
BLAMED = st.sampled_from(
    [
        {"factor": "option threads"},
        {"factor": "threads"},
        {"factor": "dtype"},
        {"option": "threads", "value": "y"},
        {"option": "o", "value": "v"},
        {"settings": "s"},
    ]
)
TESTS = st.one_of(
    st.builds(
        lambda p, i, v: {"type": "difference", "a": p[0], "b": p[1], "iteration": i, "value": v},
        PAIRS,
        st.integers(1, 3),
        FIGURES,
    ),
    st.builds(lambda pairs: {"type": "equal", "pairs": pairs}, st.lists(PAIRS, min_size=1, max_size=3)),
    st.builds(lambda p: {"type": "never_equal", "columns": p}, PAIRS),
    st.just({"type": "never_equal", "columns": ["A", "B"], "others": ["C"]}),
    st.builds(lambda p: {"type": "ordering", "lower": p[0], "higher": p[1]}, PAIRS),
    st.just({"type": "range", "columns": ["A", "B", "C"], "low": "0", "high": "0.25"}),
    st.builds(
        lambda p, i: {"type": "only_equal", "columns": ["A", "B", "C"], "pair": p, "iteration": i},
        PAIRS,
        st.integers(1, 3),
    ),
    st.builds(
        lambda things: {"type": "cause", "columns": ["B", "A"], "blamed": things},
        st.lists(BLAMED, min_size=1, max_size=3),
    ),
)
ENDS = st.sampled_from(["A", "B", "other", "none", "left"])


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_verify_comes_to_the_same_verdicts(builder, data):
    versions = data.draw(st.sampled_from([("2.0",), ("2.0", "1.0")]))
    records = [
        builder.record(data.draw(LOSSES), framework=framework, variant=title.lower(), version=version)
        for version in versions
        for title, framework in TITLES.items()
        if version != "2.0" or title != "C" or data.draw(st.booleans(), label="C ran")
    ]
    tests = data.draw(st.lists(TESTS, min_size=1, max_size=3))
    claims = [{"id": f"c{number}", "kind": "k", "says": "s", "test": test} for number, test in enumerate(tests)]
    columns = tuple(Column(title=n, framework=f, variant=n.lower(), predictions=n.lower()) for n, f in TITLES.items())
    losses = {title: ["0.5", "0.25", "0.5"] for title in TITLES}
    table = Published(workload="mazur", columns=columns, data={"losses": losses, "claims": claims})
    pair, tried = experiments(builder, records, data)

    allowed = Allowances(tolerances={"float64": Tolerance(relative=0, absolute=1e-6, source="s")})
    explained = list(explanations(Experiments(pairs=(pair,)), tried, allowed))
    found = judge(check(table, records), records, explained)

    judges = Judges(floors={}, tolerances={"float64": (0.0, 1e-6, "s")})
    again = [each for each in [judged_pair(pair, tried, judges)] if each is not None]
    due = [each for each in recompute_published(table, records, again) if each.kind == "published_verdict"]
    said = [statements.sentence_of("mazur", each) for each in found]
    assert [(each.id, each.cells, each.values) for each in due] == [(each.id, each.cells, each.values) for each in said]


def experiments(builder, records, data):
    """Return what was tried on A and B in their newest version, and the records by key."""
    a, b = (next(each for each in records if each.cell.variant == name) for name in "ab")
    known = {each.key: each for each in (a, b)}

    def attempt(name):
        like = data.draw(ENDS, label=name)
        if like in ("none", "left"):
            return Side(run=None, reason="why not", left=like == "left")
        losses = {"A": a, "B": b}.get(like) or builder.record(data.draw(LOSSES))
        made = replace(
            losses, cell=replace(a.cell, id=f"mazur/x/{name}"), key=builder.hashlib.sha256(name.encode()).hexdigest()
        )
        known[made.key] = made
        return Side(run=Run(id=made.cell.id, key=made.key))

    names = (("option threads",), ("threads",), ("option threads", "threads"))
    pair = Pair(
        a=Run(id=a.cell.id, key=a.key),
        b=Run(id=b.cell.id, key=b.key),
        of=("published",),
        factors=tuple(Factor(name=name, a="x", b="y") for (name,) in names[:2]),
        flips=tuple(Flip(factors=each, a=attempt(f"a{each}"), b=attempt(f"b{each}")) for each in names),
        conditions=tuple(
            ran.Condition(name=name, kind=kind, changes=(("k", "v"),), a=attempt(f"a.{name}"), b=attempt(f"b.{name}"))
            for name, kind in (("s", "settings"), ("o=v", "option"))
        ),
        budget=9,
        spent=9,
        exhausted=False,
    )
    return (with_members(pair, known) if data.draw(st.booleans(), label="members") else pair), known
