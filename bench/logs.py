"""What reading and comparing logs of other programs takes in CPU time and memory; each row is a process of its own.

Nothing here passes or fails: times on a shared machine are no test.

    python bench/logs.py                 two logs of 100,000 lines in every dialect, then many logs, all pairs
    python bench/logs.py --logs 1000     so many logs of 10,000 lines
"""

import argparse
import json
import os
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

REPROMATRIX = str(Path(sys.executable).parent / "repromatrix")
LINES, SHORT, KINDS = 100_000, 10_000, 20


def main() -> None:
    """Write logs, compare them, print a line for each dialect."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", type=int, default=1000)
    parser.add_argument("--only", default="", help="dialects whose name has this")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"  {'two logs of 100,000 lines':<34} {'on disk':>8}    CPU    peak", flush=True)
    for name, write in DIALECTS.items():
        if options.only in name:
            with tempfile.TemporaryDirectory(prefix="repromatrix-bench-") as folder:
                print(two(Path(folder), name, write), flush=True)
    if not options.only:
        for name in ("CSV", "JSON lines", "printed lines"):
            with tempfile.TemporaryDirectory(prefix="repromatrix-bench-") as folder:
                print(many(Path(folder), name, options.logs), flush=True)


def two(folder: Path, name: str, write: Callable[[list[tuple[int, str, str]]], str]) -> str:
    """Return what two logs take, as a line."""
    paths = [folder / f"{each}.log" for each in "ab"]
    for kind, path in enumerate(paths):
        path.write_text(write(rows(kind, LINES)))
    return f"  {name:<34} {paths[0].stat().st_size / 1e6:>5.1f} MB {taken([str(path) for path in paths], folder)}"


def many(folder: Path, name: str, count: int) -> str:
    """Return what many logs in 20 classes take, all pairs, as a line."""
    texts = [DIALECTS[name](rows(kind, SHORT)) for kind in range(KINDS)]
    for at in range(count):
        (folder / f"log-{at}.log").write_text(texts[at % KINDS])
    names = [str(folder / f"log-{at}.log") for at in range(count)]
    return f"  {count:,} logs of 10,000 lines, {name:<13} {'':>5} {taken(names, folder)}"


def taken(names: list[str], folder: Path) -> str:
    """Return the CPU time and the peak memory of a comparison."""
    arguments = [REPROMATRIX, "compare", "-q", *names, "--format", "json", "--output", str(folder / "out.json")]
    child = os.posix_spawn(REPROMATRIX, arguments, os.environ)
    _, status, usage = os.wait4(child, 0)
    assert os.waitstatus_to_exitcode(status) in {0, 1}
    assert json.loads((folder / "out.json").read_text())["total"] >= 1
    return f"{usage.ru_utime + usage.ru_stime:>6.2f} s {usage.ru_maxrss / 1024:>4.0f} MiB"


def rows(kind: int, count: int) -> list[tuple[int, str, str]]:
    """Return step, loss and gradient norm of a run: a few losses differ from kind to kind."""
    common, own = random.Random(0), random.Random(kind)  # noqa: S311
    return [
        (at, repr(2.5 + common.random() + (1e-12 if own.random() < 0.001 else 0)), repr(common.random()))  # noqa: PLR2004
        for at in range(1, count + 1)
    ]


def _lines(line: str) -> Callable[[list[tuple[int, str, str]]], str]:
    return lambda found: "".join(line % {"s": at, "l": loss, "g": norm} for at, loss, norm in found)


_STAMP = "2026-07-14 10:00:00,123 - INFO - "
_WIDE = (
    " [2026-07-14 10:00:00] iteration %(s)8d/  100000 | consumed samples: %(s)12d | elapsed time per iteration "
    "(ms): 93.1 | learning rate: 1.500000E-04 | global batch size:    32 | lm loss: %(l)s | loss scale: 1.0 | "
    "grad norm: %(g)s | num zeros: 0.0 | params norm: 214.556 | number of skipped iterations:   0 | "
    "number of nan iterations:   0 |\n"
)
DIALECTS: dict[str, Callable[[list[tuple[int, str, str]]], str]] = {
    "one number a line": _lines("%(l)s\n"),
    "CSV": lambda found: "step,loss,grad_norm\n" + _lines("%(s)d,%(l)s,%(g)s\n")(found),
    "CSV, quoted": lambda found: '"step","loss","grad_norm"\n' + _lines('"%(s)d","%(l)s","%(g)s"\n')(found),
    "CSV with gaps (Lightning)": lambda found: (
        "step,loss,epoch,grad_norm\n" + _lines("%(s)d,%(l)s,0,\n%(s)d,,0,%(g)s\n")(found[: len(found) // 2])
    ),
    "JSON lines": _lines('{"step": %(s)d, "loss": %(l)s, "grad_norm": %(g)s}\n'),
    "JSON lines, nested, of 12 keys": _lines(
        '{"step": %(s)d, "time": 12.5, "train": {"loss": %(l)s, "grad_norm": %(g)s}, "lr": 0.001, "epoch": 1, "a": 1, '
        '"b": 2.5, "host": "node-1", "mem": 12, "ok": true, "none": null}\n'
    ),
    "JSON records (Hugging Face)": lambda found: (
        '{"log_history": [\n' + _lines('{"step": %(s)d, "loss": %(l)s, "grad_norm": %(g)s},\n')(found)[:-2] + "\n]}\n"
    ),
    "JSON columns (Keras)": lambda found: json.dumps(
        {"loss": [float(each[1]) for each in found], "acc": [0.5] * len(found)}
    ),
    "Python dicts": _lines("{'loss': %(l)s, 'grad_norm': %(g)s, 'epoch': 0.5, 'step': %(s)d}\n"),
    "printed lines": _lines("step %(s)d | loss: %(l)s | grad norm: %(g)s\n"),
    "printed with a clock": _lines(_STAMP + "step=%(s)d, loss=%(l)s, grad_norm=%(g)s, 12.5 it/s\n"),
    "printed, wide (Megatron)": _lines(_WIDE),
    "JSON behind a prefix (fairseq)": _lines(
        "2026-07-14 10:00:00 | INFO | train_inner | "
        '{"epoch": 1, "loss": "%(l)s", "gnorm": "%(g)s", "num_updates": "%(s)d", "lr": "0.001"}\n'
    ),
}

if __name__ == "__main__":
    main()
