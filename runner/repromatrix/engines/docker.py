"""Environments as images, runs as containers: no network, read-only root, no capabilities, nobody's rights.

Builds go through a command line with BuildKit, which the SDK lacks; everything else through the SDK.
"""

import contextlib
import os
import re
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from repromatrix.engines import owner
from repromatrix.engines.attached import AttachedRun
from repromatrix.engines.base import BuildSpec, Built, RunCommand, RunLimits, remade
from repromatrix.engines.connection import connect, engine_host, while_it_answers
from repromatrix.engines.context import build_context
from repromatrix.engines.cpus import SHARED, usable_in_engine
from repromatrix.engines.failure import build_failure
from repromatrix.engines.remote import Remote
from repromatrix.engines.stream import Runs
from repromatrix.engines.supervised import Commands
from repromatrix.engines.tools import find_builder, find_docker
from repromatrix.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from docker import APIClient

TAG_LABEL = "repromatrix.tag"
OWNER_LABEL = "repromatrix.owner"
NOBODY = "65534:65534"
_TEMPORARY_MIB = 512
_DATA = "/data"  # the folder of a container in which data is mounted
_REMOVALS = 2  # a second Ctrl-C must not leave a container


class DockerEngine:
    """The engine that DOCKER_HOST or the current docker context names.

    Raises:
        NoEngineError: when it does not answer.
    """

    name = "docker"

    def __init__(self) -> None:
        self.client: APIClient = connect()
        self._commands = Commands()
        self._runs = Runs()
        self.remote = Remote(self.client)
        self._swept = False
        self._sweeping = Lock()
        self._seen_cpus: int | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return remade, (DockerEngine,)

    def describe(self) -> str:
        """Return the engine and its version in one line."""
        version = self.client.version()
        return f"docker {version['Version']} ({version['Os']}/{version['Arch']}, kernel {version['KernelVersion']})"

    def find(self, spec: BuildSpec) -> Built | None:
        """Return the environment if it is there and whole, without making anything."""
        from docker.errors import ImageNotFound  # noqa: PLC0415

        try:
            with while_it_answers(but=ImageNotFound):
                image = self.client.inspect_image(reference(spec))  # type: ignore[no-untyped-call]
        except ImageNotFound:
            return None
        labels = image["Config"].get("Labels") or {}
        return Built(reference=reference(spec), digest=image["Id"]) if labels.get(TAG_LABEL) == spec.tag else None

    @property
    def command(self) -> RunCommand:
        """What a build needs beforehand on this machine; `stop` ends it as it ends builds."""
        return self._commands.run

    def build(self, spec: BuildSpec, log: Path) -> Built:
        """Make the environment with no network; a half-made one is never found. The story goes to `log`.

        Raises:
            EnvironmentFailedError: naming the log.
            NoEngineError: no command line here can build.
        """
        builder = find_builder()
        log.parent.mkdir(parents=True, exist_ok=True)
        labels = dict(spec.labels) | {TAG_LABEL: spec.tag}
        with build_context(spec) as folder:
            command = [*builder.command, "--network=none", "--progress=plain", f"--tag={reference(spec)}"]
            command += [f"--build-arg=BASE={spec.base.reference}", f"--build-arg=MODULE={spec.module}"]
            command += [f"--build-arg=SOURCE_DATE_EPOCH={spec.epoch}"]
            command += [f"--label={name}={value}" for name, value in sorted(labels.items())]
            environment = {**os.environ, **dict(builder.environment), "DOCKER_HOST": engine_host()}
            ended = self._commands.run([*command, str(folder)], environment=environment, folder=folder, log=log)
        built = self.find(spec) if ended.clean else None
        if built is None:
            raise build_failure(spec.name, ended, log)
        return built

    @contextmanager
    def run(
        self, built: Built, *, stdin: bytes, limits: RunLimits, variables: Mapping[str, str], gpu: bool, log: Path
    ) -> Iterator[AttachedRun]:
        """Start the environment's entrypoint with `stdin` as its standard input; standard error is appended to `log`.

        Leaving the context ends the process and removes the container, whatever happened.

        Raises:
            EnvironmentFailedError: the engine cannot start a container of this image, or has fewer CPUs than asked for.
            NoEngineError: the engine stopped answering.
        """
        self._sweep_once()
        log.parent.mkdir(parents=True, exist_ok=True)
        container = f"repromatrix-{uuid.uuid4().hex[:12]}"  # named here: it can be removed whatever the engine answers
        with contextlib.ExitStack() as stack:
            story = stack.enter_context(log.open("ab", buffering=0))
            stack.callback(self._remove, container)
            mine = stack.enter_context(SHARED.taken(limits.cpus, self._usable_cpus()))
            with _container_errors(built):
                self._create(container, built, limits=limits, cpus=mine, variables=variables, gpu=gpu)
                run = AttachedRun(self.client, container, stdin=stdin, limits=limits, log=story)
                stack.callback(run.close)
                stack.enter_context(self._runs.registered(run))
                self.client.start(container)
            yield run

    def execute(self, built: Built, command: Sequence[str], *, gpu: bool) -> int:
        """Run a command of the caller's in a container, in the caller's folder and on its terminal; return its code.

        It has the network, a root that can be written and the caller's rights, but of this machine that folder alone.

        Raises:
            NoEngineError: there is no Docker command line.
        """
        here = Path.cwd()
        request = [
            find_docker(), "run", "--rm", "--init", "--interactive", *(["--tty"] if os.isatty(0) else []),
            *(["--gpus=all"] if gpu else []), f"--label={OWNER_LABEL}={owner.ourselves()}",
            f"--user={os.getuid()}:{os.getgid()}", f'--mount=type=bind,"source={here}","target={here}"',
            f"--workdir={here}", f"--entrypoint={command[0]}", built.reference, *command[1:],
        ]  # fmt: skip
        return subprocess.run(request, env={**os.environ, "DOCKER_HOST": engine_host()}, check=False).returncode

    def data_place(self, name: str, _path: Path) -> str:
        """Return where data is mounted in a container."""
        return f"{_DATA}/{name}"

    def stop(self) -> None:
        """End every build, transfer and run under way, and each one begun later."""
        self._commands.stop()
        self.remote.stop()
        self._runs.stop()

    def sweep(self) -> list[str]:
        """Remove the containers of runners that were killed and return their names."""
        from docker.errors import NotFound  # noqa: PLC0415

        removed: list[str] = []
        for found in self.client.containers(all=True, filters={"label": OWNER_LABEL}):
            if owner.is_dead(found["Labels"].get(OWNER_LABEL, "")):
                with contextlib.suppress(NotFound):
                    self.client.remove_container(found["Id"], force=True, v=True)
                    removed.append(found["Names"][0].lstrip("/"))
        return removed

    def _sweep_once(self) -> None:
        with self._sweeping:
            if not self._swept:
                with while_it_answers():
                    self.sweep()
                self._swept = True

    def _usable_cpus(self) -> frozenset[int]:
        if self._seen_cpus is None:
            with while_it_answers():
                told = self.client.info()
            if not told["CPUSet"]:  # it would leave the limit out with a mere warning
                raise EnvironmentFailedError(
                    "this Docker engine cannot give a container fixed CPUs: it has no cpuset controller",
                    hint="delegate cpuset to the rootless engine, or --engine process",
                )
            self._seen_cpus = int(told["NCPU"])
        return usable_in_engine(self._seen_cpus)

    def _create(
        self,
        container: str,
        built: Built,
        *,
        limits: RunLimits,
        cpus: Sequence[int],
        variables: Mapping[str, str],
        gpu: bool,
    ) -> None:
        hidden = {} if gpu else {"CUDA_VISIBLE_DEVICES": ""}
        self.client.create_container(
            image=built.reference,
            name=container,
            user=NOBODY,
            stdin_open=True,
            environment=hidden | dict(variables),
            labels={OWNER_LABEL: owner.ourselves()},
            host_config=self._host_config(limits, cpus, gpu=gpu),
        )

    def _host_config(self, limits: RunLimits, cpus: Sequence[int], *, gpu: bool) -> dict[str, Any]:
        from docker.types import DeviceRequest, LogConfig, Mount, Ulimit  # noqa: PLC0415

        wanted = [DeviceRequest(count=-1, capabilities=[["gpu", "compute", "utility"]])] if gpu else None
        return self.client.create_host_config(
            network_mode="bridge" if limits.network else "none",
            read_only=True,
            mounts=[
                Mount(f"{_DATA}/{name}", str(path), type="bind", read_only=True, propagation="rprivate")
                for name, path in limits.data
            ],
            tmpfs={"/tmp": f"rw,exec,nosuid,nodev,size={_TEMPORARY_MIB}m,mode=1777"},  # noqa: S108 - inside the container
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            mem_limit=f"{limits.memory_mib}m",
            memswap_limit=f"{limits.memory_mib}m",
            pids_limit=limits.processes,
            cpuset_cpus=",".join(map(str, cpus)),  # a share of all (`nano_cpus`) would still show them all
            ulimits=[Ulimit(name="core", soft=0, hard=0)],
            init=True,  # else the entrypoint is process 1, for which the kernel drops signals that it does not handle
            log_config=LogConfig(type="none"),  # the engine would keep a second copy of all output, without a limit
            device_requests=wanted,
        )

    def _remove(self, container: str) -> None:
        from docker.errors import NotFound  # noqa: PLC0415

        for attempt in range(1, _REMOVALS + 1):
            try:
                with while_it_answers(), contextlib.suppress(NotFound):
                    self.client.remove_container(container, force=True, v=True)
            except KeyboardInterrupt:
                if attempt == _REMOVALS:
                    raise
            else:
                return


def reference(spec: BuildSpec) -> str:
    """Return the image reference of an environment; a repository name allows less than an environment's."""
    name = re.sub(r"[^a-z0-9]+", lambda match: match[0] if match[0] in {".", "-"} else "-", spec.name.lower())
    return f"repromatrix/{name.strip('.-')}:{spec.tag}"


@contextmanager
def _container_errors(built: Built) -> Iterator[None]:
    """Turn what the engine says on creating and starting into an error of ours."""
    from docker.errors import APIError  # noqa: PLC0415

    with while_it_answers():
        try:
            yield
        except APIError as error:
            raise EnvironmentFailedError(
                f"the engine cannot start a container of {built.reference}: {error.explanation or error}",
                hint="repromatrix build, then repromatrix doctor",
            ) from error
