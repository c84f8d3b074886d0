"""A golden whose numbers moved is written back: those alone, spelt as the file spells its own, no other byte."""

import gzip
import io
import json
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from repromatrix.errors import UsageError
from repromatrix.results.logs import read
from repromatrix.results.logs.columns import Asked
from repromatrix.results.logs.rewrite import rewritten
from repromatrix.results.logs.spelling import Kind, style

CORPUS = Path(__file__).parents[1] / "data" / "dialects"
FILES = sorted(path for path in CORPUS.glob("*/*") if path.name != "case.json")
# A step stands twice with the same numbers, and both would have to be moved; a summary says a number once more.
TWICE = {("hf-resumed-same", "resumed.json"), ("llamafactory", "a.jsonl"), ("llamafactory", "b.jsonl")}


def moved(data: bytes, numbers: dict[str, dict[int, str]]) -> bytes:
    return rewritten(data, "golden", Asked(), read.parse(data, "golden"), numbers)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_of_every_dialect_the_numbers_that_moved_are_written_and_nothing_else(path: Path) -> None:
    data = path.read_bytes()
    try:
        log = read.parse(data, str(path))
    except UsageError:
        pytest.skip("needs a flag to be read")
    for column in log.columns:
        last = len(column.values) - 1
        if column.texts is None:
            numbers = {0: float(np.nextafter(np.float32(column.values[0]), np.float32(9))).hex()}
        else:
            spell = style(column.texts.split("\n")).spell
            numbers = {at: spell(Decimal(float(column.values[at])) + Decimal("0.75")) for at in {0, last}}
        if (path.parent.name, path.name) in TWICE and last in numbers and _said_twice(data, log, column):
            with pytest.raises(UsageError, match="nobody can tell which"):
                moved(data, {column.name: numbers})
            continue
        new = read.parse(moved(data, {column.name: numbers}), str(path))
        for old, own in zip(log.columns, new.columns, strict=True):
            assert old.name == own.name
            wanted = old.values.copy()
            for at, text in numbers.items() if old.name == column.name else ():
                wanted[at] = float.fromhex(text) if "x" in text else float(text)
            np.testing.assert_array_equal(own.values, wanted)


def _said_twice(data: bytes, log, column) -> bool:
    """Whether a number of a column stands at several places that say the same."""
    try:
        for at in {0, len(column.values) - 1}:
            rewritten(data, "golden", Asked(), log, {column.name: {at: "0.7654321"}})
    except UsageError:
        return True
    return False


CASES = {
    "a table from Windows": (b"\xef\xbb\xbfstep, loss\r\n1, 0.50\r\n2,  0.25 \r\n", b"0.25", "0.31"),
    "JSON as somebody set it": (b'{ "loss" : [0.5,\t0.25 ,0.5 ],\n\n  "note": "0.25" }\n', b"0.25", "0.31"),
    "printed lines": (b"[0.25] step 1 - loss: 0.5 (0.25 s)\nstep 2 - loss: 0.25, time 0.25s\n", b"loss: 0.25", "0.31"),
    "a decimal comma": (b"Schritt;Wert\n1;0,5\n2;0,25\n", b"0,25", "0.31"),
    "thousands": (b'step,loss\n1,"8,254.5"\n2,"1,204.5"\n', b"1,204.5", "12345.5"),
    "a sign": (b"step=1 loss=-0.5\nstep=2 loss=-0.25\n", b"loss=-0.25", "0.31"),
    "hexadecimal": (b"0x1.8p-1\n0x1.8p-2\n", b"0x1.8p-2", "0x1.4p-2"),
}


@pytest.mark.parametrize("name", CASES)
def test_no_other_byte_changes(name: str) -> None:
    data, old, new = CASES[name]
    (column,) = (each for each in read.parse(data, "golden").columns if "loss" in each.name or each.name == "Wert")
    shown = {"a decimal comma": "0,31", "thousands": "12,345.5"}.get(name, new).encode()
    number = re.search(rb"-?[0-9][0-9.,xp-]*$", old)[0]
    assert moved(data, {column.name: {1: new}}) == data.replace(old, old.replace(number, shown), 1)


