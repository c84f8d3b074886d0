"""The workflows: what every one of them must have, and a rehearsal of their real `run:` steps on this machine.

The rehearsal stands in for GitHub: a fresh copy of the checkout for every job, contexts and files of the runner, and
artifacts moved as upload-artifact v7 and download-artifact v8 move them. It installs nothing: its `.venv` runs the copy
with this Python.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from repromatrix import resources
from repromatrix.cli.main import run as command_line
from repromatrix.cli.plan import _jobs as plan_jobs
from repromatrix.errors import UsageError
from repromatrix.matrix.starter import workflows
from repromatrix.results.store import Store
from tests.compare.builder import manifest, record
from tests.forge import Fake, github
from tests.index import Index, index

ROOT = Path(__file__).parents[1]
PAGES = ROOT / ".github" / "workflows" / "pages.yml"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SUMMARY_LIMIT = 1 << 20
MATRIX_LIMIT = 256
LEFT_BEHIND = {".git", ".venv", "build", "results", "report"}
# Those on the Python that runs the tests: the others would have to be installed.
DISPATCHED = {"profile": "default", "select": "numpy-*-cpu", "engine": "process"}


def load(path: Path) -> dict[str, Any]:
    """Return a workflow with every scalar as text, as GitHub hands them on (and `on` a plain key)."""
    document = yaml.load(path.read_text(), Loader=yaml.BaseLoader)  # noqa: S506 - the safest: it makes only text
    assert isinstance(document, dict)
    return document


def steps(workflow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job.get("steps", ())  # a job that calls another workflow has none


# What every workflow must have.

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def test_the_workflows_are_there() -> None:
    assert [path.stem for path in WORKFLOWS] == ["ci", "impact", "night", "nightly", "pages", "pins"]


@each_workflow
def test_actions_are_pinned_by_commit_with_their_version_beside_it(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if re.match(r"\s*(- )?uses:", line)]
    assert lines
    lines = [line for line in lines if "uses: $/" not in line]  # of this repository, at the same commit
    for line in lines:
        assert re.fullmatch(r"\s*(- )?uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_an_action_has_one_pin() -> None:
    pins: dict[str, set[str]] = {}
    for path in [*WORKFLOWS, ROOT / "action.yml", ROOT / "docs" / "ci.md"]:
        for action, pin in re.findall(r"^[ -]*uses: (\S+)@(.+)", path.read_text(), re.MULTILINE):
            pins.setdefault(action, set()).add(pin)
    assert {action: found for action, found in pins.items() if len(found) > 1} == {}


# What a job may write, and nothing else may.
WRITERS = {
    ("impact", "lock"): {"contents": "read", "pull-requests": "write"},
    ("night", "tell"): {"contents": "read", "issues": "write"},
    ("night", "history"): {"contents": "write"},
    ("nightly", "night"): {"contents": "write", "issues": "write"},
    ("nightly", "pages"): {"contents": "read", "pages": "write", "id-token": "write"},
    ("pages", "pages"): {"contents": "read", "pages": "write", "id-token": "write"},
    ("pins", "propose"): {"contents": "write", "pull-requests": "write"},
}


@each_workflow
def test_a_workflow_may_read_the_checkout_and_nothing_else_but_for_the_jobs_that_tell(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    more = {(path.stem, name): job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
    assert more == {place: may for place, may in WRITERS.items() if place[0] == path.stem}
    assert "secrets." not in path.read_text()
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] == "false"


@pytest.mark.parametrize("caller", WORKFLOWS, ids=lambda path: path.stem)
def test_who_calls_a_workflow_grants_what_any_job_of_it_asks_for(caller: Path) -> None:
    """GitHub refuses the whole run otherwise, before any condition of a job is looked at."""
    for job in load(caller)["jobs"].values():
        if "uses" in job:
            called = load(ROOT / job["uses"].removeprefix("$/"))
            asked = [each.get("permissions", called["permissions"]) for each in called["jobs"].values()]
            for name, level in (item for each in asked for item in each.items()):
                assert job["permissions"].get(name) in {level, "write"}, (caller.stem, name)


@each_workflow
def test_jobs_end_in_time_and_runs_do_not_pile_up(path: Path) -> None:
    workflow = load(path)
    assert workflow["concurrency"]["group"].startswith(path.stem)
    assert all(0 < int(job["timeout-minutes"]) <= 60 for job in workflow["jobs"].values() if "uses" not in job)


@each_workflow
def test_no_value_is_written_into_the_text_of_a_script(path: Path) -> None:
    assert not [step["run"] for step in steps(load(path)) if "${{" in step.get("run", "")]


@each_workflow
def test_steps_call_make_targets_that_exist(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text().replace("$(VENV)", ".venv")
    for step in steps(load(path)):
        for target in re.findall(r"\bmake ([^\s;]+)", step.get("run", "")):
            assert f"\n{target}:" in makefile, target


def test_a_night_goes_on_when_an_environment_fails_and_names_artifacts_apart() -> None:
    cells = load(ROOT / ".github" / "workflows" / "night.yml")["jobs"]["cells"]
    assert cells["strategy"]["fail-fast"] == "false"
    (upload,) = [step for step in cells["steps"] if "upload-artifact" in step.get("uses", "")]
    assert upload["with"]["name"] == "records-${{ matrix.name }}"
    assert upload["if"] == "${{ always() }}"


# The summary.


def summary(*files: Path) -> str:
    place = files[0].parent / "summary"
    place.unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITHUB_STEP_SUMMARY", str(place))
        assert command_line(["post", "summary", *map(str, files)]) == 0
    return place.read_text()


def test_summary_shows_markdown_as_it_is_and_text_as_a_block(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("5 cells\n")
    (tmp_path / "b.md").write_text("# Report\n")
    assert summary(tmp_path / "a.txt", tmp_path / "b.md") == "```text\n5 cells\n```\n\n# Report\n"


def test_summary_names_a_file_that_was_not_made(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Report\n")
    text = summary(tmp_path / "gone.md", tmp_path / "a.md")
    assert "gone.md** was not made" in text
    assert text.endswith("# Report\n")


def test_summary_is_cut_at_a_whole_line_below_the_limit_and_says_so_first(tmp_path: Path) -> None:
    line = "| größer | 0.29837110876000272 |"
    (tmp_path / "big.md").write_text(f"{line}\n" * 40_000)
    first, blank, *rest = summary(tmp_path / "big.md").splitlines()
    assert first.startswith(f"> **Cut**: {(tmp_path / 'big.md').stat().st_size} bytes")
    assert blank == ""
    assert set(rest) == {line}
    assert 900_000 < len("\n".join(rest).encode()) < SUMMARY_LIMIT - 10_000


# The rehearsal.


def value(expression: str, contexts: Mapping[str, Any]) -> Any:
    """Evaluate the part of GitHub's expressions that the workflows use; a missing name is empty text."""
    for operator, enough in ((" || ", True), (" && ", False)):
        if operator in expression:
            found: Any = ""
            for part in expression.split(operator):
                found = value(part, contexts)
                if bool(found) is enough:
                    break
            return found
    if comparison := re.fullmatch(r"(.+) ([!=])= (.+)", expression):
        left, sign, right = comparison.groups()
        return (value(left, contexts) == value(right, contexts)) is (sign == "=")
    if call := re.fullmatch(r"(\w+)\((.*)\)", expression):
        arguments = [value(each, contexts) for each in call[2].split(", ") if each]
        functions: dict[str, Callable[..., Any]] = {
            "always": lambda: True,
            "fromJSON": json.loads,
            "contains": str.__contains__,
        }
        return functions[call[1]](*arguments)
    if expression.startswith("'"):
        return expression.strip("'")
    found = contexts
    for name in expression.split("."):
        found = found.get(name, "") if isinstance(found, Mapping) else ""
    return found


