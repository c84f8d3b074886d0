"""Every kind of bad matrix.yaml or workload.yaml is a MatrixError with file and line, what was expected, a suggestion."""

# ruff: noqa: E501, ISC004, Q000 - a table of cases is read by its rows

import re
from pathlib import Path

import pytest

from repromatrix.errors import ExitCode, MatrixError
from repromatrix.matrix import load
from repromatrix.matrix.check import finite_decimal
from repromatrix.matrix.document import MAX_BYTES, MAX_DEPTH, MAX_NODES, parse

# (what stands in the small matrix, what replaces it with HERE in the line that must be named, message, next step)
BROKEN = {
    "unknown key": (
        "  default: {threads: 1}", "  default: {thread: 1} # HERE",
        r"unknown key 'thread' in settings.default", r"did you mean 'threads'\?",
    ),
    "misspelt required key: the misspelling is told, not the key that lacks": (
        "    flavour: cpu", "    flavor: cpu # HERE",
        r"unknown key 'flavor' in environments.0", r"did you mean 'flavour'\?",
    ),
    "unknown key at the top": (
        "tolerances:", "tolerance: # HERE", r"unknown key 'tolerance' in the file", r"did you mean 'tolerances'\?",
    ),
    "missing key": (
        '  - {cells: "*/numpy-1.0-cpu/unrolled", reason: not written for that version}',
        '  - {cells: "*/numpy-1.0-cpu/unrolled"} # HERE',
        r"exclude.0 lacks 'reason'", r"add reason: \.\.\.",
    ),
    "include without a reason": (
        ", reason: a cap mimics an upgrade}", "} # HERE", r"include.0 lacks 'reason'", r"add reason",
    ),
    "version that YAML reads as a number": (
        '["3.0"]', "[2.10] # HERE",
        r"environments.1.versions.0 must be text, not 2\.10", r'write it in quotes: "2\.10"',
    ),
    "value of another type": (
        "  repeats: 2", "  repeats: [2] # HERE", r"defaults.repeats must be a whole number, not a list", r"docs/matrix.md",
    ),
    "number out of range": ("  repeats: 2", "  repeats: 0 # HERE", r"defaults.repeats: 0 is less than", r"Fresh processes"),
    "no CPU at all": (
        "processes: 64}", "processes: 64, cpus: 0} # HERE", r"defaults.limits.cpus: 0 is less than", r"CPUs that a process sees",
    ),
    "not a number": ("{relative: 1.0e-7,", "{relative: .nan, # HERE\n   ", r"tolerances.float64.relative must be a number, not \.nan", r"."),
    "empty value": ("  repeats: 2", "  repeats: # HERE", r"defaults.repeats must be a whole number, not nothing", r"."),
    "unknown dtype": ("dtypes: [float32]", "dtypes: [float23] # HERE\n     ", r"cannot be 'float23'", r"did you mean 'float32'\?"),
    "unknown value of an option": (
        "{loop: unrolled}}", "{loop: unroled}} # HERE", r"numpy has no loop=unroled", r"did you mean 'unrolled'\?",
    ),
    "unknown option": ("{loop: unrolled}}", "{loops: unrolled}} # HERE", r"no factor 'loops' in factors", r"did you mean 'loop'\?"),
    "text that YAML reads as a truth value": (
        "{gradient: auto}}", "{gradient: on}} # HERE",
        r"options.gradient must be text, not on", r'write it in quotes: "on"',
    ),
    "kind of device that is none": (
        "steps: 1, options: {loop", "steps: 1, devices: [gpu], # HERE\n     options: {loop",
        r"variants.numpy.unrolled.devices.0 cannot be 'gpu'", r"expected one of: cpu, cuda|did you mean",
    ),
    "newer format": ("format: 1\ndefaults", "format: 2 # HERE\ndefaults", r"format must be 1, not 2", r"update repromatrix"),
    "newer format of a workload": ("format: 1\nsteps", "format: 2 # HERE\nsteps", r"format must be 1, not 2", r"update repromatrix"),
    "name with a bad character": (
        "    unrolled:", "    unroll/ed: # HERE\n      dtypes: [float64]\n      options: {}\n    unrolled:",
        r"'unroll/ed' does not match", r"lower-case letters",
    ),
    "name that ends in a line break": ("flavour: cpu", 'flavour: "cpu\\n" # HERE', r"does not match", r"Lower-case letters"),
    "decimal that is none": ('output_bias: "0.60",', 'output_bias: "0,60", # HERE\n ', r"'0,60' does not match", r"decimal number as text"),
    "decimal that is no number": ('output_bias: "0.60",', 'output_bias: "nan", # HERE\n ', r"output_bias: 'nan' does not match", r"in quotes"),
    "decimal that would be infinity": (
        'learning_rate: "0.5"}', 'learning_rate: "1e400"} # HERE',
        r"numbers\.learning_rate: '1e400' is out of the range of float64", r"decimal number as text.*5e-324 to 1\.7e308",
    ),
    "decimal of a vector that would be infinity": (
        'target: {decimal: ["0.01"]}', 'target: {decimal: ["-1e309"]} # HERE', r"inputs\.target\.decimal\.0: '-1e309' is out of the range", r"decimal number as text",
    ),
    "decimal that would be zero": (
        'learning_rate: "0.5"}', 'learning_rate: "0.01e-999999999"} # HERE', r"learning_rate: '0\.01e-999999999' is out of the range", r"5e-324",
    ),
    "duplicate key": (
        "  base: bookworm", '  base: bookworm\n  python: "3.12" # HERE',
        r"the key 'python' stands here a second time", r"first in line 3",
    ),
    "duplicate environment": (
        '"2.0"]\n    packages: ["numpy=={version}"]',
        '"2.0"]\n    packages: ["numpy=={version}"]\n'
        "  - {framework: numpy, flavour: cpu, packages: [numpy],\n     versions: ['1.0']} # HERE",
        r"the environment numpy-1\.0-cpu stands here a second time", r"first in line 10",
    ),
    "two variants of one name": (
        "variants:\n  numpy:\n", "variants:\n  numpy: # HERE\n    parallel-float32: {dtypes: [float64], options: {}}\n",
        r"the variant parallel-float32 of numpy stands here a second time", r"rename one",
    ),
    "variants of a framework that there is not": (
        "  torch:\n", "  torhc: # HERE\n", r"no framework 'torhc' in images/", r"did you mean 'torch'\?",
    ),
    "values of a factor in a framework that there is not": (
        "layout: [out_in, in_out]", "layout: {nunpy: [out_in], '*': [in_out]} # HERE",
        r"no framework 'nunpy' in images/", r"did you mean 'numpy'\?",
    ),
    "a row of weights that is too short": (
        '{decimal: [["0.15", "0.20"], ["0.25", "0.30"],', '{decimal: [["0.15", "0.20"], ["0.25"], # HERE\n',
        r"the rows of 'hidden_weights' differ in length", r"one value per column in each row",
    ),
    "a row of weights with a number in it": (
        '["0.25", "0.30"], ["0.35"', '["0.25", 0.30], # HERE\n ["0.35"',
        r"hidden_weights\.decimal\.1\.1 must be text, not 0\.30", r'write it in quotes: "0\.30"',
    ),
    "an input that nothing makes": (
        'target: {decimal: ["0.01"]}', "target: {draw: normal} # HERE",
        r"inputs\.target has 'draw', expected 'decimal', or 'draw' and 'shape'", r"the one or the other",
    ),
    "published file that is not there": (
        "data: published.json", "data: publisht.json # HERE", r"no such file: publisht\.json", r"relative to workload.yaml",
    ),
    "published column of an unknown variant": (
        "variant: parallel}", "variant: paralel} # HERE", r"numpy has no variant 'paralel'", r"did you mean 'parallel'\?",
    ),
    "published prediction of an unknown variant": (
        "variant: parallel}", "variant: parallel, predictions: rolled} # HERE",
        r"numpy has no variant 'rolled'", r"did you mean 'unrolled'\?",
    ),
    "include of unknown settings": (
        "settings: avx2,", "settings: axv2, # HERE\n    ", r"no settings named 'axv2'", r"did you mean 'avx2'\?",
    ),
    "bad syntax": ("  base: bookworm", '  base: "book" worm # HERE', r"not valid YAML", r"check indentation, quotes"),
    "a Python object": (
        'base: bookworm', 'base: !!python/object/apply:os.system ["true"] # HERE',
        r"not plain data: it is tagged !!python/object/apply:os\.system", r"objects are not read",
    ),
    "a tag on a scalar": ("base: bookworm", "base: !!python/name:os.system x # HERE", r"not plain data", r"objects"),
    "a date": ('"3.0"', "2024-01-01 # HERE\n     ", r"not plain data: it is tagged !!timestamp", r"needs quotes"),
    "a number that is none": ("threads: 1}", 'threads: !!int ""} # HERE', r"cannot read '' as int", r"quotes"),
    "a key that is a list": ("  base: bookworm", "  ? [base] # HERE\n  : bookworm", r"a key must be plain text", r"quotes"),
    "half a character": ("flavour: cpu", 'flavour: "\\ud800" # HERE', r"not a character", r"write the character"),
    "an unknown anchor": ("  base: bookworm", "  base: *nobody # HERE", r"not valid YAML: found undefined alias", r"."),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "what", "hint"), BROKEN.values(), ids=BROKEN)
