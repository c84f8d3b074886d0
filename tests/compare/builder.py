"""Synthetic records: single ones, and a whole run that reproduces workloads/mazur/published.json."""

import hashlib
import json
import math
import struct
from dataclasses import replace
from pathlib import Path

import msgspec

from repromatrix.floats import at, ordinal
from repromatrix.results.manifest import Column, Entry, Manifest, Published
from repromatrix.results.record import Description, Outcome, Provenance, Record
from repromatrix.results.trace import Trace
from repromatrix.results.value import Role
from tests import values
from tests.worked import TENSORS

TABLE = Path(__file__).parents[2] / "workloads" / "mazur" / "published.json"
TOLERANCES = (
    ("float64", 1e-7, 1e-7, "torch.testing.assert_close"),
    ("float32", 1.3e-6, 1e-5, "torch.testing.assert_close"),
    ("bfloat16", 1.6e-2, 1e-5, "torch.testing.assert_close"),
    ("float16", 1e-3, 1e-5, "torch.testing.assert_close"),
)
COLUMNS = {
    "NumPy Sequential": ("numpy", "sequential"),
    "NumPy Parallel": ("numpy", "parallel"),
    "NumPy No-Loop": ("numpy", "unrolled"),
    "PyTorch Auto": ("torch", "auto"),
    "PyTorch Manual Par": ("torch", "manual-parallel"),
    "PyTorch Manual Seq": ("torch", "manual-sequential"),
    "TensorFlow": ("tensorflow", "tape-untransposed"),
    "Keras": ("tensorflow", "keras"),
    "JAX Auto": ("jax", "grad"),
    "JAX Manual Par": ("jax", "manual-parallel"),
    "JAX Manual Seq": ("jax", "manual-sequential"),
}
VERSIONS = {"numpy": ("1.26.4", "2.4.6"), "torch": ("2.13.0",), "tensorflow": ("2.9.1", "2.21.0"), "jax": ("0.10.2",)}
KERAS_FORWARD = ("0x1.4a5434p-1", "0x1.968f54p-1")  # 0.645173684..., 0.794062495...


def record(losses=(0.5, 0.25), *, predictions=None, weights=1.0, repeats=(), outcome=Outcome.OK, reason=None, **cell):
    """One record; `repeats` are the losses of repeats that differ, `cell` overrides the description."""
    framework, version = cell.get("framework", "numpy"), cell.get("version", "2.4.6")
    flavour, variant = cell.get("flavour", "cpu"), cell.get("variant", "parallel")
    environment = f"{framework}-{version}-{flavour}"
    words = {"framework": framework, "version": version, "flavour": flavour, "variant": variant, "python": "3.11"}
    words |= {"workload": "mazur", "environment": environment, "dtype": "float64", "options": (("update", "parallel"),)}
    words |= {"device": "cpu", "settings": "default", "steps": max(1, len(losses))}
    words |= {"task": hashlib.sha256(words["workload"].encode()).hexdigest(), "code": "9a" * 32} | cell
    cpu_class = words.pop("cpu_class", "avx2 fma")
    words.setdefault("id", f"{words['workload']}/{environment}/{variant}")
    ran = (losses, *repeats) if outcome is Outcome.OK else ()
    return Record(
        cell=Description(**words),
        key=hashlib.sha256(words["id"].encode()).hexdigest(),
        outcome=outcome,
        reason=reason,
        log=None if outcome is Outcome.OK else f"logs/{environment}/default.log",
        repeats=2,
        trajectories=tuple(trajectory(each, predictions, weights, words["dtype"]) for each in ran),
        fingerprint={"packages": {framework: version}, "kernels": {"openblas_core": "Haswell"}, "threads": {"blas": 1}},
        provenance=Provenance(
            engine="process",
            base_kind="interpreter",
            base_digest="sha256:" + "ab" * 32,
            image_digest=None,
            lock_digest="cd" * 32,
            entrypoint_digest="ef" * 32,
            cpu_class=cpu_class,
        ),
    )


def trajectory(losses, predictions, weights, dtype="float64"):
    """A trajectory of float values; predictions are rounded to the dtype."""
    rows = predictions or [[0.7, 0.8]] * (len(losses) + 1)
    rows = [[nearest(each, dtype) for each in row] for row in rows]
    return values.trajectory(losses, rows, [[weights]], [[weights]], dtype=dtype)


