"""What a large report costs: a thousand cells of a hundred steps, written by Python and opened by Chromium.

Nothing here passes or fails. Each cell has a trajectory of its own, which no real run has: the worst case.

    python bench/report.py [--cells 1000] [--steps 100] [--keep DIR]
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from repromatrix.floats import at, ordinal  # noqa: E402
from repromatrix.report.evidence import Evidence  # noqa: E402
from repromatrix.report.render import write  # noqa: E402
from repromatrix.report.view import build  # noqa: E402
from repromatrix.results.manifest import Entry, Manifest  # noqa: E402
from repromatrix.results.record import Description, Outcome, Provenance, Record  # noqa: E402
from repromatrix.results.value import Column, Role, Trajectory  # noqa: E402
from tests.report.browser.chromium import Page, chromium  # noqa: E402

FRAMEWORKS = {"numpy": 10, "torch": 10, "tensorflow": 10, "jax": 10, "keras": 10}
DTYPES = ("float64", "float32", "float16", "bfloat16")
# A pause is a task of the main thread that the browser itself reports as long (over 50 ms).
WATCH = """
globalThis.pauses = [];
new PerformanceObserver((list) => list.getEntries().forEach((each) => pauses.push(each.duration)))
    .observe({ type: "longtask", buffered: true });
"""
ACTIONS = {
    "filter by a word": "set('#filter', 'torch')",
    "filter by a letter": "set('#filter', 'f')",
    "filter off": "set('#filter', '')",
    "chip": "document.querySelector('.chip').click()",
    "chip off": "document.querySelector('.chip').click()",
    "sort by the last loss": "[...document.querySelectorAll('#cells-table .sort')].at(-1).click()",
    "ULP distances": "document.getElementById('form-ulp').click()",
    "sort by ULP distance": "[...document.querySelectorAll('#cells-table .sort')].at(-1).click()",
    "another reference": "set('#reference', document.querySelectorAll('#reference option')[77].value, 'change')",
    "hexadecimal": "document.getElementById('form-hex').click()",
    "scroll through": "scroll()",
    "details of a cell": "document.querySelector('#cells-table tbody a').click()",
    "close": "document.querySelector('dialog').close()",
    "pictures in sight": "document.getElementById('pictures').scrollIntoView()",
    "pictures in ULP": "set('#picture-unit', 'ulp')",
    "pictures, other reference": "set('#picture-reference', '40')",
}
HELPERS = """
function set(where, value, kind = "input") {
  const field = document.querySelector(where);
  field.value = value;
  field.dispatchEvent(new Event(kind, { bubbles: true }));
}
async function scroll() {
  const box = document.querySelector("#cells .tall");
  for (let place = 0; place < box.scrollHeight; place += 900) {
    box.scrollTop = place;
    await new Promise((done) => requestAnimationFrame(done));
  }
}
"""


def main() -> None:
    """Write, open, use, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--keep", type=Path, help="leave the report in this folder")
    options = parser.parse_args()
    records = synthetic(options.cells, options.steps)
    with tempfile.TemporaryDirectory(prefix="repromatrix-bench-") as name:
        output = options.keep or Path(name)
        with timed("view"):
            view = build(Evidence(manifest=manifest(records), records=tuple(records)))
        with timed("index.html, report.md, report.json (aim with the view: 5 s)"):
            write(view, output)
        size = (output / "index.html").stat().st_size
        print(f"{'index.html':<60} {size / 1e6:.1f} MB (aim: 10 MB)")
        with chromium(Path(name)) as page:
            page.size(1400, 900)
            page.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
            use(page, output / "index.html")


def use(page: Page, path: Path) -> None:
    """Open a report and do what a reader does; print the longest pause of each."""
    with timed("open, until loaded"):
        page.open(path)
    pause(page, "open")
    page.run(HELPERS)
    page.run("document.getElementById('cells').scrollIntoView()")
    pause(page, "cells in sight")
    for name, script in ACTIONS.items():
        # As a task of the page's own: what the protocol evaluates is not reported as long.
        page.run(f"new Promise((done) => setTimeout(async () => {{ await ({script}); done(); }}))")
        pause(page, name)
    print(f"{'complaints':<60} {page.complaints or 'none'}")


