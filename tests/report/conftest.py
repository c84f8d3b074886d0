"""Fixtures of the report's tests; in pytest's importlib mode test modules do not see each other."""

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from repromatrix.report.evidence import Evidence
from repromatrix.report.replayed import Replayed
from repromatrix.report.view import View, build
from repromatrix.results.accepted import Accepted, accept
from repromatrix.results.experiments import Experiments
from repromatrix.results.manifest import Ensemble, Manifest
from repromatrix.results.record import Outcome, Record
from repromatrix.results.trace import Trace
from tests.report import replays
from tests.report import tried as explained


@pytest.fixture(scope="session")
def builder():
    path = Path(__file__).parents[1] / "compare" / "builder.py"
    spec = importlib.util.spec_from_file_location("synthetic_records", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True, slots=True)
class Run:
    """A run of which a report has something of every kind to say, with the accepted run before it."""

    manifest: Manifest
    records: tuple[Record, ...]
    missing: tuple[str, ...]
    accepted: Accepted
    traces: dict[str, Trace]
    experiments: Experiments
    tried: dict[str, Record]
    replayed: Replayed

    @property
    def view(self) -> View:
        return build(self.evidence)

    @property
    def evidence(self) -> Evidence:
        return Evidence(
            manifest=self.manifest,
            records=self.records,
            missing=self.missing,
            accepted=self.accepted,
            traces=self.traces,
            experiments=self.experiments,
            tried=self.tried,
            replayed=self.replayed,
        )


def elsewhere(record, **changes):
    return replace(record, provenance=replace(record.provenance, **changes))


def _traces(builder, records):
    """Traces that part in the losses, of other frameworks than NumPy before them; those of TensorFlow lack a tensor."""
    for number, each in enumerate(records):
        lacking = ("hidden_pre",) if each.cell.framework == "tensorflow" else ()
        moved = {} if each.cell.framework == "numpy" else {(1, "output", 0): 0.5 + number * 2.0**-20}
        yield builder.trace(each, moved, missing=lacking)


@pytest.fixture(scope="session")
def rich(builder) -> Run:
    plain = builder.run()
    jax, torch = (next(e for e in plain if e.cell.framework == name) for name in ("jax", "torch"))
    other_weights = builder.record((0.5, 0.25), weights=2.0, variant="b")
    cells = [
        builder.record((0.5, 0.25), variant="a"),
        other_weights,  # the same losses, another state
        builder.record((0.5, 0.125), variant="c"),  # the state of `a` by another way
        builder.record((0.5, 0.25), repeats=((0.5, 0.26),), variant="odd"),
        builder.record((0.5, float("nan"), 0.25), variant="nan", version="1.0"),
        builder.record((0.5, 0.3, 0.25), variant="nan", version="2.0"),
        builder.record(outcome=Outcome.FAILED, reason="SIGILL: no such instruction", variant="broken"),
        builder.record(outcome=Outcome.SKIPPED, reason="no NVIDIA device", variant="gpu"),
    ]
    reference = builder.record((0.5, 0.25, 0.125), workload="tiny", variant="w")
    members = [
        builder.record(
            (0.5, 0.25 + number * 2.0**-50, 0.125), workload="tiny", variant="w", id=f"{reference.cell.id}~{number}"
        )
        for number in (1, 2)
    ]
    noisy = [
        builder.record((0.5, 0.25, 0.125 + 2.0**-52), workload="tiny", variant="w", version="2.5"),
        builder.record((0.5, 0.25, 0.75), workload="tiny", variant="w", version="2.6", cpu_class="avx512"),
    ]
    shorter = builder.record((0.5, 0.25), workload="tiny", variant="w", version="2.3")
    now = [*plain, *cells, reference, *noisy, shorter]
    traces = [
        *_traces(builder, plain),
        builder.trace(cells[0], missing=("hidden_pre", "output_pre")),
        builder.trace(cells[1], {(2, "hidden_weights", 0): 2.0}),
        builder.trace(cells[2], losses=(0.5, 0.0625)),  # tracing changes it
        builder.trace(cells[4], {(2, "output", 0): float("nan")}),
        builder.trace(reference),
        builder.trace(shorter),
        builder.trace(noisy[0], {(3, "grad_output_weights", 0): 0.5 + 2.0**-53}),
    ]
    changed = builder.with_losses(torch, {3: 0.25})
    manifest = replace(
        builder.manifest(
            [*now, *members],
            left_out=[("mazur/left/out", "not on this Python")],
            traces=traces,
            untraced={noisy[1].cell.id: "its container was killed"},
        ),
        ensembles=(
            Ensemble(
                workload="tiny",
                dtype="float64",
                reference=reference.cell.id,
                members=tuple(each.cell.id for each in members),
            ),
        ),
        versions=(("numpy", "cpu", "3.11", "2.0.2"),),
    )
    before = [
        elsewhere(changed, lock_digest="00" * 32),
        elsewhere(jax, entrypoint_digest="11" * 32),
        elsewhere(plain[0], cpu_class="sse2"),
        replace(cells[0], outcome=Outcome.FAILED, reason="x", trajectories=()),
        builder.with_losses(other_weights, {1: 0.75}),
        builder.record((0.5,), variant="gone"),
        *[each for each in plain[1:] if each not in (jax, torch)],
    ]
    experiments, tried = explained.experiments(builder, cells[0], cells[2], other_weights, plain[0], torch, jax)
    return Run(
        manifest=manifest,
        records=(*now, *members),
        missing=("mazur/not/there",),
        accepted=accept(manifest, before),
        traces={each.cell.id: each for each in traces},
        experiments=experiments,
        tried=tried,
        replayed=replays.replayed(builder, cells[0].cell.id, cells[2].cell.id, torch.cell.id, known=()),
    )
