"""What a good matrix.yaml becomes."""

import ast
import dataclasses
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest
import yaml

from repromatrix import resources
from repromatrix.matrix import Limits, Settings, load, modules
from repromatrix.matrix.workload import load_workload


def test_every_version_of_an_entry_is_an_environment(small_matrix) -> None:
    names = [each.name for each in small_matrix().environments]
    assert names == ["numpy-1.0-cpu", "numpy-2.0-cpu", "torch-3.0-cuda"]


def test_the_version_is_filled_into_the_packages(small_matrix) -> None:
    assert small_matrix().environment("numpy-2.0-cpu").packages == ("numpy==2.0",)


def test_an_environment_knows_the_line_of_its_version(small_matrix) -> None:
    assert small_matrix().environment("torch-3.0-cuda").line == 14


def test_another_python_is_part_of_the_name(small_matrix) -> None:
    matrix = small_matrix(('versions: ["3.0"]', 'versions: ["3.0"]\n    python: "3.12"'))
    assert matrix.environments[-1].name == "torch-3.0-cuda-py3.12"
    assert matrix.environments[-1].python == "3.12"


def test_the_default_python_written_out_is_not(small_matrix) -> None:
    matrix = small_matrix(('versions: ["3.0"]', 'versions: ["3.0"]\n    python: "3.11"'))
    assert matrix.environments[-1].name == "torch-3.0-cuda"


def test_a_dtype_other_than_the_first_is_a_suffix_of_the_variant(small_matrix) -> None:
    (workload,) = small_matrix().workloads
    names = [(each.framework, each.name, each.dtype) for each in workload.written]
    assert names == [
        ("numpy", "parallel", "float64"),
        ("numpy", "parallel-float32", "float32"),
        ("numpy", "unrolled", "float64"),
        ("torch", "auto", "float32"),
    ]


def test_decimals_stay_the_text_they_were(small_matrix) -> None:
    (workload,) = small_matrix().workloads
    assert {each.name: each.decimal for each in workload.inputs}["input"] == ("0.05", "0.10")
    assert dict(workload.numbers)["output_bias"] == "0.60"


def test_what_the_defaults_say_is_taken(small_matrix) -> None:
    matrix = small_matrix()
    assert matrix.repeats == 2
    assert matrix.limits == Limits(seconds=5, memory_mib=512, processes=64)
    assert matrix.environments[0].base == "bookworm"


def test_a_process_sees_one_cpu_unless_the_limits_say_otherwise(small_matrix) -> None:
    assert small_matrix().limits.cpus == 1
    assert small_matrix(("processes: 64}", "processes: 64, cpus: 3}")).limits.cpus == 3


def test_the_default_settings_exist_even_if_nobody_writes_them(small_matrix) -> None:
    assert small_matrix(("  default: {threads: 1}\n", "")).settings["default"] == Settings()


def test_a_published_column_predicts_with_its_own_variant_unless_told_otherwise(small_matrix) -> None:
    column = small_matrix().workloads[0].published.columns[0]
    assert (column.title, column.variant, column.predictions) == ("NumPy", "parallel", "parallel")


def test_a_matrix_is_frozen(small_matrix) -> None:
    matrix = small_matrix()
    with pytest.raises(dataclasses.FrozenInstanceError):
        matrix.repeats = 3
    with pytest.raises(TypeError):
        matrix.settings["default"] = Settings()


def test_aliases_are_read_where_they_are_few(small_matrix) -> None:
    matrix = small_matrix(
        ("options: {gradient: manual}", "options: &manual {gradient: manual}"),
        ("options: {gradient: auto}", "options: *manual"),
    )
    assert matrix.workloads[0].written[-1].options == (("gradient", "manual"),)


@pytest.fixture(scope="module")
def rules() -> dict:
    return json.loads(resources.schema("matrix").read_text())


def test_the_published_schema_is_a_schema(rules: dict) -> None:
    jsonschema.Draft202012Validator.check_schema(rules)


def test_the_real_matrix_validates_against_the_published_schema_and_loads(checkout: Path, rules: dict) -> None:
    data = yaml.safe_load((checkout / "matrix.yaml").read_text())
    jsonschema.validate(data, rules, cls=jsonschema.Draft202012Validator)
    assert load(checkout / "matrix.yaml").environments


def test_every_key_that_the_schema_allows_says_what_it_is_or_has_a_closed_form(rules: dict) -> None:
    """An editor that completes a key must not offer a bag without a bottom."""
    open_ended = [
        name
        for name, rule in rules["$defs"].items()
        if rule.get("type") == "object" and "additionalProperties" not in rule
    ]
    assert open_ended == []


def test_workloads_are_read_in_several_threads_at_once(checkout: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path / "cache"))  # where nothing has passed yet
    inside, most = [0], []

    def parse(text: str) -> ast.Module:
        inside[0] += 1
        time.sleep(0.001)  # lets another thread in
        most.append(inside[0])
        inside[0] -= 1
        return ast.parse(text)

    monkeypatch.setattr(modules, "ast", SimpleNamespace(**vars(ast) | {"parse": parse}))
    folder = checkout / "workloads" / "mazur"
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: load_workload(folder, "mazur").task, range(4)))
    assert len(set(found)) == 1
    assert set(most) == {1}