def test_a_mistake_is_told_with_its_line_and_the_next_step(
    write_matrix, old: str, new: str, what: str, hint: str
) -> None:
    path = write_matrix((old, new))
    with pytest.raises(MatrixError) as caught:
        load(path)
    files = {"matrix.yaml": path, "tiny/workload.yaml": path.parent / "tiny" / "workload.yaml"}
    (marked,) = [
        f"{name}:{number}"
        for name, file in files.items()
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if "HERE" in line
    ]
    assert re.search(what, caught.value.what)
    assert re.search(hint, caught.value.hint)
    assert "\n" not in caught.value.what, "one mistake is told once"
    assert caught.value.where == marked
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize("text", ["0", "-0.00e5", "0e-999", "5e-324", "-1.7976931348623157e308", "0.1"])
def test_decimal_text_that_float64_keeps_apart_from_zero_and_infinity_is_finite(text: str) -> None:
    assert finite_decimal(text)


@pytest.mark.parametrize("text", ["1e400", "-1e309", "1e-400", "0.001e-999", "9" * 400, "nan", "inf", "0,1", ""])
def test_decimal_text_that_float64_makes_infinity_or_zero_is_not(text: str) -> None:
    assert not finite_decimal(text)


def test_the_first_mistake_of_the_file_is_told(write_matrix) -> None:
    path = write_matrix(("  repeats: 2", "  repeats: x"), ("  default: {threads: 1}", "  default: {thread: 1}"))
    with pytest.raises(MatrixError, match=r"defaults\.repeats"):
        load(path)


