"""What was tried survives being written and read, pairs replace themselves, and what is damaged is refused by name."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix import resources
from repromatrix.errors import ResultsError
from repromatrix.results.experiments import (
    ORIGINS,
    Condition,
    Experiments,
    Factor,
    Flip,
    Pair,
    Run,
    Side,
    decode,
    encode,
)
from repromatrix.results.store import Store

TEXT = st.text(max_size=5)


def factor(name: str) -> Factor:
    return Factor(name=name, a="1", b="2")


def flipped(found: Pair) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for attempt in found.flips for name in attempt.factors))


RUNS = st.builds(Run, id=TEXT, key=TEXT)
ATTEMPTS = st.one_of(
    st.builds(Side, run=RUNS, reason=st.none(), left=st.booleans()),
    st.builds(Side, run=st.none(), reason=TEXT, left=st.booleans()),
)
PAIRS = st.builds(
    Pair,
    a=RUNS,
    b=RUNS,
    of=st.sets(st.sampled_from(ORIGINS)).map(tuple),
    factors=st.lists(st.builds(Factor, name=TEXT, a=TEXT, b=TEXT, silent=st.booleans()), max_size=2).map(tuple),
    flips=st.lists(
        st.builds(Flip, factors=st.lists(TEXT, min_size=1, max_size=2).map(tuple), a=ATTEMPTS, b=ATTEMPTS), max_size=2
    ).map(tuple),
    conditions=st.lists(
        st.builds(
            Condition,
            name=TEXT,
            kind=st.sampled_from(["settings", "option"]),
            changes=st.dictionaries(TEXT, TEXT, max_size=2).map(lambda found: tuple(sorted(found.items()))),
            a=ATTEMPTS,
            b=ATTEMPTS,
        ),
        max_size=2,
    ).map(tuple),
    budget=st.integers(2, 99),
    spent=st.integers(2, 99),
    exhausted=st.booleans(),
).map(lambda found: replace(found, factors=(*found.factors, *map(factor, flipped(found)))))
A, B, C = (Run(id=f"tiny/numpy-2.0-cpu/{name}", key=name * 64) for name in "abc")


def pair(a: Run, b: Run, *of, budget: int = 4) -> Pair:
    return Pair(a=a, b=b, of=of, factors=(), flips=(), conditions=(), budget=budget, spent=2, exhausted=False)


@given(st.lists(PAIRS, max_size=3).map(tuple))
def test_what_is_written_is_read_back_byte_for_byte_and_has_the_schemas_form(pairs) -> None:
    written = encode(Experiments(pairs=pairs))
    assert decode(written, "somewhere") == Experiments(pairs=pairs)
    assert encode(decode(written, "somewhere")) == written
    schema = json.loads(resources.schema("experiments").read_text())
    jsonschema.validate(json.loads(written), schema, cls=jsonschema.Draft202012Validator)


def test_a_pair_that_is_explained_again_replaces_itself_whichever_cell_comes_first() -> None:
    earlier = Experiments(pairs=(pair(A, B, "classes"), pair(A, C, "asked")))
    found = earlier.merged([pair(B, A, "asked", budget=9)])
    assert [(each.budget, each.of) for each in found.pairs] == [(9, ("classes", "asked")), (4, ("asked",))]


def test_classes_that_are_gone_are_forgotten_and_what_was_asked_stays() -> None:
    earlier = Experiments(pairs=(pair(A, B, "classes"), pair(A, C, "classes", "asked")))
    found = earlier.merged([pair(B, C, "classes")], whole=["classes", "published"])
    assert [(each.cells, each.of) for each in found.pairs] == [
        ({A.id, C.id}, ("asked",)),
        ({B.id, C.id}, ("classes",)),
    ]


def test_a_pair_fits_as_long_as_both_cells_have_the_keys_of_the_run() -> None:
    every = Experiments(pairs=(pair(A, B), pair(A, C)))
    assert every.fitting({A.id: A.key, B.id: B.key, C.id: "another"}).pairs == (pair(A, B),)
    assert every.fitting({A.id: A.key}).pairs == ()


def test_its_runs_are_its_cells_and_every_changed_cell_once() -> None:
    tried = Flip(factors=("dtype",), a=Side(run=C), b=Side(run=None, reason="no"))
    found = replace(pair(A, B), flips=(tried, replace(tried, factors=("dtype", "isa"))))
    assert found.runs == (A, B, C)


DAMAGE = [
    (b"not JSON", "not readable experiments"),
    (b'{"format": 1, "pairs": []}', "format 1, this release reads format 2"),
    (encode(Experiments(pairs=(pair(A, B),))).replace(b'"budget": 4', b'"budget": true'), "Expected `int`, got `bool`"),
    (
        encode(Experiments(pairs=(pair(A, B, "classes"),))).replace(b'"classes"', b'"claims"'),
        "Invalid enum value 'claims'",
    ),
]


@pytest.mark.parametrize(("content", "message"), DAMAGE)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "experiments.json").write_bytes(content)
    store = Store(tmp_path)
    with pytest.raises(ResultsError, match=message) as error:
        store.read_experiments()
    assert error.value.where == str(tmp_path / "experiments.json")
    assert (tmp_path / "experiments.json").is_file()


def test_an_end_without_a_run_and_without_a_reason_is_damage() -> None:
    flip = Flip(factors=("x",), a=Side(run=None), b=Side(run=B))
    damaged = replace(pair(A, B), factors=(factor("x"),), flips=(flip,))
    with pytest.raises(ResultsError, match="either a run or a reason"):
        decode(encode(Experiments(pairs=(damaged,))), "somewhere")


@pytest.mark.parametrize("name", [f"{C.id}~1", f"{A.id}~x", f"{A.id}~0", A.id])
def test_a_member_of_another_cell_is_refused(name: str) -> None:
    damaged = replace(pair(A, B), members=(Run(id=name, key="k"),))
    with pytest.raises(ResultsError, match="is no member of"):
        decode(encode(Experiments(pairs=(damaged,))), "somewhere")


def test_members_are_among_the_runs_that_a_pair_stands_on() -> None:
    moved = tuple(Run(id=f"{each.id}~1", key=each.key[::-1]) for each in (A, B, C))
    flip = Flip(factors=("x",), a=Side(run=C, members=moved[2:]), b=Side(run=None, reason="no"))
    whole = replace(pair(A, B), factors=(factor("x"),), flips=(flip,), members=moved[:2])
    assert whole.runs == (A, B, C, *moved)
    assert decode(encode(Experiments(pairs=(whole,))), "somewhere").pairs == (whole,)


def test_a_folder_where_nothing_was_explained_has_no_pairs(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.read_experiments() == Experiments()
    store.write_experiments(Experiments(pairs=(pair(A, B),)))
    assert store.read_experiments().pairs == (pair(A, B),)


def test_a_flip_of_what_is_no_factor_of_the_pair_is_refused_by_its_name() -> None:
    end = Side(run=None, reason="none")
    strange = replace(pair(A, B, "asked"), flips=(Flip(factors=("layout",), a=end, b=end),))
    with pytest.raises(ResultsError, match="'layout' was flipped, which is no factor"):
        decode(encode(Experiments(pairs=(strange,))), "experiments.json")
