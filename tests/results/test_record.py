"""A record survives being written and read; what is damaged, contradicts itself or has another format is refused."""

import json
from collections.abc import Callable
from dataclasses import fields, replace

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix import resources
from repromatrix.errors import ExitCode, NewerFormatError, ResultsError
from repromatrix.results import document as documents
from repromatrix.results import schemas
from repromatrix.results.record import BASES, ENGINES, Description, Outcome, Provenance, Record, decode, encode
from repromatrix.results.value import Trajectory
from tests import values
from tests.results.conftest import TRAJECTORY, described
from tests.results.test_value import trajectories

TEXT = st.text(max_size=12)
WORD = st.from_regex(r"[a-z0-9][a-z0-9._]{0,5}", fullmatch=True)
DIGEST = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
OPTIONS = st.dictionaries(TEXT, TEXT, max_size=3).map(lambda each: tuple(sorted(each.items())))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=5,
)
PROVENANCES = st.builds(
    Provenance,
    engine=st.sampled_from(ENGINES),
    base_kind=st.sampled_from(BASES),
    base_digest=TEXT,
    image_digest=st.none() | TEXT,
    lock_digest=st.none() | TEXT,
    entrypoint_digest=DIGEST,
    cpu_class=st.text(min_size=1, max_size=12),
)


@st.composite
def cells(draw: st.DrawFn) -> Description:
    workload, framework, version, flavour, variant, settings = (draw(WORD) for _ in range(6))
    environment = f"{framework}-{version}-{flavour}{draw(st.sampled_from(['', '-py3.9']))}"
    device = draw(st.sampled_from(["cpu", "cuda:0"]))
    parts = ["" if device == "cpu" else "@cuda0", "" if settings == "default" else f"+{settings}"]
    return Description(
        id=f"{workload}/{environment}/{variant}{''.join(parts)}{draw(st.sampled_from(['', '~1', '~12']))}",
        workload=workload,
        framework=framework,
        version=version,
        flavour=flavour,
        python=draw(TEXT),
        environment=environment,
        variant=variant,
        dtype=draw(st.sampled_from(values.DTYPES)),
        options=draw(OPTIONS),
        device=device,
        settings=settings,
        steps=draw(st.integers(1, 4)),
        task=draw(DIGEST),
        code=draw(DIGEST),
    )


@st.composite
def records(draw: st.DrawFn) -> Record:
    cell, outcome = draw(cells()), draw(st.sampled_from(Outcome))
    ok = outcome is Outcome.OK
    found = draw(st.lists(trajectories(cell.steps), min_size=1, max_size=2, unique=True)) if ok else []
    repeats = draw(st.integers(len(found), 5))
    return Record(
        cell=cell,
        key=draw(DIGEST),
        outcome=outcome,
        reason=None if ok else draw(TEXT),
        log=draw(st.none() | st.just("logs/a-1-cpu/default-cpu-1.log")),
        repeats=repeats,
        trajectories=tuple(found),
        fingerprint=draw(st.dictionaries(TEXT, PLAIN, max_size=3)),
        provenance=draw(PROVENANCES) if repeats else None,
        factors=draw(st.sampled_from([(), cell.options])),
    )


@given(records())
def test_what_is_written_is_read_back(record: Record) -> None:
    assert decode(encode(record), "somewhere") == record


@given(records())
def test_equal_records_have_equal_bytes(record: Record) -> None:
    assert encode(decode(encode(record), "somewhere")) == encode(record)


RULES = schemas.made()["record"]