def test_a_quote_that_is_not_closed_is_told_with_the_line_where_it_opens(write_matrix) -> None:
    with pytest.raises(MatrixError, match="not valid YAML") as caught:
        load(write_matrix(('  python: "3.11"', '  python: "3.11')))
    assert "what line 3 begins" in caught.value.hint


def test_a_newer_format_is_told_before_what_it_brings(write_matrix) -> None:
    with pytest.raises(MatrixError, match="format must be 1, not 2"):
        load(write_matrix(content="surprise: 1\nformat: 2\n"))


def _line(error: MatrixError) -> int:
    return int(error.where.removeprefix("matrix.yaml:"))


@pytest.mark.parametrize("text", ["", "# only a comment\n", "--- ~"], ids=["nothing", "comment", "null"])
def test_an_empty_file_is_told(write_matrix, text: str) -> None:
    with pytest.raises(MatrixError, match=r"the file is empty|must be a mapping, not ~") as caught:
        load(write_matrix(content=text))
    assert caught.value.where == "matrix.yaml:1"
    assert "docs/matrix.md" in caught.value.hint


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(MatrixError, match="no such file") as caught:
        load(tmp_path / "absent.yaml")
    assert "--matrix" in caught.value.hint


def test_a_folder_is_not_a_matrix(tmp_path: Path) -> None:
    with pytest.raises(MatrixError, match="cannot be read"):
        load(tmp_path)


def test_the_line_that_is_not_utf8_is_told(write_matrix) -> None:
    with pytest.raises(MatrixError, match="not UTF-8") as caught:
        load(write_matrix(content=b"format: 1\n# caf\xe9\n"))
    assert _line(caught.value) == 2


def test_characters_that_yaml_forbids_are_told(write_matrix) -> None:
    with pytest.raises(MatrixError, match="not valid YAML"):
        load(write_matrix(content="format: \x00"))


def test_a_file_larger_than_the_limit_is_not_parsed(write_matrix) -> None:
    with pytest.raises(MatrixError, match=f"larger than {MAX_BYTES} bytes"):
        load(write_matrix(content=b"#" * (MAX_BYTES + 1)))


def test_an_endless_file_is_not_read_to_its_end() -> None:
    with pytest.raises(MatrixError, match="not a regular file but a device"):
        load(Path("/dev/zero"))


BOMBS = {
    "aliases of aliases": "a0: &a0 [x, x, x, x]\n"
    + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}, *a{i - 1}]\n" for i in range(1, 30)),
    "an alias of itself": "a: &a [*a]\n",
    "a long list": "[" + "a," * (MAX_NODES + 1) + "]",
    "deep nesting in brackets": "[" * 100_000,
    "deep nesting by indentation": "\n".join(" " * i + "a:" for i in range(MAX_DEPTH + 2)) + " x",
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_an_error_and_not_a_wait(text: str) -> None:
    with pytest.raises(MatrixError, match="more than") as caught:
        parse(text, "matrix.yaml")
    assert _line(caught.value) >= 1


def test_text_just_below_the_bounds_is_read() -> None:
    deep = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert parse(deep, "matrix.yaml").data
    assert len(parse("[" + "a," * (MAX_NODES // 2) + "]", "matrix.yaml").data) == MAX_NODES // 2
