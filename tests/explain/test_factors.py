"""Two cells -> their factors and flips: what is flipped is all that changes, and a name says what it was."""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from repromatrix.errors import UsageError
from repromatrix.explain.factors import Change, Flips, NotTestable
from repromatrix.job import question
from repromatrix.matrix import Matrix, load
from repromatrix.plan import Cell, find, universe
from repromatrix.results.store import Store

TORCH, NUMPY = "mazur/torch-2.13.0-cpu", "mazur/numpy-2.4.6-cpu"
LEGAL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+@-]*")


@cache
def matrix() -> Matrix:
    return load(Path(__file__).parents[2] / "matrix.yaml")


@cache
def every() -> tuple[Cell, ...]:
    return universe(matrix())


def between(a: str, b: str) -> Flips:
    return Flips(matrix(), find(matrix(), a), find(matrix(), b))


def names(flips: Flips) -> list[str]:
    return [each.name for each in flips.factors]


@given(data=st.data())
def test_flipping_every_factor_of_a_cell_gives_the_other_cell(data) -> None:
    a, b = data.draw(st.sampled_from(every())), data.draw(st.sampled_from(every()))
    assume(a.workload == b.workload and a.steps == b.steps)
    flips = Flips(matrix(), a, b)
    if not flips.factors:  # a name of its own for the same question
        return
    assert flips.flipped("a", names(flips)) == b
    assert flips.flipped("b", names(flips)) == a
    assert (flips.flipped("a", ()), flips.flipped("b", ())) == (a, b)


@given(data=st.data())
def test_a_changed_cell_differs_in_what_was_flipped_and_has_a_name_of_its_own(data) -> None:
    a, b = data.draw(st.sampled_from(every())), data.draw(st.sampled_from(every()))
    assume(a.workload == b.workload and a.steps == b.steps)
    flips = Flips(matrix(), a, b)
    assume(flips.factors)
    flipped = data.draw(st.sets(st.sampled_from(names(flips)), min_size=1))
    changed_cell = flips.flipped("a", flipped)
    if isinstance(changed_cell, NotTestable):
        assert changed_cell.reason
        return
    assert set(names(Flips(matrix(), a, changed_cell))) == flipped
    rest = set(names(flips)) - flipped
    assert set(names(Flips(matrix(), changed_cell, b))) == rest
    assert flips.flipped("b", rest) == changed_cell  # the same experiment from the other side
    assert all(LEGAL.fullmatch(part) for part in changed_cell.id.split("/"))
    same = {cell.id: cell for cell in every()}.get(changed_cell.id)
    assert same is None or question(same) == question(changed_cell)


def test_a_changed_cell_that_the_matrix_has_is_the_cell_of_the_matrix() -> None:
    flips = between(f"{NUMPY}/sequential", f"{TORCH}/manual-sequential")
    assert names(flips) == ["framework", "dtype", "activation"]
    assert flips.flipped("a", ["dtype"]) == find(matrix(), f"{NUMPY}/sequential-float32")
    assert flips.flipped("b", ["dtype"]) == find(matrix(), f"{TORCH}/manual-sequential-float64")


def test_a_name_tells_what_was_changed_of_the_nearest_variant() -> None:
    flips = between(f"{NUMPY}/sequential", f"{TORCH}/manual-sequential")
    changed_cell = flips.flipped("a", ["framework"])
    assert isinstance(changed_cell, Cell)
    assert changed_cell.id == f"{TORCH}/manual-sequential-float64.activation-exp"
    assert dict(changed_cell.variant.options)["activation"] == "exp"


def test_defaults_that_no_variant_writes_down_are_factors_too() -> None:
    flips = between(f"{TORCH}/auto", "mazur/jax-0.10.2-cpu/grad")
    assert [(each.name, each.a, each.b) for each in flips.factors] == [
        ("framework", "torch 2.13.0 cpu", "jax 0.10.2 cpu"),
        ("activation", "native", "exp"),
    ]


