"""What the workflow pins.yml does beside the commands: moves exact pins of the checkers, and writes the pull request.

    .venv/bin/python scripts/pins.py tools                       # exact pins of pyproject.toml to the newest releases
    .venv/bin/python scripts/pins.py text PINS IMPACT LOCKS      # the text of the pull request, on standard output

PINS is a folder with bases.txt, tools.txt, locks.json and kept.txt, IMPACT one with a NAME.md for each lock that moved,
LOCKS the JSON list of these.
"""  # noqa: INP001

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.version import Version

from repromatrix import harmless, resources
from repromatrix.tables import grid

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
_EXACT = re.compile(r'^(  ")([A-Za-z0-9._-]+)==([0-9][^"]*)"', re.MULTILINE)
_HEAD = """\
Newer releases of what locks hold beside the frameworks, of the base images and of the checkers, within what
`matrix.yaml` and `images/bases.yaml` ask for. No framework's own version is moved. What `impact` says of each lock
that moved stands below; a base is tried by the next night.

GitHub starts no checks on what a workflow pushes: close this pull request and open it again to have them.
"""


def main(words: list[str]) -> int:
    """Do what is asked."""
    if words == ["tools"]:
        _move_tools()
        return 0
    match words:
        case ["text", pins, impact, locks]:
            names = [each["name"] for each in json.loads(locks)]
            sys.stdout.write("\n".join(text(Path(pins), Path(impact), names)) + "\n")
            return 0
    raise SystemExit(__doc__)


def text(pins: Path, impact: Path, locks: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the pull request's text."""
    moves = _moves(json.loads((pins / "locks.json").read_text() or "{}"))
    bases, tools = _read(pins / "bases.txt", "+", "-"), _read(pins / "tools.txt")
    kept = _read(pins / "kept.txt", "failed", "kept")
    yield _HEAD if moves or bases or tools else "Nothing is newer than what is pinned.\n"
    if moves:
        yield from ("## Locks", "", *grid(("package", "from", "to", "environments"), moves), "")
    for title, told in (("## Bases", bases), ("## Checkers", tools), ("## Kept as they were", kept)):
        if told:
            yield from (title, "", *(f"    {harmless.line(line)}" for line in told), "")
    for name in locks:
        place = impact / f"{name}.md"
        yield from (f"## {harmless.markdown(name)}", "")
        yield place.read_text() if place.is_file() else "**Not compared**: the job of that name says why.\n"


def _moves(found: Mapping[str, Mapping[str, list[str | None]]]) -> list[tuple[str, str, str, str]]:
    """Return a row for each package and move, with the environments in which it is made."""
    where: dict[tuple[str, str, str], list[str]] = {}
    for environment, packages in found.items():
        for package, (before, after) in packages.items():
            where.setdefault((package, before or "", after or ""), []).append(environment)
    return [(*move, ", ".join(names)) for move, names in sorted(where.items())]


def _read(path: Path, *starts: str) -> list[str]:
    """Return the lines of a file that begin in one of these ways; without any, all."""
    return [line for line in path.read_text().splitlines() if not starts or line.startswith(starts)]


def _move_tools() -> None:
    before = PROJECT.read_text("utf-8")
    after = _EXACT.sub(lambda found: f'{found[1]}{found[2]}=={_newest(found[2], found[3])}"', before)
    if after != before:
        resources.write_atomically(PROJECT, after.encode())


def _newest(name: str, pinned: str) -> str:
    """Return the newest release of a package for this Python, and tell another one; the pin if nobody answers."""
    command = [sys.executable, "-m", "pip", "index", "versions", name, "--json", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found: Any = max(map(Version, json.loads(done.stdout)["versions"]))
    except (ValueError, KeyError, TypeError):
        sys.stderr.write(f"{'kept':<10} {name} {pinned}: the package index does not answer\n")
        return pinned
    if found <= Version(pinned):
        return pinned
    sys.stdout.write(f"{name} {pinned} -> {found}\n")
    return str(found)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
