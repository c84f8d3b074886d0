"""What a schema cannot say: a name that exists nowhere is told with its line and what was meant."""

import json
from pathlib import Path

import pytest

from repromatrix.errors import MatrixError
from repromatrix.matrix import load

# what stands in the small matrix, what replaces it, the message, the hint
WRONG = [
    ("  - framework: torch\n", "  - framework: tprch\n", "there is no images/tprch/entrypoint.py", "torch"),
    ('["torch=={version}"]', '["torch=={ver}"]', "not a requirement: 'torch=={ver}'", "{version}"),
    ("workloads: [./tiny]", "workloads: [mazurr]", "no workload 'mazurr' in workloads/", "did you mean 'mazur'?"),
    ("workloads: [./tiny]", "workloads: [tiny]", "no workload 'tiny' in workloads/", "with a slash: ./tiny"),
    ("workloads: [./tiny]", "workloads: [./tiny, ./tiny/../tiny]", "the workload tiny stands here a second", "rename"),
    ("workloads: [./tiny]", "workloads: [./tiny, ./Tiny]", "'Tiny' cannot name a workload", "lower-case letters"),
    ("    NumPy: {framework", "    NumPi: {framework", "no column 'NumPi'", "'NumPy'"),
    ("data: published.json", "data: publisht.json", "no such file: publisht.json", "relative to workload.yaml"),
]


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ({"kind": "k", "says": "s"}, "claim number 1: 'id' is a required property"),
        ({"id": "x", "kind": "difference", "a": "NumPy"}, "claim x: 'b' is a required property"),
        ({"id": "x", "kind": "k", "says": "s", "test": {"type": "equl"}}, "claim x, test.type: 'equl' is not one of"),
        (
            {"id": "x", "kind": "k", "says": "s", "test": {"type": "equal", "columns": ["NumPy", "NumPi"]}},
            "claim x: the table has no column 'NumPi'",
        ),
        (
            {"id": "x", "kind": "k", "says": "s", "test": {"type": "ordering", "lower": "NumPi", "higher": "NumPy"}},
            "claim x: the table has no column 'NumPi'",
        ),
    ],
)
def test_a_statement_of_a_published_table_that_cannot_be_read(write_matrix, claim, message) -> None:
    path = write_matrix()
    data = path.parent / "tiny" / "published.json"
    table = json.loads(data.read_text()) | {"claims": [claim]}
    data.write_text(json.dumps(table))
    with pytest.raises(MatrixError) as caught:
        load(path)
    assert f"published.json: {message}" in caught.value.what


@pytest.mark.parametrize(("old", "new", "message", "hint"), WRONG, ids=[each[2] for each in WRONG])
def test_a_name_that_exists_nowhere(write_matrix, old: str, new: str, message: str, hint: str) -> None:
    path = write_matrix((old, new))
    with pytest.raises(MatrixError) as caught:
        load(path)
    assert message in caught.value.what
    assert hint in caught.value.hint
    assert caught.value.where == _place(path, new)


def test_a_dtype_without_a_tolerance_takes_the_usual_one(small_matrix) -> None:
    line = "  float64: {relative: 1.0e-7, absolute: 1.0e-7, source: defaults of a framework}\n"
    found = small_matrix((line, "")).tolerances
    assert (found["float64"].relative, found["float64"].source) == (1e-7, "defaults of torch.testing.assert_close")
    assert found["float32"].source == "defaults of a framework"


def test_the_dtypes_of_frameworks_that_have_no_environment_need_no_tolerance(write_matrix) -> None:
    addition = "  jax:\n    auto: {dtypes: [bfloat16], options: {}}\npublished:"
    assert load(write_matrix(("\npublished:", f"\n{addition}")))


def _place(path: Path, text: str) -> str:
    """File and line of a text of the matrix or of its workload, as messages have it."""
    files = {path.name: path, "tiny/workload.yaml": path.parent / "tiny" / "workload.yaml"}
    return next(
        f"{name}:{number}"
        for name, file in files.items()
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if text.strip() in line
    )
