"""Containers under lock and key, each promise tried from the inside; and what an image holds."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from repromatrix.engines.docker import DockerEngine
from repromatrix.errors import EnvironmentFailedError
from tests.engines.conftest import LIMITS, SESSION, Bench, make_spec

pytestmark = pytest.mark.docker

CONTENT = """import hashlib, os, stat
for top, folders, files in os.walk('/opt'):
    for name in sorted(folders + files):
        path = os.path.join(top, name)
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            what = os.readlink(path)
        else:
            what = hashlib.sha256(open(path, 'rb').read()).hexdigest() if stat.S_ISREG(mode) else ''
        print(path, oct(mode), what)
"""


def output(bench: Bench, code: str) -> str:
    lines, end = bench.run(code)
    assert end.clean, end
    return b"\n".join(lines).decode()


def test_the_root_is_read_only(docker_bench: Bench) -> None:
    code = """import os
for path in ('/opt/venv/x', '/opt/repromatrix/x', '/var/tmp/x', '/x'):
    try:
        open(path, 'w')
    except OSError as error:
        print(error.errno)
print([line.split()[3].split(',')[0] for line in open('/proc/mounts') if line.split()[1] == '/'])
"""
    lines = output(docker_bench, code).split("\n")
    assert set(lines[:-1]) == {"30"}, "EROFS, not merely a file that belongs to somebody else"
    assert lines[-1] == "['ro']"


def test_there_is_no_network(docker_bench: Bench) -> None:
    code = """import os, socket
print(sorted(os.listdir('/sys/class/net')))
try:
    socket.create_connection(('1.1.1.1', 53), timeout=3)
except OSError as error:
    print(error.strerror)
"""
    assert output(docker_bench, code).split("\n") == ["['lo']", "Network is unreachable"]


def test_nobodys_rights_and_no_way_to_more(docker_bench: Bench) -> None:
    code = """import os
print(os.getuid(), os.getgid(), os.getpid() != 1)
status = dict(line.split(':', 1) for line in open('/proc/self/status'))
print(*(status[key].strip() for key in ('CapEff', 'CapPrm', 'CapBnd', 'NoNewPrivs')))
"""
    zero = "0" * 16
    assert output(docker_bench, code).split("\n") == ["65534 65534 True", f"{zero} {zero} {zero} 1"]


def test_the_temporary_folder_is_limited(docker_bench: Bench) -> None:
    lines, end = docker_bench.run(
        "import os\nprint(os.statvfs('/tmp').f_blocks * os.statvfs('/tmp').f_frsize >> 20)\n"
        "try:\n    open('/tmp/big', 'wb').write(bytes(600 << 20))\nexcept OSError as error: print(error.strerror)",
        replace(LIMITS, memory_mib=2048),
    )
    assert end.clean
    assert lines == [b"512", b"No space left on device"]


def test_a_fork_bomb_meets_the_limit(docker_bench: Bench) -> None:
    code = """import os, time
count = 0
try:
    while count < 500:
        if os.fork() == 0:
            time.sleep(600)
        count += 1
except OSError as error:
    print(error.strerror, count < 64)
