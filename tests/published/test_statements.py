"""Each statement of a published document gets a verdict from exact values and experiments, and on what it depends."""

import json
from dataclasses import replace

import jsonschema
import pytest

from repromatrix import resources
from repromatrix.compare.allowance import Allowances, Tolerance
from repromatrix.errors import ResultsError
from repromatrix.explain.judge.explanation import explanations
from repromatrix.published.figures import check
from repromatrix.published.statements import judge
from repromatrix.published.verdicts import Kind, Word
from repromatrix.results.experiments import Condition, Experiments, Factor, Flip, Pair, Run, Side
from repromatrix.results.manifest import Column, Published
from repromatrix.results.record import Outcome
from tests.moved import with_members

ALLOWED = Allowances(
    tolerances={name: Tolerance(relative=0, absolute=1e-4, source="s") for name in ("float64", "float32")}
)
NONE = Side(run=None, reason="there is no such cell")


@pytest.fixture
def tell(builder):
    """Return the verdict on one statement about columns A, B, C of given losses, in one version or several."""

    def find(statement, *versions, printed=None, explained=(), frameworks=None):
        known = frameworks or {}
        records = [
            builder.record(
                losses, framework=(frameworks or {}).get(title, "numpy"), variant=title.lower(), version=version
            )
            for version, columns in zip(("3.0", "2.0", "1.0"), versions, strict=False)
            for title, losses in columns.items()
        ]
        columns = tuple(
            Column(
                title=title,
                framework=known.get(title, "numpy"),
                variant=title.lower(),
                predictions=title.lower(),
            )
            for title in versions[0]
        )
        losses = {title: [f"{each:.10f}" for each in found] for title, found in versions[0].items()}
        data = {"losses": losses | (printed or {}), "claims": [{"id": "x", "kind": "k", "says": "s"} | statement]}
        table = Published(workload="mazur", columns=columns, data=data)
        (found,) = judge(check(table, records), records, explained)
        return found

    return find


def difference(value, iteration=1):
    return {"kind": "difference", "a": "A", "b": "B", "iteration": iteration, "value": value}


