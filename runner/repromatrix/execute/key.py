"""Cell + identity of its environment + host -> the record's key. Equal keys, equal question."""

import json
from hashlib import sha256

from repromatrix.images.build import Identity
from repromatrix.job import question as asked_of
from repromatrix.plan import Cell
from repromatrix.results.record import Provenance


def record_key(
    cell: Cell,
    *,
    identity: Identity,
    engine: str,
    cpu_class: str,
    cpus: int,
    gpu: tuple[str, ...],
    repeats: int,
    trace: bool = False,
) -> str:
    """Return the SHA-256 over everything that can change the numbers of a cell; to trace it is another question."""
    question = {
        "base": [identity.base.kind, identity.base.digest],
        "cpu": cpu_class,
        "cpus": cpus,
        "engine": engine,
        "gpu": gpu if cell.device != "cpu" else (),
        "job": asked_of(cell, trace=trace),
        "lock": identity.lock_digest,
        "repeats": repeats,
        "sources": identity.sources_digest,
    }
    return sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


def provenance(
    *, identity: Identity, engine: str, cpu_class: str, image_digest: str | None, network: bool = False
) -> Provenance:
    """Return what a record says of where it ran; what was let onto the network is not pinned by a lock."""
    return Provenance(
        engine=engine,
        base_kind=identity.base.kind,
        base_digest=identity.base.digest,
        image_digest=image_digest,
        lock_digest=None if network else identity.lock_digest,
        entrypoint_digest=identity.sources_digest,
        cpu_class=cpu_class,
    )