def pause(page: Page, name: str) -> None:
    """Print the longest task of the main thread since the last call."""
    page.run("new Promise((done) => setTimeout(done, 1500))")
    found: list[float] = page.run("pauses.splice(0)")
    print(f"{name:<60} longest task {max(found, default=0):.0f} ms (aim: 200 ms)", flush=True)


def synthetic(cells: int, steps: int) -> list[Record]:
    """Return records of cells that all compute something else, 20 variants in 50 environments."""
    source = random.Random(4)  # noqa: S311 - the same records every time
    places = [(framework, number) for framework, versions in FRAMEWORKS.items() for number in range(versions)]
    return [
        record(source, *places[number % len(places)], variant=number // len(places), steps=steps)
        for number in range(cells)
    ]


def record(source: random.Random, framework: str, version: int, *, variant: int, steps: int) -> Record:
    """Return one cell's record: a common curve, some ULP off at every step."""
    dtype, environment = DTYPES[variant % len(DTYPES)], f"{framework}-{version}.0.0-cpu"
    name = f"variant-{variant}-{dtype}"

    def near(value: float) -> str:
        return at(ordinal(value, dtype) + source.randint(-40, 40), dtype).hex()

    def column(name: str, role: Role, texts: tuple[str, ...], *shape: int, at: tuple[int, ...] | None = None) -> Column:
        return Column(name=name, role=role, dtype=dtype, shape=shape, steps=at, texts=texts)

    weights = tuple(near(0.1 + 0.05 * place) for _ in range(2) for place in range(2))
    return Record(
        cell=Description(
            id=f"mazur/{environment}/{name}",
            workload="mazur",
            framework=framework,
            version=f"{version}.0.0",
            flavour="cpu",
            python="3.11",
            environment=environment,
            variant=name,
            dtype=dtype,
            options=(("gradient", "auto" if variant % 2 else "manual"), ("update", f"way-{variant % 5}")),
            device="cpu",
            settings="default",
            steps=steps,
            task="d" * 64,
            code="e" * 64,
        ),
        key=f"{source.getrandbits(256):064x}",
        outcome=Outcome.OK,
        reason=None,
        log=f"logs/{environment}/default.log",
        repeats=2,
        trajectories=(
            Trajectory(
                columns=(
                    column("loss", Role.METRIC, tuple(near(0.3 * 0.99**step) for step in range(steps))),
                    column("output", Role.OUTPUT, ("0x1.0000000000000p-1",) * 2 * (steps + 1), 2),
                    column("output_weights", Role.STATE, weights, 2, 2, at=(steps,)),
                    column("hidden_weights", Role.STATE, weights, 2, 2, at=(steps,)),
                ),
            ),
        ),
        fingerprint={"packages": {framework: f"{version}.0.0"}, "kernels": {"blas": "openblas"}},
        provenance=Provenance(
            engine="docker",
            base_kind="local",
            base_digest="sha256:" + "ab" * 32,
            image_digest="sha256:" + "12" * 32,
            lock_digest="cd" * 32,
            entrypoint_digest="ef" * 32,
            cpu_class="x86-64-v3-01234567",
        ),
    )


def manifest(records: list[Record]) -> Manifest:
    """Return the run's manifest, without a published table."""
    return Manifest(
        profile="bench",
        entries=tuple(Entry(id=each.cell.id, key=each.key, reason=None) for each in records),
        published=(),
        tolerances=tuple((name, 1e-6, 1e-6, "the benchmark") for name in DTYPES),
    )


@contextmanager
def timed(name: str) -> Iterator[Any]:
    """Print how long the block took."""
    start = time.perf_counter()
    yield
    print(f"{name:<60} {time.perf_counter() - start:.2f} s", flush=True)


if __name__ == "__main__":
    main()
