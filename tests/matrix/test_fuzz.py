"""Whatever stands in the file: a Matrix, or a MatrixError that names the file. Never anything else."""

import contextlib
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from repromatrix.errors import MatrixError
from repromatrix.matrix import load
from repromatrix.matrix.document import parse
from repromatrix.matrix.workload import load_workload

PIECES = [
    "!!int", "!!float", "!!bool", "!!null", "!!str", "!!timestamp", "!!binary", "!!set", "!!omap", "!!python/none",
    "&a", "*a", "<<", "?", ":", "-", "[", "]", "{", "}", ",", "|", ">", "'", '"', "#", "%YAML 1.1", "---", "...",
    "\n", "\n  ", " ", "\t", "=", "~", ".nan", "-.inf", "1e999", "0x_", "2001-02-30", "190:20:30", "9" * 5000,
    "!x", "é", "\ufeff",
    "format: 1", "environments:", '"\\ud800"', '"\\UFFFFFFFF"', '"\\x00"', "null",
]  # fmt: skip
WORDS = st.sampled_from(PIECES) | st.text(max_size=5)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
CHECKOUT = Path(__file__).parents[2]
TEXTS = [path.read_text() for path in sorted(CHECKOUT.glob("workloads/m*/workload.yaml"))]
REAL = yaml.safe_load((CHECKOUT / "matrix.yaml").read_text())
WORKLOADS = [yaml.safe_load(path.read_text()) for path in sorted(CHECKOUT.glob("workloads/*/workload.yaml"))]


def paths_of(value: object, path: tuple = ()) -> list[tuple]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(each for key, child in inner for each in paths_of(child, (*path, key)))]


def changed(text: str, data: st.DataObject) -> str:
    place = data.draw(st.integers(0, len(text)))
    return text[:place] + data.draw(WORDS) + text[place + data.draw(st.integers(0, 2)) :]


def outcome(text: str) -> str:
    try:
        found = parse(text, "matrix.yaml")
    except MatrixError:
        return "refused"
    lines = {path: line for path, line in found.lines.items() if found.written.get(path) != ""}
    return repr((found.data, found.written, lines))  # where nothing stands, it may stand on this line or the next


def replaced(value: object, path: tuple, new: object) -> object:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@given(st.lists(WORDS, max_size=12).map("".join) | st.text())
@settings(max_examples=400)
def test_any_text_is_plain_data_or_a_matrix_error(text: str) -> None:
    with contextlib.suppress(MatrixError):
        str(parse(text, "matrix.yaml").data).encode()


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="this PyYAML has no libyaml")
@given(st.lists(WORDS, max_size=12).map("".join) | st.text() | st.builds(changed, st.sampled_from(TEXTS), st.data()))
@settings(max_examples=400)
def test_a_text_means_the_same_without_libyaml(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fast = outcome(text)
        patch.setattr(yaml, "__with_libyaml__", False)
        assert outcome(text) == fast


@given(data=st.binary(max_size=60))
@settings(max_examples=50)
def test_any_bytes_are_a_matrix_error(tmp_path_factory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes(data)
    with pytest.raises(MatrixError) as caught:
        load(path)
    assert caught.value.where.startswith("bytes.yaml:")


@given(path=st.sampled_from(paths_of(REAL)), new=PLAIN)
@settings(max_examples=60)
def test_any_value_anywhere_in_the_real_file_is_read_or_a_matrix_error(
    tmp_path_factory, path: tuple, new: object
) -> None:
    file = tmp_path_factory.getbasetemp() / "matrix.yaml"
    file.write_text(json.dumps(replaced(REAL, path, new), indent=1))  # JSON is YAML
    with contextlib.suppress(MatrixError):
        load(file)


@given(data=st.data(), workload=st.sampled_from(WORKLOADS), new=PLAIN)
@settings(max_examples=150)
def test_any_value_anywhere_in_a_real_workload_is_read_or_a_matrix_error(
    tmp_path_factory, data: st.DataObject, workload: dict, new: object
) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzzed"
    folder.mkdir(exist_ok=True)
    path = data.draw(st.sampled_from(paths_of(workload)))
    (folder / "workload.yaml").write_text(json.dumps(replaced(workload, path, new), indent=1))
    (folder / "numpy.py").write_text("def train(task):\n    pass\n")
    (folder / "published.json").write_bytes((CHECKOUT / "workloads" / "mazur" / "published.json").read_bytes())
    try:
        load_workload(folder, "fuzzed").variants("numpy", "cpu")
    except MatrixError as error:
        assert "fuzzed/workload.yaml:" in f"{error.where} {error.what}"  # noqa: PT017 - most are read, some are refused
