"""Nothing of a run outlives it: not its children, not after an error, not after Ctrl-C, not after a kill -9."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from repromatrix.engines import owner, supervise, watch
from repromatrix.engines.connection import engine_host
from repromatrix.engines.docker import OWNER_LABEL, DockerEngine
from repromatrix.engines.process import ProcessEngine
from repromatrix.engines.supervised import Commands
from repromatrix.engines.watched import Watcher
from tests.engines.conftest import LIMITS, Bench

# A child in a session of its own, whose parent has gone: neither a process group nor a parent's death reaches it.
FAMILY = (
    "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
    "        print(os.getpid(), flush=True)\n        time.sleep(600)\n    os._exit(0)\n"
)
RUNNER = """
import sys
from pathlib import Path
from repromatrix.engines.base import Built, RunLimits
from repromatrix.engines.{module} import {name}
limits = RunLimits(silence=600, memory_mib=256, processes=64)
with {name}().run(Built(reference={reference!r}, digest=None), stdin={code!r}, limits=limits, variables={{}},
                  gpu=False, log=Path({log!r})) as run:
    for line in run.lines():
        print(line.decode(), flush=True)
"""


def eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def containers(engine: DockerEngine, owned_by: str) -> list[str]:
    found = engine.client.containers(all=True, filters={"label": f"{OWNER_LABEL}={owned_by}"})
    return [container["Names"][0].lstrip("/") for container in found]


def start_runner(bench: Bench, code: str) -> subprocess.Popen[str]:
    """Start another process that runs `code` in the bench's environment and prints its lines."""
    engine = type(bench.engine)
    text = RUNNER.format(
        module=engine.__module__.rpartition(".")[2],
        name=engine.__name__,
        reference=bench.built.reference,
        code=code.encode(),
        log=str(bench.log),
    )
    return subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )


def test_a_child_that_fled_dies_with_the_run(process_bench: Bench) -> None:
    begin = time.monotonic()
    lines, end = process_bench.run(FAMILY + "time.sleep(0.5)")
    assert end.code == 0
    assert time.monotonic() - begin < 60  # not the child's 600
    assert not alive(int(lines[0]))


def test_an_error_in_the_reader_ends_the_run(process_bench: Bench) -> None:
    with (
        contextlib.suppress(KeyboardInterrupt),
        process_bench.start(FAMILY + "time.sleep(600)") as run,
    ):
        pid = int(next(iter(run.lines())))
        assert alive(pid)
        raise KeyboardInterrupt
    assert not alive(pid)


def test_a_killed_runner_leaves_no_process(process_bench: Bench) -> None:
    with start_runner(process_bench, FAMILY + "time.sleep(600)") as runner:
        assert runner.stdout
        pid = int(runner.stdout.readline())
        assert alive(pid)
        runner.kill()
    assert eventually(lambda: not alive(pid))


def test_a_killed_supervisor_leaves_no_command(process_bench: Bench) -> None:
    code = "import os, time\nprint(os.getpid(), os.getppid(), flush=True)\ntime.sleep(600)"
    with process_bench.start(code) as run:
        lines = run.lines()
        pid, supervisor = map(int, next(lines).split())
        os.kill(supervisor, signal.SIGKILL)
        list(lines)
        assert run.result().signal == "SIGKILL"
    assert eventually(lambda: not alive(pid))


def test_too_many_processes_end_the_run(process_bench: Bench) -> None:
    code = "import os, time\nprint('begun', flush=True)\nwhile True:\n    if os.fork() == 0: time.sleep(600)"
    lines, end = process_bench.run(code)
    assert lines == [b"begun"]
    assert end.too_many_processes
    assert end.explain(LIMITS) == "more than 64 processes and threads"


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], set[Path]]:
    """Return what lists the homes in a cache that no other test uses."""
    monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path))
    return lambda: set((tmp_path / "runs").iterdir())


def test_temporary_files_go_with_the_run(process_bench: Bench, homes: Callable[[], set[Path]], tmp_path: Path) -> None:
    lines, _ = process_bench.run("import tempfile; print(tempfile.mkdtemp(), flush=True)")
    folder = Path(lines[0].decode())
    assert folder.parent.parent == tmp_path / "runs"
    assert homes() == set()


def test_the_home_of_a_killed_runner_is_swept_and_that_of_a_living_one_is_not(
    process_bench: Bench, homes: Callable[[], set[Path]]
) -> None:
    with start_runner(process_bench, FAMILY + "time.sleep(600)") as living:
        assert living.stdout
        living.stdout.readline()
        kept = homes()
        assert len(kept) == 2  # the folder and its mark
        with start_runner(process_bench, FAMILY + "time.sleep(600)") as killed:
            assert killed.stdout
            killed.stdout.readline()
            killed.kill()
        assert len(homes()) == 4
        with replace(process_bench, engine=ProcessEngine()).start(b""):
            assert kept < homes()
        assert homes() == kept
        living.send_signal(signal.SIGINT)
    assert homes() == set()


@pytest.mark.docker
def test_no_container_is_left_after_an_error(docker_bench: Bench) -> None:
    engine = docker_bench.engine
    assert isinstance(engine, DockerEngine)
    with (
        contextlib.suppress(KeyboardInterrupt),
        docker_bench.start(FAMILY + "time.sleep(600)") as run,
    ):
        next(iter(run.lines()))
        assert len(containers(engine, owner.ourselves())) == 1
        raise KeyboardInterrupt
    assert containers(engine, owner.ourselves()) == []