def test_what_a_framework_lacks_cannot_be_tested_alone_and_is_bundled_with_it() -> None:
    flips = between("mazur/keras-3.15.1-torch/eager-float64", f"{NUMPY}/parallel")
    found = flips.flipped("a", ["framework"])
    assert isinstance(found, NotTestable)
    assert "numpy has no api=keras" in found.reason
    assert ("framework", "gradient", "activation", "api", "optimizer") in [
        tuple(sorted(each, key=names(flips).index)) for each in flips.bundles
    ]


def test_an_environment_that_the_matrix_has_not_cannot_be_tested() -> None:
    flips = between("mazur/numpy-1.26.4-cpu-py3.9/parallel", "mazur/numpy-2.4.6-cpu-py3.13/parallel")
    assert names(flips) == ["version", "python"]
    reason = "the matrix has no environment of numpy 2.4.6 (cpu) on Python 3.9"
    assert flips.flipped("a", ["version"]) == NotTestable(reason=reason)


def test_settings_are_flipped_one_by_one(small_matrix) -> None:
    small = small_matrix()
    plain, capped = (find(small, f"tiny/numpy-2.0-cpu/parallel{each}") for each in ("", "+avx2"))
    flips = Flips(small, plain, capped)
    assert [(each.name, each.a, each.b, each.silent) for each in flips.factors] == [
        ("threads", "1", "none", True),
        ("isa", "none", "avx2", True),
        ("SOME_CAP", "none", "1", True),
    ]
    changed_cell = flips.flipped("a", ["isa"])
    assert isinstance(changed_cell, Cell)
    assert (changed_cell.settings.threads, changed_cell.settings.isa, changed_cell.settings.variables) == (
        1,
        "avx2",
        (),
    )
    assert changed_cell.id == "tiny/numpy-2.0-cpu/parallel+default.isa-avx2"
    assert Store(Path()).record_path(changed_cell.id, "0" * 64)


def test_a_value_that_cannot_stand_in_a_path_is_told_by_its_digest(small_matrix) -> None:
    small = small_matrix(('SOME_CAP: "1"', 'SOME_CAP: "--a=../b c"'))
    plain, capped = (find(small, f"tiny/numpy-2.0-cpu/parallel{each}") for each in ("", "+avx2"))
    changed_cell = Flips(small, plain, capped).flipped("a", ["SOME_CAP"])
    assert isinstance(changed_cell, Cell)
    assert re.fullmatch(r"tiny/numpy-2.0-cpu/parallel\+default\.SOME_CAP-abc-[0-9a-f]{8}", changed_cell.id)
    assert dict(changed_cell.settings.variables) == {"SOME_CAP": "--a=../b c"}


def test_a_name_never_collides_with_one_of_the_matrix(small_matrix) -> None:
    small = small_matrix(("  avx2: {isa", "  default.isa-avx2: {threads: 2}\n  avx2: {isa"))
    plain, capped = (find(small, f"tiny/numpy-2.0-cpu/parallel{each}") for each in ("", "+avx2"))
    changed_cell = Flips(small, plain, capped).flipped("a", ["isa"])
    assert isinstance(changed_cell, Cell)
    assert changed_cell.id == "tiny/numpy-2.0-cpu/parallel+default.isa-avx2-X"


def test_cells_of_two_lengths_are_no_pair() -> None:
    with pytest.raises(UsageError, match="not the same task: mazur of 10 steps against mazur of 2"):
        between(f"{NUMPY}/parallel", f"{NUMPY}/unrolled")


def under(flips: Flips, side, name: str) -> Cell | NotTestable:
    return flips.under(side, next(each for each in flips.conditions if each.name == name))


