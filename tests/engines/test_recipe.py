"""What images/Dockerfile promises, looked at from inside the image: nothing that no run needs."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from repromatrix.engines.base import Base
from repromatrix.engines.content import ImageReader
from repromatrix.engines.docker import DockerEngine
from tests.engines.conftest import SESSION, Bench, docker_or_skip, make_bench, make_spec

LOOK_AROUND = """
import glob, json, os, re, subprocess, tiny
folders = ["/opt/venv/bin", "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
paths = [path for folder in folders for path in glob.glob(folder + "/*")]
tool = "(.*-)?(cc|c\\+\\+|gcc|g\\+\\+|clang|cpp|ld|as)(-[0-9.]+)?|make|cmake|ninja|pip[0-9.]*|easy_install|wheel"
pythons = [path for path in paths if re.fullmatch("python[0-9.]*", os.path.basename(path))]
ask = "import importlib.util as u; print(*(n for n in ('pip', 'ensurepip') if u.find_spec(n)))"
home = os.path.expanduser("~root")
caches = [home + "/.cache", "/var/cache/apt", "/var/lib/apt/lists", "/tmp", "/usr/share/python-wheels"]
cached = [os.path.join(place, n) for cache in caches for place, _, files in os.walk(cache) for n in files]
print(json.dumps({
    "tools": [path for path in paths if re.fullmatch(tool, os.path.basename(path))],
    "pythons": pythons,
    "importable": [subprocess.check_output([each, "-I", "-c", ask]).decode().split() for each in pythons],
    "installers": [p for p in glob.glob("/usr/l*/**/*-packages/*", recursive=True) + glob.glob("/usr/l*/**/ensurepip")
                   if re.match("pip|setuptools|pkg_resources|wheel|_distutils_hack|ensurepip", os.path.basename(p))],
    "cached": [path for path in cached if os.path.getsize(path)],
    "tiny": tiny.tiny,
}))
"""
# What the registry's python:X-slim images bring and Debian's packages do not.
LIKE_A_REGISTRYS = """\
FROM {base}
RUN for d in ensurepip $(for n in pip pip-24.0.dist-info setuptools setuptools-65.5.1.dist-info pkg_resources \
      _distutils_hack; do echo site-packages/$n; done); do \
      mkdir -p /usr/local/lib/python3.11/$d && echo "x = 1" > /usr/local/lib/python3.11/$d/__init__.py; done \
 && mkdir -p /usr/local/lib/python3.11/dist-packages/pip /usr/local/lib/python3.11/dist-packages/kept/pip \
      ~root/.cache/pip /var/cache/apt/archives \
 && cp /usr/local/lib/python3.11/ensurepip/__init__.py /usr/local/lib/python3.11/dist-packages/pip/ \
 && echo "x = 1" > /usr/local/lib/python3.11/dist-packages/kept/pip/__init__.py \
 && echo cached > ~root/.cache/pip/page && echo cached > /var/cache/apt/archives/x.deb \
 && for n in pip pip3 pip3.11 easy_install wheel pipeline; do printf '#!/bin/sh\\n' > /usr/local/bin/$n; done
"""


@pytest.fixture(scope="module")
def registry_like(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Bench]:
    """The tiny environment on a base that holds what the registry's hold."""
    engine, base = docker_or_skip()
    name = f"repromatrix-test-registry-like:{SESSION}"
    recipe = io.BytesIO(LIKE_A_REGISTRYS.format(base=base.reference).encode())
    told = list(engine.client.build(fileobj=recipe, tag=name, network_mode="none", rm=True, decode=True))
    assert not [each["error"] for each in told if "error" in each]
    based = Base(kind="local", reference=name, digest="test")
    bench = make_bench(engine, based, tmp_path_factory.mktemp("registry-like"), cache)
    yield bench
    for each in (bench.built.reference, name):
        engine.client.remove_image(each, force=True)


@pytest.mark.docker
@pytest.mark.parametrize("kind", ["docker_bench", "registry_like"])
class TestFromInside:
    @pytest.fixture
    def seen(self, kind: str, request: pytest.FixtureRequest) -> dict:
        lines, ended = request.getfixturevalue(kind).run(LOOK_AROUND)
        assert ended.clean, lines
        return json.loads(lines[-1])

    def test_there_is_no_compiler_and_no_installer(self, seen: dict) -> None:
        assert seen["tools"] == []

    def test_no_python_there_can_install_anything(self, seen: dict) -> None:
        assert len(seen["pythons"]) >= 2
        assert not any(seen["importable"])
        assert seen["installers"] == []

    def test_there_is_no_package_cache(self, seen: dict) -> None:
        assert seen["cached"] == []

    def test_the_environment_works_all_the_same(self, seen: dict) -> None:
        assert seen["tiny"] == 42


@pytest.mark.docker
def test_what_only_sounds_like_an_installer_stays(registry_like: Bench) -> None:
    reader, image = ImageReader(), registry_like.built.reference
    assert reader.file(image, "/usr/local/bin/pipeline") is not None
    assert reader.file(image, "/usr/local/lib/python3.11/dist-packages/kept/pip/__init__.py") == b"x = 1\n"


@pytest.mark.docker
def test_everything_that_a_build_wrote_carries_the_time_of_the_spec(docker_bench: Bench, tmp_path: Path) -> None:
    engine = docker_bench.engine
    assert isinstance(engine, DockerEngine)
    spec = replace(make_spec(tmp_path, docker_bench.base, content="tiny = 'in time'\n"), epoch=1234567890)
    built = engine.build(spec, tmp_path / "build.log")
    code = """
import os
paths = ["/opt", *(os.path.join(place, n) for place, ds, fs in os.walk("/opt") for n in (*ds, *fs))]
print(len(paths) > 10, {int(os.lstat(path).st_mtime) for path in paths})
"""
    lines, _ = replace(docker_bench, spec=spec, built=built).run(code)
    assert lines == [b"True {1234567890}"]


@pytest.mark.docker
def test_the_image_is_hardly_larger_than_what_went_into_it(docker_bench: Bench) -> None:
    reader = ImageReader()
    image, base = reader.facts(docker_bench.built.reference), reader.facts(docker_bench.base.reference)
    assert image is not None
    assert base is not None
    assert image.size <= 1.1 * base.size
