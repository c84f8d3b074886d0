"""Writes docs/atlas: what changed numerically from release to release; a page a framework, from a small log in text.

    .venv/bin/python scripts/atlas.py                              # the pages, from the log
    .venv/bin/python scripts/atlas.py run numpy [jax ...]          # the log: runs what it does not have yet
    .venv/bin/python scripts/atlas.py run numpy --again 2.0.0      # runs one release again
    .venv/bin/python scripts/atlas.py list tensorflow              # only the releases, as not run yet

A release is held against the one before it by `repromatrix impact BEFORE AFTER --json`, over the workload `operations`
and the training job `mlp`. The log has a line for each such pair, and one for each operation that changed in it.
"""  # noqa: INP001

import argparse
import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from packaging.version import Version

from repromatrix import resources
from repromatrix.errors import EnvironmentFailedError, ExitCode
from repromatrix.images.releases import releases
from repromatrix.matrix import load
from repromatrix.matrix.candidates import family, on_other_pythons

CHECKOUT = Path(__file__).resolve().parents[1]
ATLAS = CHECKOUT / "docs" / "atlas"
# What is looked at: all dtypes of NumPy; of the others, which compile for minutes, float32 as it is by default.
SELECT = {"numpy": ("operations/*", "mlp/*"), "tensorflow": ("operations/*/default",)}
PLAIN = ("operations/*/default", "mlp/*/default")
# The first release that counts: of the minor release that was the newest one when 2023 began.
FIRST = {"numpy": "1.24", "jax": "0.4", "tensorflow": "2.12", "torch": "2.0"}
PACKAGES = {"tensorflow": ("tensorflow-cpu",), "jax": ("jax", "jaxlib")}  # a release that is not in each is none
TITLE = {"numpy": "NumPy", "jax": "JAX", "tensorflow": "TensorFlow", "torch": "PyTorch"}
# One minor release of JAX lasted two years; those that the matrix locks stand between its ends.
BETWEEN = {"jax": ("0.4.14", "0.4.23", "0.4.30")}
# Of these run the releases that the matrix locks in a flavour: any other is a download of 3 GB.
LOCKED = {"torch": "cuda"}
NOT_RUN = "a CUDA build of 3 GB that the matrix does not lock"
KEPT = (
    "operation", "case", "dtype", "mode", "gradient", "verdict", "changed", "size", "max_ulp", "scaled", "error_a",
    "error_b", "scaled_error_a", "scaled_error_b", "better", "dtype_a", "dtype_b",
)  # fmt: skip
INTRODUCTION = """\
# What changed numerically, release by release

Each release of a framework was held against the one before it: the first and the last patch of every minor release
since 2023 that a Python of 3.9 to 3.13 can install as a wheel; of PyTorch, whose wheels are CUDA builds of 3 GB, those
that `matrix.yaml` locks, on the CPU. The numbers come from `repromatrix impact BEFORE AFTER`,
over the workload `operations` and the training job `mlp`. They hold for the CPU class beside them: on another one a
library may take other kernels, and then something else may change. `make atlas` writes these pages from `log/`, which
has a line for each pair of releases and one for each operation that changed; `make atlas ARGS="run numpy"` runs what
the log does not have."""
_MANY, _BOUND = 9999, 64  # as `impact` prints: ULP beyond which they tell nothing
_ERROR = "repromatrix: "
WAITING = "not run yet"
Line = dict[str, Any]


def chosen(framework: str) -> list[str]:
    """Return the first and the last patch of each minor release that a Python of 3.9 to 3.13 can install."""
    like = family(load(CHECKOUT / "matrix.yaml"), framework, None)[0]
    known: set[str] = set()
    for each in on_other_pythons((like,)):
        try:
            found = [set(releases(name, each)) for name in PACKAGES.get(framework, (framework,))]
        except EnvironmentFailedError:
            continue
        known |= set.intersection(*found)
    minors: dict[tuple[int, ...], list[Version]] = {}
    for version in sorted(map(Version, known)):
        if version >= Version(FIRST[framework]) and not version.is_prerelease and not version.local:
            minors.setdefault(version.release[:2], []).append(version)
    ends = {end for each in minors.values() for end in (each[0], each[-1])}
    between = {*BETWEEN.get(framework, ()), *_locked(framework)}
    return [str(each) for each in sorted(ends | {Version(each) for each in between if each in known})]


