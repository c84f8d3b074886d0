"""Results that somebody changed on purpose, digests and all: a named error or a difference, never a defect."""

import json
import random
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from bench.torture.damage import changed, places
from repromatrix.__main__ import main
from repromatrix.results.experiments import Experiments
from repromatrix.results.record import contradictions
from repromatrix.results.store import Store

CHANGES = 15  # of each kind of file; more with --changes
SECONDS = 5
KINDS = ("manifest.json", "records", "traces", "experiments.json", "report.json")


@pytest.fixture(scope="module")
def whole(rich, tmp_path_factory) -> Path:
    """The rich run as a results folder, with its report."""
    folder = tmp_path_factory.mktemp("whole")
    store = Store(folder / "results")
    for record in (*rich.records, *rich.tried.values()):
        if not list(contradictions(record)):  # some were made by hand for a report alone
            store.write(record)
    for trace in rich.traces.values():
        store.write_trace(trace)
    store.write_manifest(rich.manifest)
    store.write_experiments(rich.experiments or Experiments())
    assert _run("report", folder) in {0, 5}
    return folder


def _run(command: str, folder: Path) -> int:
    results, report = str(folder / "results"), str(folder / "report")
    if command == "report":
        return main(["report", "-q", "--results", results, "--output", report])
    return main(["verify", "-q", report, "--results", results])


def _written(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False).encode() + b"\n"


def _sealed(manifest: Any) -> bytes:
    """Return a manifest with its own digest; it tells none of other files."""
    if not isinstance(manifest, dict):
        return _written(manifest)
    bare = manifest | {"digest": ""}
    return _written(bare | {"digest": sha256(_written(bare)).hexdigest()})


@pytest.mark.parametrize("kind", KINDS)
def test_one_value_that_is_another_is_never_a_defect(whole: Path, capsys, kind: str, request) -> None:
    dice = random.Random(kind)  # noqa: S311 - the same every time
    manifest_path = whole / "results" / "manifest.json"
    manifest = json.loads(manifest_path.read_bytes())
    before = {path: path.read_bytes() for path in whole.rglob("*.json")}
    manifest_path.write_bytes(_sealed(manifest | {"files": []}))
    paths = sorted(path for path in before if kind in path.parts)
    assert paths
    for number in range(request.config.getoption("--changes") or CHANGES):
        path = dice.choice(paths)
        document = json.loads(path.read_bytes())
        if kind == "manifest.json":
            document["files"] = []
        way = dice.choice(list(places(document)))
        document = changed(document, way, dice)
        path.write_bytes(_sealed(document) if kind == "manifest.json" else _written(document))
        begin = time.process_time()  # a machine that is busy with other things is no defect
        for command in ("verify",) if kind == "report.json" else ("verify", "report"):
            code = _run(command, whole)
            assert code in {0, 1, 2, 5}, (number, command, path.name, way, capsys.readouterr().err[-3000:])
        assert time.process_time() - begin < 2 * SECONDS
        for each, data in before.items():
            each.write_bytes(data)
        manifest_path.write_bytes(_sealed(manifest | {"files": []}))
    manifest_path.write_bytes(before[manifest_path])
