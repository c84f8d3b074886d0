"""A tiny real environment (one wheel made on the fly) whose entrypoint executes the Python that it is sent."""

import hashlib
import sys
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from repromatrix.engines.base import Base, BuildSpec, Built, Engine, Exit, Run, RunLimits
from repromatrix.engines.docker import DockerEngine
from repromatrix.engines.process import ProcessEngine
from repromatrix.errors import NoEngineError

PACKAGE = "import tempfile\ntempfile.mkstemp()  # many a framework leaves something\ntiny = 42\n"
ENTRYPOINT = """import sys
source = sys.stdin.read() or 'print("default job")'
exec(compile(source, "job", "exec"))
"""
DOCKERFILE = Path(__file__).parents[2] / "images" / "Dockerfile"
LOCAL_BASES = ("repromatrix/base:bookworm-py3.11", "repromatrix-test-base:latest")
SESSION = uuid.uuid4().hex  # an engine remembers the images of other sessions, whose code may have been another
LIMITS = RunLimits(silence=60, memory_mib=256, processes=64, output_bytes=8 << 20)


def make_wheel(folder: Path, module: str = PACKAGE) -> Path:
    """Write a wheel of the package `tiny` 1.0 with one file that only its owner may read."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny-1.0-py3-none-any.whl"
    info = "tiny-1.0.dist-info"
    files = {
        "tiny.py": module,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o600 if name == "tiny.py" else 0o644) << 16
            archive.writestr(entry, text)
    return path


def make_spec(folder: Path, base: Base, *, module: str = "tiny", content: str = PACKAGE) -> BuildSpec:
    """Return the spec of the tiny environment, its files made in `folder`."""
    wheel = make_wheel(folder / "wheels", content)
    lock = folder / "lock.txt"
    lock.write_text(f"tiny==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    sources = folder / "sources"
    sources.mkdir(exist_ok=True)
    (sources / "entrypoint.py").write_text(ENTRYPOINT)
    (sources / "beside.py").write_text("VALUE = 7\n")
    spec = BuildSpec(
        name="tiny-1.0-test",
        tag="",
        base=base,
        lock=lock,
        wheels=(wheel,),
        sources=tuple(sorted(sources.iterdir())),
        dockerfile=DOCKERFILE,
        variables=(("TINY_VARIABLE", 'a "quoted" $HOME \\ value'),),
        labels=(("org.opencontainers.image.title", "tiny test"), ("repromatrix.test", SESSION)),
        module=module,
    )
    parts = (SESSION, lock.read_bytes(), base.reference, module, ENTRYPOINT, DOCKERFILE.read_text())
    return replace(spec, tag=hashlib.sha256(repr(parts).encode()).hexdigest()[:16])


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """An engine with its tiny environment, built."""

    engine: Engine
    base: Base
    spec: BuildSpec
    built: Built
    log: Path

    def start(
        self, code: str | bytes, limits: RunLimits = LIMITS, variables: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Run]:
        """Have the environment execute `code`."""
        stdin = code.encode() if isinstance(code, str) else code
        return self.engine.run(
            self.built, stdin=stdin, limits=limits, variables=variables or {}, gpu=False, log=self.log
        )

    def run(
        self, code: str | bytes, limits: RunLimits = LIMITS, variables: Mapping[str, str] | None = None
    ) -> tuple[list[bytes], Exit]:
        """Have the environment execute `code` to its end."""
        with self.start(code, limits, variables) as run:
            lines = list(run.lines())
            return lines, run.result()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache folder of all engine tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPROMATRIX_CACHE", str(cache))


def docker_or_skip() -> tuple[DockerEngine, Base]:
    """Return a Docker engine and a base image on it, or skip with the reason."""
    try:
        engine = DockerEngine()
    except NoEngineError as error:
        pytest.skip(f"{error.what}: make engine")
    for reference in LOCAL_BASES:
        if engine.client.images(reference):
            return engine, Base(kind="local", reference=reference, digest="test")
    pytest.skip("no base image: make base")


def make_bench(engine: Engine, base: Base, folder: Path, cache: Path) -> Bench:
    """Build the tiny environment with `engine`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPROMATRIX_CACHE", str(cache))
        spec = make_spec(folder, base)
        return Bench(
            engine=engine, base=base, spec=spec, built=engine.build(spec, folder / "build.log"), log=folder / "run.log"
        )


@pytest.fixture(scope="session")
def process_bench(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Bench:
    """The tiny environment as a virtual environment."""
    base = Base(kind="interpreter", reference=sys.executable, digest="test")
    return make_bench(ProcessEngine(), base, tmp_path_factory.mktemp("process"), cache)


@pytest.fixture(scope="session")
def docker_bench(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Bench]:
    """The tiny environment as an image."""
    engine, base = docker_or_skip()
    yield make_bench(engine, base, tmp_path_factory.mktemp("docker"), cache)
    for image in engine.client.images(filters={"label": f"repromatrix.test={SESSION}"}, quiet=True):
        engine.client.remove_image(image, force=True)


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def bench(request: pytest.FixtureRequest) -> Bench:
    """Each engine in turn: what is tested with this holds for both."""
    found: Bench = request.getfixturevalue(f"{request.param}_bench")
    return found
