"""Environment + base + lock -> `BuildSpec`, and the digests that go into keys. Pure but for reading files."""

import json
from hashlib import sha256
from pathlib import Path

from runner import __version__, resources
from runner.engines.base import Base, BuildSpec
from runner.images.lock import Lock
from runner.matrix import Environment


def sources(framework: str) -> tuple[Path, ...]:
    """Return the files that run inside an environment, side by side: the harness, the entrypoint, the default job."""
    images = resources.folder("images")
    own = (path for path in (images / framework).iterdir() if path.suffix in (".py", ".json"))
    return (*sorted(images.glob("*.py")), *sorted(own))


def sources_digest(framework: str) -> str:
    """Return the SHA-256 over names and contents of `sources`."""
    digest = sha256()
    for path in sources(framework):
        digest.update(f"{path.name}\0{resources.file_sha256(path)}\n".encode())
    return digest.hexdigest()


def build_spec(environment: Environment, base: Base, lock: Lock, wheels: tuple[Path, ...]) -> BuildSpec:
    """Return everything the environment is made of; its tag is the digest of all that."""
    dockerfile = resources.folder("images") / "Dockerfile"
    code = sources_digest(environment.framework)
    identity = {
        "base": base.digest,
        "lock": lock.digest,
        "sources": code,
        "recipe": resources.file_sha256(dockerfile),
        "variables": environment.variables,
    }
    tag = sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]
    return BuildSpec(
        name=environment.name,
        tag=tag,
        base=base,
        lock=lock.path,
        wheels=wheels,
        sources=sources(environment.framework),
        dockerfile=dockerfile,
        variables=environment.variables,
        labels=(
            ("org.opencontainers.image.title", environment.name),
            ("org.opencontainers.image.version", environment.version),
            ("org.opencontainers.image.base.digest", base.digest),
            ("repromatrix.version", __version__),
            ("repromatrix.lock", lock.digest),
            ("repromatrix.sources", code),
        ),
        module=environment.framework,
    )
