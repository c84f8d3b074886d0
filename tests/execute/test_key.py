"""The key: everything that can change the numbers of a cell, and nothing else."""

from dataclasses import replace

import pytest

from repromatrix.engines.base import Base
from repromatrix.execute.key import record_key
from repromatrix.images.build import Identity
from repromatrix.matrix import Settings
from repromatrix.plan import Cell, find

IDENTITY = Identity(
    base=Base(kind="registry", reference="python@sha256:d", digest="sha256:d"),
    lock_digest="lock",
    sources_digest="code",
)
DEFAULTS = {"identity": IDENTITY, "engine": "docker", "cpu_class": "x86-64-v3-0", "cpus": 1, "gpu": (), "repeats": 2}


@pytest.fixture
def cell(small_matrix) -> Cell:
    return find(small_matrix(), "tiny/numpy-2.0-cpu/parallel")


def on_gpu(cell: Cell) -> Cell:
    return replace(cell, device="cuda:0")


CHANGES = {
    "base": lambda c: record_key(
        c, **DEFAULTS | {"identity": replace(IDENTITY, base=replace(IDENTITY.base, digest="e"))}
    ),
    "kind of base": lambda c: record_key(
        c, **DEFAULTS | {"identity": replace(IDENTITY, base=replace(IDENTITY.base, kind="local"))}
    ),
    "lock": lambda c: record_key(c, **DEFAULTS | {"identity": replace(IDENTITY, lock_digest="other")}),
    "entrypoint": lambda c: record_key(c, **DEFAULTS | {"identity": replace(IDENTITY, sources_digest="other")}),
    "engine": lambda c: record_key(c, **DEFAULTS | {"engine": "process"}),
    "CPU class": lambda c: record_key(c, **DEFAULTS | {"cpu_class": "x86-64-v4-0"}),
    "CPUs that it sees": lambda c: record_key(c, **DEFAULTS | {"cpus": 2}),
    "tracing": lambda c: record_key(c, **DEFAULTS, trace=True),
    "repeats": lambda c: record_key(c, **DEFAULTS | {"repeats": 3}),
    "device": lambda c: record_key(on_gpu(c), **DEFAULTS),
    "a number": lambda c: record_key(replace(c, workload=replace(c.workload, numbers=())), **DEFAULTS),
    "an input": lambda c: record_key(
        replace(c, workload=replace(c.workload, inputs=c.workload.inputs[:1])), **DEFAULTS
    ),
    "the workload's code": lambda c: record_key(
        replace(c, workload=replace(c.workload, files=(("numpy.py", "def train(task): ..."),))), **DEFAULTS
    ),
    "a member of the ensemble": lambda c: record_key(replace(c, member=1), **DEFAULTS),
    "steps": lambda c: record_key(replace(c, workload=replace(c.workload, steps=3)), **DEFAULTS),
    "dtype": lambda c: record_key(replace(c, variant=replace(c.variant, dtype="float32")), **DEFAULTS),
    "an option": lambda c: record_key(
        replace(c, variant=replace(c.variant, options=(("loop", "unrolled"),))), **DEFAULTS
    ),
    "threads": lambda c: record_key(replace(c, settings=Settings(threads=2)), **DEFAULTS),
    "a variable": lambda c: record_key(replace(c, settings=Settings(variables=(("A", "b"),))), **DEFAULTS),
}
NO_CHANGES = {
    "where the base is found": lambda c: record_key(
        c, **DEFAULTS | {"identity": replace(IDENTITY, base=replace(IDENTITY.base, reference="other"))}
    ),
    "a GPU that it does not use": lambda c: record_key(c, **DEFAULTS | {"gpu": ("NVIDIA H200, 570",)}),
    "the title of the workload": lambda c: record_key(replace(c, workload=replace(c.workload, title="x")), **DEFAULTS),
    "the code for another framework": lambda c: record_key(
        replace(c, workload=replace(c.workload, files=(*c.workload.files, ("torch_more.py", "x = 1")))), **DEFAULTS
    ),
    "the order in which workload.yaml names inputs and numbers": lambda c: record_key(
        replace(c, workload=replace(c.workload, inputs=c.workload.inputs[::-1], numbers=c.workload.numbers[::-1])),
        **DEFAULTS,
    ),
    "the line in the file": lambda c: record_key(replace(c, environment=replace(c.environment, line=9)), **DEFAULTS),
}


@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES)
def test_what_changes_the_key(cell: Cell, changed) -> None:
    assert changed(cell) != record_key(cell, **DEFAULTS)


@pytest.mark.parametrize("unchanged", NO_CHANGES.values(), ids=NO_CHANGES)
def test_what_does_not(cell: Cell, unchanged) -> None:
    assert unchanged(cell) == record_key(cell, **DEFAULTS)


def test_another_driver_changes_the_key_of_a_cell_on_the_device(cell: Cell) -> None:
    keys = {record_key(on_gpu(cell), **DEFAULTS | {"gpu": (driver,)}) for driver in ("570", "580")}
    assert len(keys) == 2


def test_a_key_is_always_the_same(cell: Cell) -> None:
    """Written down, so that a release that changes all keys does so on purpose."""
    assert record_key(cell, **DEFAULTS) == "4d308152e46839464a8a7533b75eb1c7ad527d476bbce21c3d86e9a1be0fd897"
