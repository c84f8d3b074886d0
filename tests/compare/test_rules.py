"""A short description of a class over factors: true of its cells, of no other, and found rather than guessed."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from repromatrix.compare.classes import classes, same_states
from repromatrix.compare.rules import Rules, factors_of, holds


def described(found):
    return [dict(term.factors) for term in found.terms]


def test_what_all_its_cells_have_in_common_and_no_other_cell_has_is_named_alone(builder):
    records = [
        builder.record(framework=framework, variant=f"v-{dtype}", dtype=dtype, options=(("update", "parallel"),))
        for framework in ("numpy", "torch", "jax")
        for dtype in ("float32", "float64")
    ]
    rule = Rules(records).rule(each.cell.id for each in records if each.cell.dtype == "float32")
    assert described(rule) == [{"dtype": ("float32",)}]
    assert (len(rule.terms[0].cells), rule.without, rule.among) == (3, (), 6)


def test_two_unlike_groups_of_cells_get_a_term_each(builder):
    records = [
        builder.record(framework=framework, variant=f"v-{update}", options=(("update", update),))
        for framework in ("numpy", "torch")
        for update in ("parallel", "sequential")
    ]
    inside = [records[0].cell.id, records[3].cell.id]
    rule = Rules(records).rule(inside)
    assert sorted(cell for term in rule.terms for cell in term.cells) == sorted(inside)
    assert len(rule.terms) == 2


def test_cells_that_no_factor_tells_apart_are_listed(builder):
    first = builder.record(id="mazur/a/b")
    second = builder.record(id="mazur/a/c")
    rule = Rules([first, second]).rule(["mazur/a/b"])
    assert (rule.terms, rule.without) == ((), ("mazur/a/b",))
    assert holds(rule, first)
    assert not holds(rule, second)


def test_the_only_class_needs_no_factor(builder):
    records = [builder.record(framework=name) for name in ("numpy", "torch")]
    (found,) = classes(records)
    assert described(found.rule) == [{}]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(0, 2)] * 3, st.integers(0, 2)), min_size=2, max_size=27, unique_by=lambda x: x[:3])
)
def test_no_term_is_superfluous_and_none_names_a_value_that_its_own_cells_do_not_have(builder, rows):
    records = [
        builder.record(
            (0.5, float(losses)),
            variant=f"v{a}{b}{c}", options=(("layout", f"l{a}"), ("loop", f"o{b}"), ("api", f"p{c}")),
        )
        for a, b, c, losses in rows
    ]  # fmt: skip
    known = {each.cell.id: dict(each.cell.options) for each in records}
    for found in classes(records):
        for term in found.rule.terms:
            own = set(term.cells) - {cell for other in found.rule.terms if other is not term for cell in other.cells}
            assert own
            for name, values in term.factors:
                if name in {"layout", "loop", "api"}:
                    assert set(values) == {known[cell][name] for cell in own}


def test_a_framework_and_its_version_are_named_where_the_cells_are_of_one_alone(builder):
    records = [
        builder.record(
            (loss,), framework=framework, version=version, variant=f"v{loss}", options=(("loop", f"{loss}"),)
        )
        for framework, version in (("numpy", "1.0"), ("jax", "1.0"), ("jax", "2.0"))
        for loss in (0.5, 0.25)
        if (framework, loss) != ("numpy", 0.25)
    ]
    both, jax = classes(records)
    assert described(both.rule) == [{"loop": ("0.5",)}]  # all frameworks, and more than one
    assert described(jax.rule) == [{"loop": ("0.25",), "framework": ("jax",)}]  # all versions of one framework
    alone = Rules(records[:1] + records[2:3]).rule([records[0].cell.id])
    assert described(alone) == [{"loop": ("0.5",), "version": ("numpy 1.0",)}]  # one version of one framework


def test_a_flavour_goes_with_its_framework(builder):
    records = [
        builder.record((loss,), framework=framework, flavour=flavour)
        for framework, flavour, loss in (("keras", "jax", 0.5), ("jax", "cpu", 0.5), ("keras", "torch", 0.25))
    ]
    shared, other = classes(records)
    assert described(shared.rule) == [{"version": ("jax 2.4.6", "keras/jax 2.4.6")}]
    assert described(other.rule) == [{"version": ("keras/torch 2.4.6",)}]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(0, 2)] * 4, st.integers(0, 3)), min_size=1, max_size=40, unique_by=lambda x: x[:4])
)
def test_a_rule_holds_for_exactly_the_cells_of_its_class(builder, rows):
    records = [
        builder.record(
            (0.5, float(losses)),
            framework=f"f{a}", version=f"{b}", dtype=("float64", "float32", "float16")[c], flavour=f"x{d}",
            variant=f"v{a}{b}{c}{d}",
        )
        for a, b, c, d, losses in rows
    ]  # fmt: skip
    for found in classes(records):
        assert {each.cell.id for each in records if holds(found.rule, each)} == set(found.cells)


def test_the_same_weights_after_different_losses_are_found(builder):
    records = [
        builder.record((0.5, 0.25), variant="a"),
        builder.record((0.5, 0.26), variant="b"),
        builder.record((0.5, 0.27), variant="c", weights=2.0),
    ]
    (found,) = same_states(records, classes(records))
    assert [each.rsplit("/", 1)[1] for each in found.cells] == ["a", "b"]
    assert set(found.classes) == {"C1", "C2"}


def test_the_same_losses_with_different_weights_are_two_states_of_one_class(builder):
    records = [builder.record(variant="a"), builder.record(variant="b", weights=2.0), builder.record(variant="c")]
    (found,) = classes(records)
    assert not found.same_state
    assert [len(each) for each in found.states] == [2, 1]


def test_an_option_that_is_called_as_another_factor_hides_it_not(builder):
    record = replace(builder.record(), factors=(("base", "2"), ("version", "old")))
    found = factors_of(record)
    assert (found["version"], found["option version"]) == ("numpy 2.4.6", "old")
    assert (found["base"], found["option base"]) == ("interpreter", "2")
