"""A record survives being written and read, and what is damaged or too new is refused by name."""

import json
from collections.abc import Callable
from dataclasses import fields, replace

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix import resources
from repromatrix.errors import ExitCode, ResultsError
from repromatrix.results.record import Description, Outcome, Provenance, Record, Trajectory, decode, encode, exact

TEXT = st.text(max_size=12)
FLOATS = st.floats().map(float.hex)
ROWS = st.lists(st.lists(FLOATS, max_size=2).map(tuple), max_size=3).map(tuple)
TRAJECTORIES = st.builds(
    Trajectory,
    losses=st.lists(FLOATS, max_size=3).map(tuple),
    predictions=ROWS,
    hidden_weights=ROWS,
    output_weights=ROWS,
)
CELLS = st.builds(
    Description,
    **{each.name: TEXT for each in fields(Description) if each.name not in ("options", "steps")},
    options=st.dictionaries(TEXT, TEXT, max_size=3).map(lambda each: tuple(sorted(each.items()))),
    steps=st.integers(1, 100),
)
PROVENANCES = st.builds(
    Provenance,
    **{each.name: TEXT for each in fields(Provenance) if each.name not in ("image_digest", "lock_digest")},
    image_digest=st.none() | TEXT,
    lock_digest=st.none() | TEXT,
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=5,
)


@st.composite
def records(draw: st.DrawFn) -> Record:
    outcome = draw(st.sampled_from(Outcome))
    ok = outcome is Outcome.OK
    return Record(
        cell=draw(CELLS),
        key=draw(TEXT),
        outcome=outcome,
        reason=None if ok else draw(TEXT),
        log=draw(st.none() | TEXT),
        repeats=draw(st.integers(0, 5)),
        trajectories=tuple(draw(st.lists(TRAJECTORIES, min_size=1, max_size=2))) if ok else (),
        fingerprint=draw(st.dictionaries(TEXT, PLAIN, max_size=3)),
        provenance=draw(st.none() | PROVENANCES),
    )


@given(records())
def test_what_is_written_is_read_back(record: Record) -> None:
    assert decode(encode(record), "somewhere") == record


@given(records())
def test_equal_records_have_equal_bytes(record: Record) -> None:
    assert encode(decode(encode(record), "somewhere")) == encode(record)


def test_a_record_is_what_its_published_schema_says(a_record: Callable[..., Record]) -> None:
    rules = json.loads(resources.schema("record").read_text())
    failed = a_record(outcome=Outcome.FAILED, reason="killed by SIGSEGV", log="logs/a/b.log", trajectories=())
    skipped = a_record(outcome=Outcome.SKIPPED, reason="no device", trajectories=(), fingerprint={}, provenance=None)
    found = a_record(provenance=replace(a_record().provenance, engine="here", base_kind="here", lock_digest=None))
    for each in (a_record(), failed, skipped, found):
        jsonschema.validate(json.loads(encode(each)), rules, cls=jsonschema.Draft202012Validator)


def test_a_record_is_pinned_by_a_lock_and_nothing_else(a_record: Callable[..., Record]) -> None:
    assert a_record().pinned is True
    assert a_record(provenance=replace(a_record().provenance, lock_digest=None)).pinned is False
    assert a_record(outcome=Outcome.SKIPPED, reason="no device", trajectories=(), provenance=None).pinned is None


def test_a_record_is_text_that_a_person_can_compare_line_by_line(a_record: Callable[..., Record]) -> None:
    text = encode(a_record()).decode()
    assert text.endswith("}\n")
    assert [line for line in text.splitlines() if '"reason": null' in line]
    assert text.index('"cell"') < text.index('"format"') < text.index('"key"')


def test_half_a_character_does_not_lose_the_record(a_record: Callable[..., Record]) -> None:
    """What an exception in a container said may hold what no file takes."""
    record = a_record(outcome=Outcome.FAILED, reason="no file \udcff", trajectories=())
    assert decode(encode(record), "somewhere").reason == "no file ?"


DETERMINISTIC = [
    (Outcome.OK, 2, 1, True),
    (Outcome.OK, 2, 2, False),
    (Outcome.OK, 1, 1, None),
    (Outcome.FAILED, 2, 0, None),
    (Outcome.SKIPPED, 0, 0, None),
]


@pytest.mark.parametrize(("outcome", "repeats", "distinct", "expected"), DETERMINISTIC)
def test_deterministic_needs_two_repeats_that_agree(a_record, outcome, repeats, distinct, expected) -> None:
    trajectories = (a_record().trajectory,) * distinct
    record = a_record(outcome=outcome, repeats=repeats, trajectories=trajectories)
    assert record.deterministic is expected
    assert json.loads(encode(record))["deterministic"] is expected


def test_a_newer_format_is_refused(a_record: Callable[..., Record]) -> None:
    document = json.loads(encode(a_record())) | {"format": 2}
    with pytest.raises(ResultsError, match="a record of format 2, this release reads format 1") as caught:
        decode(json.dumps(document).encode(), "results/records/x.json")
    assert caught.value.where == "results/records/x.json"
    assert "update repromatrix" in caught.value.hint
    assert caught.value.exit_code is ExitCode.USAGE