def run(framework: str, results: Path | None, again: Sequence[str], since: str = "0") -> None:
    """Run what the log does not have; each pair is written at once, and one that fails is a line with its reason.

    Without a folder for results nothing runs: the releases are listed. What is older than `since` stays as it is.
    """
    versions = chosen(framework)
    left_out = {each for each in versions if framework in LOCKED} - _locked(framework)
    log = [each for each in read(framework) if each["to"] in versions and each["to"] not in again]
    there = {each["to"] for each in log if each.get("failed") != NOT_RUN}
    log = [each for each in log if each["to"] in there]
    log += [
        {"to": each, "from": None, "failed": NOT_RUN if each in left_out else WAITING}
        for each in versions
        if each not in there
    ]
    write(framework, log)
    before = None
    for version in versions if results else ():
        known = next(each for each in log if each["to"] == version and "operation" not in each)
        if (
            Version(version) >= Version(since)
            and version not in left_out
            and (known.get("failed") == WAITING or known["from"] != before)
        ):
            log = [each for each in log if each["to"] != version]
            log += compared(framework, before, version, results)
            write(framework, log)
            known = next(each for each in log if each["to"] == version)
        if "failed" not in known:
            before = version


def compared(framework: str, before: str | None, version: str, results: Path) -> list[Line]:
    """Return the lines of a release: what its pair is and, of one that ran, what changed."""
    sides = [_pin(framework, each) for each in (before or version, version)]
    command = [
        sys.executable, "-m", "repromatrix", "impact", *sides, "--json", "-q", "--engine", "process",
        "--jobs", "1", "--results", str(results), *_selected(framework),
    ]  # fmt: skip
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=CHECKOUT)
    told = f"{framework} {before} -> {version}: exit {done.returncode}, {time.monotonic() - began:.0f} s"
    sys.stderr.write(told + "\n")
    pair: Line = {"to": version, "from": before}
    if done.returncode not in (ExitCode.OK, ExitCode.DIFFERENCE):
        if done.returncode != ExitCode.ENVIRONMENT:
            raise SystemExit(done.stderr)
        return [pair | {"failed": _reason(done.stderr)}]
    found = json.loads(done.stdout)
    looked_at = found["looked_at"]
    pair |= {
        "environment": looked_at["after"],
        "cpu": f"{looked_at['cpu_class']} {looked_at['cpu_vendor']}".strip(),
        "verdict": found["verdict"] if before else "",
        "operations": looked_at["operations"],
        "training": [
            f"{each['workload']}/{each['variant']}"
            for each in found["training"]
            if each["max_ulp"] != 0 and each["verdict"] != "absent"
        ],
        "jobs": looked_at["training_jobs"],
        "moved": {
            each["name"]: [each["a"], each["b"]]
            for each in found["companions"]
            if each["kind"] in ("package", "python") or each["name"] == "openblas_core"
        },
    }
    return [pair, *changes(found["operations"], version)] if before else [pair]


def _reason(told: str) -> str:
    """Return the error that a command ended with, without the place of a log on this machine."""
    lines = [line.removeprefix(_ERROR) for line in told.splitlines() if line.startswith(_ERROR)]
    return re.sub(r"^/\S*: ", "", (lines or ["no reason"])[0])[:240]


def _locked(framework: str) -> set[str]:
    family = (framework, LOCKED.get(framework))
    environments = load(CHECKOUT / "matrix.yaml").environments
    return {each.version for each in environments if (each.framework, each.flavour) == family}


def _pin(framework: str, version: str) -> str:
    flavour = f"[{LOCKED[framework]}]" if framework in LOCKED else ""
    return f"{framework}{flavour}=={version}"


def _selected(framework: str) -> list[str]:
    return [part for each in SELECT.get(framework, PLAIN) for part in ("--select", each)]


def changes(rows: Iterable[Line], version: str) -> Iterator[Line]:
    """Yield what changed: of each operation, dtype and verdict the result that moved the most, and how many do."""
    groups: dict[tuple[str, ...], list[Line]] = {}
    for each in rows:
        if each["verdict"] not in ("identical", "not deterministic") and not (
            each["verdict"] == "absent" and not each["dtype_a"] and not each["dtype_b"]
        ):
            groups.setdefault((each["operation"], each["dtype"], each["verdict"]), []).append(each)
    for _, group in sorted(groups.items()):
        most = max(group, key=lambda each: (each["scaled"] or 0, each["max_ulp"] or 0, each["changed"]))
        yield {"to": version, "results": len(group)} | {
            name: most[name] for name in KEPT if most[name] is not None and most[name] is not False and most[name] != ""
        }