def test_the_document_is_of_its_schema_and_every_statement_has_a_test(builder):
    schema = json.loads(resources.schema("published").read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(builder.table())
    statements = check(builder.published(), builder.run()).table.statements
    assert len(statements) == 33
    assert all(each.test for each in statements)


def test_a_run_without_experiments_leaves_only_causes_untested(builder):
    found = {each.id: each for each in judge(check(builder.published(), builder.run()), builder.run(), ())}
    words = {name: each.word for name, each in found.items()}
    untested = {name for name, word in words.items() if word is Word.NOT_TESTED}
    assert untested == {"cause-blas", "cause-mse", "cause-update-order"}
    assert "repromatrix explain" in found["cause-mse"].reason
    refuted = {name for name, word in words.items() if word is Word.REFUTED}
    assert refuted == {"noloop-numpy-1", "noloop-pytorch-2", "range", "only-exact"}
    assert found["jax-pytorch-perfect"].condition.steps == (1, 3, 4, 5, 6, 7, 8, 9, 10)
    assert found["sequential-better"].condition.steps == (6, 7, 8, 9, 10)


def test_a_difference_is_the_exact_one_at_the_stated_digits(tell):
    found = tell(difference("1.25e-1"), {"A": (0.5,), "B": (0.375,)})
    assert (found.word, found.evidence.computed) == (Word.CONFIRMED, "1.25e-1")
    found = tell(difference("1.2e-1"), {"A": (0.5,), "B": (0.375,)})  # ties to even
    assert found.word is Word.CONFIRMED
    found = tell(difference("1.3e-1"), {"A": (0.5,), "B": (0.375,)})
    assert (found.word, found.evidence.computed) == (Word.REFUTED, "1.2e-1")


def test_a_difference_may_be_that_of_the_printed_figures_alone(tell):
    found = tell(difference("2e-1"), {"A": (0.5,), "B": (0.2,)}, printed={"B": ["0.3"]})
    assert (found.word, found.condition.kind) == (Word.CONDITION, Kind.PRINTED)


def test_a_stated_zero_means_the_same_bits(tell):
    assert tell(difference("0.0"), {"A": (0.5,), "B": (0.5,)}).word is Word.CONFIRMED
    found = tell(difference("0.0"), {"A": (0.5,), "B": (0.5 + 2**-50,)})
    assert (found.word, found.condition.kind) == (Word.CONDITION, Kind.PRINTED)
    found = tell(difference("0.0"), {"A": (0.0,), "B": (-0.0,)}, printed={"B": ["0.1"]})
    assert found.word is Word.REFUTED


def test_a_difference_at_a_step_that_was_not_run_is_not_tested(tell):
    found = tell(difference("0.0", 2), {"A": (0.5,), "B": (0.5, 0.5)}, printed={"A": ["0.5", "0.4"]})
    assert (found.word, found.reason) == (Word.NOT_TESTED, "A: mazur/numpy-3.0-cpu/a has no step 2")


def test_what_holds_in_some_versions_only_says_so(tell):
    same, other = {"A": (0.5,), "B": (0.5,)}, {"A": (0.5,), "B": (0.25,)}
    equal = {"test": {"type": "equal", "columns": ["A", "B"]}}
    cells = (("mazur/numpy-2.0-cpu/a", "mazur/numpy-2.0-cpu/b"),)
    found = tell(equal, same, other, same)
    assert (found.word, found.condition.kind, found.condition.cells) == (Word.CONDITION, Kind.EXCEPT, cells)
    found = tell(equal, other, same, other)
    assert (found.word, found.condition.kind, found.condition.cells) == (Word.CONDITION, Kind.ONLY, cells)
    assert found.evidence.others == 2
    assert tell(equal, other, other).word is Word.REFUTED


def test_columns_of_one_framework_are_compared_within_one_environment_others_across_all(tell):
    same = {"A": (0.5,), "B": (0.5,)}
    equal = {"test": {"type": "equal", "columns": ["A", "B"]}}
    assert tell(equal, same, same, same).evidence.others == 2
    assert tell(equal, same, same, same, frameworks={"B": "jax"}).evidence.others == 8


def test_equality_at_some_steps_is_told_with_the_steps(tell):
    equal = {"test": {"type": "equal", "pairs": [["A", "B"], ["A", "C"]]}}
    found = tell(equal, {"A": (1, 2, 3, 4), "B": (1, 2, 0, 4), "C": (1, 0, 3)})
    assert (found.condition.kind, found.condition.steps) == (Kind.STEPS, (1, 4))
    assert [each.holds for each in found.evidence.measured] == [(1, 2, 4), (1, 3)]


@pytest.mark.parametrize(
    ("lower", "word", "steps"),
    [((0.1, 0.1), Word.CONFIRMED, None), ((0.1, 0.5), Word.CONDITION, (1,)), ((0.5, 0.6), Word.REFUTED, None)],
)
def test_an_ordering_holds_where_the_loss_is_strictly_lower(tell, lower, word, steps):
    found = tell({"test": {"type": "ordering", "lower": "A", "higher": "B"}}, {"A": lower, "B": (0.5, 0.5)})
    assert (found.word, found.condition and found.condition.steps) == (word, steps)


def test_a_nan_is_in_no_order_and_in_no_range(tell):
    nan = {"A": (float("nan"), 0.1), "B": (0.5, 0.5)}
    columns = {"printed": {"A": ["0.1", "0.1"]}}
    assert tell({"test": {"type": "ordering", "lower": "A", "higher": "B"}}, nan, **columns).condition.steps == (2,)
    wide = {"type": "range", "columns": ["A", "B"], "low": "0", "high": "9"}
    found = tell({"test": wide}, nan, **columns)
    assert (found.condition.steps, found.evidence.measured[0].most) == ((2,), None)


def test_the_ends_of_a_range_belong_to_it(tell):
    test = {"type": "range", "columns": ["A", "B", "C"], "low": "0.125", "high": "0.5"}
    found = tell({"test": test}, {"A": (0.0, 0.0), "B": (0.125, 0.25), "C": (0.5, 0.75)})
    assert found.word is Word.CONDITION
    assert found.condition.steps == (1,)
    assert (found.evidence.limits, len(found.evidence.measured)) == (("0.125", "0.5"), 3)


def test_the_only_equal_pair_is_the_only_one_at_its_only_step(tell):
    only = {"test": {"type": "only_equal", "columns": ["A", "B", "C"], "pair": ["B", "A"], "iteration": 2}}
    assert tell(only, {"A": (1, 2), "B": (0, 2), "C": (3, 3)}).word is Word.CONFIRMED
    found = tell(only, {"A": (1, 2), "B": (0, 2), "C": (3, 2)})
    assert found.word is Word.REFUTED
    assert [(each.a, each.b, each.holds) for each in found.evidence.measured] == [
        ("A", "B", (2,)), ("A", "C", (2,)), ("B", "C", (2,)),
    ]  # fmt: skip
    assert tell(only, {"A": (1, 2), "B": (1, 2), "C": (3, 3)}).word is Word.REFUTED
    assert tell(only, {"A": (1, 2), "B": (0, 1), "C": (3, 3)}).word is Word.REFUTED


def test_a_column_that_was_not_run_leaves_a_statement_untested_with_the_reason(builder):
    records = [each for each in builder.run() if each.cell.framework != "jax"]
    found = {each.id: each for each in judge(check(builder.published(), records), records, ())}
    assert found["jax-pytorch-10"].reason == "JAX Auto: no record of jax in this run"
    assert {found[name].word for name in ("headline", "range", "only-exact")} == {Word.NOT_TESTED}
    records = [
        replace(each, outcome=Outcome.FAILED, reason="why", trajectories=()) if each.cell.variant == "keras" else each
        for each in builder.run()
    ]
    found = {each.id: each for each in judge(check(builder.published(), records), records, ())}
    assert (found["tf-keras-10"].word, found["tf-keras-10"].reason) == (Word.NOT_TESTED, "Keras: failed: why")


def test_a_statement_without_a_test_is_not_tested(tell):
    found = tell({}, {"A": (1,), "B": (1,)})
    assert (found.word, found.evidence.test) == (Word.NOT_TESTED, None)
    assert "no test" in found.reason


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ({"kind": "difference", "a": "A", "b": "B", "iteration": 1}, "claim x lacks 'value'"),
        (difference("1e-8", 7), "claim x: no iteration 7"),
        (difference("small"), "claim x"),
        (difference("1e-999999999"), "claim x: '1e-999999999' is no figure that a dtype can have"),
        ({"test": {"type": "equl"}}, "claim x: no test is called 'equl'; there are difference, never_equal"),
        ({"test": {"type": "equal", "columns": ["A", "Q"]}}, "claim x: the table has no column 'Q'"),
        ({"test": {"type": "equal", "columns": ["A"]}}, "claim x: two columns at least"),
        ({"test": {"type": "equal", "pairs": [["A", "A"]]}}, "none against itself"),
        ({"test": {"type": "equal", "pairs": ["AB"]}}, "claim x: 'AB' are not two columns"),
        ({"test": {"type": "range", "columns": ["A", "B"], "low": "2", "high": "1"}}, "the range 2 to 1 is empty"),
        ({"test": {"type": "cause", "columns": ["A", "B"], "blamed": []}}, "claim x: nothing is blamed"),
        ({"test": {"type": "cause", "columns": ["A", "B"], "blamed": [{"option": "o"}]}}, "claim x: {'option': 'o'}"),
        ({"test": 3}, "claim x: `test` is no object"),
        ({"says": 3}, "claim x: `says` is no text"),
        ({"id": ""}, "a claim without an id"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_with_the_statement(tell, claim, said):
    with pytest.raises(ResultsError) as raised:
        tell(claim, {"A": (1,), "B": (1,)})
    assert said in str(raised.value)


# What is blamed. A differs from B in the update, dtype and layout.


@pytest.fixture
def attempt(builder):
    """Return the verdict on what is blamed, given the losses (A's, B's or others) that each flip at A's end gives."""

    def find(blamed, conditions=None, sets=None, **flips):
        losses = {"A": (0.5, 0.5), "B": (0.5, 0.25), "other": (0.5, 0.375), "far": (0.5, 0.75)}
        own = {name: builder.record(losses[name], variant=name.lower(), version="3.0") for name in "AB"}
        own = {name: replace(each, factors=(("loss_form", "mean"),)) for name, each in own.items()}
        records = {each.key: each for each in own.values()}

        def ran(name, like):
            if like is None:
                return NONE
            if like == "left":
                return Side(run=None, reason="not run: the budget of 9 cells is spent", left=True)
            made = builder.record(losses[like], variant=name, version="3.0")
            records[made.key] = made
            return Side(run=Run(id=made.cell.id, key=made.key))

        pair = Pair(
            a=Run(id=own["A"].cell.id, key=own["A"].key),
            b=Run(id=own["B"].cell.id, key=own["B"].key),
            of=("published",),
            factors=tuple(Factor(name=name, a="x", b="y") for name in flips),
            flips=tuple(
                Flip(factors=names if isinstance(names, tuple) else (names,), a=ran(f"a.{names}", like), b=NONE)
                for names, like in (flips | (sets or {})).items()
            ),
            conditions=tuple(
                Condition(
                    name=name,
                    kind="option" if "=" in name else "settings",
                    changes=(("o", "v"),),
                    a=ran(f"a.{name}", like),
                    b=NONE,
                )
                for name, like in (conditions or {}).items()
            ),
            budget=9,
            spent=2,
            exhausted=False,
        )
        found = explanations(Experiments(pairs=(with_members(pair, records),)), records, ALLOWED)
        columns = tuple(Column(title=n, framework="numpy", variant=n.lower(), predictions=n.lower()) for n in "AB")
        test = {"type": "cause", "columns": ["B", "A"], "blamed": blamed}
        data = {
            "losses": {"A": ["0.5", "0.5"], "B": ["0.5", "0.2"]},
            "claims": [
                {"id": "x", "kind": "cause", "says": "s", "test": test},
                {"id": "y", "kind": "equality", "says": "s", "test": {"type": "never_equal", "columns": ["A", "B"]}},
            ],
        }
        table = Published(workload="mazur", columns=columns, data=data)
        own_records = tuple(own.values())
        return judge(check(table, own_records), own_records, list(found))

    return find


UPDATE, DTYPE, LAYOUT = {"factor": "update"}, {"factor": "dtype"}, {"option": "layout", "value": "y"}


def test_what_is_blamed_is_confirmed_where_its_flip_accounts_for_the_difference(attempt):
    found, _ = attempt([UPDATE], update="B", dtype="A")
    assert (found.word, found.condition) == (Word.CONFIRMED, None)
    (row,) = found.evidence.tried
    assert (row.names, row.blamed, row.finding) == (("update",), True, "cause")
    assert [(end.where, end.verdict) for end in row.ends] == [("a", "identical"), ("b", None)]


def test_it_is_refuted_where_its_flip_changes_nothing_and_another_accounts_for_it(attempt):
    found, _ = attempt([UPDATE], update="A", dtype="B")
    assert found.word is Word.REFUTED
    assert [(row.said, row.finding, row.blamed) for row in found.evidence.tried] == [
        ("update", "refuted", True), ("dtype", "cause", False),
    ]  # fmt: skip


def test_a_factor_that_both_cells_have_alike_is_not_the_cause(attempt):
    found, _ = attempt([{"factor": "loss_form"}], dtype="B")
    assert found.word is Word.REFUTED
    assert found.evidence.tried[0].finding == "no difference"


def test_of_several_things_blamed_the_condition_names_those_that_matter(attempt):
    found, _ = attempt([UPDATE, DTYPE], update="A", dtype="B")
    assert (found.condition.kind, found.condition.names) == (Kind.CAUSES, ("dtype",))
    found, _ = attempt([UPDATE], update="other", dtype="B")  # it shrinks the difference
    assert (found.condition.kind, found.condition.names) == (Kind.CAUSES, ("update",))


def test_what_accounts_for_it_as_well_is_told(attempt):
    found, _ = attempt([UPDATE], update="B", dtype="B")
    assert (found.word, found.condition.kind, found.condition.names) == (Word.CONDITION, Kind.ALSO, ("dtype",))


def test_things_blamed_that_are_the_cause_together_are_confirmed(attempt):
    found, _ = attempt([UPDATE, DTYPE], sets={("update", "dtype"): "B"}, update="other", dtype="A")
    assert found.word is Word.CONFIRMED
    found, _ = attempt([UPDATE], sets={("update", "dtype"): "B"}, update="A", dtype="A")
    assert (found.word, found.condition.names) == (Word.CONDITION, ("update",))


def test_a_condition_that_neither_has_is_judged_like_a_factor(attempt):
    settings = [{"settings": "haswell"}]
    assert attempt(settings, {"haswell": "B"})[0].word is Word.CONFIRMED
    assert attempt(settings, {"haswell": "far"}, dtype="B")[0].word is Word.REFUTED
    assert attempt([LAYOUT], {"layout=y": "B"})[0].word is Word.CONFIRMED
    assert attempt([LAYOUT], layout="B")[0].word is Word.CONFIRMED  # B has that value: it is a factor of the pair
    assert attempt([LAYOUT | {"value": "z"}], layout="B")[0].word is Word.NOT_TESTED


def test_an_option_that_is_blamed_is_not_the_setting_of_its_name(attempt):
    threads = [{"option": "threads", "value": "y"}]
    assert attempt(threads, **{"option threads": "B", "threads": "A"})[0].word is Word.CONFIRMED
    assert attempt(threads, **{"option threads": "A", "threads": "B"})[0].word is Word.REFUTED


def test_what_the_budget_did_not_reach_is_not_refuted(attempt):
    found, _ = attempt([UPDATE, {"settings": "haswell"}], {"haswell": "left"}, update="A", dtype="B")
    assert (found.word, found.reason) == (
        Word.NOT_TESTED,
        "the budget ended the search before all that is blamed was tested",
    )
    assert attempt([UPDATE], {"haswell": "left"}, update="A", dtype="B")[0].word is Word.REFUTED  # nobody blames it


def test_what_nobody_could_test_or_nothing_accounts_for_is_not_tested(attempt):
    found, _ = attempt([{"settings": "unknown"}, {"factor": "unknown"}], dtype="B")
    assert (found.word, found.reason) == (Word.NOT_TESTED, "no experiment could test what is blamed")
    found, _ = attempt([UPDATE], update="A", dtype="A")
    assert found.word is Word.NOT_TESTED
    assert "no experiment accounts for the difference" in found.reason


def test_never_equal_depends_on_what_an_experiment_makes_equal(attempt):
    _, found = attempt([UPDATE], sets={("update", "layout"): "B"}, update="A", dtype="B", layout="A")
    assert (found.word, found.condition.kind, found.condition.names) == (Word.CONDITION, Kind.EXPERIMENT, ("dtype",))
    assert found.condition.cells == (("mazur/numpy-3.0-cpu/a.dtype", "mazur/numpy-3.0-cpu/b"),)
    _, found = attempt([UPDATE], update="A", dtype="other")
    assert (found.word, found.evidence.explained) == (
        Word.CONFIRMED, (("mazur/numpy-3.0-cpu/a", "mazur/numpy-3.0-cpu/b"),),
    )  # fmt: skip


def test_never_equal_is_refuted_by_the_columns_own_cells_and_conditioned_by_other_versions(tell):
    never = {"test": {"type": "never_equal", "columns": ["A"], "others": ["B"]}}
    same, other = {"A": (0.5, 0.5), "B": (0.5, 0.5)}, {"A": (0.5, 0.5), "B": (0.5, 0.25)}
    assert tell(never, same).word is Word.REFUTED
    assert tell(never, other, other).word is Word.CONFIRMED
    found = tell(never, other, same)
    assert (found.condition.kind, len(found.condition.cells)) == (Kind.EXCEPT, 1)
