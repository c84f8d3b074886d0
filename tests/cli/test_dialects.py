"""The corpus of logs and golden files as people keep them (tests/data/dialects): every case comes out as it says.

Each folder holds tiny files and `case.json`, the right answer, which comes from how they were made. The rules of the
comparison are those of the corpus's own `run.py`.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

CORPUS = Path(__file__).parents[1] / "data" / "dialects"
CASES = sorted(path.parent.name for path in CORPUS.glob("*/case.json"))
ANY = "any"
WORST = ("missing", "incomparable", "divergent", "amplified", "rounding", "identical")


def word(pair: dict[str, Any]) -> str:
    return str(pair["verdict"])


def main_pair(pairs: list[dict[str, Any]], metric: str | None) -> dict[str, Any]:
    """Return the pair of the loss; among several that none names, the worst."""
    named = [each for each in pairs if metric and each["metric"] == metric]
    losses = [each for each in pairs if "loss" in (each["metric"] or "")]
    return named[0] if named else min(losses or pairs, key=lambda each: WORST.index(word(each)))


def places(want: dict[str, Any], pair: dict[str, Any]) -> bool:
    """Whether the first difference is the step as the log writes it, or its place where that is as good."""
    step, first, at = want["first_difference"], pair["first_difference"], pair["at"]
    if step is None or first is None:
        return step is first
    fine = want.get("place_is_fine", False)
    if at and at["logged_step"] is not None:
        return at["logged_step"] == step or (fine and at["logged_step"] == want.get("first_place"))
    return first in ({step, want.get("first_place")} if fine or at is None else {step})


def faults(want: dict[str, Any], said: Any, pairs: list[dict[str, Any]]) -> list[str]:
    """Return what is wrong, in words."""
    found = [f"exit {said.code}"] if said.code != want["exit"] else []
    if want["verdict"] == "refused":
        missing = [
            each for each in want.get("says", ()) if not re.search(rf"(?<![\w.]){re.escape(each)}(?!\w)", said.err)
        ]
        sense = want.get("says_re", "")
        return [*found, *missing, *(["no such sentence"] if not re.search(sense, said.err, re.IGNORECASE) else [])]
    if not pairs:
        return [*found, f"no answer: {said.err}"]
    pair = main_pair(pairs, want.get("metric"))
    found += [word(pair)] if word(pair) != want["verdict"] else []
    found += ["the first difference"] if want.get("first_difference") != ANY and not places(want, pair) else []
    found += [f"max_ulp {pair['max_ulp']}"] if want.get("max_ulp") not in {ANY, pair["max_ulp"]} else []
    dtype = want.get("dtype", ANY)
    if dtype != ANY:
        found += ["exact"] if pair["exact"] is (dtype == "printed") else []
        found += [f"{pair['ulp_dtype']}"] if dtype not in {"printed", pair["ulp_dtype"]} else []
    found += ["cross pairs"] if len(pairs) > want.get("pairs_at_most", len(pairs)) else []
    for metric, step in want.get("metrics", {}).items():
        own = [each for each in pairs if each["metric"] == metric]
        other = {**want, "first_difference": step, "place_is_fine": True}
        found += [f"{metric} differs at another step" for each in own if not places(other, each)]
    return found


def wrong(command, want: dict[str, Any]) -> list[str]:
    said = command("compare", *want["args"], "--format", "json")
    pairs = json.loads(said.out)["pairs"] if said.out else []
    own = {key: value for key, value in want.items() if key not in {"says", "says_re"}}
    answers = [want, *({**own, **each} for each in want.get("or", ()))]
    first = [faults(each, said, pairs) for each in answers]
    found = [] if [] in first else first[0]
    return found + [f"{each['args']}: {fault}" for each in want.get("also", ()) for fault in wrong(command, each)]


def test_the_corpus_is_there() -> None:
    assert len(CASES) >= 43


@pytest.mark.parametrize("name", CASES)
def test_every_dialect_comes_out_right(command, monkeypatch, name: str) -> None:
    monkeypatch.chdir(CORPUS / name)
    assert wrong(command, json.loads((CORPUS / name / "case.json").read_text(encoding="utf-8"))) == []
