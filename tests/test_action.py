"""The action for other repositories: its real script, with GitHub's variables and a GitHub of the tests' own."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.forge import Fake, github

ROOT = Path(__file__).parents[1]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = {each["name"]: each for each in ACTION["runs"]["steps"]}


@pytest.fixture
def fake() -> Iterator[Fake]:
    with github() as found:
        yield found


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two logs, in a folder with a space, and the command where the action installs it."""
    command = tmp_path / "temp" / "repromatrix" / "bin" / "repromatrix"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}/runner" exec "{sys.executable}" -m repromatrix "$@"\n')
    command.chmod(0o755)
    logs = tmp_path / "my logs"
    logs.mkdir()
    for name, last in (("a", "0.43770001"), ("b", "0.43770001"), ("c", "0.43780001")):
        (logs / f"{name}.csv").write_text(f"step,loss\n1,0.69310001\n2,0.50120001\n3,{last}\n")
    return tmp_path


def ask(place: Path, fake: Fake, *arguments: str, **given: str) -> tuple[int, str]:
    """Run the step *ask* and return its exit code and what it printed."""
    inputs = {name: str(each.get("default", "")) for name, each in ACTION["inputs"].items()} | {
        "command": "compare",
        "arguments": "\n".join(arguments),
        "token": "secret",
        **given,
    }
    contexts = {f"inputs.{name}": text for name, text in inputs.items()} | {
        "github.action_path": str(ROOT),
        "github.event.pull_request.number": inputs.pop("number", "7"),
    }
    step = STEPS["ask"]
    variables = {name: contexts[text.removeprefix("${{ ").removesuffix(" }}")] for name, text in step["env"].items()}
    files = {name: str(place / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for path in files.values():
        Path(path).write_text("")
    own = {"RUNNER_TEMP": str(place / "temp"), "GITHUB_API_URL": fake.api, "GITHUB_REPOSITORY": "owner/name"}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=place,
        env=os.environ | files | own | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def output(place: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in (place / "GITHUB_OUTPUT").read_text().splitlines())


def test_the_same_numbers_are_green_and_stand_in_the_summary_and_in_one_comment(place: Path, fake: Fake) -> None:
    for _ in range(2):
        code, printed = ask(place, fake, "my logs/a.csv", "my logs/b.csv")
        assert code == 0, printed
    assert output(place)["code"] == "0"
    summary = (place / "GITHUB_STEP_SUMMARY").read_text()
    assert "identical" in summary
    assert len(fake.comments[7]) == 1
    assert fake.comments[7][0]["body"].startswith(summary.strip()[:100])


def test_a_difference_is_red_and_says_so(place: Path, fake: Fake) -> None:
    code, printed = ask(place, fake, "my logs/a.csv", "my logs/c.csv")
    assert code == 1
    assert "::error title=repromatrix::something differs" in printed
    assert output(place)["code"] == "1"
    assert ask(place, fake, "my logs/a.csv", "my logs/c.csv", fail="false")[0] == 0


def test_a_fork_has_its_summary_and_no_comment(place: Path, fake: Fake) -> None:
    fake.may_write = False
    code, printed = ask(place, fake, "my logs/a.csv", "my logs/b.csv")
    assert code == 0, printed
    assert "not posted" in printed
    assert (place / "GITHUB_STEP_SUMMARY").read_text()


@pytest.mark.parametrize("given", [{"comment": "false"}, {"number": ""}])
def test_nothing_is_posted_where_nobody_asked_or_there_is_no_pull_request(
    given: dict[str, str], place: Path, fake: Fake
) -> None:
    assert ask(place, fake, "my logs/a.csv", "my logs/b.csv", **given)[0] == 0
    assert fake.calls == []


def test_what_cannot_be_compared_is_neither_green_nor_a_difference(place: Path, fake: Fake) -> None:
    code, printed = ask(place, fake, "my logs/a.csv", "my logs/gone.csv")
    assert code == 2
    assert "could not answer" in printed
    assert fake.calls == []


def test_only_the_three_commands_run(place: Path, fake: Fake) -> None:
    assert ask(place, fake, "--all", command="clean")[0] == 2


@pytest.mark.parametrize("text", ["$(touch owned)", "`touch owned`", "a.csv; touch owned", "'; touch owned; '", "*"])
def test_an_argument_is_never_read_as_a_command(text: str, place: Path, fake: Fake) -> None:
    assert ask(place, fake, text, "my logs/b.csv", marker="x")[0] == 2
    assert not (place / "owned").exists()


def test_what_the_page_shows_compares_two_logs(place: Path, fake: Fake) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / "ci.md").read_text(), re.MULTILINE | re.DOTALL)
    steps = yaml.safe_load(blocks[-1])["jobs"]["numbers"]["steps"]
    (given,) = (each["with"] for each in steps if each.get("uses", "").startswith("OWNER/repromatrix@"))
    for name, log in (("golden", "a"), ("today", "b")):
        shutil.copy(place / "my logs" / f"{log}.csv", place / f"{name}.log")
    code, printed = ask(place, fake, **given)
    assert code == 0, printed
    assert len(fake.comments[7]) == 1


def test_no_input_is_pasted_into_a_script() -> None:
    assert not [name for name, step in STEPS.items() if "${{" in step.get("run", "")]


def test_actions_are_pinned_as_in_the_workflows() -> None:
    ours = {line.strip() for line in (ROOT / ".github" / "workflows" / "ci.yml").read_text().splitlines()}
    used = [line.strip() for line in (ROOT / "action.yml").read_text().splitlines() if "uses:" in line]
    assert used
    assert set(used) <= ours
