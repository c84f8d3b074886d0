"""Replays and their index survive being written and read; what is damaged or too new is refused by name."""

import json
import struct
from dataclasses import replace

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix import resources
from repromatrix.errors import NewerFormatError, ResultsError
from repromatrix.results import document as documents
from repromatrix.results import replay as replays
from repromatrix.results import replays as index
from repromatrix.results.packed import pack, unpack
from repromatrix.results.record import Outcome
from repromatrix.results.replay import Origin, Replay, decode, digest, encode, sample
from repromatrix.results.replays import ListedCell, ReplayedCell, ReplayedPair, ReplayIndex
from repromatrix.results.store import Store
from tests import worked
from tests.results.conftest import CELL

HALF = (0.5).hex()
PAIR = sample({"p": [0.5, 0.25], "b": [1.0, 1.0]})
DTYPES = ("float64", "float32", "float16", "bfloat16")


def a_replay(**changes) -> Replay:
    """The bias of the small cell on one recorded input."""
    found = Replay(
        cell=CELL,
        key="d4" * 32,
        operation="bias",
        inputs=digest([PAIR]),
        places=(),
        numbers=(("rate", "0.5"),),
        trace=None,
        begin=None,
        origins=(Origin(cell=CELL.id, place="hidden_pre", step=1),),
        samples=(PAIR,),
        seed=None,
        outcome=Outcome.OK,
        reason=None,
        options=(("gradient", "manual"),),
        outputs=(("bias", ((HALF, "-0x0.0p+0"),)),),
    )
    return replace(found, **changes)


FRESH = a_replay(origins=(), samples=(), seed=0, outputs=(("bias", ((HALF, "nan"), (HALF, "-inf"))),))
STEP = a_replay(
    operation="step",
    origins=(),
    samples=(),
    trace=(CELL.id, "e5" * 32),
    begin=1,
    places=tuple(worked.PLACES.values()),
    outputs=tuple((place, ((HALF,), ("inf",))) for place in worked.PLACES),
)
FAILED = a_replay(outcome=Outcome.FAILED, reason="a crash", outputs=())
EVERY = {"recorded": a_replay(), "fresh": FRESH, "step": STEP, "failed": FAILED}


@pytest.mark.parametrize("each", EVERY.values(), ids=EVERY)
def test_what_is_written_is_read_back_and_is_what_the_schema_says(each: Replay) -> None:
    assert decode(encode(each), "somewhere") == each
    jsonschema.validate(json.loads(encode(each)), json.loads(resources.schema("replay").read_text()))


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_packed_values_are_exact_in_every_dtype(dtype: str, data: st.DataObject) -> None:
    width = {"float64": 64, "float32": 32}.get(dtype, 16)
    patterns = data.draw(st.lists(st.integers(0, 2**width - 1), max_size=5))
    codes = {"float64": ("<Q", "<d"), "float32": ("<I", "<f"), "float16": ("<H", "<e"), "bfloat16": ("<I", "<f")}
    shift = 16 if dtype == "bfloat16" else 0
    values = [struct.unpack(codes[dtype][1], struct.pack(codes[dtype][0], each << shift))[0] for each in patterns]
    texts = tuple(float(each).hex() for each in values)
    assert unpack(pack(texts, dtype), dtype) == texts


@pytest.mark.parametrize(("text", "dtype"), [(2.0**-30 + 1, "float32"), (1e30, "float16"), (1.01, "bfloat16")])
def test_a_value_that_the_dtype_lacks_is_not_packed(text: float, dtype: str) -> None:
    with pytest.raises(ValueError, match=f"not all values are {dtype}"):
        pack([text.hex()], dtype)


def test_thousands_of_fresh_values_are_small() -> None:
    many = replace(FRESH, outputs=(("bias", tuple(((1.0 + i / 1024).hex(),) * 2 for i in range(1024))),))
    assert len(encode(many)) < 2048 * 8 * 4 / 3 + 1500
    assert decode(encode(many), "x") == many


def test_equal_inputs_have_equal_digests_whatever_wrote_the_numbers() -> None:
    assert digest([sample({"b": (1.0, 1.0), "p": [HALF, (0.25).hex()]})]) == digest([PAIR])
    assert digest([PAIR, PAIR]) != digest([PAIR])


def changed(each: Replay, **entries) -> bytes:
    """A replay's file with other entries, written as repromatrix writes it."""
    return documents.write(json.loads(encode(each)) | entries)


ORIGIN = {"cell": "x", "place": "hidden_pre", "step": 1}
OUTPUTS = json.loads(encode(STEP))["outputs"]


