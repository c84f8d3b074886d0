"""Experiments of which a report has something of every kind to say, on records of the tests."""

from dataclasses import replace

from repromatrix.results.experiments import Condition, Experiments, Factor, Flip, Pair, Run, Side
from tests.moved import with_members


def run(record):
    return Run(id=record.cell.id, key=record.key)


def ran(record):
    return Side(run=run(record))


NONE = Side(run=None, reason="the matrix has no environment of that kind")
LEFT = Side(run=None, reason="not run: the budget of 6 cells is spent", left=True)


def changed_cell(builder, record, name, *, like=None, losses=None, kernels=None, **cell):
    """A record of an experiment: `record` under another name, with the losses of another one or its own."""
    made = replace(
        record,
        cell=replace(record.cell, id=f"{record.cell.id}.{name}", variant=f"{record.cell.variant}.{name}", **cell),
        key=builder.hashlib.sha256(f"{record.cell.id} {name}".encode()).hexdigest(),
        trajectories=(like or record).trajectories,
        fingerprint=record.fingerprint | ({"kernels": kernels} if kernels else {}),
    )
    return builder.with_losses(made, losses) if losses else made


def pair(a, b, of, factors, attempts, conditions=(), *, exhausted=False):
    return Pair(
        a=run(a),
        b=run(b),
        of=of,
        factors=tuple(Factor(name=n, a=x, b=y, silent=n in ("threads", "isa")) for n, x, y in factors),
        flips=tuple(Flip(factors=names, a=at_a, b=at_b) for names, at_a, at_b in attempts),
        conditions=conditions,
        budget=2 + 2 * len(factors),
        spent=4,
        exhausted=exhausted,
    )


def condition(name, kind, changes, at_a, at_b):
    return Condition(name=name, kind=kind, changes=changes, a=at_a, b=at_b)


def experiments(builder, a, c, same, numpy, torch, jax):
    """Return the experiments, and their records by key.

    Args:
        builder: of synthetic records.
        a: a cell; c: one of its length with other losses; same: one with the same losses.
        numpy, torch, jax: cells of one length, all different.
    """
    updated = changed_cell(builder, a, "update-sequential", like=c)
    threaded = changed_cell(builder, a, "threads-2")
    strict = changed_cell(builder, a, "strict", like=c, kernels={"openblas_core": "Nehalem"})
    loose = changed_cell(builder, c, "strict")
    coarse = changed_cell(builder, numpy, "dtype-float32", like=torch, losses={10: 0.25}, dtype="float32")
    moved = changed_cell(builder, numpy, "layout-oi", losses={1: 0.2983711087600027})
    both = changed_cell(builder, torch, "framework-jax", like=jax, framework="jax", version=jax.cell.version)
    no_bit = changed_cell(builder, torch, "compile-default")
    gone = changed_cell(builder, torch, "api-keras")
    foreign = changed_cell(builder, torch, "asked", losses={2: 0.7})
    off = [changed_cell(builder, each, "fma-off", like=numpy) for each in (torch, foreign)]
    old = replace(torch, key="0" * 64)
    pairs = (
        pair(
            a,
            c,
            ("classes", "published"),
            (("update", "parallel", "sequential"), ("threads", "1", "2")),
            ((("update",), ran(updated), NONE), (("threads",), ran(threaded), NONE)),
            (condition("strict", "settings", (("NPY_DISABLE_CPU_FEATURES", "AVX2"),), ran(strict), ran(loose)),),
        ),
        pair(
            numpy,
            torch,
            ("classes",),
            (
                ("framework", f"numpy {numpy.cell.version} cpu", "torch 2.13.0 cpu"),
                ("dtype", "float64", "float32"),
                ("layout", "a", "b"),
            ),
            ((("framework",), NONE, LEFT), (("dtype",), ran(coarse), LEFT), (("layout",), ran(moved), NONE)),
            exhausted=True,
        ),
        pair(
            torch,
            jax,
            ("published",),
            (("framework", "torch 2.13.0 cpu", "jax 0.10.2 cpu"), ("compile", "eager", "default"), ("api", "a", "b")),
            (
                (("framework",), NONE, NONE),
                (("compile",), ran(no_bit), NONE),
                (("api",), Side(run=run(gone)), NONE),
                (("framework", "api"), ran(both), NONE),
                (("compile", "api"), NONE, NONE),
            ),
        ),
        pair(
            torch,
            foreign,
            ("asked",),
            (("compile", "eager", "default"),),
            ((("compile",), ran(no_bit), NONE),),
            (condition("fma=off", "option", (("fma", "off"),), *map(ran, off)),),
        ),
        pair(a, same, ("published",), (), ()),
        pair(old, numpy, ("classes", "asked"), (), ()),
    )
    kept = (a, c, same, numpy, torch, jax, foreign, updated, threaded, strict, loose, coarse, moved, both, no_bit)
    records = {each.key: each for each in (*kept, *off)}
    return Experiments(pairs=tuple(with_members(pair, records) for pair in pairs)), records