def read(framework: str) -> list[Line]:
    """Return the lines of a log."""
    path = ATLAS / "log" / f"{framework}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def write(framework: str, log: Iterable[Line]) -> None:
    """Write a log, the oldest release first."""
    ordered = sorted(log, key=lambda each: Version(each["to"]))  # a stable sort: a pair's line stays before its changes
    text = "".join(json.dumps(_rounded(each)) + "\n" for each in ordered)
    resources.write_atomically(ATLAS / "log" / f"{framework}.jsonl", text.encode())


def _rounded(line: Line) -> Line:
    return {name: float(f"{value:.3g}") if isinstance(value, float) else value for name, value in line.items()}


def pages() -> dict[str, str]:
    """Return the pages by name, from the logs alone."""
    logs = {framework: read(framework) for framework in TITLE}
    told = {framework: log for framework, log in logs.items() if log}
    return {"README.md": "\n".join(_overview(told)) + "\n"} | {
        f"{framework}.md": "\n".join(_page(framework, log)) + "\n" for framework, log in told.items()
    }


def _overview(logs: dict[str, list[Line]]) -> Iterator[str]:
    yield INTRODUCTION
    yield ""
    for framework, log in logs.items():
        pairs = _pairs(log)
        ran = [each for each in pairs if "environment" in each]
        link = f"[{TITLE[framework]}]({framework}.md)" if any(each["from"] for each in ran) else TITLE[framework]
        yield from (
            f"## {link}",
            "",
            "| release | environment | held against | result | CPU class |",
            "|---|---|---|---|---|",
        )
        for each in pairs:
            before = each["from"] or "\N{EN DASH}"
            cells = (
                each["to"],
                each.get("environment", ""),
                before,
                _result(framework, each, log),
                each.get("cpu", ""),
            )
            yield f"| {' | '.join(cells)} |"
        yield ""


def _page(framework: str, log: list[Line]) -> Iterator[str]:
    name, pairs = TITLE[framework], _pairs(log)
    moved = [each for each in pairs if _changes_of(each, log) or each.get("training")]
    ran = [each for each in pairs if "environment" in each]
    yield from (f"# {name}: what changed numerically, release by release", "")
    looked = " and ".join(f"`{each}`" for each in SELECT.get(framework, PLAIN))
    cpus = ", ".join(dict.fromkeys(each["cpu"] for each in ran))
    yield f"{len(ran)} releases, each held against the one before, over {looked}, on {cpus or 'no CPU yet'}."
    yield "[All releases, and what did not run](README.md). An error is the distance from the exact result, in ULP of"
    yield "the result's dtype or, `scaled`, over the largest value; *better* and *worse* are said of the largest error."
    if not moved:
        yield from ("", "No release changed anything that was looked at." if ran else "None has run yet.")
        return
    yield from ("", "| operation | " + " | ".join(f"[{each['to']}](#{_anchor(each)})" for each in moved) + " |")
    yield "|---|" + "---|" * len(moved)
    names = dict.fromkeys(each["operation"] for pair in moved for each in _changes_of(pair, log))
    for operation in sorted(names):
        cells = [_cell(_changes_of(pair, log), operation) for pair in moved]
        yield f"| {operation} | " + " | ".join(cells) + " |"
    for pair in moved:
        yield from _release(framework, pair, log)


def _release(framework: str, pair: Line, log: list[Line]) -> Iterator[str]:
    selected = " ".join(f"--select '{each}'" for each in SELECT.get(framework, PLAIN))
    yield from ("", f"## {_heading(pair)}", "")
    sides = shlex.join(_pin(framework, pair[each]) for each in ("from", "to"))
    yield f"    repromatrix impact {sides} {selected}"
    yield ""
    moved = ", ".join(f"{name} {a or 'none'} -> {b or 'none'}" for name, (a, b) in pair["moved"].items())
    jobs = ", ".join(pair["training"]) or "none"
    yield f"{pair['verdict'].capitalize()}; {pair['cpu']}, `{pair['environment']}`."
    yield f"Training jobs that changed, of {pair['jobs']}: {jobs}. What else moved: {moved or 'nothing'}."
    rows = _changes_of(pair, log)
    if rows:
        yield from ("", "| operation | dtype | verdict | changed | largest ULP | largest error | it became |")
        yield "|---|---|---|---|---|---|---|"
    for each in rows:
        dtype = each["dtype"]
        if each.get("dtype_a") != each.get("dtype_b"):
            dtype += f": {each.get('dtype_a', 'none')} -> {each.get('dtype_b', 'none')}"
        more = f" (+{each['results'] - 1})" if each["results"] > 1 else ""
        case = "/".join(filter(None, (each["operation"], each.get("case"), "gradient" if each.get("gradient") else "")))
        mode = "" if each["mode"] == "eager" else f" {each['mode']}"
        size = f"{each['changed']} of {each['size']}" if each.get("size") else "\N{EN DASH}"
        cells = (f"{case}{mode}{more}", dtype, _verdict(each), size, _ulp(each), _error(each), _became(each))
        yield f"| {' | '.join(cells)} |"