def fill(text: str, contexts: Mapping[str, Any]) -> Any:
    """Return a text with its expressions filled in; one that is nothing but an expression keeps its type."""
    if whole := re.fullmatch(r"\$\{\{ ([^}]+) \}\}", text):
        return value(whole[1], contexts)
    return re.sub(r"\$\{\{ (.+?) \}\}", lambda each: str(value(each[1], contexts)), text)


@dataclass(kw_only=True)
class Job:
    """What is left of a job: its folder, what its steps printed and gave on, and the names of those that failed."""

    folder: Path
    contexts: dict[str, Any]
    printed: dict[str, str] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""

    @property
    def result(self) -> str:
        return "failure" if self.failed else "success"


@dataclass(kw_only=True)
class Rehearsal:
    """One run of a workflow: its inputs and its artifacts."""

    path: Path
    folder: Path
    inputs: dict[str, str]
    github: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    def job(
        self,
        name: str,
        *,
        prepare: Callable[[Path], None] = lambda _: None,
        matrix: Any = "",
        needs: Any = "",
        as_name: str = "",
    ) -> Job:
        """Run one job's steps in a fresh copy of the checkout, each under its own condition."""
        workflow = load(self.path)
        job = Job(
            folder=self.folder / "work" / (as_name or name),
            contexts={
                "inputs": self.inputs,
                "matrix": matrix,
                "needs": needs,
                "steps": {},
                "github": {"ref": "refs/heads/main", "run_number": "1", **self.github},
            },
        )
        shutil.copytree(ROOT, job.folder, ignore=left_behind)
        give_virtual_environment(job.folder)
        prepare(job.folder)
        for step in workflow["jobs"][name]["steps"]:
            condition = fill(step["if"], job.contexts) if "if" in step else True
            if not condition or (job.failed and "always()" not in step.get("if", "")):
                continue
            if "run" in step:
                self._run(workflow, step, job)
            else:
                self._use(step["uses"].split("@")[0], fill_all(step.get("with", {}), job.contexts), job)
        job.outputs = fill_all(workflow["jobs"][name].get("outputs", {}), job.contexts)
        return job

    def _run(self, workflow: dict[str, Any], step: dict[str, Any], job: Job) -> None:
        assert "sudo" not in step["run"], step["run"]
        assert workflow["defaults"]["run"]["shell"].startswith("bash")
        script, output, text = (self.folder / each for each in ("script.sh", "output", "summary"))
        script.write_text(step["run"])
        output.write_text("")
        text.write_text("")
        variables = fill_all(workflow.get("env", {}) | step.get("env", {}), job.contexts)
        files = {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(text)}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=job.folder,
            env=os.environ
            | {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(job.folder)}
            | files
            | self.variables
            | variables,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        job.printed[step["name"]] = done.stdout
        job.summary += text.read_text()
        given = dict(line.split("=", 1) for line in output.read_text().splitlines())
        if "id" in step:
            job.contexts["steps"][step["id"]] = {"outputs": given}
        if done.returncode:
            job.failed[step["name"]] = done.returncode

    def _use(self, action: str, options: dict[str, Any], job: Job) -> None:
        if action == "actions/upload-artifact":
            upload(job.folder, options["path"].split(), self.artifacts / options["name"])
        elif action == "actions/download-artifact":
            target = job.folder / options.get("path", ".")
            name, merge = options.get("pattern") or options["name"], "merge-multiple" in options
            download(self.artifacts, name, target, merge=merge, required="name" in options)
        elif action == "actions/upload-pages-artifact":
            upload(job.folder, [options["path"]], self.artifacts / "github-pages")
        elif action == "actions/deploy-pages":
            assert (self.artifacts / "github-pages").is_dir()
        else:
            assert action in {"actions/checkout", "actions/setup-python"}, action

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"


