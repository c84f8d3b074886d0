"""`repromatrix compare`: every kind of side, every format, and the exit codes."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from repromatrix import resources
from repromatrix.results.manifest import Ensemble
from repromatrix.results.record import decode
from repromatrix.results.store import Store
from tests import fakes as say
from tests.values import rewrite

PARALLEL = "tiny/numpy-2.0-cpu/parallel"
FORMATS = ("text", "md", "json", "junit")


@pytest.fixture
def ran(command):
    command("run", "--results", "results")
    return command


def losses(folder: Path) -> list[str]:
    (path,) = (folder / "results" / "records" / PARALLEL).iterdir()
    return list(decode(path.read_bytes(), str(path)).trajectory.losses)


def xml(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - our own output


def found(said) -> dict:
    document = json.loads(said.out)
    rules = json.loads(resources.schema("comparison").read_text())
    jsonschema.validate(document, rules, cls=jsonschema.Draft202012Validator)
    return document


def test_two_cells_with_the_same_bits_exit_0(ran) -> None:
    (ran.folder / "a.log").write_text("\n".join(losses(ran.folder)))
    said = ran("compare", PARALLEL, "mine=a.log")
    assert said.code == 0
    assert f"{PARALLEL} | mine" in said.out
    assert "passes: 1 identical" in said.out


def test_a_difference_exits_1_and_shows_both_values_in_decimal_hexadecimal_and_bits(command) -> None:
    (command.folder / "a.txt").write_text("0.5\n0x1.8p-1\n")
    (command.folder / "b.csv").write_text("step,loss\n1,0.5\n2,0.75000000000000011\n")
    said = command("compare", "a.txt", "b.csv", "--dtype", "float32")
    assert said.code == 0
    said = command("compare", "a=a.txt", "b=b.csv")
    assert said.code == 1
    assert "0x1.8000000000000p-1" in said.out
    assert "0 01111111110 1000000000000000000000000000000000000000000000000001" in said.out
    assert "of 2 steps, the first that differs is 2:" in said.out
    assert "(tolerance of matrix.yaml)" in said.out


@pytest.mark.parametrize("allowed", [(), ("--allow", "rounding")])
def test_an_allowed_verdict_passes_in_every_format(command, allowed) -> None:
    (command.folder / "a.txt").write_text("0x1p-1\n")
    (command.folder / "b.txt").write_text("0x1.0000000000001p-1\n")
    code = 0 if allowed else 1
    said = {each: command("compare", "a.txt", "b.txt", "--format", each, *allowed) for each in FORMATS}
    assert {each.code for each in said.values()} == {code}
    assert found(said["json"])["passes"] is (code == 0)
    assert len(xml(said["junit"].out).findall(".//failure")) == code
    assert ("**Passes**" in said["md"].out) is (code == 0)


def test_a_pattern_of_cells_is_compared_in_all_pairs(ran) -> None:
    document = found(ran("compare", "tiny/*/parallel*", "--format", "json"))
    cells = {each["name"] for each in document["series"]}
    assert PARALLEL in cells
    assert document["total"] == len(document["pairs"]) == len(cells) * (len(cells) - 1) // 2


def test_two_folders_pair_the_same_cells_and_say_so(command) -> None:
    command("run", "--results", "one")
    command.engine.answer = lambda cells, _: say.everything_ok(cells, 0.75)
    command("run", "--results", "two")
    document = found(command("compare", "one", "two", "--format", "json"))
    assert document["mode"] == "same-id"
    assert "the default for two results folders" in document["notes"][0]
    assert all(each["a"].removeprefix("one:") == each["b"].removeprefix("two:") for each in document["pairs"])
    assert command("compare", "one", "two").code == 1
    assert command("compare", "one", "one").code == 0


def test_of_many_cells_those_that_changed_are_listed_and_the_others_counted(command, monkeypatch) -> None:
    monkeypatch.setattr("repromatrix.report.comparison._FEW", 1)
    command("run", "--results", "one")
    said = command("compare", "one", "one")
    assert re.search(r"[0-9]+ identical pairs not listed here", said.out)
    assert f"  {PARALLEL}\n" not in said.out


def test_a_noise_floor_of_the_run_judges_its_workload_and_a_tolerance_the_rest(command) -> None:
    command("run", "--results", "results")
    store = Store(command.folder / "results")
    manifest = store.read_manifest()
    cells = {each.cell.id: each.cell for each in store.records(manifest)[0] if each.trajectory}
    base = cells.pop(PARALLEL)
    others = [name for name, each in cells.items() if (each.dtype, each.steps) == (base.dtype, base.steps)]
    ensemble = Ensemble(workload="tiny", dtype=base.dtype, reference=PARALLEL, members=(others[0],))
    store.write_manifest(replace(manifest, ensembles=(ensemble,)))
    (command.folder / "log.txt").write_text("0x1p10\n" * len(losses(command.folder)))
    rewrite(store, others[1], "loss", texts=("0x1.0000000000000p+4",) * base.steps)
    document = found(command("compare", PARALLEL, others[1], "log.txt", "--format", "json"))
    judges = {(each["a"], each["b"]): each["judged_by"] for each in document["pairs"]}
    assert "noise floor of tiny" in judges[PARALLEL, others[1]]
    assert "tolerance" in judges[PARALLEL, "log.txt"]
    assert others[0] not in {
        each["name"] for each in found(command("compare", "results", "--format", "json"))["series"]
    }


def test_a_record_file_is_the_cell_that_it_holds(ran) -> None:
    (path,) = (ran.folder / "results" / "records" / PARALLEL).iterdir()
    assert ran("compare", f"copy={path}", PARALLEL).code == 0


def test_a_published_column_is_taken_as_printed(command, write_matrix) -> None:
    write_matrix()
    (command.folder / "tiny" / "published.json").write_text(
        json.dumps({"losses": {"NumPy": ["0.5", "0.5"]}, "claims": []})
    )
    command("run", "--results", "results")
    said = command("compare", "published:num*", PARALLEL, "--format", "json")
    assert said.code in {0, 1}, said.err
    (pair,) = found(said)["pairs"]
    assert pair["exact"] is False
    assert any("decimal text" in each for each in pair["caveats"])


def test_more_pairs_than_the_limit_are_given_by_class_and_every_format_says_so(command) -> None:
    runs = {f"run{number}": [0.5 if number < 3 else 0.75] for number in range(6)}
    (command.folder / "runs.json").write_text(json.dumps(runs))
    for name in FORMATS:
        said = command("compare", "runs.json", "--limit", "10", "--format", name)
        assert "more than 10" in said.out
        assert "C2" in said.out


def test_markdown_stays_small_and_says_what_it_leaves_out(command) -> None:
    runs = {f"run{number:04}" + "x" * 60: [0.5 + number] for number in range(60)}
    (command.folder / "runs.json").write_text(json.dumps(runs))
    said = command("compare", "runs.json", "--limit", "5000", "--format", "md")
    assert len(said.out.encode()) <= 60_000
    assert said.out.endswith("**Cut here: the whole comparison comes with --format json.**\n")


def test_hostile_names_stay_text_in_every_format(command) -> None:
    name = "<script>|`x`\u0001 & \u202e]]>"
    (command.folder / "runs.json").write_text(json.dumps({name: [0.5], "b\nc": [0.25]}))
    said = {each: command("compare", "runs.json", "--format", each) for each in FORMATS}
    assert name in found(said["json"])["pairs"][0]["a"]
    assert "<script>|`x`\ufffd & \u202e]]>" in xml(said["junit"].out).find(".//testcase").get("name")
    assert "<script>" not in said["md"].out
    rows = [line for line in said["md"].out.splitlines() if line.startswith("| runs")]
    assert len(rows) == 1
    assert "b c" in rows[0]
    for each in ("text", "md"):
        assert not {"\x01", "\u202e", "\x1b"} & {*said[each].out}
        assert "\ufffd" in said[each].out


def test_weights_are_shown_and_fail_only_where_they_are_asked_for(command) -> None:
    command("run", "--results", "one")
    shutil.copytree("one", "two")
    rewrite(Store(Path("two")), PARALLEL, "output_weights", texts=("0x1.5000000000000p-3",) * 3)
    said = {each: command("compare", "one", "two", "--format", each) for each in FORMATS}
    assert {each.code for each in said.values()} == {0}
    states = {each["cells"][0]: each["same_state"] for each in found(said["json"])["pairs"]}
    assert states[PARALLEL] is False
    assert set(states.values()) >= {True, False}
    assert re.search(rf"identical .* other  {PARALLEL}\n", said["text"].out)
    assert re.search(r"judged are the metrics alone; .* 1 other.*--state", said["text"].out)
    assert re.search(r"\| other \|", said["md"].out)
    assert "state other" in said["junit"].out
    asked = {each: command("compare", "one", "two", "--state", "--format", each) for each in FORMATS}
    assert {each.code for each in asked.values()} == {1}
    assert "identical; other weights (--state)" in xml(asked["junit"].out).find(".//failure").get("message")


def test_numbers_that_the_digits_leave_untold_fail_unless_allowed_and_get_no_bits(command) -> None:
    (command.folder / "a.csv").write_text("step,loss\n1,0.2984\n2,0.5\n")
    (command.folder / "b.csv").write_text("step,loss\n1,0.29841\n2,0.6\n")
    said = command("compare", "a.csv", "b.csv", "--allow", "divergent")
    assert said.code == 1
    assert "1 step written otherwise, with too few digits to tell: needs --allow printed to pass" in said.out
    assert re.search(r"^  a  0\.5  \N{EN DASH}  \N{EN DASH}  float64$", said.out, re.MULTILINE)
    (pair,) = found(command("compare", "a.csv", "b.csv", "--format", "json"))["pairs"]
    assert (pair["untold"], pair["max_ulp"]) == (1, None)
    assert pair["at"]["a"] == {"dtype": "float64", "decimal": "0.5", "hex": None, "bits": None}
    assert command("compare", "a.csv", "b.csv", "--allow", "divergent", "--allow", "printed").code == 0


def test_a_pair_of_two_lengths_shows_no_figures_as_if_it_were_identical(command) -> None:
    (command.folder / "runs.json").write_text('{"a": [0.5, 0.25, 0.125], "b": [0.5, 0.25]}')
    said = command("compare", "runs.json")
    assert said.code == 1
    assert re.search(r"^incomparable~?( +\N{EN DASH}){8}  ", said.out, re.MULTILINE)
    assert "3 steps against 2; first 2 steps: no difference" in said.out


def test_of_very_many_pairs_and_classes_the_text_lists_some_and_says_so(command, monkeypatch) -> None:
    monkeypatch.setattr("repromatrix.report.comparison_pages._ROWS", 5)
    monkeypatch.setattr("repromatrix.report.comparison_pages._GROUPS", 2)
    (command.folder / "runs.json").write_text(json.dumps({f"run{number}": [1.5 + number] for number in range(6)}))
    said = command("compare", "runs.json", "--limit", "100")
    assert "10 pairs more not listed here; --format json has them" in said.out
    assert len(re.findall(r" \| ", said.out)) == 1 + 5
    said = command("compare", "runs.json", "--limit", "1")
    assert "4 smaller classes not listed here" in said.out
    assert "C3 " not in said.out.partition("verdict")[0]


def test_of_two_folders_that_share_few_cells_some_of_the_missing_are_listed(command, monkeypatch) -> None:
    monkeypatch.setattr("repromatrix.report.comparison._FEW", 1)
    command("run", "--results", "one", "--select", "parallel")
    command("run", "--results", "two", "--select", "!parallel")
    said = command("compare", "one", "two")
    (count,) = re.findall(r"([0-9]+) missing pairs? not listed here", said.out)
    total = found(command("compare", "one", "two", "--format", "json"))["verdicts"]["missing"]
    assert int(count) == total - 1


def test_logs_of_other_steps_are_incomparable_and_the_flags_that_are_named_work(command) -> None:
    (command.folder / "a.txt").write_text("10 0.5\n20 0.25\n")
    (command.folder / "b.txt").write_text("10 0.5\n30 0.25\n")
    said = command("compare", "a.txt", "b.txt")
    assert said.code == 1
    assert "a.txt has step 20 where b.txt has step 30: --common-steps" in said.out
    said = command("compare", "a.txt", "b.txt", "--common-steps")
    assert (said.code, "compared at the 1 steps that both have, of 2 and 2" in said.out) == (0, True)
    assert command("compare", "a.txt", "b.txt", "--by-place").code == 0


def write(command, **files: str) -> None:
    for name, text in files.items():
        (command.folder / f"{name}.csv").write_text(text)


def test_every_metric_is_shown_and_counts_as_it_is_asked_to(command) -> None:
    write(command, a="step,loss,grad_norm,time\n1,0x1p0,0x1p0,1\n2,0x1p1,0x1p0,1\n")
    write(command, b="step,loss,grad_norm,time\n1,0x1p0,0x1p0,2\n2,0x1p1,0x1p3,2\n")
    said = command("compare", "a.csv", "b.csv")
    assert said.code == 0
    assert "shown, not judged: --metric grad_norm makes it count" in said.out
    assert "left out: time (ignored: measured, not computed; --metric NAME compares one)" in said.out
    document = found(command("compare", "a.csv", "b.csv", "--format", "json"))
    assert {each["metric"]: (each["rule"], each["verdict"]) for each in document["pairs"]} == {
        "loss": ("judged", "identical"),
        "grad_norm": ("shown", "divergent"),
    }
    assert (document["total"], document["verdicts"]) == (1, {"identical": 1})
    codes = {"grad_norm": 1, "grad_norm=exact": 1, "grad_norm=ignore": 0, "time": 1, "grad_norm=shown": 0, "lo*": 0}
    for wish, code in codes.items():
        assert command("compare", "a.csv", "b.csv", "--metric", wish).code == code, wish
    assert command("compare", "a.csv", "b.csv", "--metric", "loss", "--metric", "norm=exact").code == 1
    assert "divergent" not in command("compare", "a.csv", "b.csv", "--metric", "grad_norm=ignore").out


def test_a_column_is_named_behind_a_file_or_for_all_of_them(command) -> None:
    write(command, a="step,numpy,torch\n1,0x1p0,0x1p0\n2,0x1p1,0x1p2\n", b="step,x,torch\n1,0x1p0,0x1p0\n2,1,0x1p2\n")
    assert command("compare", "a.csv::numpy", "a.csv::torch").code == 1
    assert command("compare", "a.csv::torch", "b.csv::torch").code == 0
    assert command("compare", "a.csv::torch", "b.csv").code == 0
    assert command("compare", "a.csv", "b.csv", "--column", "torch").code == 0
    document = found(command("compare", "a.csv", "a.csv", "--column", "torch", "--column", "numpy", "--format", "json"))
    assert [each["metric"] for each in document["pairs"]] == ["torch", "numpy"]
    said = command("compare", "a.csv::tensorflow", "a.csv::torch")
    assert (said.code, "no column tensorflow; there are: numpy, torch" in said.err) == (2, True)
    assert "a.csv::torch" in said.err.partition("next: ")[2]


def test_what_shares_no_name_is_refused_with_the_columns_and_arguments_that_work(command) -> None:
    write(command, a="step,accuracy,lr\n1,1,1\n2,1,1\n", b="step,recall,momentum\n1,1,1\n2,1,1\n")
    said = command("compare", "a.csv", "b.csv")
    assert said.code == 2
    assert "a.csv has accuracy, lr; b.csv has recall, momentum" in said.err
    hint = said.err.partition("next: ")[2].partition(": ")[2]
    assert command("compare", *re.findall("'([^']+)'", hint)).code == 0
    said = command("compare", "a.csv")
    assert (said.code, "which of them are to be compared?" in said.err) == (2, True)
    write(command, c="step,time,memory\n1,1,1\n2,1,1\n")
    said = command("compare", "c.csv", "c.csv")
    assert (said.code, "only times and the like: time, memory" in said.err) == (2, True)
    assert command("compare", "c.csv::time", "c.csv::time").code == 0


def test_training_is_held_against_training_and_validation_against_validation(command) -> None:
    write(command, a="epoch,loss,val_loss\n0,0x1p0,0x1p1\n", b="epoch,eval_loss,train_loss\n0,0x1p1,0x1p0\n")
    document = found(command("compare", "a.csv", "b.csv", "--format", "json"))
    assert {(each["metric"], each["verdict"]) for each in document["pairs"]} == {
        ("loss", "identical"),
        ("val_loss", "identical"),
    }


@pytest.mark.parametrize("options", [("--dtype", "float32"), ("--pairs", "all"), ("--comma", "decimal")])
def test_an_option_with_one_value_is_refused_when_it_is_given_twice(command, options) -> None:
    write(command, a="0.5\n")
    said = command("compare", "a.csv", "a.csv", *options, *options)
    assert (said.code, f"{options[0]} is given twice" in said.err) == (2, True)


def test_a_rule_or_a_metric_that_is_none_is_refused(command) -> None:
    write(command, a="step,loss\n1,0.5\n")
    said = command("compare", "a.csv", "a.csv", "--metric", "loss=never")
    assert (said.code, "'never' is no rule" in said.err) == (2, True)
    said = command("compare", "a.csv", "a.csv", "--metric", "gradnorm")
    assert (said.code, "no log has a metric gradnorm; there are: loss" in said.err) == (2, True)


def test_a_log_beside_a_cell_is_its_loss(ran) -> None:
    own = losses(ran.folder)
    rows = "".join(f"{at},{value},9\n" for at, value in enumerate(own))
    (ran.folder / "a.csv").write_text(f"step,loss,lr\n{rows}")
    said = ran("compare", PARALLEL, "a.csv")
    assert said.code == 0
    assert "lr (no other log has it)" in said.out


def test_the_output_may_go_to_a_file(command) -> None:
    (command.folder / "runs.json").write_text('{"a": [0.5], "b": [0.5]}')
    said = command("compare", "runs.json", "--format", "junit", "--output", "out/compare.xml")
    assert (said.code, said.out) == (0, "")
    assert xml((command.folder / "out" / "compare.xml").read_text()).get("tests") == "1"


NOTHING = {
    "a cell that is not there": ("tiny/numpy-2.0-cpu/paralel", "did you mean tiny/numpy-2.0-cpu/parallel"),
    "a word that nothing is called": ("zzz", "there are: tiny/"),
    "one cell alone": (PARALLEL, "1 series is selected"),
    "one cell twice": (PARALLEL, "1 series is selected"),
    "a column that no table has": ("published:Zzz", "nothing is called published:Zzz"),
}


@pytest.mark.parametrize(("side", "what"), NOTHING.values(), ids=NOTHING)
def test_nothing_to_compare_exits_3_and_says_what_there_is(ran, side: str, what: str) -> None:
    said = ran("compare", side, side)
    assert said.code == 3
    assert what in said.err
    assert "next: " in said.err


BAD = {
    "a file that is not there": (("gone.csv", "gone.csv"), "gone.csv: no such file"),
    "a line that is no number": (("bad.csv", "bad.csv"), "bad.csv:3: loss: 'x' where"),
    "a folder without a run": ((".", "."), "holds no finished run"),
    "the same cells without two folders": (("good.csv", "good.csv", "--pairs", "same-id"), "no two sources of cells"),
    "a damaged record": (("record.json", "good.csv"), "record.json: not a readable record"),
}


@pytest.mark.parametrize(("arguments", "what"), BAD.values(), ids=BAD)
def test_bad_input_exits_2_with_the_file_the_line_and_what_to_type(command, arguments, what: str) -> None:
    (command.folder / "bad.csv").write_text("step,loss\n1,0.5\n2,x\n")
    (command.folder / "good.csv").write_text("0.5\n")
    (command.folder / "record.json").write_text('{"cell": 1, "format": 2, "trajectories": []}')
    said = command("compare", *arguments)
    assert said.code == 2
    assert what in said.err
    assert "next: " in said.err
    assert said.out == ""


def test_the_same_file_twice_has_two_names(command) -> None:
    (command.folder / "a.txt").write_text("0x1p-1\n")
    said = command("compare", "a.txt", "a.txt")
    assert said.code == 0
    assert "a.txt:a.txt | a.txt:a.txt (2)" in said.out


def test_the_same_input_gives_the_same_bytes(ran) -> None:
    for name in FORMATS:
        assert len({ran("compare", "results", "--limit", "2", "--format", name).out for _ in range(2)}) == 1


def test_its_schema_is_printed(command) -> None:
    assert json.loads(command("schema", "comparison").out)["title"] == "A comparison"


def test_comparing_starts_without_what_it_does_not_need() -> None:
    code = "import sys, repromatrix.cli.compare; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"docker", "yaml", "jinja2", "jsonschema", "rich", "uv"} & set(loaded)
