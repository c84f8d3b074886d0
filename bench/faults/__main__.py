"""Put faults into training runs and count how many the explainer finds and names (docs/evaluation.md).

Exit code 1 if precision or recall of all runs, or of NumPy's, is below 99 %; 2 for a wrong command line.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from bench.faults import page
from bench.faults.campaign import PLACES, ROOT, Chunk, chunks, environment, measure, missing, verdicts
from bench.faults.clean import Environment
from bench.faults.score import Score, Verdict
from repromatrix.explain.judge.sites import sentences

LEAST = 0.99
PAGE = ROOT / "docs" / "evaluation.md"


def main() -> int:
    """Run a campaign, or one of its runs again."""
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--frameworks", nargs="+", choices=sorted(PLACES), default=list(PLACES))
    parser.add_argument("--faults", type=int, default=5000, help="of NumPy; as many clean pairs")
    parser.add_argument("--others", type=int, default=40, help="of each other framework; as many clean pairs")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", metavar="FRAMEWORK/faults|clean/SEED", help="one run again, told in full")
    options = parser.parse_args()
    if options.only:
        return again(parser, options.only)
    places = {framework: environment(framework) for framework in options.frameworks}
    for framework, place in places.items():
        if place is None:
            print(f"{framework} is left out: {missing(framework)}")
    there = [place for place in places.values() if place is not None]
    scores = campaign(there, options.faults, options.others, options.jobs)
    text = page.measured(scores)
    print(text)
    if (len(there), options.faults, options.others) == (len(PLACES), *map(parser.get_default, ("faults", "others"))):
        page.write(PAGE, text)
        print(f"written into {PAGE.relative_to(ROOT)}")
    else:
        print("not written into the docs: not the whole campaign")
    numpy = [scores[place.title] for place in there if place.framework == "numpy"]
    return 0 if all(score.passes(LEAST) for score in (*numpy, page.together(scores))) else 1


def campaign(there: Sequence[Environment], faults: int, others: int, jobs: int) -> dict[str, Score]:
    """Return the score of each environment, by name."""
    work = [
        chunk
        for place in there
        for count in (faults if place.framework == "numpy" else others,)
        for chunk in chunks(place, count, count)
    ]
    found: dict[str, list[Verdict]] = {place.title: [] for place in there}
    for done, (chunk, each) in enumerate(zip(work, verdicts(work, jobs), strict=True), start=1):
        found[chunk.environment.title] += each
        wrong = sum(not verdict.right for verdicts in found.values() for verdict in verdicts)
        print(
            f"{done} of {len(work)} chunks ({chunk.environment.title}), {wrong} failures", file=sys.stderr, flush=True
        )
    return {title: Score(verdicts=tuple(each)) for title, each in found.items()}


def again(parser: argparse.ArgumentParser, name: str) -> int:
    """Run one run again and tell all of it."""
    framework, kind, seed = (*name.split("/"), "", "")[:3]
    if framework not in PLACES or kind not in ("faults", "clean") or not seed.isdecimal():
        parser.error(f"--only {name}: expected FRAMEWORK/faults/SEED or FRAMEWORK/clean/SEED")
    place = environment(framework)
    if place is None:
        parser.error(f"--only {name}: {missing(framework)}")
    (run,) = measure(Chunk(environment=place, clean=kind == "clean", first=int(seed), last=int(seed) + 1))
    for fault in run.truth["faults"]:
        print("done: ", json.dumps({key: value for key, value in fault.items() if value not in (None, False)}))
    print("due:  ", page.names(run.verdict.due))
    print("told: ", page.names(run.verdict.told))
    for sentence in sentences(run.found):
        print("      ", sentence)
    print("right" if run.verdict.right else "wrong")
    return 0 if run.verdict.right else 1


if __name__ == "__main__":
    sys.exit(main())
