"""What every engine promises about a build: whole or not there, and the log named."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from repromatrix.engines.base import Base, BuildSpec
from repromatrix.errors import EnvironmentFailedError
from tests.engines.conftest import Bench, make_spec


def failed_build(bench: Bench, spec: BuildSpec, log: Path) -> EnvironmentFailedError:
    with pytest.raises(EnvironmentFailedError) as caught:
        bench.engine.build(spec, log)
    assert bench.engine.find(spec) is None
    assert caught.value.where == str(log)
    return caught.value


def test_what_was_built_is_found(bench: Bench) -> None:
    assert bench.engine.find(bench.spec) == bench.built


def test_another_tag_is_not_found(bench: Bench) -> None:
    assert bench.engine.find(replace(bench.spec, tag="0000")) is None


def test_a_module_that_fails_to_import_fails_the_build(bench: Bench, tmp_path: Path) -> None:
    spec = make_spec(tmp_path, bench.base, content="raise RuntimeError('no such kernel')\n")
    error = failed_build(bench, spec, tmp_path / "build.log")
    assert "RuntimeError: no such kernel" in error.what
    assert "no such kernel" in (tmp_path / "build.log").read_text()
    assert spec.name in error.hint


def test_a_substituted_wheel_is_refused_by_its_hash(bench: Bench, tmp_path: Path) -> None:
    spec = make_spec(tmp_path, bench.base, content="tiny = 'locked'\n")
    make_spec(tmp_path / "other", bench.base, content="tiny = 'other'\n").wheels[0].replace(spec.wheels[0])
    error = failed_build(bench, spec, tmp_path / "build.log")
    said = {"docker": "Hash mismatch for `tiny==1.0`", "process": "has another sha256 than its lock tells"}
    assert said[bench.engine.name] in error.what


def test_a_lock_without_a_hash_is_refused(bench: Bench, tmp_path: Path) -> None:
    spec = make_spec(tmp_path, bench.base, content="tiny = 'no hash'\n")
    spec.lock.write_text("tiny==1.0\n")
    failed_build(bench, spec, tmp_path / "build.log")
    assert "all requirements must have a hash" in (tmp_path / "build.log").read_text()


def test_a_damaged_wheel_is_refused(bench: Bench, tmp_path: Path) -> None:
    spec = make_spec(tmp_path, bench.base, content="tiny = 'to be damaged'\n")
    data = bytearray(spec.wheels[0].read_bytes())
    data[60] ^= 1
    spec.wheels[0].write_bytes(data)
    failed_build(bench, spec, tmp_path / "build.log")


def test_a_missing_wheel_fails_the_build_without_a_look_at_the_network(bench: Bench, tmp_path: Path) -> None:
    spec = make_spec(tmp_path, bench.base, content="tiny = 'missing'\n")
    spec.lock.write_text(spec.lock.read_text().replace("tiny==1.0", "packaging==24.0"))
    failed_build(bench, spec, tmp_path / "build.log")


def test_two_builders_of_one_environment_at_once(bench: Bench, tmp_path: Path) -> None:
    spec = make_spec(tmp_path, bench.base, content="tiny = 'twice'\n")
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda n: bench.engine.build(spec, tmp_path / f"{n}.log"), range(2))
    assert first.reference == second.reference
    assert bench.engine.find(spec) is not None


def test_an_unfinished_environment_is_not_found_and_made_anew(process_bench: Bench) -> None:
    folder = Path(process_bench.built.reference)
    spec = replace(process_bench.spec, tag="abcd")
    half = folder.with_name(f"{spec.name}-abcd")
    (half / "bin").mkdir(parents=True)
    (half / "bin" / "python").symlink_to(folder / "bin" / "python")
    (half / "left").touch()
    assert process_bench.engine.find(spec) is None
    built = process_bench.engine.build(spec, half.parent / "build.log")
    assert Path(built.reference) == half
    assert not (half / "left").exists()


def test_an_environment_whose_interpreter_is_gone_is_not_found(process_bench: Bench, tmp_path: Path) -> None:
    spec = make_spec(tmp_path, process_bench.base, content="tiny = 'gone'\n")
    python = Path(process_bench.engine.build(spec, tmp_path / "build.log").reference, "bin", "python")
    python.unlink()
    python.symlink_to("/nowhere/python3")
    assert process_bench.engine.find(spec) is None


def test_an_interpreter_that_is_not_there_fails_the_build(process_bench: Bench, tmp_path: Path) -> None:
    nowhere = Base(kind="interpreter", reference="/nowhere/python3", digest="x")
    error = failed_build(process_bench, make_spec(tmp_path, nowhere), tmp_path / "build.log")
    assert "/nowhere/python3" in error.what


def test_the_shell_of_the_builder_does_not_reach_the_build(
    process_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"UV_INDEX_URL": "http://nowhere", "PYTHONPATH": "/nowhere", "PIP_INDEX_URL": "x"}.items():
        monkeypatch.setenv(name, value)
    content = f"import os\nassert not {{'PYTHONPATH', 'PIP_INDEX_URL'}} & set(os.environ), {os.getpid()}\n"
    process_bench.engine.build(make_spec(tmp_path, process_bench.base, content=content), tmp_path / "build.log")