def left_behind(folder: str, names: list[str]) -> set[str]:
    """Name what a fresh checkout does not have."""
    own = LEFT_BEHIND if Path(folder) == ROOT else set()
    return {name for name in names if name in own or name == "__pycache__" or name.endswith("_cache")}


def fill_all(texts: Mapping[str, str], contexts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fill(text, contexts) for name, text in texts.items()}


def give_virtual_environment(folder: Path) -> None:
    """Make a `.venv` that runs the copy's own code, newer than pyproject.toml so that make installs nothing."""
    place = folder / ".venv" / "bin"
    place.mkdir(parents=True)
    for name, words in {"repromatrix": "-m repromatrix", "python": "", "sphinx-build": "-m sphinx"}.items():
        command = place / name
        command.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}/runner" exec "{sys.executable}" {words} "$@"\n')
        command.chmod(0o755)
    for name in (".installed", ".dev"):
        (folder / ".venv" / name).touch()


def upload(folder: Path, paths: list[str], artifact: Path) -> None:
    """One folder gives its content, several paths keep theirs below the workspace; a name is given once a run."""
    assert not artifact.exists(), f"the artifact {artifact.name} is there already"
    assert not re.search(r'["*:<>|?\\/]', artifact.name)
    for each in (folder / path for path in paths):
        inside = artifact if len(paths) == 1 and each.is_dir() else artifact / each.name
        if each.is_dir():
            shutil.copytree(each, inside, dirs_exist_ok=True)
        elif each.is_file():
            inside.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(each, inside)


def download(artifacts: Path, pattern: str, target: Path, *, merge: bool, required: bool) -> None:
    """Several artifacts get a folder each unless merged; a lone one never does, not even by a pattern (v8)."""
    found = sorted(artifacts.glob(pattern))
    assert found or not required, f"no artifact {pattern}"
    for each in found:
        shutil.copytree(each, target if merge or len(found) == 1 else target / each.name, dirs_exist_ok=True)


def nightly(folder: Path, **inputs: str) -> Rehearsal:
    """Return a run of the night, with what nightly.yml gives it where nobody says else."""
    caller = load(ROOT / ".github" / "workflows" / "nightly.yml")["jobs"]["night"]
    defaults = load(ROOT / ".github" / "workflows" / "night.yml")["on"]["workflow_call"]["inputs"]
    given = {name: fill(text, {"inputs": inputs}) for name, text in caller["with"].items()}
    whole = {name: each["default"] for name, each in defaults.items()} | given
    return Rehearsal(path=ROOT / ".github" / "workflows" / "night.yml", folder=folder, inputs=whole)


def jobs_of(plan: Job) -> list[dict[str, str]]:
    """Return what GitHub would make of the plan: the job's real strategy, filled with the plan job's real output."""
    strategy = load(ROOT / ".github" / "workflows" / "night.yml")["jobs"]["cells"]["strategy"]
    found = fill(strategy["matrix"], {"needs": {"plan": {"outputs": plan.outputs}}})
    assert isinstance(found, dict)
    return list(found["include"])


def finish(run: Rehearsal, cells: str, as_name: str) -> Job:
    needs = {"plan": {"result": "success"}, "cells": {"result": cells}}
    condition = load(run.path)["jobs"]["report"]["if"]
    assert fill(condition, {"needs": needs})
    return run.job("report", needs=needs, as_name=as_name)


@dataclass(frozen=True, kw_only=True)
class Night:
    """A night over two environments, before its records are brought together."""

    run: Rehearsal
    plan: Job
    cells: list[Job]
    names: list[str]

    def again(self, folder: Path) -> Rehearsal:
        """Return the same night with artifacts of its own."""
        shutil.copytree(self.run.artifacts, folder / "artifacts")
        return Rehearsal(path=self.run.path, folder=folder, inputs=self.run.inputs)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    run = nightly(tmp_path_factory.mktemp("night"), **DISPATCHED)
    plan = run.job("plan")
    assert not plan.failed, plan.printed
    matrix = jobs_of(plan)
    cells = [run.job("cells", matrix=each, as_name=each["name"]) for each in matrix]
    return Night(run=run, plan=plan, cells=cells, names=[each["name"] for each in matrix])