def test_a_step_that_is_the_same_number_stays() -> None:
    data = b"step,loss\n1,3\n2,2\n3,1\n"
    assert moved(data, {"loss": {1: "7"}}) == b"step,loss\n1,3\n2,7\n3,1\n"


def test_nothing_that_moved_gives_the_very_bytes() -> None:
    packed = gzip.compress(b"step,loss\n1,0.5\n2,0.25\n")
    assert moved(packed, {}) is packed
    assert gzip.decompress(moved(packed, {"loss": {0: "0.75"}})) == b"step,loss\n1,0.75\n2,0.25\n"


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_keeps_its_header_its_order_and_its_other_numbers(order: str) -> None:
    file = io.BytesIO()
    np.save(file, np.asarray(np.arange(6, dtype=">f4").reshape(2, 3), order=order))
    new = moved(file.getvalue(), {"loss": {4: (9.5).hex()}})
    assert np.load(io.BytesIO(new)).tolist() == [[0, 1, 2], [3, 9.5, 5]]
    assert sum(a != b for a, b in zip(file.getvalue(), new, strict=True)) <= 4


def test_arrays_in_an_archive_and_fields_are_written_by_their_names() -> None:
    file = io.BytesIO()
    table = np.array([(1, 0.5), (2, 0.25)], dtype=[("step", "i8"), ("loss", "f4")])
    np.savez(file, table=table)
    new = np.load(io.BytesIO(moved(file.getvalue(), {"loss": {1: (0.75).hex()}})))["table"]
    assert new.tolist() == [(1, 0.5), (2, 0.75)]


def test_a_tensor_is_written_in_its_dtype_or_refused() -> None:
    header = json.dumps({"loss": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    data = len(header).to_bytes(8, "little") + header + b"\x00\x3f\x80\x3e"
    assert moved(data, {"loss": {1: (0.75).hex()}}).endswith(b"\x00\x3f\x40\x3f")
    with pytest.raises(UsageError, match="is no BF16"):
        moved(data, {"loss": {1: (0.1).hex()}})


SPELT = [
    (("0.5000", "0.2500"), Kind.PLACES, "1.23456789", "1.2346"),
    (("2.3456", "0.5", "1.234"), Kind.ROUNDED, "1.20001", "1.2"),
    (("2.3456", "0.5", "1.234"), Kind.ROUNDED, "1.00001", "1.0"),
    (("1.5000e-03", "2.5000e+00"), Kind.SCIENTIFIC, "0.000123456789", "1.2346e-04"),
    (("1.50E-3", "2.50E-4"), Kind.SCIENTIFIC, "0.000123456789", "1.23E-4"),
    (("12.3457", "1.23457", "123.457"), Kind.SIGNIFICANT, "9.87654321", "9.87654"),
    (("2.5960464477539062", "2.5"), Kind.FLOAT32, "0.1", "0.10000000149011612"),
    (("0.1", "0.30000000000000004"), Kind.SHORTEST, "1e-5", "1e-05"),
    (("0.33333334", "0.1", "0.25"), Kind.SHORTEST32, "0.1", "0.1"),
    (("0x1.8p+0",), Kind.HEXADECIMAL, "0.5", "0x1.0000000000000p-1"),
    (("3", "14"), Kind.PLACES, "7", "7"),
]


@pytest.mark.parametrize(("texts", "kind", "value", "text"), SPELT)
def test_a_number_is_spelt_as_its_column_spells_them(texts: tuple[str, ...], kind: Kind, value: str, text: str) -> None:
    own = style(texts)
    assert own.kind is kind
    assert own.spell(Decimal(value)) == text
