"""The interpreter at hand: only the sources are staged, the reader's variables stay, limits hold as anywhere."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from repromatrix.engines.base import Base, BuildSpec, RunLimits
from repromatrix.engines.choose import CHOICES
from repromatrix.engines.here import HereEngine

LIMITS = RunLimits(silence=60, memory_mib=256, processes=64)
ENTRYPOINT = "import sys\nimport beside\nexec(sys.stdin.read())\n"
TELL = "import json, os; print(json.dumps([dict(os.environ), os.getcwd(), sys.executable]))"


@pytest.fixture
def engine() -> HereEngine:
    return HereEngine(Base(kind="here", reference=sys.executable, digest="this one"))


@pytest.fixture
def spec(tmp_path: Path, engine: HereEngine) -> BuildSpec:
    (tmp_path / "entrypoint.py").write_text(ENTRYPOINT)
    (tmp_path / "beside.py").write_text("VALUE = 7\n")
    return BuildSpec(
        name="tiny-1.0-here",
        tag=tmp_path.name,
        base=engine.base,
        lock=Path("/dev/null"),
        wheels=(),
        sources=(tmp_path / "entrypoint.py", tmp_path / "beside.py"),
        dockerfile=Path("/dev/null"),
        variables=(),
        labels=(),
        module="tiny",
    )


@pytest.fixture
def start(engine: HereEngine, spec: BuildSpec, tmp_path: Path):
    """Have the staged entrypoint execute `code`; return its lines and how it ended."""
    built = engine.build(spec, tmp_path / "build.log")

    def run(code: str, limits: RunLimits = LIMITS, *, gpu: bool = False):
        log = tmp_path / "run.log"
        with engine.run(built, stdin=code.encode(), limits=limits, variables={"OWN": "1"}, gpu=gpu, log=log) as running:
            return list(running.lines()), running.result()

    return run


def test_only_the_sources_are_staged_and_then_found(engine, spec, tmp_path: Path) -> None:
    assert engine.find(spec) is None
    built = engine.build(spec, tmp_path / "build.log")
    assert engine.find(spec) == engine.build(spec, tmp_path / "build.log") == built
    assert {path.name for path in Path(built.reference).iterdir()} == {"entrypoint.py", "beside.py", "complete"}
    assert [path.name for path in Path(built.reference).parent.glob(".*")] == []


def test_what_could_not_be_staged_whole_is_never_found(engine, spec, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        engine.build(replace(spec, sources=(*spec.sources, tmp_path / "gone.py")), tmp_path / "build.log")
    assert engine.find(spec) is None


def test_a_run_keeps_the_readers_variables_but_has_a_folder_of_its_own(start, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/module/lib")
    monkeypatch.setenv("CONDA_PREFIX", "/opt/conda")
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # would hide the files beside the entrypoint
    monkeypatch.setenv("PYTHONPATH", "modules")
    monkeypatch.chdir(tmp_path)
    lines, ending = start(TELL)
    variables, folder, executable = json.loads(lines[0])
    assert ending.clean
    assert (variables["LD_LIBRARY_PATH"], variables["CONDA_PREFIX"]) == ("/opt/module/lib", "/opt/conda")
    assert variables["PYTHONPATH"] == str(tmp_path / "modules")
    assert "PYTHONSAFEPATH" not in variables
    assert variables["OWN"] == "1"
    assert variables["TMPDIR"] == folder
    assert not Path(folder).exists()
    assert executable == sys.executable


def test_a_gpu_is_hidden_from_cells_of_the_cpu_only(start, monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    seen = [json.loads(start(TELL, gpu=gpu)[0][0])[0]["CUDA_VISIBLE_DEVICES"] for gpu in (False, True)]
    assert seen == ["", "3"]


def test_limits_are_watched(start) -> None:
    _, ending = start("import time; time.sleep(600)", replace(LIMITS, silence=0.5))
    assert ending.timed_out
    _, ending = start("x = bytearray(1 << 30); import time; x[::4096] = x[::4096]; time.sleep(600)")
    assert ending.out_of_memory


def test_it_is_never_chosen_unasked() -> None:
    assert HereEngine.name not in CHOICES