rehearsed = pytest.mark.slow
over_the_network = pytest.mark.network  # the first time; afterwards wheels and environments come from the cache


@rehearsed
def test_the_scheduled_night_plans_its_profile_within_the_limit_of_jobs(tmp_path: Path) -> None:
    plan = nightly(tmp_path).job("plan")
    assert not plan.failed, plan.printed
    names = [each["environments"] for each in jobs_of(plan)]
    document = json.loads((tmp_path / "artifacts" / "plan" / "plan.json").read_text())
    assert document["profile"] == "nightly"
    assert sorted({cell["environment"] for cell in document["cells"]}) == sorted(names)
    assert 2 < len(names) == len(set(names)) <= MATRIX_LIMIT


@rehearsed
def test_an_empty_matrix_is_red(tmp_path: Path) -> None:
    assert nightly(tmp_path, select="nothing-*").job("plan").failed == {"plan": 3}


@rehearsed
@over_the_network
def test_a_night_ends_in_one_report_over_all_environments(night: Night, tmp_path: Path) -> None:
    assert len(night.names) == 2
    assert [job.result for job in night.cells] == ["success", "success"], [job.printed for job in night.cells]
    run = night.again(tmp_path)
    report = finish(run, "success", "report")
    assert not report.failed, report.printed
    planned = json.loads((run.artifacts / "plan" / "plan.json").read_text())["cells"]
    made = json.loads((run.artifacts / "report" / "report" / "report.json").read_text())
    assert [cell["id"] for cell in made["cells"]] == [cell["id"] for cell in planned]
    assert {cell["outcome"] for cell in made["cells"]} == {"ok"}
    assert (report.folder / "report" / "report.md").read_text().strip() in report.summary
    assert len(report.summary.encode()) < SUMMARY_LIMIT


@rehearsed
@over_the_network
def test_a_lone_environment_is_brought_home_too(night: Night, tmp_path: Path) -> None:
    run = night.again(tmp_path)
    shutil.rmtree(run.artifacts / f"records-{night.names[1]}")
    plan = json.loads((run.artifacts / "plan" / "plan.json").read_text())
    plan["cells"] = [cell for cell in plan["cells"] if cell["environment"] == night.names[0]]
    (run.artifacts / "plan" / "plan.json").write_text(json.dumps(plan))
    report = finish(run, "success", "report")
    assert not report.failed, report.printed


@rehearsed
@over_the_network
@pytest.mark.parametrize("left", ["nothing", "records without a manifest"])
def test_cells_of_a_job_that_never_delivered_are_named_and_fail_the_night(
    night: Night, tmp_path: Path, left: str
) -> None:
    run, lost, kept = night.again(tmp_path), night.names[0], night.names[1]
    artifact = run.artifacts / f"records-{lost}"
    if left == "nothing":
        shutil.rmtree(artifact)
    else:
        (artifact / lost / "manifest.json").unlink()
    report = finish(run, "failure", "report")
    assert report.failed == {"merge": 5, "report": 5, "every environment's job succeeded": 1}
    planned = json.loads((run.artifacts / "plan" / "plan.json").read_text())["cells"]
    for cell in planned:
        named = re.search(rf"missing +{re.escape(cell['id'])}\n", report.printed["merge"])
        assert bool(named) is (cell["environment"] == lost), cell["id"]
        assert not named or cell["id"] in report.summary
    made = json.loads((run.artifacts / "report" / "report" / "report.json").read_text())
    assert {cell["environment"] for cell in made["cells"]} == {kept}
    assert set(made["missing"]) == {cell["id"] for cell in planned if cell["environment"] == lost}