def _pairs(log: Iterable[Line]) -> list[Line]:
    return [each for each in log if "operation" not in each]


def _changes_of(pair: Line, log: Iterable[Line]) -> list[Line]:
    return [each for each in log if "operation" in each and each["to"] == pair["to"]]


def _result(framework: str, pair: Line, log: list[Line]) -> str:
    if "failed" in pair:
        return pair["failed"] if pair["failed"] == WAITING else f"not run: {pair['failed']}"
    if pair["from"] is None:
        return "runs; the first one"
    changed = len({each["operation"] for each in _changes_of(pair, log)})
    jobs = len(pair["training"])
    if not changed and not jobs:
        return f"no difference seen in {pair['operations']} operations"
    told = f"{changed} of {pair['operations']} operations changed"
    told = f"[{told}]({framework}.md#{_anchor(pair)})"
    return told + (f", {jobs} of {pair['jobs']} training jobs" if jobs else "")


def _heading(pair: Line) -> str:
    return f"{pair['from']} to {pair['to']}"


def _anchor(pair: Line) -> str:
    return _heading(pair).replace(".", "").replace(" ", "-")


def _cell(rows: Iterable[Line], operation: str) -> str:
    parts: dict[str, list[str]] = {}
    for each in rows:
        if each["operation"] == operation:
            what = _verdict(each) if each["verdict"] not in ("rounding", "differs") else ""
            ulp = f"{_ulp(each)} ULP" if "max_ulp" in each else ""
            text = ", ".join(filter(None, (what, ulp, _became(each)))) or each["verdict"]
            parts.setdefault(text, []).append(each["dtype"])
    return "<br>".join(f"{', '.join(dict.fromkeys(dtypes))}: {text}" for text, dtypes in parts.items())


def _verdict(row: Line) -> str:
    """Return what became of an operation; of one that only one of two releases has, which."""
    if row["verdict"] != "absent":
        return str(row["verdict"])
    return "new" if row.get("dtype_b") else "gone"


def _ulp(row: Line) -> str:
    if row.get("scaled") == 0 and "max_ulp" not in row:
        return "signs of 0"
    return "\N{EN DASH}" if "max_ulp" not in row else "over 9999" if row["max_ulp"] > _MANY else str(row["max_ulp"])


def _error(row: Line) -> str:
    ulp, scaled = [(row.get(f"{kind}error_a"), row.get(f"{kind}error_b")) for kind in ("", "scaled_")]
    if None not in ulp and row.get("dtype_a") == row.get("dtype_b") and max(ulp) <= _BOUND:
        return f"{ulp[0]:.3g} -> {ulp[1]:.3g} ULP"
    return "\N{EN DASH}" if None in scaled else f"{scaled[0]:.2g} -> {scaled[1]:.2g} scaled"


def _became(row: Line) -> str:
    return {"a": "worse", "b": "better", "same": "as good"}.get(row.get("better", ""), "")


def main() -> None:
    """Run what the arguments say, then write the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", metavar="run|list FRAMEWORK", help="nothing: write the pages only")
    parser.add_argument("--results", type=Path, default=Path("results-atlas"))
    parser.add_argument("--again", action="append", default=[], metavar="VERSION")
    parser.add_argument("--since", default="0", metavar="VERSION", help="run none that is older")
    options = parser.parse_args()
    if options.what and (options.what[0] not in ("run", "list") or not set(options.what[1:]) <= TITLE.keys()):
        parser.error(f"run or list, and then of {', '.join(TITLE)}")
    for framework in options.what[1:]:
        run(framework, options.results if options.what[0] == "run" else None, options.again, options.since)
    for name, text in pages().items():
        resources.write_atomically(ATLAS / name, text.encode())


if __name__ == "__main__":
    main()
