"""A record survives being written and read, and what is damaged or too new is refused by name."""

import json
from collections.abc import Callable
from dataclasses import fields

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import resources
from runner.errors import ExitCode, ResultsError
from runner.results.record import Description, Outcome, Provenance, Record, Trajectory, decode, encode

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
    **{each.name: TEXT for each in fields(Provenance) if each.name != "image_digest"},
    image_digest=st.none() | TEXT,
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
    for each in (a_record(), failed, skipped):
        jsonschema.validate(json.loads(encode(each)), rules, cls=jsonschema.Draft202012Validator)


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