@rehearsed
@over_the_network
def test_failed_cells_keep_their_records_and_fail_the_night(night: Night, tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        entrypoint = folder / "images" / "numpy" / "entrypoint.py"
        head = re.compile(r"^    def tensor\(self.*\n", re.MULTILINE)
        source, places = head.subn(
            lambda found: found[0] + "        raise RuntimeError('sabotaged')\n", entrypoint.read_text()
        )
        assert places == 1
        entrypoint.write_text(source)

    run, name = night.again(tmp_path), night.names[0]
    shutil.rmtree(run.artifacts / f"records-{name}")
    job = run.job("cells", matrix={"name": name, "environments": name}, prepare=broken, as_name=name)
    assert job.failed == {"run the cells": 5}
    report = finish(run, "failure", "report")
    assert report.failed == {"every environment's job succeeded": 1}
    made = json.loads((run.artifacts / "report" / "report" / "report.json").read_text())
    outcomes = {(cell["environment"], cell["outcome"]) for cell in made["cells"]}
    assert outcomes == {(name, "failed"), (night.names[1], "ok")}


@rehearsed
@over_the_network
@pytest.mark.parametrize(
    ("before", "after", "failed"),
    [
        ("numpy==1.25.2", "numpy==1.26.4", {}),
        ("numpy==1.26.4", "numpy==2.4.6", {"difference": 1}),
        ("$(touch harm)", "--help", {"compare": 1}),
    ],
    ids=["identical", "difference", "not a version"],
)
def test_upgrade_impact_check(tmp_path: Path, before: str, after: str, failed: dict[str, int]) -> None:
    inputs = {"from": before, "to": after, "engine": "process"}
    path = ROOT / ".github" / "workflows" / "impact.yml"
    job = Rehearsal(path=path, folder=tmp_path, inputs=inputs).job("impact")
    assert job.failed == failed, job.printed
    if "compare" in failed:
        assert "not a version" in job.printed["compare"]
        assert "impact.txt** was not made" in job.summary
    else:
        assert (job.folder / "impact.txt").read_text() in job.summary
    assert not (job.folder / "harm").exists()


# What a night leaves: the history in a branch, and one issue.


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A remote with nothing in it, and a GitHub with no issue."""

    remote: Path
    fake: Fake

    def night(self, folder: Path, results: Path, name: str) -> Job:
        """Run the job *history* on a results folder."""
        run = nightly(folder)
        run.github = {"server_url": f"file://{self.remote.parents[1]}", "repository": "owner/name", "run_id": "17"}
        for artifact, source in (("report", results), ("watch", results / "watch.json")):
            (run.artifacts / artifact).mkdir(parents=True)
            if source.is_dir():
                shutil.copytree(source, run.artifacts / artifact / "results")
                (run.artifacts / artifact / "report").mkdir()
        needs = {"plan": {"result": "success", "outputs": {"night": name}}}
        condition = load(run.path)["jobs"]["history"]["if"]
        assert fill(condition, {"needs": needs, "inputs": run.inputs})
        return run.job("history", needs=needs)

    def log(self) -> str:
        """Return the messages of the branch, the latest first."""
        command = ["git", "-C", str(self.remote), "log", "--format=%s", "repromatrix-history"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    remote = tmp_path / "remotes" / "owner" / "name"
    subprocess.run(["git", "init", "--quiet", "--bare", str(remote)], check=True)
    with github() as fake:
        yield Repository(remote=remote, fake=fake)


def results(folder: Path, losses: tuple[float, float]) -> Path:
    """Write a results folder with a cell of these losses."""
    store, records = Store(folder), [record(losses)]
    store.write(records[0])
    store.write_manifest(manifest(records))
    return folder


@rehearsed
def test_three_nights_leave_one_line_for_what_moved_and_one_for_what_came_back(
    tmp_path: Path, repository: Repository
) -> None:
    usual, moved = results(tmp_path / "usual", (0.5, 0.25)), results(tmp_path / "moved", (0.5, 0.25 + 2**-54))
    nights = [("2026-11-27-1", usual, "no change"), ("2026-11-28-2", moved, "MOVED"), ("2026-11-29-3", usual, "MOVED")]
    for name, folder, told in nights:
        job = repository.night(tmp_path / name, folder, name)
        assert not job.failed, job.printed
        assert told in job.summary
    assert repository.log().splitlines() == [f"The night {name}" for name, _, _ in reversed(nights)]
    shown = subprocess.run(
        ["git", "-C", str(repository.remote), "show", "repromatrix-history:changes.jsonl"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert [json.loads(line)["night"] for line in shown.splitlines()] == ["2026-11-28-2", "2026-11-29-3"]


@rehearsed
def test_one_issue_is_opened_when_a_release_moves_something_and_closed_when_it_is_over(
    tmp_path: Path, repository: Repository
) -> None:
    states = []
    for number, (moved, title) in enumerate(
        [(False, "no newer release moves a number"), (True, "numpy 9"), (True, "numpy 9"), (False, "none")]
    ):
        run = nightly(tmp_path / str(number))
        run.variables = repository.fake.variables
        (run.artifacts / "watch").mkdir(parents=True)
        (run.artifacts / "watch" / "watch.json").write_text(json.dumps({"moved": moved, "title": title}))
        (run.artifacts / "watch" / "watch.md").write_text(f"exp moves, looked at in the night {number}\n")
        run.github = {"token": "secret"}
        job = run.job("tell")
        assert not job.failed, job.printed
        states.append([(each["title"], each["state"]) for each in repository.fake.issues])
    assert states == [[], [("numpy 9", "open")], [("numpy 9", "open")], [("numpy 9", "closed")]]
    assert "in the night 3" in repository.fake.issues[0]["body"]


# What a week proposes.

SMALL = """\
format: 1
defaults: {{python: "3.11", base: bookworm, repeats: 1}}
environments:
  - {{framework: numpy, flavour: cpu, versions: [2.4.6], packages: ["numpy=={{version}}"{more}]}}
workloads: [mlp]
settings: {{default: {{threads: 1}}}}
profiles: {{default: {{environments: ["*"]}}}}
"""
LOCK = "images/numpy/locks/numpy-2.4.6-cpu.txt"
PROBE = "repromatrix-probe"  # a package beside the framework
WHEELS = ROOT / "build" / "wheels"  # of tests, and kept


@pytest.fixture(scope="module")
def numpy_wheel() -> Path:
    """The wheel of NumPy 2.4.6, from the index of this machine the first time."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    if not (found := list(WHEELS.glob("numpy-2.4.6-*.whl"))):
        subprocess.run([*pip, "--python-version", "3.11", "--dest", str(WHEELS), "numpy==2.4.6"], check=True)
        found = list(WHEELS.glob("numpy-2.4.6-*.whl"))
    return found[0]


@dataclass(frozen=True, kw_only=True)
class Week:
    """A repository whose only lock holds a package beside NumPy, an index with a newer one, a remote and a GitHub."""

    repository: Repository
    index: Index
    base: Path

    def prepare(self, folder: Path) -> None:
        """Make a job's checkout that of the repository."""
        for path in (LOCK, "matrix.yaml", "images/bases.yaml", "pyproject.toml"):
            shutil.copy2(self.base / path, folder / path)
        if not (folder / ".git").exists():
            git(folder, "init", "--quiet")
            git(folder, "add", "--all")
            git(folder, "commit", "--quiet", "--message", "what is pinned")

    def run(self, folder: Path, *, may_push: bool = True) -> tuple[list[Job], Job]:
        """Run the workflow: its job *refresh*, one *impact* for each lock that moved, and *propose*."""
        path = ROOT / ".github" / "workflows" / "pins.yml"
        run = Rehearsal(path=path, folder=folder, inputs={"select": "", "engine": "process"})
        run.variables = self.repository.fake.variables | self.index.variables
        where = self.repository.remote if may_push else folder / "nowhere" / "owner" / "name"
        run.github = {"server_url": f"file://{where.parents[1]}", "repository": "owner/name", "token": "secret"}
        run.github["ref_name"] = "main"
        first = run.job("refresh", prepare=self.prepare)
        assert not first.failed, first.printed
        jobs = load(path)["jobs"]
        needs: dict[str, Any] = {"refresh": {"result": "success", "outputs": first.outputs}}
        wanted = fill(jobs["impact"]["if"], {"needs": needs})
        each_leg = fill(jobs["impact"]["strategy"]["matrix"]["include"], {"needs": needs}) if wanted else []
        legs = [run.job("impact", matrix=leg, prepare=self.prepare, as_name=leg["name"]) for leg in each_leg]
        needs["impact"] = {"result": "success" if legs else "skipped"}
        assert fill(jobs["propose"]["if"], {"needs": needs})
        return legs, run.job("propose", needs=needs, prepare=self.prepare)


@pytest.fixture
def week(tmp_path: Path, repository: Repository, numpy_wheel: Path) -> Iterator[Week]:
    base = tmp_path / "base"
    shutil.copytree(ROOT, base, ignore=left_behind)
    give_virtual_environment(base)
    (base / "matrix.yaml").write_text(SMALL.format(more=f', "{PROBE}"'))
    bases = base / "images" / "bases.yaml"
    bases.write_text(bases.read_text().replace("registry: ", "registry: 127.0.0.1:9/"))  # which answers nobody
    with index(tmp_path / "index") as found:
        found.add(numpy_wheel)
        found.tiny(PROBE, "1.0")
        command = [base / ".venv" / "bin" / "repromatrix", "lock", "--select", "numpy-2.4.6-cpu"]
        subprocess.run(command, cwd=base, env=os.environ | found.variables, check=True)
        yield Week(repository=repository, index=found, base=base)


@rehearsed
@over_the_network
def test_newer_pins_are_one_pull_request_with_what_they_move_and_it_is_edited_in_place(
    tmp_path: Path, week: Week
) -> None:
    fake = week.repository.fake
    legs, job = week.run(tmp_path / "quiet")
    assert (legs, job.failed, fake.pulls) == ([], {}, []), job.printed
    assert "Nothing is newer" in job.summary

    week.index.tiny(PROBE, "2.0")
    week.index.tiny("ruff", "99.0")
    (leg,), job = week.run(tmp_path / "newer")
    assert not leg.failed, leg.printed
    assert not job.failed, job.printed
    (pull,) = fake.pulls
    assert (pull["head"], pull["base"], pull["state"]) == ("repromatrix-pins", "main", "open")
    assert f"| {PROBE} | 1.0 | 2.0 | numpy-2.4.6-cpu |" in pull["body"]
    assert re.search(r"    ruff \S+ -> 99\.0", pull["body"])
    assert "## numpy-2.4.6-cpu\n\n**no difference seen**" in pull["body"]
    show = ["git", "-C", str(week.repository.remote), "show", f"repromatrix-pins:{LOCK}"]
    assert f"{PROBE}==2.0" in subprocess.run(show, capture_output=True, text=True, check=True).stdout

    week.index.tiny(PROBE, "3.0")
    _, job = week.run(tmp_path / "newest")
    assert not job.failed, job.printed
    assert f"| {PROBE} | 1.0 | 3.0 | numpy-2.4.6-cpu |" in pull["body"]
    assert len(fake.pulls) == 1

    for version in ("2.0", "3.0"):
        week.index.withdraw(PROBE, version)
    week.index.withdraw("ruff", "99.0")
    _, job = week.run(tmp_path / "withdrawn")
    assert not job.failed, job.printed
    assert [each["state"] for each in fake.pulls] == ["closed"]


@rehearsed
@over_the_network
@pytest.mark.parametrize("may_push", [True, False], ids=["no pull request", "no push"])
def test_without_the_rights_to_propose_the_summary_says_so(tmp_path: Path, week: Week, may_push: bool) -> None:
    fake = week.repository.fake
    fake.may_write = False
    week.index.tiny("ruff", "99.0")
    legs, job = week.run(tmp_path / "run", may_push=may_push)
    assert (legs, job.failed, fake.pulls) == ([], {}, []), job.printed
    assert job.summary.startswith("**Not proposed**")
    assert "-> 99.0" in job.summary


# What a night publishes.


def pages(folder: Path, fake: Fake, *, documentation: bool = False, history: bool = True) -> tuple[Job, Path]:
    """Run the job *pages* after a night; return it and the site, which is not there if nothing was published."""
    run = Rehearsal(path=ROOT / ".github" / "workflows" / "pages.yml", folder=folder, inputs={})
    run.inputs = {"documentation": documentation}
    run.github = {"event_name": "schedule", "api_url": fake.api, "repository": "owner/name", "token": "secret"}
    places = ["report/report/index.html", "report/report/report.json", *(["history/history.html"] if history else [])]
    for place in places:
        (run.artifacts / place).parent.mkdir(parents=True, exist_ok=True)
        (run.artifacts / place).write_text(f"<p>the {Path(place).parent.name} of the night</p>")
    return run.job("pages"), run.artifacts / "github-pages"


@pytest.mark.parametrize(
    ("github_context", "published"),
    [
        ({"event_name": "schedule", "ref_name": "main"}, True),
        ({"event_name": "workflow_dispatch", "ref_name": "main"}, True),
        ({"event_name": "workflow_dispatch", "ref_name": "try"}, False),
    ],
)
def test_only_the_default_branch_publishes(github_context: dict[str, Any], published: bool) -> None:
    condition = load(ROOT / ".github" / "workflows" / "pages.yml")["jobs"]["pages"]["if"]
    context = {**github_context, "event": {"repository": {"default_branch": "main"}}}
    assert fill(condition, {"github": context}) is published


@rehearsed
def test_a_night_publishes_its_report_and_its_history(tmp_path: Path) -> None:
    with github() as fake:
        job, site = pages(tmp_path / "whole", fake)
        assert not job.failed, job.printed
        assert (site / "index.html").read_bytes() == (site / "report" / "index.html").read_bytes()
        assert "history of the night" in (site / "history" / "index.html").read_text()
        job, site = pages(tmp_path / "without", fake, history=False)
        assert not job.failed, job.printed
        assert not any((site / "history").iterdir())


@rehearsed
def test_where_pages_is_not_enabled_nothing_is_published_and_the_summary_says_so(tmp_path: Path) -> None:
    with github() as fake:
        fake.has_pages = False
        job, site = pages(tmp_path, fake, documentation=True)
    assert not job.failed, job.printed
    assert "GitHub Pages is not enabled" in job.summary
    assert not site.exists()


@rehearsed
def test_the_documentation_is_published_around_them_and_leads_to_them(tmp_path: Path) -> None:
    with github() as fake:
        job, site = pages(tmp_path, fake, documentation=True)
    assert not job.failed, job.printed
    assert (site / "report" / "index.html").is_file()
    for page, up in (("index.html", ""), ("atlas/numpy.html", "../")):
        assert f'href="{up}report/index.html"' in (site / page).read_text()
        assert f'href="{up}history/index.html"' in (site / page).read_text()


# What releases of an index move, from the watch to the issue.

MOVES_EXP = """
_exp = exp


def exp(*given, **words):
    return _exp(*given, **words) * (1 + 2.0**-20)
"""


def watched(folder: Path, name: str, repository: Repository, offered: Index) -> str:
    """Run the jobs *watch*, *tell* and *history* of a night against an index; return what the night saw."""

    def prepare(checkout: Path) -> None:
        (checkout / "matrix.yaml").write_text(SMALL.format(more=""))

    run = nightly(folder, **DISPATCHED)
    cache = (
        folder.parent / "cache"
    )  # its own: a made-up release is nobody else's; exact results are the same everywhere
    if not cache.exists():
        cache.mkdir()
        (resources.cache() / "exact").mkdir(parents=True, exist_ok=True)
        (cache / "exact").symlink_to(resources.cache() / "exact")
    run.variables = repository.fake.variables | offered.variables | {"REPROMATRIX_CACHE": str(cache)}
    where = f"file://{repository.remote.parents[1]}"
    run.github = {"server_url": where, "repository": "owner/name", "token": "secret", "run_id": "17"}
    shutil.copytree(results(folder / "usual", (0.5, 0.25)), run.artifacts / "report" / "results")
    (run.artifacts / "report" / "report").mkdir()
    needs = {"plan": {"result": "success", "outputs": {"night": name}}}
    for job in ("watch", "tell", "history"):
        done = run.job(job, needs=needs, prepare=prepare)
        assert not done.failed, done.printed
    return (run.artifacts / "watch" / "watch.md").read_text()


@rehearsed
@over_the_network
def test_a_release_that_moves_an_operation_is_found_bisected_told_once_and_over_when_it_is_gone(
    tmp_path: Path, repository: Repository, numpy_wheel: Path
) -> None:
    issues = repository.fake.issues
    with index(tmp_path / "index") as offered:
        offered.add(numpy_wheel)
        assert "no release newer than numpy 2.4.6" in watched(tmp_path / "1", "2026-11-26-1", repository, offered)
        assert issues == []

        offered.release(numpy_wheel, "2.5.0")
        offered.release(numpy_wheel, "2.6.0", MOVES_EXP)
        told = watched(tmp_path / "2", "2026-11-27-2", repository, offered)
        assert "the index has 2.5.0, 2.6.0" in told
        assert re.search(r"operation:\S+ changed in numpy 2\.6\.0; 2\.5\.0 still has the value of before", told), told
        assert re.search(r"\| exp\b", told), told
        assert "So since the night 2026\\-11\\-27\\-2" in told or "So since the night 2026-11-27-2" in told
        (issue,) = issues
        assert issue["title"].startswith("numpy 2.6.0: ")
        assert (issue["state"], issue["body"].startswith(told.rstrip())) == ("open", True)

        again = watched(tmp_path / "3", "2026-11-28-3", repository, offered)
        assert again == told  # and so since the same night
        assert len(issues) == 1
        writes = [each for each in repository.fake.calls if not each.startswith("GET")]
        assert writes == ["POST /issues"]

        for version in ("2.5.0", "2.6.0"):
            offered.withdraw("numpy", version)
        watched(tmp_path / "4", "2026-11-29-4", repository, offered)
        assert [each["state"] for each in issues] == ["closed"]


@pytest.mark.parametrize(("count", "jobs", "most"), [(3, 3, 1), (256, 256, 1), (257, 129, 2), (1000, 250, 4)])
def test_more_environments_than_jobs_share_them(count: int, jobs: int, most: int) -> None:
    names = [f"numpy-{number}-cpu" for number in range(count)]
    found = plan_jobs(names)
    assert len(found) == jobs <= MATRIX_LIMIT
    assert max(len(each["environments"].split()) for each in found) == most
    assert [name for each in found for name in each["environments"].split()] == names
    assert len({each["name"] for each in found}) == jobs


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@localhost"]
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("place", ["images/numpy/locks", "locks"])
def test_the_locks_that_a_pull_request_moves_are_named_and_what_they_were_is_at_hand(
    tmp_path: Path, place: str
) -> None:
    path = ROOT / ".github" / "workflows" / "impact.yml"
    if place == "locks":
        (written, path) = workflows(tmp_path / "own", f"owner/name@{'0' * 40}")
        assert "uses: owner/name/.github/workflows/night.yml@0000" in written.read_text()
    jobs = load(path)["jobs"]
    (named,) = [step["run"] for step in jobs["moved"]["steps"] if "run" in step]
    every = [step.get("run", "") for name in ("lock", "impact") for step in jobs.get(name, {}).get("steps", ())]
    (kept,) = [each for each in every if "git show" in each]
    folder = tmp_path / "repository"
    (folder / place).mkdir(parents=True)
    git(tmp_path, "init", "--quiet", str(folder))
    for name in ("a b", "moved", "gone"):
        (folder / place / f"{name}.txt").write_text("before\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "before")
    (folder / place / "moved.txt").write_text("after\n")
    (folder / place / "gone.txt").unlink()
    (folder / place / "new.txt").write_text("new\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "after")
    output = tmp_path / "output"
    variables = {"GITHUB_OUTPUT": str(output), "RUNNER_TEMP": str(tmp_path), "LOCK": f"{place}/moved.txt"}
    for script in (named, kept):
        subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=folder, env=os.environ | variables, check=True)
    found = dict(line.split("=", 1) for line in output.read_text().splitlines())
    assert json.loads(found["locks"]) == [f"{place}/moved.txt"]
    assert found["marker"] == "moved"
    assert (tmp_path / "before.txt").read_text() == "before\n"


@pytest.mark.parametrize("pages", [False, True], ids=["no-site", "site"])
def test_the_workflows_that_init_writes_pass_the_same_checks_as_our_own(tmp_path: Path, pages: bool) -> None:
    found = workflows(tmp_path, f"owner/name@{'0123456789' * 4}", pages=pages)
    assert list(load(found[0])["jobs"]) == ["night", *["pages"] * pages]
    if pages:  # a called workflow may do no more than its caller grants
        granted, due = (load(path)["jobs"]["pages"]["permissions"] for path in (found[0], PAGES))
        assert granted == due
    ours = set(re.findall(r"uses: (actions/.+)", "".join(path.read_text() for path in WORKFLOWS)))
    for path in found:
        text = path.read_text()
        assert "REPOSITORY" not in text
        assert "COMMIT" not in text
        assert set(re.findall(r"uses: (actions/.+)", text)) <= ours
        assert not [step["run"] for step in steps(load(path)) if "${{" in step.get("run", "")]
    check(tmp_path)
    with pytest.raises(UsageError, match="there already"):
        workflows(tmp_path, f"owner/name@{'0' * 40}")
    with pytest.raises(UsageError, match="not a commit"):
        workflows(tmp_path / "other", "owner/name@main")


def check(folder: Path) -> None:
    """Have the workflows in a folder checked as ours are."""
    bin_folder = Path(sys.executable).parent
    found = sorted((folder / ".github" / "workflows").glob("*.yml"))
    for command in (
        [bin_folder / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *found],
        [bin_folder / "zizmor", "--offline", "--quiet", folder / ".github"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflows_that_the_page_shows_pass_the_same_checks(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "ci.md").read_text()
    shown = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    night, site, table = (each.replace("OWNER", "owner").replace("COMMIT", "0123456789" * 4) for each in shown)
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    for name, text in (("night", night + site), ("table", table)):
        (folder / f"{name}.yml").write_text(text)
    check(tmp_path)
    (written, _) = workflows(tmp_path / "own", f"owner/repromatrix@{'0123456789' * 4}", pages=True)
    assert load(folder / "night.yml")["jobs"] == load(written)["jobs"]
