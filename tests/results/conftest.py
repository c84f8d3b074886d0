"""Records to write, read and damage."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from repromatrix.results.record import Description, Outcome, Provenance, Record
from tests import values

CELL = Description(
    id="tiny/numpy-2.0-cpu/parallel",
    workload="tiny",
    framework="numpy",
    version="2.0",
    flavour="cpu",
    python="3.11",
    environment="numpy-2.0-cpu",
    variant="parallel",
    dtype="float64",
    options=(("gradient", "manual"), ("update", "parallel")),
    device="cpu",
    settings="default",
    steps=2,
    task="d4" * 32,
    code="e5" * 32,
)
TRAJECTORY = values.trajectory(
    ("0x1.8000000000000p-1", "nan"),
    (("0x1.0000000000000p+0",), ("inf",), ("-inf",)),
    (("0x0.0p+0", "-0x0.0p+0"),),
    (("0x0.0000000000001p-1022",),),
)
RECORD = Record(
    cell=CELL,
    key="a1" * 32,
    outcome=Outcome.OK,
    reason=None,
    log=None,
    repeats=2,
    trajectories=(TRAJECTORY,),
    fingerprint={"packages": {"numpy": "2.0"}, "threads": {"OMP_NUM_THREADS": 1}},
    provenance=Provenance(
        engine="process",
        base_kind="interpreter",
        base_digest="3.11.2",
        image_digest=None,
        lock_digest="b2" * 32,
        entrypoint_digest="c3" * 32,
        cpu_class="x86-64-v3-01234567",
    ),
)


def described(cell_id) -> Description:
    """Another cell, its parts told from its id."""
    workload, environment, rest = cell_id.split("/")
    framework, version, flavour = environment.split("-", 2)
    words = {"workload": workload, "environment": environment, "framework": framework, "version": version}
    return replace(CELL, id=cell_id, flavour=flavour, variant=re.split("[@+~]", rest)[0], **words)


@pytest.fixture
def a_record() -> Callable[..., Record]:
    """Return a record with some fields changed; `cell` may be another cell's id."""

    def make(**changes) -> Record:
        if isinstance(changes.get("cell"), str):
            changes["cell"] = described(changes["cell"])
        return replace(RECORD, **changes)

    return make
