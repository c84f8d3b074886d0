"""What a schema cannot say: a name that exists nowhere is told with its line and what was meant."""

import json

import pytest

from repromatrix.errors import MatrixError
from repromatrix.matrix import load

# what stands in the small matrix, what replaces it, the message, the hint
WRONG = [
    ("  - framework: torch\n", "  - framework: tprch\n", "there is no images/tprch/entrypoint.py", "torch"),
    ('["torch=={version}"]', '["torch=={ver}"]', "not a requirement: 'torch=={ver}'", "{version}"),
    ("steps: 1, options: {loop", "steps: 1, flavours: [cpo], options: {loop", "has the flavour 'cpo'", "'cpu'"),
    (
        "steps: 1, options: {loop",
        "steps: 1, devices: [cuda], options: {loop",
        "no environment of numpy has a",
        '["cuda:0"]',
    ),
    (
        "dtypes: [float32], options: {gradient: auto}",
        "dtypes: [bfloat16], options: {}",
        "no tolerance for bfloat16",
        "add",
    ),
    ("        NumPy: {framework", "        NumPi: {framework", "no column 'NumPi'", "'NumPy'"),
    ("data: published.json", "data: publisht.json", "no such file: publisht.json", "relative to matrix.yaml"),
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
    data = path.parent / "published.json"
    table = json.loads(data.read_text()) | {"claims": [claim]}
    data.write_text(json.dumps(table))
    with pytest.raises(MatrixError) as caught:
        load(path)
    assert f"published.json: {message}" in caught.value.what


@pytest.mark.parametrize(("old", "new", "message", "hint"), WRONG, ids=[each[2] for each in WRONG])
def test_a_name_that_exists_nowhere(write_matrix, old: str, new: str, message: str, hint: str) -> None:
    path = write_matrix((old, new))
    line = next(i for i, text in enumerate(path.read_text().splitlines(), 1) if new.strip() in text)
    with pytest.raises(MatrixError) as caught:
        load(path)
    assert message in caught.value.what
    assert hint in caught.value.hint
    assert caught.value.where == f"matrix.yaml:{line}"
