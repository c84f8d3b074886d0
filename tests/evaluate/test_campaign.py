"""A small fault campaign: what is done to runs is found and named, and the two sides do not know each other."""

import ast
import json
import re
import subprocess
import sys
from argparse import Namespace
from collections import Counter
from pathlib import Path

import pytest

from bench.faults import __main__ as campaign
from bench.faults import bits, page
from bench.faults.__main__ import LEAST
from bench.faults.arithmetic import ARITHMETIC
from bench.faults.campaign import PLACES, Chunk, environment, measure, missing
from bench.faults.clean import read
from bench.faults.draw import TRACED, Dice, Fault
from bench.faults.explain import explain
from bench.faults.frameworks import GROUNDS, KINDS
from bench.faults.loops import Loop
from bench.faults.score import Ratio, Score, Verdict, judge

ROOT = Path(__file__).resolve().parents[2]
FAULTS = ROOT / "bench" / "faults"
INJECTOR = ("inject", "draw", "loops", "network", "hooks", "arithmetic", "frameworks", "patched", "host", "bits")
SMALL = 120


def run_of(framework: str, count: int) -> Score:
    place = environment(framework)
    if place is None:
        pytest.skip(missing(framework))
    chunks = [Chunk(environment=place, clean=clean, first=0, last=count) for clean in (False, True)]
    return Score(verdicts=tuple(each.verdict for chunk in chunks for each in measure(chunk)))


def test_a_small_campaign_of_numpy_finds_and_names_the_faults() -> None:
    score = run_of("numpy", SMALL)
    assert (len(score.faulty), len(score.clean)) == (SMALL, SMALL)
    assert score.passes(LEAST), page.measured({"numpy": score})
    assert len({kind for each in score.faulty for kind in each.kind.split(" + ")}) >= 10
    assert any(not each.losses for each in score.faulty)


@pytest.mark.slow
@pytest.mark.parametrize("framework", [each for each in PLACES if each != "numpy"])
def test_a_campaign_of_every_framework_that_is_there_finds_and_names_the_faults(framework: str) -> None:
    score = run_of(framework, 12)
    assert score.passes(LEAST), page.measured({framework: score})


# The sides.


def imports(module: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse((FAULTS / f"{module}.py").read_text())):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{each.name}" for each in node.names}
    return found


def of_the_project(names: set[str]) -> set[str]:
    return {".".join(each.split(".")[:3]) for each in names if each.split(".")[0] in ("bench", "repromatrix")}


@pytest.mark.parametrize("module", INJECTOR)
def test_the_injector_knows_nothing_of_the_product_nor_of_the_judge(module: str) -> None:
    assert of_the_project(imports(module)) <= {f"bench.faults.{each}" for each in INJECTOR}


def test_the_explainer_knows_nothing_of_the_injector_nor_of_the_judge() -> None:
    known = of_the_project(imports("explain") | imports("clean"))
    assert {each for each in known if each.startswith("bench")} == {"bench.faults.clean"}
    rooms = [*(ROOT / "runner" / "repromatrix").rglob("*.py")]
    assert rooms
    assert not [path for path in rooms if re.search(r"^\s*(from|import) bench\b", path.read_text(), re.MULTILINE)]


def test_the_explainer_gets_the_job_as_asked_for_and_no_truth(tmp_path) -> None:
    inject(tmp_path, "0", "12")
    for run in read(tmp_path / "runs.jsonl"):
        assert set(run) == {"job", "lines"}
        assert set(run["job"]) == {"workload", "dtype", "options"}
        assert "faults" not in json.dumps(run)


def inject(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "bench.faults.inject", "numpy", str(folder), *arguments]
    subprocess.run(command, cwd=ROOT, check=True)


# The injector.


def test_a_seed_gives_the_same_runs_and_the_same_truth_alone_or_among_others(tmp_path) -> None:
    (tmp_path / "alone").mkdir()
    inject(tmp_path, "0", "9")
    inject(tmp_path / "alone", "7", "8")
    for name in ("runs.jsonl", "truth.jsonl"):
        assert read(tmp_path / name)[7:8] == read(tmp_path / "alone" / name)


def test_every_kind_of_fault_is_drawn() -> None:
    drawn = Counter(
        fault.kind for seed in range(600) for fault in Dice(GROUNDS["numpy"], f"numpy/faults/{seed}/0").faults()
    )
    assert set(drawn) == set(KINDS)


def trained(fault: Fault, seed: int = 3):
    job = Dice(GROUNDS["numpy"], f"kept/{seed}").job
    return Loop(ARITHMETIC["numpy"](job), job, (fault,)).train()


def test_a_fault_without_effect_shows_nowhere() -> None:
    assert trained(Fault(kind="scaled", site="loss", how="scale", amount=1.0)).shown == [set()]


@pytest.mark.parametrize("site", sorted(GROUNDS["numpy"].sites & set(TRACED)))
def test_an_armed_hook_that_changes_nothing_shows_nowhere(site: str) -> None:
    for seed in range(20):
        assert trained(Fault(kind="null", site=site, how="ulp"), seed).shown == [set()]


@pytest.mark.parametrize("site", sorted(GROUNDS["numpy"].sites & set(TRACED)))
def test_a_sign_that_is_turned_over_shows_at_its_site_and_step_alone(site: str) -> None:
    fault = Fault(kind="scaled", site=site, how="scale", amount=-1.0, first=2, last=2)
    (shown,) = trained(fault).shown
    assert shown == {(site, 2)}


