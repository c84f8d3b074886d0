"""Docker engines of a test's own: clean, without a network, gone afterwards with all that they held."""

import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from repromatrix.engines.docker import DockerEngine
from repromatrix.errors import NoEngineError

_STARTING = 60  # seconds
_ENDING = 30


def needs_scratch_engines() -> None:
    """Skip, or fail where Docker must not be missing, if this machine cannot start an engine."""
    missing = [name for name in ("dockerd", "containerd", "ip") if not _program(name)]
    reason = f"no {missing[0]} on PATH" if missing else "" if os.geteuid() == 0 else "starting an engine needs root"
    if not reason:
        return
    if os.environ.get("REPROMATRIX_REQUIRE_DOCKER"):
        pytest.fail(f"REPROMATRIX_REQUIRE_DOCKER is set, but {reason}")
    pytest.skip(f"{reason}: make engine")


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin:/sbin")


@contextmanager
def scratch_engine(folder: Path) -> Iterator[str]:
    """Start an engine that keeps everything in `folder` and yield its address, for DOCKER_HOST.

    Only what was started here is ended, and `folder` is removed.
    """
    needs_scratch_engines()
    folder.mkdir(parents=True)
    address = f"unix://{folder / 'engine.sock'}"  # a socket's path has to be short
    # With --bridge=none an engine removes docker0, which is the machine's own engine's: so it gets one of its own.
    bridge = f"rm-{uuid.uuid4().hex[:10]}"
    subprocess.run([_program("ip") or "", "link", "add", bridge, "type", "bridge"], check=True)
    command = [
        _program("dockerd") or "", f"--host={address}", f"--data-root={folder / 'data'}",
        f"--exec-root={folder / 'exec'}", f"--pidfile={folder / 'pid'}", f"--bridge={bridge}", "--iptables=false",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_for(address, process, folder / "log")
        yield address
    finally:
        process.terminate()  # with it ends the containerd that it started
        try:
            process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        subprocess.run([_program("ip") or "", "link", "delete", bridge], check=False)
        _unmount(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _STARTING
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", address)
        while process.poll() is None and time.monotonic() < deadline:
            try:
                DockerEngine().describe()
            except NoEngineError:
                time.sleep(0.2)
            else:
                return
    pytest.fail(f"the engine does not start here: {log.read_text(errors='replace')[-1500:]}")


def _unmount(folder: Path) -> None:
    """Unmount what an engine that was killed left mounted."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in sorted((each for each in mounts if each.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", place], check=False)


def hand_over(reference: str, source: DockerEngine, target: DockerEngine) -> None:
    """Give an image of one engine to another, as `docker save` and `docker load` do."""
    for _ in target.client.load_image(source.client.get_image(reference)):  # type: ignore[no-untyped-call]
        pass
