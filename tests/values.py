"""Trajectories of a network of two layers, out of plain numbers or texts, as a cell of `mazur` has them."""

from dataclasses import replace

import msgspec

from repromatrix.results import manifest as manifests
from repromatrix.results.value import Column, Role, Trajectory

DTYPES = ("float64", "float32", "float16", "bfloat16")


def text(value):
    """A number as records have it; texts as they are."""
    return value if isinstance(value, str) else float(value).hex()


def flat(values):
    return [each for row in values for each in (flat(row) if isinstance(row, list | tuple) else [row])]


def column(name, role, values, dtype="float64", *, shape=(), steps=None):
    """A column; `values`: for each step a number, or rows of them."""
    texts = tuple(text(each) for each in flat(values))
    return Column(name=name, role=Role(role), dtype=dtype, shape=shape, steps=steps, texts=texts)


def trajectory(losses, predictions=(), hidden=(), output=(), *, dtype="float64", metrics=None):
    """A trajectory; `predictions`: rows, one a step and one more; `hidden`, `output`: the weights at the end, in rows.

    `metrics`: name -> values of further metrics.
    """
    steps = len(losses)
    columns = [column("loss", "metric", losses, dtype)]
    columns += [column(name, "metric", values, dtype) for name, values in (metrics or {}).items()]
    if predictions:
        columns.append(column("output", "output", predictions, dtype, shape=(len(predictions[0]),)))
    for name, rows in (("output_weights", output), ("hidden_weights", hidden)):
        if rows:
            shape, at = (len(rows), len(rows[0])), None if steps == 1 else (steps,)
            columns.append(column(name, "state", rows, dtype, shape=shape, steps=at))
    return Trajectory(columns=tuple(columns))


def with_column(found, name, **changes):
    """The trajectory with other fields of one column."""
    columns = tuple(msgspec.structs.replace(each, **changes) if each.name == name else each for each in found.columns)
    return Trajectory(columns=columns)


def traced(found, tensors, shapes):
    """The trajectory of a traced run: `tensors` name -> for each step its elements laid flat, in order.

    Metrics, outputs and state of `found` stay what they are; the state is that of every step.
    """
    own = {each.name: each for each in found.columns}
    columns = []
    for name, rows in tensors.items():
        role = own[name].role if name in own else Role.TRACE
        dtype = own[name].dtype if name in own else found.metrics[0].dtype
        if name in own and role in (Role.METRIC, Role.OUTPUT):
            columns.append(own[name])
        else:
            columns.append(column(name, role, rows, dtype, shape=shapes.get(name, ())))
    columns += [each for each in found.columns if each.name not in tensors and each.role is not Role.STATE]
    return Trajectory(columns=tuple(columns))


def rewrite(store, cell_id, name, **changes):
    """Write the record of a cell of the latest run again with other fields of one column of each trajectory."""
    manifest = store.read_manifest()
    (key,) = [each.key for each in manifest.entries if each.id == cell_id]
    record = store.read(cell_id, key)
    store.write(replace(record, trajectories=tuple(with_column(each, name, **changes) for each in record.trajectories)))
    store.write_manifest(manifest)


def unseal(store):
    """Make the manifest name no file, as somebody might who changed one."""
    bare = replace(store.read_manifest(), files=())
    (store.folder / "manifest.json").write_bytes(manifests.encode(bare))
