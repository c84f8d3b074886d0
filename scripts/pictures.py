"""Makes the pictures of docs/start.md from real runs, in an empty folder: `.venv/bin/python scripts/pictures.py`.

What a command prints becomes an SVG of its lines, the first screen of a report a PNG by Chromium.
"""  # noqa: INP001

import html
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from repromatrix import harmless, resources

CHECKOUT = Path(__file__).resolve().parents[1]
PICTURES = CHECKOUT / "docs" / "pictures"
LOG = "step,loss\n1,0.6931\n2,0.5012\n3,0.437{}\n"
COLUMNS = 118
_WIDTH, _HEIGHT, _MARGIN = 7.25, 18, 16  # of a letter, of a line, around: pixels


def main() -> int:
    """Run the commands and write the pictures."""
    sys.path.insert(0, str(CHECKOUT))  # the driver of the browser is with the tests
    from tests.report.browser.chromium import chromium  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for day, digit in (("monday", 7), ("tuesday", 8)):
            (folder / f"{day}.csv").write_text(LOG.format(digit))
        for stem, words, most in (
            ("compare", "compare monday.csv tuesday.csv", 12),
            ("impact", "impact numpy==1.26.4 numpy==2.4.6", 24),
        ):
            drawn = picture(f"repromatrix {words}", typed(words, folder), most)
            resources.write_atomically(PICTURES / f"{stem}.svg", drawn.encode())
        typed("init --framework numpy", folder)
        typed("matrix --engine process", folder)
        (folder / "browser").mkdir()
        with chromium(folder / "browser") as page:
            page.size(1200, 640)
            page.scheme("light")
            page.open(folder / "report" / "index.html")
            page.screenshot(PICTURES / "own.png")
    return 0


def typed(words: str, folder: Path) -> str:
    """Return what a command prints on standard output."""
    command = [str(Path(sys.executable).parent / "repromatrix"), *shlex.split(words)]
    done = subprocess.run(command, cwd=folder, env=os.environ, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode > 1:
        raise SystemExit(f"{words}: exit code {done.returncode}")
    return done.stdout


def picture(command: str, text: str, most: int) -> str:
    """Return the first lines of what a command printed, `most` of them, as an SVG; what is cut is marked."""
    lines = [line[: COLUMNS - 1] + "…" if len(line) > COLUMNS else line for line in text.rstrip().splitlines()]
    shown = [f"$ {command}", "", *(lines if len(lines) <= most else [*lines[:most], "…"])]
    width, height = _WIDTH * COLUMNS + 2 * _MARGIN, _HEIGHT * len(shown) + 2 * _MARGIN
    rows = "\n".join(
        f'<text x="{_MARGIN}" y="{_MARGIN + _HEIGHT * (place + 1) - 5}"'
        f"{' class=' + chr(34) + 'typed' + chr(34) if not place else ''}>{html.escape(harmless.xml(line))}</text>"
        for place, line in enumerate(shown)
        if line
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}" '
        f'width="{width:g}" height="{height}">\n'
        "<style>text { font: 12px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #e4e7ea; "
        "white-space: pre } .typed { fill: #7fd39b }</style>\n"
        f'<rect width="100%" height="100%" rx="8" fill="#14171a"/>\n{rows}\n</svg>\n'
    )


if __name__ == "__main__":
    raise SystemExit(main())
