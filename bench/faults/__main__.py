"""Put faults into training runs and count how many the explainer finds and names (docs/evaluation.md).

What has run is kept under build/faults and not run again, as long as nothing has changed that a verdict depends on.
Exit code 1 if precision or recall of all runs, or of mazur in NumPy, is below 99 %, or a hundredth of the causes is
false; 2 for a wrong command line.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.faults import page
from bench.faults.campaign import (
    KINDS,
    PLACES,
    ROOT,
    Chunk,
    chunks,
    digest,
    environment,
    every,
    keep,
    kept,
    measure,
    missing,
    verdicts,
)
from bench.faults.clean import Environment
from bench.faults.score import Score, Verdict
from repromatrix.explain.judge.sites import sentences

LEAST = 0.99
PAGE = ROOT / "docs" / "evaluation.md"
KEPT = ROOT / "build" / "faults"
SEEDS = "measured-3"  # a word in the names of the seeds; while building others are used
MAIN = "mazur-numpy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many runs: faults and as many clean ones by workload, in NumPy and in each other framework; pairs."""

    mazur: int
    mlp: int
    mazur_others: int
    mlp_others: int
    pairs: int

    def of(self, place: str, kind: str) -> int:
        """Return how many of a kind run in a place."""
        if kind == "pairs":
            return self.pairs if place == MAIN else 0
        if place.startswith("mlp"):
            return self.mlp if place == "mlp-numpy" else self.mlp_others
        return self.mazur if place == MAIN else self.mazur_others


DEFAULTS = Counts(mazur=3600, mlp=320, mazur_others=100, mlp_others=30, pairs=1000)


def main() -> int:
    """Run a campaign, or one of its runs again."""
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--places", nargs="+", choices=sorted(PLACES), default=list(PLACES), help="workload-framework")
    for name, help_ in (
        ("mazur", "faults in NumPy, and as many clean pairs"),
        ("mlp", "likewise"),
        ("mazur_others", "faults in each other framework, and as many clean pairs"),
        ("mlp_others", "likewise"),
        ("pairs", "pairs that differ for a known operation"),
    ):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(DEFAULTS, name), help=help_)
    parser.add_argument("--seeds", default=SEEDS, help=f"a word that makes the runs others; default {SEEDS}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", metavar="PLACE/faults|clean|pairs/SEED", help="one run again, told in full")
    parser.add_argument("--page", action="store_true", help="run nothing, write what has run into docs/evaluation.md")
    options = parser.parse_args()
    if options.only:
        return again(parser, options.only, options.seeds)
    counts = Counts(**{name: getattr(options, name) for name in Counts.__slots__})
    folder = KEPT / f"{options.seeds}-{digest()}"
    there = [place for place in map(environment, options.places) if place is not None]
    for place in options.places:
        if missing(place):
            print(f"{place} is left out: {missing(place)}")
    found = campaign(there, counts, options.seeds, folder, 0 if options.page else options.jobs)
    if not any(found.values()):
        print(f"nothing has run under {folder.relative_to(ROOT)}")
        return 2
    scores = {title: Score(verdicts=tuple(each)) for title, each in found.items() if each}
    text = page.measured(scores, options.seeds)
    print(text)
    if options.page:
        page.write(PAGE, text)
        print(f"written into {PAGE.relative_to(ROOT)}")
    main_ = [scores[place.title] for place in there if place.framework == MAIN and place.title in scores]
    return 0 if all(score.passes(LEAST) for score in (*main_, page.together(scores))) else 1


def campaign(
    there: Sequence[Environment], counts: Counts, seeds: str, folder: Path, jobs: int
) -> dict[str, list[Verdict]]:
    """Return the verdicts of each environment, by its title; without jobs all that earlier runs have kept."""
    work = [
        chunk
        for place in there
        for kind in KINDS
        for chunk in chunks(place, kind, counts.of(place.framework, kind), seeds)
    ]
    # Of each place and kind the same share at any time, so that what is kept tells of each.
    work.sort(key=lambda chunk: chunk.first / counts.of(chunk.environment.framework, chunk.kind))
    if not jobs:
        return {place.title: [each for kind in KINDS for each in every(folder, place, kind)] for place in there}
    found: dict[str, list[Verdict]] = {place.title: [] for place in there}
    todo: list[Chunk] = []
    for chunk in work:
        earlier = kept(folder, chunk)
        if earlier is None:
            todo.append(chunk)
        else:
            found[chunk.environment.title] += earlier
    for done, (chunk, each) in enumerate(verdicts(todo, jobs), start=1):
        keep(folder, chunk, each)
        found[chunk.environment.title] += each
        wrong = sum(not verdict.right for verdicts in found.values() for verdict in verdicts)
        print(f"{done} of {len(todo)} chunks ({chunk.name}), {wrong} failures", file=sys.stderr, flush=True)
    return found


def again(parser: argparse.ArgumentParser, name: str, seeds: str) -> int:
    """Run one run again and tell all of it."""
    framework, kind, seed = (*name.split("/"), "", "")[:3]
    if framework not in PLACES or kind not in KINDS or not seed.isdecimal():
        parser.error(f"--only {name}: expected PLACE/{'|'.join(KINDS)}/SEED")
    place = environment(framework)
    if place is None:
        parser.error(f"--only {name}: {missing(framework)}")
    (run,) = measure(Chunk(environment=place, kind=kind, first=int(seed), last=int(seed) + 1, seeds=seeds))
    for fault in run.truth.get("faults", [run.truth]):
        print("done: ", json.dumps({key: value for key, value in fault.items() if value not in (None, False)}))
    print("due:  ", page.names(run.verdict.due))
    print("told: ", page.names(run.verdict.told), run.verdict.condition)
    for sentence in sentences(run.found.named if kind == "pairs" else run.found):
        print("      ", sentence)
    print("right" if run.verdict.right else "wrong")
    return 0 if run.verdict.right else 1


if __name__ == "__main__":
    sys.exit(main())
