"""A distribution's packages -> a root file system as a tar, and what exactly went into it; with mmdebstrap.

The same packages give the same bytes: what a machine leaves behind, and what differs from build to build, is removed.
"""

import os
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from repromatrix.engines.base import RunCommand
from repromatrix.engines.homes import home
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images.base_lock import Package

_TOOL = "mmdebstrap"
# Every file carries this time, so that two builds of the same packages are equal.
_SOURCE_DATE_EPOCH = "1700000000"
_CLEANING = 10  # seconds for mmdebstrap, which works in a folder of its own, to remove it
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")
# The host's name and resolver, and modules that Python's own installer compiles in passing: in another order of
# their constants each time.
_CLEAN = (
    'rm -rf "$1/etc/hostname" "$1/etc/hosts" "$1/etc/resolv.conf" "$1"/usr/share/python3/debpython/__pycache__'
    # An engine mounts its own over these; were they absent, it would make them, and change the time of /etc in a layer.
    ' && touch "$1/etc/hostname" "$1/etc/hosts" "$1/etc/resolv.conf"'
)
_INSTALLED = (
    "dpkg-query --admindir=\"$1/var/lib/dpkg\" --show --showformat='${{Package}}:${{Architecture}}=${{Version}}\\n'"
    " > {folder}/installed"
)
# mmdebstrap's own apt configuration: the host's lists know nothing of the suite.
_DESCRIBED = (
    'APT_CONFIG="${{MMDEBSTRAP_APT_CONFIG:-$APT_CONFIG}}" xargs apt-cache show --no-all-versions'
    " < {folder}/installed > {folder}/described"
)


def obstacle() -> str:
    """Return why this machine cannot build one, empty if it can."""
    if not shutil.which(_TOOL):
        return f"{_TOOL} is not installed"
    return "" if os.geteuid() == 0 else f"{_TOOL} needs root rights"


def build(suite: str, packages: Sequence[str], tar: Path, log: Path, run: RunCommand) -> tuple[Package, ...]:
    """Write the root file system of `suite` with `packages` to `tar`; return every package in it, sorted.

    Raises:
        EnvironmentFailedError: mmdebstrap is missing, fails or is stopped, or a package's hash is not known.
    """
    tool = shutil.which(_TOOL)
    if not tool:
        raise EnvironmentFailedError(
            f"{_TOOL} is not installed", hint=f"install it (Debian, Ubuntu): apt-get install {_TOOL}"
        )
    log.parent.mkdir(parents=True, exist_ok=True)
    with home() as folder:
        hooks = [_INSTALLED, _DESCRIBED]
        commands = [each.format(folder=shlex.quote(str(folder))) for each in hooks]
        command = [
            tool, "--variant=minbase", f"--include={','.join(packages)}",
            *(f"--customize-hook={each}" for each in (*commands, _CLEAN)), suite, str(tar),
        ]  # fmt: skip
        ended = run(command, environment=_environment(), folder=Path.cwd(), log=log, grace=_CLEANING)
        if not ended.clean:
            how = "was stopped" if ended.stopped else f"ended with {ended.signal or ended.code}"
            raise EnvironmentFailedError(
                f"mmdebstrap {how}", where=str(log), hint="read the log; root rights are needed"
            )
        return _described(folder, log)


def _environment() -> dict[str, str]:
    fixed = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "SOURCE_DATE_EPOCH": _SOURCE_DATE_EPOCH,
    }
    return fixed | {name: os.environ[name] for name in _PROXIES if name in os.environ}


def _described(folder: Path, log: Path) -> tuple[Package, ...]:
    """Join what is installed with what the suite's signed lists say of it."""
    known = {each.identity: each for each in _stanzas((folder / "described").read_text())}
    installed = (folder / "installed").read_text().split()
    unknown = [each for each in installed if each not in known]
    if unknown or not installed:
        names = ", ".join(unknown[:5]) or "no package at all"
        raise EnvironmentFailedError(
            f"the suite's lists do not tell the hash of what they installed: {names}",
            where=str(log),
            hint="build it again: repromatrix base",
        )
    return tuple(sorted((known[each] for each in installed), key=lambda each: each.identity))


def _stanzas(text: str) -> Iterator[Package]:
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != " ")
        if "SHA256" in fields:
            yield Package(
                name=fields["Package"],
                version=fields["Version"],
                architecture=fields["Architecture"],
                sha256=fields["SHA256"],
            )