def trace(found, changes=None, *, losses=None, missing=()):
    """A trace of a record: its losses and last weights at every step, else 0.5; `changes`: (step from 1, tensor, place)
    -> value; `losses`: those of the traced run, where tracing changes them."""
    first = found.trajectory
    ran = values.with_column(first, "loss", texts=tuple(map(values.text, losses))) if losses else first
    layers = {name: first.tensor(f"{name}_weights") for name in ("hidden", "output")}
    tensors, shapes = {}, {}
    for name in TENSORS:
        rows = layers["hidden" if "hidden" in name else "output"]
        flat = [text for row in rows for text in row]
        shape = (len(rows), len(rows[0])) if name.endswith("weights") else (len(rows),)
        steady = [(0.5).hex()] * (len(flat) if name.endswith("weights") else len(rows))
        steady = flat if name in ("hidden_weights", "output_weights") else steady
        tensors[name] = [[text] if name == "loss" else list(steady) for text in ran.losses]
        shapes[name] = () if name == "loss" else shape
    for (step, name, place), value in (changes or {}).items():
        tensors[name][step - 1][place] = float(value).hex()
    told = {name: rows for name, rows in tensors.items() if name not in missing}
    return Trace(
        cell=found.cell,
        key=hashlib.sha256(f"trace of {found.cell.id}".encode()).hexdigest(),
        trajectory=values.traced(ran, told, shapes),
        untraced=tuple((name, f"no {name} here") for name in TENSORS if name in missing),
    )


def nearest(value, dtype):
    """The nearest value of a dtype, its sign kept."""
    return value if value != value else math.copysign(at(ordinal(value, dtype), dtype), value)  # noqa: PLR0124 - NaN


def single(value):
    """The nearest float32."""
    return struct.unpack("<f", struct.pack("<f", float(value)))[0]


def table():
    """The published table's JSON content, a fresh copy."""
    return json.loads(TABLE.read_text("utf-8"))


def published(data=None):
    """The table with its columns mapped to variants."""
    columns = tuple(
        Column(
            title=title,
            framework=framework,
            variant=variant,
            predictions="keras-numpy-forward" if title == "Keras" else variant,
        )
        for title, (framework, variant) in COLUMNS.items()
    )
    return Published(workload="mazur", columns=columns, data=data or table())


def run():
    """Records in which every printed figure of the table comes out, two versions of some frameworks."""
    data = table()
    found = []
    for title, (framework, variant) in COLUMNS.items():
        for version in VERSIONS[framework]:
            exact = float if framework == "numpy" else single
            losses = [exact(text) for text in data["losses"][title]]
            printed = data["final_predictions"][title]["prediction"] or ["0.7", "0.8"]
            last = [exact(text) for text in printed]
            rows = [[0.7, 0.8]] * (len(losses) - 1)
            rows += [last, [0.6, 0.81]] if title == "NumPy Sequential" else [[0.66, 0.79], last]
            words = {"framework": framework, "version": version, "variant": variant}
            words["dtype"] = "float64" if framework == "numpy" else "float32"
            words["options"] = (("update", "sequential" if variant.endswith("sequential") else "parallel"),)
            if title == "Keras":
                found.append(record(losses, predictions=rows, **words | {"variant": "keras-numpy-forward"}))
                rows = [*rows[:-1], [float.fromhex(each) for each in KERAS_FORWARD]]
            found.append(record(losses, predictions=rows, **words))
    return tuple(found)


def manifest(records, *, tables=None, left_out=(), traces=(), untraced=None):
    """The manifest of a run; `untraced`: cell id -> why it has no trace though one was asked for."""
    keys, why = {each.cell.id: each.key for each in traces}, untraced or {}
    return Manifest(
        profile="default",
        entries=(
            *(
                Entry(
                    id=each.cell.id,
                    key=each.key,
                    reason=None,
                    trace=keys.get(each.cell.id),
                    untraced=why.get(each.cell.id),
                )
                for each in records
            ),
            *(Entry(id=name, key=None, reason=reason) for name, reason in left_out),
        ),
        published=(published(),) if tables is None else tuple(tables),
        tolerances=TOLERANCES,
    )


def with_losses(found, changes):
    """The record with other losses at some steps: {step from 1: value}."""
    first = found.trajectories[0]
    losses = list(first.losses)
    for step, value in changes.items():
        losses[step - 1] = float(value).hex()
    return replace(found, trajectories=(values.with_column(first, "loss", texts=tuple(losses)),))


def moved(given: Record, by: float) -> Record:
    """Return a record whose every metric is so much larger at each step."""
    trajectories = []
    for trajectory in given.trajectories:
        columns = []
        for column in trajectory.columns:
            texts = tuple((float.fromhex(text) + by).hex() for text in column.texts)
            metric = column.role is Role.METRIC
            columns.append(msgspec.structs.replace(column, texts=texts) if metric else column)
        trajectories.append(msgspec.structs.replace(trajectory, columns=tuple(columns)))
    return replace(given, trajectories=tuple(trajectories))
