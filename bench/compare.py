"""What `repromatrix compare` takes in time and memory: synthetic results folders, read from disk, all pairs.

Nothing here passes or fails: times on a shared machine are no test. Each row is a process of its own.

    python bench/compare.py                       the curve over cells, steps and classes (minutes, 1 GB of disk)
    python bench/compare.py --row 1000 10000 20   one row: cells, steps, classes
"""

import argparse
import json
import os
import random
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from repromatrix.results.manifest import Entry, Manifest
from repromatrix.results.record import Description, Outcome, Provenance, Record, encode
from repromatrix.results.store import Store
from repromatrix.results.value import Column, Role, Trajectory

REPROMATRIX = str(Path(sys.executable).parent / "repromatrix")
CURVE = (
    (100, 10_000, 20), (300, 10_000, 20), (1_000, 10_000, 20),
    (1_000, 100, 20), (1_000, 1_000, 20),
    (1_000, 1_000, 5), (1_000, 1_000, 50), (1_000, 1_000, 100), (1_000, 1_000, 1_000),
    (1_000, 10_000, 5), (1_000, 10_000, 100),
)  # fmt: skip
KEPT = 100  # encoded records in memory
TOLERANCES = (("float64", 1e-7, 1e-7, "a benchmark"), ("float32", 1.3e-6, 1e-5, "a benchmark"))


def main() -> None:
    """Write a folder for each row, compare all its cells, print a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", nargs=3, type=int, metavar=("CELLS", "STEPS", "CLASSES"))
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("  cells  steps classes   on disk        pairs  measured    wall     CPU    peak", flush=True)
    for row in (tuple(options.row),) if options.row else CURVE:
        with tempfile.TemporaryDirectory(prefix="repromatrix-bench-") as name:
            print(line(Path(name), *row), flush=True)


def line(folder: Path, cells: int, steps: int, classes: int) -> str:
    """Return what one comparison takes, as a line."""
    size = write(folder / "results", cells, steps, classes)
    output = folder / "comparison.json"
    start = time.perf_counter()
    child = os.posix_spawn(
        REPROMATRIX,
        [REPROMATRIX, "compare", "-q", str(folder / "results"), "--format", "json", "--output", str(output)],
        os.environ,
    )
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - start
    assert os.waitstatus_to_exitcode(status) in {0, 1}
    found = json.loads(output.read_text())
    assert found["total"] == cells * (cells - 1) // 2
    return (
        f"{cells:>7,} {steps:>6,} {classes:>7,} {size / 1e6:>6.0f} MB {found['total']:>12,} {len(found['pairs']):>9,} "
        f"{wall:>6.2f} s {usage.ru_utime + usage.ru_stime:>6.2f} s {usage.ru_maxrss / 1024:>4.0f} MiB"
    )


def write(folder: Path, cells: int, steps: int, classes: int) -> int:
    """Write a run whose cells fall into so many classes; return its size in bytes."""
    store, entries, size = Store(folder), [], 0
    bodies: dict[int, bytes] = {}
    for number in range(cells):
        kind = number % classes
        cell = f"scale/numpy-2.{number}.0-cpu/way{kind}"
        if kind not in bodies:
            bodies = bodies if len(bodies) < KEPT else {}
            bodies[kind] = encode(record(kind, steps))
        data = bodies[kind].replace(b"numpy-2.0-cpu", f"numpy-2.{number}.0-cpu".encode())
        data = data.replace(b'"version": "2.0"', f'"version": "2.{number}.0"'.encode())
        path = store.record_path(cell, "a" * 64)
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        entries.append(Entry(id=cell, key="a" * 64, reason=None))
        size += len(data)
    store.write_manifest(Manifest(profile="scale", entries=tuple(entries), published=(), tolerances=TOLERANCES))
    return size


def record(kind: int, steps: int) -> Record:
    """Return a cell of a class: float32 losses, outputs and state as a real one has them."""
    numbers = values(kind)

    def column(name: str, role: Role, count: int, *shape: int, at: tuple[int, ...] | None = None) -> Column:
        texts = tuple(next(numbers) for _ in range(count))
        return Column(name=name, role=role, dtype="float32", shape=shape, steps=at, texts=texts)

    return Record(
        cell=Description(
            id=f"scale/numpy-2.0-cpu/way{kind}", workload="scale", framework="numpy", version="2.0", flavour="cpu",
            python="3.11", environment="numpy-2.0-cpu", variant=f"way{kind}", dtype="float32",
            options=(("update", f"way{kind}"),), device="cpu", settings="default", steps=steps,
            task="d" * 64, code="e" * 64,
        ),
        key="a" * 64,
        outcome=Outcome.OK,
        reason=None,
        log=None,
        repeats=2,
        trajectories=(
            Trajectory(
                columns=(
                    column("loss", Role.METRIC, steps),
                    column("output", Role.OUTPUT, 2 * (steps + 1), 2),
                    column("output_weights", Role.STATE, 4, 2, 2, at=(steps,)),
                    column("hidden_weights", Role.STATE, 4, 2, 2, at=(steps,)),
                ),
            ),
        ),
        fingerprint={"packages": {"numpy": "2.0"}},
        provenance=Provenance(
            engine="process", base_kind="interpreter", base_digest="3.11", image_digest=None, lock_digest="b" * 64,
            entrypoint_digest="c" * 64, cpu_class="x86-64-v3",
        ),
    )  # fmt: skip


def values(kind: int) -> Iterator[str]:
    """Yield losses: the same ones for all classes, some a few ULP off."""
    common, own = random.Random(0), random.Random(kind)  # noqa: S311
    while True:
        bits = struct.unpack("<i", struct.pack("<f", 0.1 + common.random()))[0] + own.choice((0, 0, 0, 1, 2))
        yield float(struct.unpack("<f", struct.pack("<i", bits))[0]).hex()


if __name__ == "__main__":
    main()
