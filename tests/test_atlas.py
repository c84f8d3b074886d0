"""docs/atlas: the pages are what the log says, and the log what `impact` says."""

import json
from pathlib import Path

import pytest

from scripts import atlas

ATLAS = Path(__file__).parents[1] / "docs" / "atlas"


def test_the_pages_are_made_from_the_log() -> None:
    made = atlas.pages()
    there = {path.name: path.read_text() for path in ATLAS.glob("*.md")}
    assert made == there, "make atlas"


@pytest.mark.parametrize("framework", [path.stem for path in (ATLAS / "log").glob("*.jsonl")])
def test_every_pair_is_held_against_the_one_that_ran_before_it(framework: str) -> None:
    before = None
    for line in atlas.read(framework):
        if "operation" in line:
            continue
        if "failed" in line:
            assert line["failed"]
            continue
        assert line["from"] == before, "run the atlas to its end"
        assert line["cpu"]
        before = line["to"]


def _row(**told):
    kept = dict.fromkeys(atlas.KEPT)
    return kept | {"operation": "exp", "dtype": "float64", "mode": "eager", "gradient": False, "case": ""} | told


def test_of_an_operation_the_result_that_moved_the_most_is_kept_and_zeros_are_numbers() -> None:
    rows = [
        _row(verdict="rounding", scaled=1e-16, max_ulp=1, changed=3, size=9, error_a=0.0, error_b=0.5),
        _row(verdict="rounding", scaled=2e-16, max_ulp=2, changed=2, size=9, error_a=0.0, error_b=0.5, case="special"),
        _row(verdict="identical", operation="log"),
        _row(verdict="absent", operation="zeta"),
    ]
    (line,) = atlas.changes(rows, "2.0.0")
    assert (line["results"], line["case"], line["max_ulp"], line["error_a"]) == (2, "special", 2, 0.0)
    assert "gradient" not in line


def test_what_cannot_be_made_is_a_line_with_its_reason_and_what_else_fails_ends_it(tmp_path, monkeypatch) -> None:
    program = tmp_path / "python"
    monkeypatch.setattr(atlas.sys, "executable", str(program))
    for code, error in ((4, "failed jax-0.4.37\nrepromatrix: /a/b.log: jaxlib is not there"), (70, "a bug")):
        program.write_text(f"#!/bin/sh\necho '{error}' >&2\nexit {code}\n")
        program.chmod(0o755)
        if code == 4:
            (line,) = atlas.compared("jax", "0.4.36", "0.4.37", tmp_path)
            assert line == {"to": "0.4.37", "from": "0.4.36", "failed": "jaxlib is not there"}
        else:
            with pytest.raises(SystemExit, match="a bug"):
                atlas.compared("jax", "0.4.36", "0.4.37", tmp_path)


def test_what_is_not_run_yet_is_listed_and_run_later(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(atlas, "ATLAS", tmp_path)
    monkeypatch.setattr(atlas, "chosen", lambda _: ["1.0", "1.1", "2.0"])
    told = {"environment": "", "cpu": "", "training": [], "operations": 1, "jobs": 0, "moved": {}, "verdict": ""}

    def compared(_framework, before, version, _results):
        return [{"to": version, "from": before} | ({"failed": "no wheel"} if version == "1.1" else told)]

    monkeypatch.setattr(atlas, "compared", compared)
    atlas.run("numpy", None, ())
    assert [each["failed"] for each in atlas.read("numpy")] == ["not run yet"] * 3
    atlas.run("numpy", tmp_path, (), "2.0")
    assert [each.get("failed") for each in atlas.read("numpy")] == ["not run yet", "not run yet", None]
    atlas.run("numpy", tmp_path, ())
    assert [(each["to"], each["from"]) for each in atlas.read("numpy")] == [
        ("1.0", None),
        ("1.1", "1.0"),
        ("2.0", "1.0"),
    ]
    assert "| 1.1 |  | 1.0 | not run: no wheel |  |" in atlas.pages()["README.md"]


def test_of_a_framework_with_large_builds_the_locked_releases_run_in_their_flavour(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(atlas, "ATLAS", tmp_path)
    monkeypatch.setattr(atlas, "chosen", lambda _: ["2.6.0", "2.7.0", "2.8.0"])
    asked = []
    told = {"environment": "", "cpu": "", "training": [], "operations": 1, "jobs": 0, "moved": {}, "verdict": ""}

    def compared(framework, before, version, _results):
        asked.append([atlas._pin(framework, each) for each in (before or version, version)])
        return [{"to": version, "from": before} | told]

    monkeypatch.setattr(atlas, "compared", compared)
    atlas.run("torch", tmp_path, ())
    assert asked == [["torch[cuda]==2.6.0"] * 2, ["torch[cuda]==2.6.0", "torch[cuda]==2.8.0"]]
    assert [each.get("failed") for each in atlas.read("torch")] == [None, atlas.NOT_RUN, None]


def test_an_operation_that_only_one_release_has_is_new_or_gone(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(atlas, "ATLAS", tmp_path)
    pair = {"from": "1.0", "environment": "", "cpu": "", "training": [], "operations": 1, "jobs": 0, "moved": {}}
    absent = {"verdict": "absent", "dtype": "float32", "mode": "eager", "results": 1, "operation": "rms_norm"}
    atlas.write(
        "numpy",
        [
            pair | {"to": "1.1", "verdict": "results differ"},
            {"to": "1.1", "dtype_b": "float32"} | absent,
            pair | {"to": "1.2", "from": "1.1", "verdict": "results differ"},
            {"to": "1.2", "dtype_a": "float32"} | absent,
        ],
    )
    page = atlas.pages()["numpy.md"]
    assert "| rms_norm | float32: new | float32: gone |" in page
    assert "| rms_norm | float32: none -> float32 | new |" in page
    assert "| rms_norm | float32: float32 -> none | gone |" in page


def test_a_log_keeps_three_digits_and_its_order(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(atlas, "ATLAS", tmp_path)
    atlas.write(
        "numpy", [{"to": "2.0.0", "scaled": 1.23456e-16}, {"to": "1.26.4"}, {"to": "2.0.0", "operation": "exp"}]
    )
    lines = (tmp_path / "log" / "numpy.jsonl").read_text().splitlines()
    assert [json.loads(each) for each in lines] == [
        {"to": "1.26.4"},
        {"to": "2.0.0", "scaled": 1.23e-16},
        {"to": "2.0.0", "operation": "exp"},
    ]
