"""Where packages come from: the user's own pip configuration, said in uv's words.

uv reads neither pip's configuration nor, by itself, the certificates named there; a user who has set
pip up for a mirror must not have to do it twice. pip is asked, so that its files, scopes and
environment variables are read by pip's own rules.
"""

import ast
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from repromatrix.engines.supervised import answer
from repromatrix.errors import EnvironmentFailedError
from repromatrix.matrix.modules import PARSING

_PYPI = "https://pypi.org/simple"  # the index of pip and uv unless told otherwise
_YES = frozenset({"y", "yes", "t", "true", "on", "1"})  # as pip reads a switch


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSources:
    """Indexes, folders of wheels and certificates, as pip is configured to use them."""

    index: str | None
    no_index: bool
    extra_indexes: tuple[str, ...]
    find_links: tuple[str, ...]
    trusted_hosts: tuple[str, ...]
    certificates: str | None

    def uv_flags(self, *, last: str | None = None, best: bool = False) -> list[str]:
        """Return uv's flags.

        Args:
            last: an index that is asked after all others.
            best: the best version of all indexes wins, as with pip; else that of the first index that has one. The
                folders of wheels count as a part of every index.
        """
        flags = ["--index-strategy", "unsafe-best-match" if best else "unsafe-first-match"]
        if self.no_index:
            flags.append("--no-index")
        else:
            *others, default = dict.fromkeys((self.index or _PYPI, *self.extra_indexes, *([last] if last else ())))
            for value in others:  # in this order, and uv's default index after them
                flags += ["--index", value]
            flags += ["--default-index", default]
        for value in self.find_links:  # a folder is relative to here, and uv runs elsewhere
            flags += ["--find-links", value if "://" in value else str(Path(value).absolute())]
        for host in self.trusted_hosts:
            flags += ["--allow-insecure-host", host]
        return flags

    def is_first(self, source: str) -> bool:
        """Whether a source, as uv tells it, is the user's first index; a folder or another index never is."""
        first = urlsplit(self.index or _PYPI)
        found = urlsplit(source)
        return (first.hostname, first.path.rstrip("/")) == (found.hostname, found.path.rstrip("/"))

    def uv_environment(self) -> dict[str, str]:
        """Return the process environment for uv: pip's certificate bundle, and nothing that would fight the flags."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("UV_")}
        if self.certificates:
            environment["SSL_CERT_FILE"] = self.certificates
        return environment


@cache
def configured() -> PackageSources:
    """Return what pip is configured to use.

    Raises:
        EnvironmentFailedError: pip's configuration cannot be read.
    """
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EnvironmentFailedError(
            f"pip's configuration cannot be read: {done.stderr.strip()[:300]}",
            hint=f"see: {sys.executable} -m pip config debug",
        )
    return parse(done.stdout)


def index_answers() -> str:
    """Return an empty text if the configured index answers pip, else pip's reason."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--ignore-installed", "--quiet", "pip"]
    done = answer(command, environment=os.environ, folder=Path.cwd())
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return "" if done.returncode == 0 else (errors or ["ERROR: pip failed"])[-1].removeprefix("ERROR: ")[:200]


def parse(listing: str) -> PackageSources:
    """Read the output of `pip config list`; a variable wins over a command's section, that one over `global`."""
    values: dict[str, str] = {}
    rank = {"global": 0, "install": 1, "download": 2, ":env:": 3}
    seen: dict[str, int] = {}
    for line in listing.splitlines():
        name, found, quoted = line.partition("=")
        scope, _, key = name.rpartition(".")
        if not found or scope not in rank or rank[scope] < seen.get(key, -1):
            continue
        seen[key] = rank[scope]
        values[key] = _unquoted(quoted)
    return PackageSources(
        index=values.get("index-url"),
        no_index=values.get("no-index", "").lower() in _YES,
        extra_indexes=tuple(values.get("extra-index-url", "").split()),
        find_links=tuple(values.get("find-links", "").split()),
        trusted_hosts=tuple(values.get("trusted-host", "").split()),
        certificates=values.get("cert"),
    )


def _unquoted(text: str) -> str:
    """Return the value that pip prints as a Python literal."""
    try:
        with PARSING:
            return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text