def test_every_settings_that_is_for_one_of_the_cells_is_a_condition() -> None:
    found = {each.name for each in between(f"{NUMPY}/parallel", f"{TORCH}/auto").conditions}
    assert {"sse4.2", "avx2", "openblas-haswell", "mkl-compatible", "threads-2"} <= found
    assert not {"default", "onednn-off", "xla-fast-math"} & found


def test_a_condition_replaces_the_settings_of_a_cell_and_nothing_else() -> None:
    flips = between(f"{NUMPY}/parallel", f"{TORCH}/auto")
    found = under(flips, "a", "openblas-haswell")
    assert isinstance(found, Cell)
    assert found.id == f"{NUMPY}/parallel+openblas-haswell"
    assert under(flips, "b", "openblas-haswell") == NotTestable(
        reason="the settings openblas-haswell are not for this cell, only for *numpy*"
    )


def test_an_option_is_a_condition_where_the_framework_has_it_and_the_cell_has_another_value() -> None:
    flips = between(f"{NUMPY}/parallel", f"{TORCH}/auto")
    found = flips.under("a", Change(option="layout", value="in_out"))
    assert isinstance(found, Cell)
    assert found.id == f"{NUMPY}/parallel.layout-in_out"
    assert flips.under("a", Change(option="layout", value="out_in")) == NotTestable(reason="it is so already")
    assert flips.under("a", Change(option="compile", value="xla")) == NotTestable(reason="numpy has no compile=xla")


def test_a_variable_is_not_flipped_where_its_settings_are_not_for_the_cell() -> None:
    flips = between("mazur/tensorflow-2.21.0-cpu/tape-untransposed+onednn-off", "mazur/jax-0.10.2-cpu/grad")
    found = flips.flipped("b", ["TF_ENABLE_ONEDNN_OPTS"])
    assert isinstance(found, NotTestable)
    assert found.reason.startswith("the settings onednn-off are not for this cell")


def test_an_excluded_changed_cell_is_not_run_and_says_why(small_matrix) -> None:
    rule = '  - {cells: "*/numpy-1.0-cpu/parallel-float32", reason: "known to hang"}\nprofiles:\n'
    small = small_matrix(("profiles:\n", rule))
    a, b = (find(small, f"tiny/numpy-{each}") for each in ("1.0-cpu/parallel", "2.0-cpu/parallel-float32"))
    flips = Flips(small, a, b)
    assert flips.flipped("a", ["dtype"]) == NotTestable(reason="excluded: known to hang")
    assert flips.flipped("a", ["version"]) == find(small, "tiny/numpy-2.0-cpu/parallel")


def test_the_settings_to_try_add_no_cell_to_any_plan() -> None:
    wanted = {each.settings for each in matrix().include} | {"default"}
    assert {cell.settings.name for cell in every()} == wanted


def crossed(small: Matrix, option: str, a: str, b: str) -> Flips:
    """Return a pair of cells that differ in an option of that name, and in what the two ids differ."""
    workload = replace(small.workloads[0], factors=((option, (("*", ("off", "on")),)),))
    small = replace(small, workloads=(workload,))
    plain, other = find(small, a), find(small, b)
    other = replace(other, variant=replace(other.variant, name="other", options=((option, "on"),)))
    return Flips(small, replace(plain, variant=replace(plain.variant, options=())), other)


COLLIDING = {
    "threads": ("1.0-cpu/parallel", "2.0-cpu/parallel+avx2", "1", "none"),
    "isa": ("1.0-cpu/parallel", "2.0-cpu/parallel+avx2", "none", "avx2"),
    "version": ("1.0-cpu/parallel", "2.0-cpu/parallel", "1.0", "2.0"),
    "dtype": ("2.0-cpu/parallel", "2.0-cpu/parallel-float32", "float64", "float32"),
}