@given(records())
def test_a_record_is_what_its_schema_says(record: Record) -> None:
    jsonschema.validate(json.loads(encode(record)), RULES, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize("name", schemas.made())
def test_the_published_schemas_are_those_of_the_types(name: str) -> None:
    """Written again by `python -m repromatrix.results.schemas`."""
    made = schemas.made()[name]
    jsonschema.Draft202012Validator.check_schema(made)
    assert resources.schema(name).read_bytes() == schemas.written(made)


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
    """What an exception in a container said, or the name of a file, may hold what no file takes."""
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
    record = a_record(outcome=outcome, repeats=repeats, trajectories=(TRAJECTORY,) * distinct)
    assert record.deterministic is expected


@pytest.mark.parametrize(("number", "way_out"), [(1, "run the cells again into another folder"), (3, "update repro")])
def test_another_format_is_refused_with_a_way_out(a_record: Callable[..., Record], number: int, way_out: str) -> None:
    for content in (_with(a_record, ("format",), number), documents.write({"format": number, "losses": []})):
        with pytest.raises(
            NewerFormatError, match=f"a record of format {number}, this release reads format 2"
        ) as error:
            decode(content, "results/records/x.json")
        assert error.value.where == "results/records/x.json"
        assert error.value.hint.startswith(way_out)
        assert error.value.exit_code is ExitCode.USAGE


def _with(a_record: Callable[..., Record], path: tuple, value: object) -> bytes:
    """The record with one entry changed, written as repromatrix writes: what refuses it has read it."""
    document = inner = json.loads(encode(a_record()))
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return documents.canonical(document)


def test_a_record_changed_so_that_nothing_contradicts_is_read(a_record) -> None:
    """Without this, the damage below might be refused for its form alone."""
    changed = decode(_with(a_record, (*LOSS, "texts", 0), "0x1.0000000000000p+0"), "x")
    assert changed.trajectory.losses == ("0x1.0000000000000p+0", "nan")


LOSS, OUTPUT, WEIGHTS, WIDE = (("trajectories", 0, "columns", place) for place in range(4))
FIRST_STATE = {"name": "w", "role": "state", "dtype": "float64", "shape": [1], "texts": ["nan"]}
DAMAGE = {
    "a rounded float": ((*LOSS, "texts", 0), "0.5", "not a float64: '0.5'"),
    "a number": ((*LOSS, "texts", 0), 0.5, "Expected `str`, got `float`"),
    "another spelling": ((*LOSS, "texts", 0), "0X1.8P-1", "not a float64: '0X1.8P-1'"),
    "text for a list": ((*LOSS, "texts"), "00", "Expected `array`"),
    "a word in the predictions": ((*OUTPUT, "texts", 0), "one", "not a float64: 'one'"),
    "a word in the weights": ((*WEIGHTS, "texts", 0), "one", "not a float64: 'one'"),
    "a float that is too large": ((*WEIGHTS, "texts", 0), "0x1.0000000000000p+1024", "not a float64"),
    "a float16 that is none": ((*LOSS, "dtype"), "float16", None),
    "a dtype that nobody knows": ((*LOSS, "dtype"), "float7", "loss: of float7[] each step is one SHA-256"),
    "a loss too many": ((*LOSS, "texts"), ["nan"] * 3, "loss has a step 3 of 2"),
    "a loss too few": ((*LOSS, "texts"), ["nan"], "the metric loss has 1 values where 2 are due"),
    "half a prediction": ((*OUTPUT, "shape"), [2], "3 elements are no whole number of"),
    "predictions of more steps": ((*OUTPUT, "texts"), ["nan"] * 4, "output has a step 4 of 2"),
    "a shape that is none": ((*OUTPUT, "shape"), [-1], "the shape [-1]"),
    "ragged weights": ((*WIDE, "texts"), ["nan"] * 3, "3 elements are no whole number of"),
    "the weights of another step": (WEIGHTS, FIRST_STATE, "the state w is not that after the last step"),
    "steps that do not rise": ((*OUTPUT, "steps"), [1, 3, 2], "not rising from 1"),
    "steps that need not be told": ((*OUTPUT, "steps"), [1, 2, 3], "output tells its steps, which have no gap"),
    "a digest where elements are due": ((*LOSS, "digests"), ["a" * 64], "the elements of float64[] are told"),
    "no loss": ((*LOSS, "role"), "output", "the metrics are none"),
    "a name twice": ((*OUTPUT, "name"), "loss", "'loss' is there twice"),
    "a trace in a record": ((*WEIGHTS, "role"), "trace", "a record holds no trace"),
    "an unknown word of a column": ((*LOSS, "unit"), "nat", "unknown field `unit`"),
    "an outcome that does not exist": (("outcome",), "fine", "Invalid enum value 'fine'"),
    "a failure with numbers": (("outcome",), "failed", "the outcome failed with 1 trajectories"),
    "success without numbers": (("trajectories",), [], "the outcome ok with 0 trajectories"),
    "success with a reason": (("reason",), "why", "the outcome ok with 1 trajectories and the reason 'why'"),
    "an unknown word of the cell": (("cell", "flavor"), "cpu", "not as repromatrix writes it"),
    "an id that is no text": (("cell", "id"), 5, "Expected `str`, got `int`"),
    "the id of another cell": (("cell", "id"), "tiny/numpy-2.0-cpu/unrolled", "is not that of tiny/numpy-2.0-cpu/para"),
    "the id on another device": (("cell", "device"), "cuda:0", "is not that of tiny/numpy-2.0-cpu/parallel@cuda0"),
    "the id in other settings": (("cell", "settings"), "avx2", "is not that of tiny/numpy-2.0-cpu/parallel+avx2"),
    "an environment of another version": (("cell", "version"), "1.0", "'numpy-2.0-cpu' is not numpy 1.0 cpu"),
    "no steps": (("cell", "steps"), 0, "0 steps"),
    "repeats that are no number": (("repeats",), "2", "Expected `int`, got `str`"),
    "repeats below zero": (("repeats",), -5, "1 trajectories of -5 repeats"),
    "fewer repeats than numbers": (("repeats",), 0, "1 trajectories of 0 repeats"),
    "a log that is no text": (("log",), ["x"], "Expected `str | null`, got `array`"),
    "a log that is another record": (("log",), f"records/tiny/numpy-2.0-cpu/parallel/{'b' * 16}.json", "a log in"),
    "a log outside": (("log",), "logs/../../secret.log", "a log in"),
    "options that are no pairs": (("cell", "options"), {}, "Expected `array`, got `object`"),
    "half a provenance": (("provenance",), {"engine": "docker"}, "missing required field"),
    "no provenance": (("provenance",), None, "2 repeats, and no provenance"),
    "an engine that nobody knows": (("provenance", "engine"), "podman", "the engine 'podman'"),
    "a base that nobody knows": (("provenance", "base_kind"), "x", "on a base of the kind 'x'"),
    "no digest of the entrypoint": (("provenance", "entrypoint_digest"), "c3", "provenance without digest"),
    "a fingerprint that is no mapping": (("fingerprint",), 7, "Expected `object`, got `int`"),
    "a key that is none": (("key",), "a1", "no SHA-256"),
    "a code that is none": (("cell", "code"), "", "no SHA-256"),
    "factors that are no pairs": (("factors",), {"steps": 2}, "Expected `array`, got `object`"),
    "factors of another variant": (("factors",), [["gradient", "auto"]], "asked for gradient=manual, and it was auto"),
}


@pytest.mark.parametrize(("path", "value", "what"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_told_with_the_file_and_what_to_do(a_record, path: tuple, value: object, what: str | None) -> None:
    if what is None:
        a_record = with_loss(a_record, "0x1.2345678912345p-2")
        what = "not a float16: '0x1.2345678912345p-2'"
    with pytest.raises(ResultsError, match="not a readable record") as caught:
        decode(_with(a_record, path, value), "results/records/x.json")
    assert what in caught.value.what
    assert caught.value.where == "results/records/x.json"
    assert caught.value.hint == "delete that file and run the cell again"


def test_what_no_process_ran_has_no_provenance(a_record) -> None:
    skipped = a_record(outcome=Outcome.SKIPPED, reason="no device", trajectories=(), repeats=0)
    with pytest.raises(ResultsError, match="0 repeats, and provenance"):
        decode(encode(skipped), "x")
    assert decode(encode(replace(skipped, provenance=None)), "x").provenance is None


def with_loss(a_record, loss: str):
    changed = values.with_column(TRAJECTORY, "loss", texts=(loss, "nan"))
    return lambda: a_record(trajectories=(changed,))


@pytest.mark.parametrize("missing", ["factors", "format", "cell", "key", "repeats"])
def test_a_record_tells_all_that_it_has_to(a_record, missing: str) -> None:
    document = json.loads(encode(a_record()))
    del document[missing]
    with pytest.raises(ResultsError, match="not a readable record"):
        decode(documents.canonical(document), "x")


def test_a_trajectory_that_stands_twice_is_refused(a_record) -> None:
    with pytest.raises(ResultsError, match="two equal trajectories"):
        decode(encode(a_record(trajectories=(TRAJECTORY,) * 2)), "x")


OTHER_FORMS = {
    "another indent": lambda data: json.dumps(json.loads(data), sort_keys=True).encode() + b"\n",
    "another order": lambda data: json.dumps(dict(reversed(json.loads(data).items())), indent=1).encode() + b"\n",
    "no line break at the end": lambda data: data[:-1],
    "a space at the end": lambda data: data + b" ",
    "an escaped letter": lambda data: data.replace(b'"tiny"', b'"t\\u0069ny"'),
    "a key twice": lambda data: data.replace(b'"repeats": 2', b'"repeats": 3,\n "repeats": 2'),
    "a default that is told": lambda data: data.replace(b'"role": "metric"', b'"digests": [],\n     "role": "metric"'),
}


@pytest.mark.parametrize("form", OTHER_FORMS.values(), ids=OTHER_FORMS)
def test_one_record_has_one_form(a_record, form) -> None:
    data = form(encode(a_record()))
    assert data != encode(a_record())
    with pytest.raises(ResultsError, match="not as repromatrix writes it"):
        decode(data, "x")


NOT_DOCUMENTS = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"\xff",
    b'{"format": 2}',
    b"[" * 100_000,
    b'{"format": NaN}',
    b'{"cell": ' + b"[" * 100_000,
    b'{"format": 2, "fingerprint": ' + b'{"a":' * 100_000,
]


@pytest.mark.parametrize("data", NOT_DOCUMENTS, ids=[each[:22].decode(errors="replace") for each in NOT_DOCUMENTS])
def test_what_is_no_record_at_all_is_told(data: bytes) -> None:
    with pytest.raises(ResultsError) as caught:
        decode(data, "results/records/x.json")
    assert caught.value.where == "results/records/x.json"


@given(data=st.data())
def test_a_record_cut_anywhere_is_refused(data: st.DataObject) -> None:
    whole = encode(data.draw(records()))
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ResultsError):
        decode(whole[:cut], "somewhere")


def test_the_options_that_were_used_are_kept(a_record: Callable[..., Record]) -> None:
    record = a_record(factors=(("compile", "eager"), ("gradient", "manual"), ("update", "parallel")))
    assert decode(encode(record), "somewhere") == record


def test_members_of_an_ensemble_are_cells_of_their_own(a_record: Callable[..., Record]) -> None:
    record = a_record(cell=described("tiny/numpy-2.0-cpu/parallel~3"))
    assert decode(encode(record), "somewhere").cell.id.endswith("~3")
    for name in ("parallel~", "parallel~0", "parallel~x", "parallel~1~2", "parallel.1"):
        record = a_record(cell=replace(record.cell, id=f"tiny/numpy-2.0-cpu/{name}"))
        with pytest.raises(ResultsError, match="is not that of"):
            decode(encode(record), "somewhere")


def test_every_field_of_a_record_is_in_its_schema() -> None:
    for kind in (Record, Description, Provenance):
        name = "Document" if kind is Record else kind.__name__
        assert {each.name for each in fields(kind)} <= RULES["$defs"][name]["properties"].keys()
    assert Trajectory.__name__ in RULES["$defs"]
