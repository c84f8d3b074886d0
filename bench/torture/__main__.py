"""Kill commands, run them in hostile places, feed readers damaged files; count what must not come of it.

Exit code 1 if anything failed. The figures, with the counts of what was tried, are written into docs/reliability.md.
"""

import argparse
import math
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from bench.torture import page
from bench.torture.fuzz import fuzz, readers
from bench.torture.kills import Kills
from bench.torture.places import can_mount, hostile
from bench.torture.scene import CELLS, ROOT, SIDES, Scene
from bench.torture.tally import Tally
from repromatrix.resources import cache

PAGE = ROOT / "docs" / "reliability.md"
KILLS, INPUTS = 200, 100_000
_DOCKERS = 5  # one kill in so many is with containers, where an engine answers
Part = tuple[str, list[Tally]]


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(prog="python -m bench.torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS, help="commands that are ended, of all engines together")
    parser.add_argument("--inputs", type=int, default=INPUTS, help="damaged files, of all readers together")
    parser.add_argument("--places", choices=("all", "some", "none"), default="all", help="hostile places")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no other try after so many")
    parser.add_argument("--seed", type=int, default=15)
    parser.add_argument("--no-page", action="store_true", help="leave docs/reliability.md as it is")
    options = parser.parse_args()
    _take_signals()
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    try:
        parts = campaign(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = page.measured(parts, _left_out())
    print(text)
    if not options.no_page:
        page.write(PAGE, text)
        print(f"written into {PAGE.relative_to(ROOT)}")
    return 1 if any(each.failures for _, tallies in parts for each in tallies) else 0


def _take_signals() -> None:
    """Give commands the signals that `nohup`, or a shell's `&` in a script, has us ignore; children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def campaign(folder: Path, options: argparse.Namespace) -> list[Part]:
    """Run all parts side by side, each in a scene of its own; return their tallies."""
    end = time.monotonic() + options.minutes * 60
    docker = options.kills // _DOCKERS if docker_answers() else 0
    with ProcessPoolExecutor(max_workers=4) as pool:
        kills = [
            pool.submit(_kills, folder / "process", "process", options.kills - docker, options.seed, end),
            *([pool.submit(_kills, folder / "docker", "docker", docker, options.seed, end)] if docker else []),
        ]
        places = pool.submit(_places, folder / "places", options.places, end)
        fuzzed = pool.submit(_fuzz, folder / "fuzz", options.inputs, options.seed, end)
        return [
            ("Commands that were ended at a random moment", [each for part in kills for each in part.result()]),
            ("Hostile places", places.result()),
            ("Damaged files", fuzzed.result()),
        ]


def _scene(folder: Path, end: float, engine: str = "process") -> Scene:
    found = Scene(folder, cache() / "wheels", engine, end)
    found.begin()
    return found


def _kills(folder: Path, engine: str, count: int, seed: int, end: float) -> list[Tally]:
    kills = Kills(_scene(folder, end, engine), seed)
    for number, tally in enumerate(kills.run(count), 1):
        _tell(f"{number} of {count}", tally)
    return list(kills.tallies.values())


def _tell(at: str, tally: Tally) -> Tally:
    told = "; ".join(tally.failures) or "no failures"
    print(f"{at}: {tally.title}, {told}", file=sys.stderr, flush=True)
    return tally


def _places(folder: Path, which: str, end: float) -> list[Tally]:
    found = [] if which == "none" else hostile(_scene(folder, end), short=which == "some")
    return [_tell("place", each) for each in found]


def _fuzz(folder: Path, inputs: int, seed: int, end: float) -> list[Tally]:
    scene = _scene(folder, end)
    for command in ("trace", "explain"):  # so that there are files of theirs; both find a difference, exit code 1
        scene.run((command, "-q", *map(CELLS.format, SIDES), "--engine", scene.engine, "--results", "M"), scene.first)
    scene.require("accept", "-q", "--results", "M", "--output", "M/accepted.json")
    for night in "AB":
        scene.require("history", "add", "-q", "--night", night, "--results", night, "--log", "M/history")
    every = readers(folder / "fuzz", [scene.first / name for name in "ABM"])
    return [_tell("damaged", fuzz(each, max(1, inputs // len(every)), seed, end)) for each in every]


def _left_out() -> list[str]:
    missing = {
        "containers (no Docker engine with our bases answers)": not docker_answers(),
        "full and read-only disks (mounting needs root)": not can_mount(),
        "clocks (faketime is not installed)": not shutil.which("faketime"),
    }
    return [name for name, is_missing in missing.items() if is_missing]


def docker_answers() -> bool:
    """Whether a Docker engine answers that has the base images."""
    command = ["docker", "images", "--quiet", "repromatrix/base"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.returncode == 0 and bool(done.stdout.strip())


if __name__ == "__main__":
    sys.exit(main())