@pytest.mark.parametrize(("name", "ends"), COLLIDING.items(), ids=COLLIDING)
def test_an_option_is_a_factor_of_its_own_whatever_else_has_its_name(small_matrix, name, ends) -> None:
    pair = crossed(small_matrix(), name, *(f"tiny/numpy-{end}" for end in ends[:2]))
    told = {each.name: each for each in pair.factors}
    option, other = told[f"option {name}"], told[name]
    assert (option.kind, option.a, option.b, option.silent) == ("option", "off", "on", False)
    assert (other.a, other.b, other.kind == "option") == (ends[2], ends[3], False)
    one, both = (pair.flipped("a", names) for names in ([option.name], told))
    assert both == pair.b
    assert isinstance(one, Cell)
    assert (one.environment, one.settings, one.variant.dtype) == (
        pair.a.environment,
        pair.a.settings,
        pair.a.variant.dtype,
    )
    assert dict(one.variant.options) == {name: "on"}
    assert one.id == f"{pair.a.id}.option-{name}-on"


@pytest.mark.parametrize("name", ["python", "framework", "flavour", "device"])
def test_an_option_may_be_called_as_a_part_of_the_environment(small_matrix, name) -> None:
    pair = crossed(small_matrix(), name, *["tiny/numpy-2.0-cpu/parallel"] * 2)
    assert [(each.kind, each.name) for each in pair.factors] == [("option", f"option {name}")]
    assert (pair.flipped("a", names(pair)), pair.flipped("b", names(pair))) == (pair.b, pair.a)


def test_an_option_and_a_variable_of_one_name_are_two_factors(small_matrix) -> None:
    pair = crossed(small_matrix(), "SOME_CAP", "tiny/numpy-2.0-cpu/parallel", "tiny/numpy-2.0-cpu/parallel+avx2")
    told = {each.name: (each.a, each.b, each.silent) for each in pair.factors}
    assert told["SOME_CAP"] == ("off", "on", False)
    assert told["variable SOME_CAP"] == ("none", "1", True)
    found = pair.flipped("a", ["variable SOME_CAP"])
    assert isinstance(found, Cell)
    assert dict(found.settings.variables) == {"SOME_CAP": "1"}
    assert found.variant.name == "parallel"


def test_settings_as_a_condition_leave_an_option_of_the_same_name_alone(small_matrix) -> None:
    pair = crossed(small_matrix(), "isa", "tiny/numpy-2.0-cpu/parallel", "tiny/numpy-2.0-cpu/parallel")
    found = under(pair, "b", "avx2")
    assert isinstance(found, Cell)
    assert (found.settings.name, dict(found.variant.options)) == ("avx2", {"isa": "on"})
    assert pair.under("a", Change(option="isa", value="on")) == pair.b


FLAVOURED = (
    ("compile: {torch: [eager, inductor],", "compile: {torch-fast: [inductor, eager], torch-cuda: [eager],"),
    (
        "workloads: [./tiny]",
        "  - {framework: torch, flavour: fast, versions: ['3.0'], packages: [torch]}\nworkloads: [./tiny]",
    ),
)


def test_a_factor_has_in_each_flavour_the_default_and_the_values_of_that_flavour(small_matrix) -> None:
    small = small_matrix(*FLAVOURED)
    plain, fast = (find(small, f"tiny/torch-3.0-{each}/auto") for each in ("cuda", "fast"))
    pair = Flips(small, plain, fast)
    assert [(each.name, each.a, each.b) for each in pair.factors] == [
        ("flavour", "cuda", "fast"),
        ("compile", "eager", "inductor"),
    ]
    assert [dict(question(each)["options"])["compile"] for each in (plain, fast)] == ["eager", "inductor"]
    assert pair.flipped("a", ["compile"]) == NotTestable(reason="torch (cuda) has no compile=inductor")
    assert pair.under("a", Change(option="compile", value="inductor")) == NotTestable(
        reason="torch (cuda) has no compile=inductor"
    )
    found = pair.flipped("b", ["compile"])
    assert isinstance(found, Cell)
    assert found.id == "tiny/torch-3.0-fast/auto.compile-eager"