DAMAGE = {
    "inputs that are not those of the digest": changed(a_replay(), inputs="0" * 64),
    "no inputs of any kind": changed(a_replay(), samples=[], origins=[]),
    "inputs of two kinds": changed(a_replay(), seed=0),
    "an origin too many": changed(a_replay(), origins=[ORIGIN, ORIGIN]),
    "ok without outputs": changed(a_replay(), outputs=[]),
    "failed without a reason": changed(FAILED, reason=None),
    "outputs of another operation": changed(a_replay(), outputs=[["update", [[HALF]]]]),
    "an output too many": changed(a_replay(), outputs=[["bias", [[HALF], [HALF]]]]),
    "decimals": changed(a_replay(), outputs=[["bias", [["0.5"]]]]),
    "inputs in decimals": changed(a_replay(), samples=[[["b", ["1.0"]]]], inputs=digest([(("b", ("1.0",)),)])),
    "packed values in rows of nothing": changed(FRESH, outputs=[["bias", {"bits": "", "width": 0}]]),
    "packed values that end early": changed(FRESH, outputs=[["bias", {"bits": "AAAA", "width": 1}]]),
    "a step of recorded inputs": changed(a_replay(), operation="step"),
    "a step without places": changed(STEP, places=[]),
    "places of an operation": changed(a_replay(), places=json.loads(encode(STEP))["places"]),
    "places that are not told": changed(STEP, outputs=[["loss", [[HALF]]]]),
    "places of unequal length": changed(STEP, outputs=[["hidden_product", [[HALF]]], *OUTPUTS[1:]]),
    "an operation on a cell that is none": changed(a_replay(), cell={"id": CELL.id}),
    "a dtype that nobody knows": changed(a_replay(), cell=json.loads(encode(a_replay()))["cell"] | {"dtype": "float7"}),
    "an unknown field": changed(a_replay(), more=1),
    "deep nesting": b'{"format": 3, "cell": ' + b"[" * 100_000,
    "half a file": encode(a_replay())[:90],
    "a list": b"[]",
}


@pytest.mark.parametrize("data", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_told_with_the_path(data: bytes) -> None:
    with pytest.raises(ResultsError, match="not a readable replay") as caught:
        decode(data, "results/replays/x.json")
    assert caught.value.where == "results/replays/x.json"
    assert "delete that file" in caught.value.hint


def test_other_formats_are_refused() -> None:
    for number, way_out in ((3, "run the cells again into another folder"), (5, "update repromatrix")):
        with pytest.raises(NewerFormatError, match=f"a replay of format {number}, this release") as caught:
            decode(changed(a_replay(), format=number), "x")
        assert caught.value.hint.startswith(way_out)
    with pytest.raises(ResultsError, match="a list of replayed operations of format 3, this release reads format 2"):
        index.decode(json.dumps({"format": 3}).encode(), "x")


def test_what_an_older_release_kept_elsewhere_is_refused_until_it_is_deleted(tmp_path) -> None:
    store, former = Store(tmp_path), tmp_path / "studies.json"
    former.write_text('{"format": 1, "pairs": [], "catalogue": []}')
    with pytest.raises(NewerFormatError, match="of format 1, this release reads format 2") as caught:
        store.read_replay_index()
    assert caught.value.where == str(former)
    assert caught.value.hint == "delete that file and ask again: repromatrix explain or repromatrix operations"
    former.unlink()
    assert store.read_replay_index() == ReplayIndex()


def test_the_store_finds_a_replay_by_its_cell_and_key_and_no_other(tmp_path) -> None:
    store = Store(tmp_path)
    assert store.read_replay(CELL.id, "d4" * 32) is None
    store.write_replay(a_replay())
    assert store.read_replay(CELL.id, "d4" * 32) == a_replay()
    store.replay_path("tiny/other/cell", "d4" * 32).parent.mkdir(parents=True)
    store.replay_path("tiny/other/cell", "d4" * 32).write_bytes(encode(a_replay()))
    with pytest.raises(ResultsError, match=f"holds the replay of {CELL.id}, not of tiny/other/cell"):
        store.read_replay("tiny/other/cell", "d4" * 32)


END = ReplayedCell(
    cell=CELL.id, record="1", trace="2", own="3", other="4", recorded=(("bias", "5"),), fresh=(("loss", "6"),)
)
PAIR_OF_CELLS = ReplayedPair(a="a", b="b", left=END, right=replace(END, cell="other"), reason=None)
SILENT = ReplayedPair(a="c", b="d", left=None, right=None, reason="two dtypes")
INDEX = ReplayIndex(
    pairs=(PAIR_OF_CELLS, SILENT), listed=(ListedCell(cell="c", environment="e", fresh=(("bias", "7"),)),)
)


def test_an_index_is_read_back_and_is_what_the_schema_says(tmp_path) -> None:
    store = Store(tmp_path)
    assert store.read_replay_index() == ReplayIndex()
    store.write_replay_index(INDEX)
    assert store.read_replay_index() == INDEX
    jsonschema.validate(json.loads(index.encode(INDEX)), json.loads(resources.schema("replays").read_text()))


def test_a_pair_and_a_cell_stand_once_the_newest_last_word() -> None:
    newer = replace(SILENT, reason="no trace")
    listed = ListedCell(cell="c", environment="e", fresh=())
    found = INDEX.with_pairs([newer]).with_listed([listed])
    assert found == ReplayIndex(pairs=(PAIR_OF_CELLS, newer), listed=(listed,))


@pytest.mark.parametrize(
    "entry",
    [
        {"pairs": [{"a": "a", "b": "b", "left": None, "right": None, "reason": None}], "listed": []},
        {"pairs": [], "listed": [{"cell": 1, "environment": "e", "fresh": []}]},
        {"pairs": []},
    ],
)
def test_a_damaged_index_is_told_with_its_path(entry) -> None:
    with pytest.raises(ResultsError, match="not a readable list of replayed operations") as caught:
        index.decode(documents.write({"format": 2} | entry), "results/replays.json")
    assert caught.value.where == "results/replays.json"


def test_what_a_replayed_cell_names_is_whole_or_not_there(tmp_path) -> None:
    assert Store(tmp_path).replays_of(END) is None
    assert replays.STEP == "step"