@pytest.mark.docker
def test_no_container_is_left_where_it_could_not_start(docker_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = DockerEngine()

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(engine.client, "start", interrupted)
    with (
        contextlib.suppress(KeyboardInterrupt),
        replace(docker_bench, engine=engine).start(b""),
    ):
        pass
    assert containers(engine, owner.ourselves()) == []


@pytest.mark.docker
def test_ctrl_c_at_the_terminal_leaves_no_container(docker_bench: Bench) -> None:
    engine = DockerEngine()
    with start_runner(docker_bench, FAMILY + "time.sleep(600)") as runner:
        assert runner.stdout
        runner.stdout.readline()
        owned_by = f"{runner.pid} {owner._started(runner.pid)} {owner.machine()}"
        assert len(containers(engine, owned_by)) == 1
        runner.send_signal(signal.SIGINT)
    assert containers(engine, owned_by) == []


@pytest.mark.docker
def test_the_container_of_a_killed_runner_is_swept_and_that_of_a_living_one_is_not(docker_bench: Bench) -> None:
    engine = DockerEngine()
    with start_runner(docker_bench, FAMILY + "time.sleep(600)") as living:
        assert living.stdout
        living.stdout.readline()
        with start_runner(docker_bench, FAMILY + "time.sleep(600)") as killed:
            assert killed.stdout
            killed.stdout.readline()
            left = containers(engine, f"{killed.pid} {owner._started(killed.pid)} {owner.machine()}")
            assert len(left) == 1
            killed.kill()
        kept = containers(engine, f"{living.pid} {owner._started(living.pid)} {owner.machine()}")
        assert left[0] in engine.sweep()
        assert len(kept) == 1
        assert engine.client.inspect_container(kept[0])["State"]["Running"]
        living.send_signal(signal.SIGINT)


@pytest.mark.docker
def test_an_engine_sweeps_as_it_begins_also_where_nothing_will_run(docker_bench: Bench) -> None:
    client = docker_bench.engine.client
    name = f"repromatrix-test-{uuid.uuid4().hex[:12]}"
    dead = f"4194305 1 {owner.machine()}"
    client.create_container(image=docker_bench.built.reference, name=name, labels={OWNER_LABEL: dead})
    assert containers(docker_bench.engine, dead) == [name]
    DockerEngine()
    assert containers(docker_bench.engine, dead) == []


@pytest.mark.docker
def test_a_container_dies_with_its_runner_while_its_cell_sleeps(docker_bench: Bench) -> None:
    engine = docker_bench.engine
    assert isinstance(engine, DockerEngine)
    with start_runner(docker_bench, FAMILY + "time.sleep(600)") as runner:
        assert runner.stdout
        runner.stdout.readline()
        owned_by = f"{runner.pid} {owner._started(runner.pid)} {owner.machine()}"
        assert len(containers(engine, owned_by)) == 1
        runner.kill()
    assert eventually(lambda: not containers(engine, owned_by))


@pytest.mark.docker
def test_a_watcher_that_somebody_ended_is_begun_again_with_all_that_it_had_to_watch(docker_bench: Bench) -> None:
    engine = docker_bench.engine
    assert isinstance(engine, DockerEngine)
    watcher = Watcher(engine_host())
    names = [f"repromatrix-test-{uuid.uuid4().hex[:12]}" for _ in range(2)]
    for name in names:
        watcher.watch(name)
        engine.client.create_container(image=docker_bench.built.reference, name=name, labels={OWNER_LABEL: "a test"})
        ended = watchers()
        for pid in ended:
            os.kill(pid, signal.SIGKILL)
        # Not watchers(): a process that ends loses its command line first, and its socket after that.
        assert ended
        assert eventually(lambda ended=ended: not any(map(alive, ended)))
    watcher.forget("something else")
    assert eventually(lambda: len(watchers()) == 1)
    del watcher
    assert eventually(lambda: not containers(engine, "a test") and not watchers())


def watchers() -> list[int]:
    """Return the watchers that this process started."""
    return [pid for pid in supervise._tree(os.getpid())[1:] if alive(pid) and is_watcher(pid)]


def is_watcher(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return watch.__file__.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


# Begins, then on SIGTERM tells how far it got: `clean`, or (if asked to hang) nothing.
CLEANER = """
import pathlib, signal, sys, time
story, hang = pathlib.Path(sys.argv[1]), float(sys.argv[2])
def clean(*_):
    time.sleep(hang)
    story.write_text("clean")
    sys.exit()
signal.signal(signal.SIGTERM, clean)
story.write_text("begun")
time.sleep(600)
"""


@pytest.mark.parametrize(
    ("grace", "hang", "left"), [(60, 0.2, "clean"), (0.5, 600, "begun"), (0, 0, "begun")], ids=["cleans", "hangs", "no"]
)
def test_a_stopped_command_gets_the_time_to_clean_up_that_it_was_promised(
    tmp_path: Path, grace: float, hang: float, left: str
) -> None:
    commands, story = Commands(), tmp_path / "story"
    command = [sys.executable, "-c", CLEANER, str(story), str(hang)]
    with ThreadPoolExecutor() as pool:
        ended = pool.submit(commands.run, command, environment={}, folder=tmp_path, log=tmp_path / "log", grace=grace)
        assert eventually(lambda: story.exists() and story.read_text() == "begun")
        begin = time.monotonic()
        commands.stop()
        assert ended.result(120).stopped
    assert time.monotonic() - begin < 60
    assert story.read_text() == left


def test_an_owner_is_dead_only_where_that_is_sure() -> None:
    pid, started, where = owner.ourselves().split(" ", 2)
    assert not owner.is_dead(owner.ourselves())
    assert owner.is_dead(f"{pid} {int(started) - 1} {where}")  # the number was given to another process
    assert owner.is_dead(f"4194305 1 {where}")
    assert not owner.is_dead(f"4194305 1 another-machine/{where}")
    assert not owner.is_dead("rubbish")
