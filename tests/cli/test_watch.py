"""`repromatrix watch` asks `impact` and `bisect`: as it was asked itself."""

import pytest

from repromatrix.cli import watch
from repromatrix.cli.main import parser_of

SAID = [
    "--matrix=m.yaml", "--results=-r", "--engine=docker", "--jobs=7", "--registry=host/path", "--digests=d.json",
    "--cluster=tcp://h:1", "--cpu-class=c", "--pre", "-v", "--select=-x",
]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "arguments", "lacks"),
    [
        ("impact", ["numpy-2.4.6-cpu", "numpy==9"], set()),
        ("bisect", ["numpy", "1", "9", "--on", "mlp"], {"pre", "select"}),
    ],
)
def test_what_was_said_is_said_to_both(command: str, arguments: list[str], lacks: set[str]) -> None:
    options = parser_of("watch").parse_args(SAID)
    asked = vars(watch.asked_too(command, options, *arguments))
    said = {word.lstrip("-").partition("=")[0].replace("-", "_") for word in SAID} - {"v"} | {"verbose"}
    assert {name: asked.get(name) for name in said - lacks} == {name: vars(options)[name] for name in said - lacks}
    assert asked["jobs"] == 7
    assert arguments[-1] in (asked.get("on"), *asked.get("sides", ()))
