"""`repromatrix image` tells what an environment is made of, built or not, and why."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.images.bill import problems

ROOT = Path(__file__).parents[2]
ENV = "numpy-2.0-cpu"


def test_an_unknown_environment_is_answered_with_the_nearest(command: Command) -> None:
    said = command("image", "numpy-2.0-cpus")
    assert said.code == 2
    assert "no environment 'numpy-2.0-cpus' in matrix.yaml" in said.err
    assert "did you mean 'numpy-2.0-cpu'?" in said.err


def test_what_is_not_built_is_told_all_the_same_with_the_command_that_builds_it(command: Command) -> None:
    said = command("image", ENV)
    assert said.code == 0
    assert "not built here: repromatrix build --select numpy-2.0-cpu" in said.out
    assert "numpy 2.0: asked for by matrix.yaml:10" in said.out
    assert command.engine.built == []


def test_the_same_as_json_has_every_part_of_the_tag(command: Command) -> None:
    told = json.loads(command("image", ENV, "--json").out)
    assert (told["environment"], told["built"], told["digest"]) == (ENV, False, None)
    assert set(told["made_of"]) == {"base", "lock", "sources", "recipe", "epoch", "variables"}
    assert told["made_of"]["lock"] == told["lock"]["digest"]
    assert told["base"] == {
        "kind": "interpreter", "reference": "python", "digest": "3.11.0", "here": True, "tag": None, "suite": None,
    }  # fmt: skip
    assert told["size"] == {"base": 0, "wheels": None, "whole": None, "ratio": None}
    assert told["packages"] == [
        {
            "name": "numpy", "version": "2.0", "sha256": None, "licences": [], "asked": True, "needed_by": [],
            "why": "asked for by matrix.yaml:10",
        }
    ]  # fmt: skip


def test_what_is_built_is_told_to_be(command: Command) -> None:
    assert command("build", "--select", ENV).code == 0
    told = json.loads(command("image", ENV, "--json").out)
    assert (told["built"], told["reference"]) == (True, ENV)
    assert "not built" not in command("image", ENV).out


def test_a_bill_of_what_is_not_built_is_refused(command: Command) -> None:
    said = command("image", ENV, "--sbom")
    assert said.code == 4
    assert said.out == ""
    assert "repromatrix build --select numpy-2.0-cpu" in said.err


def test_a_plain_environments_content_is_no_evidence_and_refused(command: Command) -> None:
    said = command("image", ENV, "--content")
    assert said.code == 2
    assert "--engine docker" in said.err


def test_one_question_at_a_time(command: Command) -> None:
    assert command("image", ENV, "--content", "--sbom").code == 2


def test_an_environment_without_a_lock_names_the_command_that_makes_it(command: Command) -> None:
    (command.locks / "numpy" / "locks" / f"{ENV}.txt").unlink()
    said = command("image", ENV)
    assert said.code == 4
    assert f"repromatrix lock --select {ENV}" in said.err


def repromatrix(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "repromatrix", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)


@pytest.mark.network
@pytest.mark.parametrize("engine", ["process", pytest.param("docker", marks=pytest.mark.docker)])
class TestRealNumpy:
    NAME = "numpy-2.4.6-cpu"

    @pytest.fixture
    def ask(self, engine: str):
        repromatrix("build", "--select", self.NAME, "--engine", engine)
        return lambda *flags: repromatrix("image", self.NAME, "--engine", engine, *flags).stdout

    def test_it_is_hardly_larger_than_its_base_and_its_wheels(self, ask) -> None:
        size = json.loads(ask("--json"))["size"]
        assert 0 < size["wheels"] < size["whole"]
        assert size["ratio"] == pytest.approx(size["whole"] / (size["base"] + size["wheels"]), abs=1e-3)
        assert size["ratio"] <= 1.10

    def test_its_bill_is_valid_and_the_same_each_time(self, ask, tmp_path: Path) -> None:
        bill = ask("--sbom")
        assert problems(bill) == []
        assert ask("--sbom", str(tmp_path / "bill.json")) == ""
        assert (tmp_path / "bill.json").read_text() == bill
        wheel = next(each for each in json.loads(bill)["components"] if each["name"] == "numpy")
        assert wheel["hashes"][0]["content"] in (ROOT / "images/numpy/locks" / f"{self.NAME}.txt").read_text()

    def test_a_build_writes_the_same_bill_for_each_environment(self, ask, engine: str, tmp_path: Path) -> None:
        repromatrix("build", "--select", self.NAME, "--engine", engine, "--sbom", str(tmp_path))
        assert [each.name for each in tmp_path.iterdir()] == [f"{self.NAME}.cdx.json"]
        assert (tmp_path / f"{self.NAME}.cdx.json").read_text() == ask("--sbom")

    def test_it_says_why_each_package_is_there(self, ask) -> None:
        packages = json.loads(ask("--json"))["packages"]
        assert [each["name"] for each in packages] == ["numpy"]
        assert packages[0]["why"].startswith("asked for by matrix.yaml:")
        assert "BSD-3-Clause" in packages[0]["licences"][0]


@pytest.mark.docker
@pytest.mark.network
class TestRealImage:
    @pytest.fixture
    def told(self) -> dict:
        repromatrix("build", "--select", TestRealNumpy.NAME, "--engine", "docker")
        return json.loads(repromatrix("image", TestRealNumpy.NAME, "--engine", "docker", "--json").stdout)

    def test_its_labels_agree_with_what_is_told(self, told: dict) -> None:
        labels = told["labels"]
        assert labels["repromatrix.tag"] == told["content_tag"]
        assert labels["repromatrix.lock"] == told["lock"]["digest"]
        assert labels["repromatrix.sources"] == told["made_of"]["sources"]
        assert labels["org.opencontainers.image.base.digest"] == told["base"]["digest"]
        assert labels["org.opencontainers.image.title"] == TestRealNumpy.NAME

    def test_its_bill_has_the_distribution_and_the_interpreter(self, told: dict) -> None:
        bill = json.loads(repromatrix("image", told["environment"], "--engine", "docker", "--sbom", "-").stdout)
        names = {each["name"]: each for each in bill["components"]}
        assert names["libc6"]["purl"].startswith("pkg:deb/debian/libc6@")
        assert names["CPython"]["version"].startswith("3.11.")
        assert {"cell.py", "entrypoint.py"} <= set(names)

    def test_its_content_has_a_digest(self, told: dict) -> None:
        flags = ("--engine", "docker", "--content", "--json")
        content = json.loads(repromatrix("image", told["environment"], *flags).stdout)
        assert content["reference"] == told["reference"]
        assert content["content"].startswith("sha256:")