def test_a_fault_in_what_is_not_traced_shows_in_the_gradients_made_of_it() -> None:
    (shown,) = trained(Fault(kind="scaled", site="output_delta", how="scale", amount=-1.0, first=2, last=2)).shown
    assert shown == {("grad_output_weights", 2), ("grad_hidden_weights", 2)}


def test_a_fault_is_found_in_a_run_that_was_not_drawn(tmp_path) -> None:
    inject(tmp_path, "0", "1", "--clean")
    (run,) = read(tmp_path / "runs.jsonl")
    place = environment("numpy")
    assert place is not None
    assert not explain(place, [run])["0"].detected
    hidden = next(value for value in run["lines"][1]["values"] if value[0] == "hidden")
    _, _, dtype, _, texts = hidden
    texts[0] = bits.rounded(float.fromhex(texts[0]) * (1 + 2**-9), dtype).hex()
    found = explain(place, [run])["0"]
    # What follows from it in the same step was computed from the true value, and now seems wrong.
    assert found.detected
    assert found.operations[0].tensor == "hidden"
    assert found.operations[0].steps == (2,)


# The judge.

ANSWER = {"detected": True, "factors": [], "starts": [], "operations": [{"tensor": "hidden", "steps": [2, 3]}]}
TRUTH = {
    "seed": 1,
    "clean": False,
    "idle": 0,
    "losses": True,
    "faults": [{"kind": "scaled"}],
    "causes": [{"places": [["hidden", 3], ["hidden", 2]]}],
}


def test_an_answer_with_the_operation_and_all_its_steps_is_right() -> None:
    assert judge("numpy", TRUTH, ANSWER).right


@pytest.mark.parametrize(
    "change",
    [
        {"operations": [{"tensor": "hidden", "steps": [2]}]},
        {"operations": [{"tensor": "hidden", "steps": [2, 3]}, {"tensor": "loss", "steps": [1]}]},
        {"operations": [{"tensor": "output", "steps": [2, 3]}]},
        {"operations": []},
        {"factors": [["update", "sequential"]]},
        {"detected": False},
    ],
)
def test_a_step_a_tensor_or_a_factor_too_many_or_too_few_is_wrong(change) -> None:
    verdict = judge("numpy", TRUTH, ANSWER | change)
    assert not verdict.right
    assert Score(verdicts=(verdict,)).failures == (verdict,)


def test_a_clean_run_that_is_said_to_differ_costs_precision() -> None:
    clean = judge("numpy", TRUTH | {"clean": True, "causes": []}, ANSWER)
    score = Score(verdicts=(judge("numpy", TRUTH, ANSWER), clean))
    assert score.detection == {"precision": Ratio(right=1, all=2), "recall": Ratio(right=1, all=1)}
    assert score.attribution["precision"] == Ratio(right=1, all=2)
    assert not score.passes(LEAST)


@pytest.mark.parametrize(
    ("numpy", "torch", "code"),
    [
        ((1000, 0), (40, 0), 0),
        ((1000, 0), (39, 1), 0),  # one of a small row is no verdict
        ((1000, 0), (0, 40), 1),  # but counts among all
        ((90, 2), (1000, 0), 1),
    ],
)
def test_the_verdict_is_on_numpy_and_on_all_together(monkeypatch, numpy, torch, code: int) -> None:
    def score(right: int, wrong: int) -> Score:
        missed = judge("numpy", TRUTH, ANSWER | {"detected": False, "operations": []})
        return Score(verdicts=(judge("numpy", TRUTH, ANSWER),) * right + (missed,) * wrong)

    scores = {"numpy-2": score(*numpy), "torch-2": score(*torch)}
    monkeypatch.setattr(
        campaign, "environment", lambda framework: Namespace(framework=framework, title=f"{framework}-2")
    )
    monkeypatch.setattr(campaign, "campaign", lambda *_: scores)
    monkeypatch.setattr(sys, "argv", ["faults", "--frameworks", "numpy", "torch"])
    assert campaign.main() == code


def test_the_page_keeps_what_stands_outside_its_marks_and_lists_the_failures(tmp_path) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"before\n{page.BEGIN}old\n{page.END}after\n")
    wrong = Verdict(
        framework="numpy",
        seed=17,
        kind="scaled",
        detected=True,
        due=frozenset({("operation", "loss", (1, 2))}),
        told=frozenset({("factor", "update", "sequential")}),
    )
    page.write(path, page.measured({"numpy-2.4.6": Score(verdicts=(wrong,))}))
    text = path.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| `numpy/faults/17` | scaled | loss at 1, 2 | update=sequential |" in text
    path.write_text("no marks")
    with pytest.raises(ValueError, match="lacks the marks"):
        page.write(path, "")


def test_nearly_all_is_never_rounded_to_all() -> None:
    verdicts = [judge("numpy", TRUTH | {"seed": seed}, ANSWER) for seed in range(30_000)]
    text = page.measured({"numpy": Score(verdicts=(*verdicts, judge("numpy", TRUTH, ANSWER | {"detected": False})))})
    assert "99.99 % (30,000 of 30,001)" in text
