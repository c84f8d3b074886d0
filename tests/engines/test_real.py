"""The real thing, small: NumPy's cells give the same bits as a virtual environment and in a container."""

import json
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from repromatrix import resources
from repromatrix.engines.base import Base, BuildSpec, Engine, RunLimits
from repromatrix.engines.docker import reference
from repromatrix.engines.process import ProcessEngine
from repromatrix.images.default_job import default_job
from repromatrix.images.spec import sources
from repromatrix.matrix import load
from tests.engines.conftest import docker_or_skip

pytestmark = [pytest.mark.network, pytest.mark.slow]
LIMITS = RunLimits(silence=60, memory_mib=1024, processes=128)


@pytest.fixture(scope="module")
def numpy_spec(tmp_path_factory: pytest.TempPathFactory) -> BuildSpec:
    folder = tmp_path_factory.mktemp("numpy")
    options = ["-q", "--no-deps", "--only-binary=:all:", "--python-version=3.11", f"--dest={folder}"]
    subprocess.run([sys.executable, "-m", "pip", "download", *options, "numpy==2.4.6"], check=True)
    (wheel,) = folder.glob("*.whl")
    lock = folder / "lock.txt"
    lock.write_text(f"numpy==2.4.6 --hash=sha256:{resources.file_sha256(wheel)}\n")
    images = resources.folder("images")
    (environment,) = (each for each in load(Path("matrix.yaml")).environments if each.name == "numpy-2.4.6-cpu")
    files = (*sources("numpy"), default_job(environment))
    content = sha256(b"".join(file.read_bytes() for file in (*files, images / "Dockerfile"))).hexdigest()
    return BuildSpec(
        name="numpy-engine-test",
        tag=content[:16],
        base=Base(kind="interpreter", reference=sys.executable, digest="test"),
        lock=lock,
        wheels=(wheel,),
        sources=files,
        dockerfile=images / "Dockerfile",
        variables=(),
        labels=(),
        module="numpy",
    )


def told(engine: Engine, spec: BuildSpec, folder: Path) -> list[Any]:
    """What the default job gives: every line but the fingerprint."""
    built = engine.build(spec, folder / "build.log")
    with engine.run(built, stdin=b"", limits=LIMITS, variables={}, gpu=False, log=folder / "run.log") as run:
        lines = [json.loads(line) for line in run.lines()]
        assert run.result().clean, (folder / "run.log").read_text()
    return [line for line in lines if line["line"] != "fingerprint"]


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the wheel is for Python 3.11")
@pytest.mark.docker
def test_both_engines_give_the_same_bits(numpy_spec: BuildSpec, tmp_path: Path) -> None:
    docker, base = docker_or_skip()
    spec = replace(numpy_spec, base=base)
    in_container = told(docker, spec, tmp_path)
    docker.client.remove_image(reference(spec), force=True)
    as_process = told(ProcessEngine(), numpy_spec, tmp_path)
    outcomes = [line["outcome"] for line in as_process if line["line"] == "cell"]
    assert outcomes
    assert set(outcomes) == {"ok"}
    assert [line for line in as_process if line["line"] == "values"]
    assert as_process == in_container