def _with(a_record: Callable[..., Record], path: tuple, value: object) -> bytes:
    document = inner = json.loads(encode(a_record()))
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(document).encode()


DAMAGE = {
    "a rounded float": (("trajectories", 0, "losses", 0), "0.5"),
    "a number": (("trajectories", 0, "losses", 0), 0.5),
    "another spelling": (("trajectories", 0, "losses", 0), "0X1.8P-1"),
    "text for a list": (("trajectories", 0, "losses"), "00"),
    "a word in the predictions": (("trajectories", 0, "predictions", 0, 0), "one"),
    "a word in the weights": (("trajectories", 0, "hidden_weights", 0, 0), "one"),
    "a float that is too large": (("trajectories", 0, "output_weights", 0, 0), "0x1p99999"),
    "an outcome that does not exist": (("outcome",), "fine"),
    "a failure with numbers": (("outcome",), "failed"),
    "success without numbers": (("trajectories",), []),
    "an unknown word of the cell": (("cell", "flavor"), "cpu"),
    "an id that is no text": (("cell", "id"), 5),
    "repeats that are no number": (("repeats",), "2"),
    "a log that is no text": (("log",), ["x"]),
    "options that are no mapping": (("cell", "options"), []),
    "half a provenance": (("provenance",), {"engine": "docker"}),
    "a fingerprint that is no mapping": (("fingerprint",), 7),
}


@pytest.mark.parametrize(("path", "value"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_told_with_the_file_and_what_to_do(a_record, path: tuple, value: object) -> None:
    with pytest.raises(ResultsError, match="not a readable record") as caught:
        decode(_with(a_record, path, value), "results/records/x.json")
    assert caught.value.where == "results/records/x.json"
    assert caught.value.hint == "delete that file and run the cell again"


NOT_DOCUMENTS = [b"", b"{", b"[]", b"null", b'"text"', b"\xff", b'{"format": 1}', b"[" * 100_000, b'{"format": NaN}']


@pytest.mark.parametrize("data", NOT_DOCUMENTS, ids=[each[:12].decode(errors="replace") for each in NOT_DOCUMENTS])
def test_what_is_no_record_at_all_is_told(data: bytes) -> None:
    with pytest.raises(ResultsError):
        decode(data, "results/records/x.json")


@given(data=st.data())
def test_a_record_cut_anywhere_is_refused(data: st.DataObject) -> None:
    whole = encode(data.draw(records()))
    cut = data.draw(st.integers(0, len(whole) - 3))
    with pytest.raises(ResultsError):
        decode(whole[:cut], "somewhere")


@given(st.floats())
def test_the_one_spelling_of_each_value_is_read(value: float) -> None:
    assert exact([value.hex()]) == (value.hex(),)


OTHER_SPELLINGS = [
    "", "-nan", "+inf", " nan", "nan\n", "nan\nnan", "0x1p+0", "0x1.0p+0", "0x0.0p-1022", "0x0.0000000000000p-1022",
    "0x1.0000000000000p-0", "0x1.0000000000000p+00", "0x1.0000000000000p+1024", "0x1.0000000000000p-1023",
    "0x1.ABCDEF0000000p+0",
]  # fmt: skip


@pytest.mark.parametrize("text", OTHER_SPELLINGS, ids=repr)
def test_another_spelling_is_no_exact_float(text: str) -> None:
    with pytest.raises(ValueError, match="not an exact float"):
        exact(["0x1.8000000000000p-1", text])


@given(records())
def test_without_its_predictions_a_record_is_otherwise_the_same(record: Record) -> None:
    read = decode(encode(record), "somewhere", predictions=False)
    bare = tuple(replace(each, predictions=()) for each in record.trajectories)
    assert replace(read, trajectories=tuple(replace(each, predictions=()) for each in read.trajectories)) == replace(
        record, trajectories=bare
    )


def test_predictions_that_are_not_read_cost_nothing_and_what_is_written_otherwise_is_read_whole(a_record) -> None:
    whole = encode(a_record())
    assert decode(whole, "somewhere", predictions=False).trajectories[0].predictions == ()
    other = json.dumps(json.loads(whole)).encode()
    assert decode(other, "somewhere", predictions=False) == a_record()


@given(data=st.data())
def test_a_record_cut_anywhere_is_refused_without_its_predictions_too(data: st.DataObject) -> None:
    whole = encode(data.draw(records()))
    cut = data.draw(st.integers(0, len(whole) - 3))
    with pytest.raises(ResultsError):
        decode(whole[:cut], "somewhere", predictions=False)


def test_the_options_that_were_used_are_kept_and_older_records_have_none(a_record: Callable[..., Record]) -> None:
    record = a_record(factors=(("compile", "eager"), ("update", "parallel")))
    assert decode(encode(record), "somewhere") == record
    document = json.loads(encode(record))
    del document["factors"]
    assert decode(json.dumps(document).encode(), "somewhere").factors == ()
    for factors in ([], {"steps": 2}):
        with pytest.raises(ResultsError, match="not a readable record"):
            decode(_with(a_record, ("factors",), factors), "somewhere")