"""
    lines, end = docker_bench.run(code)
    assert (lines, end.code) == ([b"Resource temporarily unavailable True"], 0)


def test_nothing_spills_out_as_swap_core_or_log(docker_bench: Bench) -> None:
    engine = docker_bench.engine
    assert isinstance(engine, DockerEngine)
    config = engine._host_config(LIMITS, (0,), gpu=False)
    assert config["Memory"] == config["MemorySwap"] == 256 << 20
    assert config["LogConfig"]["Type"] == "none"
    assert output(docker_bench, "import resource; print(resource.getrlimit(resource.RLIMIT_CORE))") == "(0, 0)"


def test_a_gpu_is_asked_for_only_when_wanted(docker_bench: Bench) -> None:
    engine = docker_bench.engine
    assert isinstance(engine, DockerEngine)
    assert not engine._host_config(LIMITS, (0,), gpu=False).get("DeviceRequests")
    (request,) = engine._host_config(LIMITS, (0,), gpu=True)["DeviceRequests"]
    assert (request["Count"], request["Capabilities"]) == (-1, [["gpu", "compute", "utility"]])


def test_an_image_that_is_gone_is_an_error_with_its_name(docker_bench: Bench) -> None:
    gone = replace(docker_bench.built, reference="repromatrix/never-made:0000")
    with (
        pytest.raises(EnvironmentFailedError, match="repromatrix/never-made:0000"),
        replace(docker_bench, built=gone).start(b""),
    ):
        pass


def test_a_bare_docker_run_prints_the_default_job(docker_bench: Bench) -> None:
    done = subprocess.run(
        ["docker", "run", "--rm", docker_bench.built.reference], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("default job\n", 0), done.stderr


def test_the_image_has_its_labels(docker_bench: Bench) -> None:
    engine = docker_bench.engine
    assert isinstance(engine, DockerEngine)
    image = engine.client.inspect_image(docker_bench.built.reference)  # type: ignore[no-untyped-call]
    assert image["Config"]["Labels"]["org.opencontainers.image.title"] == "tiny test"
    assert image["Config"]["Labels"]["repromatrix.tag"] == docker_bench.spec.tag
    assert image["Id"] == docker_bench.built.digest


def test_an_image_with_another_environments_tag_is_not_found(docker_bench: Bench) -> None:
    engine = docker_bench.engine
    assert isinstance(engine, DockerEngine)
    engine.client.tag(docker_bench.built.reference, "repromatrix/tiny-1.0-test", "beef")
    try:
        assert engine.find(replace(docker_bench.spec, tag="beef")) is None
    finally:
        engine.client.remove_image("repromatrix/tiny-1.0-test:beef")


def test_no_installer_no_cache_and_nothing_of_the_build_are_left(docker_bench: Bench) -> None:
    code = """import os
for folder in ('/opt', '/opt/venv/lib/python3.11/site-packages', '/tmp', '/root', '/.cache', '/build'):
    print(folder, *sorted(os.listdir(folder)) if os.path.isdir(folder) else ['-'])
"""
    # By hand, as root and without the engine's own /tmp, which would hide what lies below.
    command = ["docker", "run", "--rm", "--user=0", "--entrypoint=python", docker_bench.built.reference, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[:3] == [
        "/opt repromatrix venv",
        "/opt/venv/lib/python3.11/site-packages __pycache__ tiny-1.0.dist-info tiny.py",
        "/tmp",
    ]
    root, *absent = done.stdout.splitlines()[3:]
    assert not {".cache", ".local", ".config"} & set(root.split())
    assert absent == ["/.cache -", "/build -"]


def test_what_is_imported_is_compiled_and_up_to_date(docker_bench: Bench) -> None:
    code = (
        "import os, tiny\n"
        "print(os.listdir('/opt/venv/lib/python3.11/site-packages/__pycache__'))\n"
        "data = open(tiny.__cached__, 'rb').read()\n"
        "print(int.from_bytes(data[8:12], 'little') == int(os.stat(tiny.__file__).st_mtime))"
    )
    assert output(docker_bench, code).split("\n") == ["['tiny.cpython-311.pyc']", "True"]


def test_two_builds_have_the_same_content(docker_bench: Bench, tmp_path: Path) -> None:
    engine = docker_bench.engine
    found = []
    for number in range(2):
        spec = make_spec(tmp_path / str(number), docker_bench.base)
        recipe = tmp_path / f"Dockerfile{number}"
        # A step of its own before the others: the engine's cache of layers would make this test true by itself.
        recipe.write_text(
            spec.dockerfile.read_text().replace("FROM ${BASE}\n", f"FROM ${{BASE}}\nRUN : {SESSION} {number}\n")
        )
        spec = replace(spec, dockerfile=recipe, tag=f"{number}" * 8)
        built = engine.build(spec, tmp_path / "build.log")
        found.append(output(replace(docker_bench, built=built), CONTENT))
        assert isinstance(engine, DockerEngine)
        engine.client.remove_image(built.reference)
    assert found[0].count("\n") > 10
    assert found[0] == found[1]
    assert (tmp_path / "build.log").read_text().count("Installed 1 package") == 2, "the second build was no build"
