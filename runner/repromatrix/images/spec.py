"""Environment + base + lock -> `BuildSpec`, and the digests that go into keys. Pure but for reading files."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from repromatrix import resources
from repromatrix.engines.base import Base, BuildSpec
from repromatrix.images.default_job import default_job
from repromatrix.images.labels import labels
from repromatrix.images.lock import Lock
from repromatrix.matrix import Environment

# 2024-01-01, the time of all that a build writes: any will do, as long as it is always the same.
EPOCH = 1704067200


def sources(framework: str) -> tuple[Path, ...]:
    """Return the files that run inside an environment, side by side: the harness and the framework's entrypoint."""
    images = resources.folder("images")
    return (*sorted(images.glob("*.py")), *sorted((images / framework).glob("*.py")))


def sources_digest(framework: str) -> str:
    """Return the SHA-256 over names and contents of `sources`."""
    digest = sha256()
    for path in sources(framework):
        digest.update(f"{path.name}\0{resources.file_sha256(path)}\n".encode())
    return digest.hexdigest()


def ingredients(environment: Environment, base: Base, lock: Lock) -> dict[str, Any]:
    """Return all that makes an environment's content what it is, by name, as JSON has it."""
    return {
        "base": base.digest,
        "lock": lock.digest,
        "sources": sources_digest(environment.framework),
        "recipe": resources.file_sha256(_recipe()),
        "epoch": EPOCH,
        "variables": environment.variables,
    }


def _recipe() -> Path:
    return resources.folder("images") / "Dockerfile"


def build_spec(environment: Environment, base: Base, lock: Lock, wheels: tuple[Path, ...]) -> BuildSpec:
    """Return everything the environment is made of; its tag is the digest of all that."""
    identity = ingredients(environment, base, lock)
    tag = sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]
    return BuildSpec(
        name=environment.name,
        tag=tag,
        base=base,
        lock=lock.path,
        wheels=wheels,
        sources=(*sources(environment.framework), default_job(environment)),
        dockerfile=_recipe(),
        variables=environment.variables,
        labels=labels(environment, base, lock, identity["sources"]),
        module=environment.framework,
        epoch=EPOCH,
    )
