"""What `--help` says: quickly, and with examples that can be typed."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from repromatrix.__main__ import main
from repromatrix.cli import reference
from repromatrix.cli.main import COMMANDS, parser_of
from repromatrix.matrix import load
from repromatrix.plan import plan, universe

CHECKOUT = Path(__file__).parents[2]
MODULES = CHECKOUT / "runner" / "repromatrix" / "cli"
SHARED = {
    "compare_operations",
    "__init__",
    "main",
    "options",
    "select",
    "streams",
    "out",
    "story",
    "explained",
    "logs",
    "reference",
}
HEAVY = ("docker", "yaml", "jinja2", "jsonschema", "rich", "requests", "packaging", "numpy", "msgspec")
PAYS = {"compare", "check", "explain"}  # their choices are listed where they are used, or they are loaded at once


def test_every_command_is_a_module_and_every_module_a_command() -> None:
    assert {path.stem for path in MODULES.glob("*.py")} - SHARED == set(COMMANDS)


def test_the_help_of_a_command_loads_nothing_that_only_running_it_needs() -> None:
    source = f"""
import sys
from repromatrix.__main__ import main
from repromatrix.cli.main import COMMANDS
assert all(main([name, "--help"]) == 0 for name in COMMANDS if name not in {PAYS!r})
print("LOADED", [name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", source], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


def _examples() -> list[list[str]]:
    lines = [line for name in COMMANDS for line in (parser_of(name).epilog or "").splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("  repromatrix ")]


@pytest.mark.parametrize("words", _examples(), ids=" ".join)
def test_an_example_can_be_typed_and_names_what_there_is(words: list[str]) -> None:
    words = words[: words.index(">")] if ">" in words else words
    options = vars(parser_of(words[0]).parse_args(words[1:]))
    matrix = load(CHECKOUT / "matrix.yaml")
    if options.get("profile"):
        assert plan(matrix, profile=options["profile"], select=options.get("select", [])).cells
    cells = {cell.id for cell in universe(matrix)}
    assert {word for word in words if word.startswith("mazur/") and "*" not in word} <= cells


EVERY_OPTION = [(name, *each) for name in COMMANDS for each in reference.examples(name)]


def test_no_option_of_any_command_lacks_an_example() -> None:
    assert [(name, option) for name, option, example in EVERY_OPTION if example is None] == []


@pytest.mark.parametrize(("name", "option", "example"), EVERY_OPTION, ids=lambda each: str(each).partition(",")[0])
def test_the_example_of_an_option_has_it_and_is_what_the_parser_takes(name: str, option: str, example: str) -> None:
    first, *words = shlex.split(example.partition(" > ")[0])
    assert (first, words[0]) == ("repromatrix", name)
    assert set(words) & set(option.split(", "))
    parser_of(name).parse_args(words[1:])


def test_quiet_and_verbose_exclude_each_other_wherever_they_stand() -> None:
    with pytest.raises(SystemExit):
        parser_of("plan").parse_args(["-q", "-v"])


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_every_command_and_its_options(shell: str, capsys) -> None:
    assert main(["completion", shell]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in COMMANDS)
    assert "common-steps" in told


def test_what_bash_completes(tmp_path: Path, capsys) -> None:
    assert main(["completion", "bash"]) == 0
    (tmp_path / "words").write_text(capsys.readouterr().out)
    asked = (
        "source words; for line in 'repromatrix wor' 'repromatrix init --fr' 'repromatrix workload '; do "
        "IFS=' ' read -ra COMP_WORDS <<< \"$line\"; [[ $line == *' ' ]] && COMP_WORDS+=(''); "
        'COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _shtab_repromatrix; echo "${COMPREPLY[*]}"; done'
    )
    done = subprocess.run(["bash", "-c", asked], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["workload", "--framework", "check"]
