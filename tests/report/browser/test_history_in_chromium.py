"""The page of a history in a real browser: a phone and a desktop, light and dark, and a log that means harm."""

from pathlib import Path

import pytest

from repromatrix import harmless
from repromatrix.report.history import view
from repromatrix.report.render import history
from repromatrix.results.history import Change, Night
from tests.report.browser.test_page_in_chromium import HOSTILE
from tests.report.browser.test_pictures_in_chromium import AXE, axe

WIDE = pytest.mark.parametrize(("width", "height"), [(1400, 900), (390, 844)])
SCHEME = pytest.mark.parametrize("scheme", ["light", "dark"])
LINES = "[...document.querySelectorAll('#changes-table tbody tr')].filter((each) => !each.hidden).length"


def change(night: str, *, value: str = "exp", before: str = "2.4.5", **more: object) -> Change:
    cell, like = (f"operations/numpy-{release}-cpu/default-float64" for release in ("2.4.6", before))
    words = {"cpu": "x86-64-v4-1234", "release": "2.4.6", "was": "1" * 16, "now": "2" * 16}
    return Change(night=night, value=value, cell=cell, before=like, before_release=before, **{**words, **more})


def nights(count: int, address: str = "https://example.org/owner/name/actions/runs/17") -> list[Night]:
    return [
        Night(night=f"2026-{1 + n // 28:02}-{1 + n % 28:02}", run=address, cells=900, new=0, changes=1, classes=("v4",))
        for n in range(count)
    ]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Write the page of three changes in forty nights: of a release, of a pinned loss, of an outcome."""
    changes = [
        change("2026-01-03"),
        change("2026-01-09", value="loss", before="2.4.6", verdict="divergent", step=3, ulp=17, share=12.5),
        change("2026-01-20", value="outcome", before="2.4.6", was="ok", now="failed", because=("lock", "image")),
    ]
    path = tmp_path / "history.html"
    path.write_text(history(view(nights(40), changes)))
    return path


@WIDE
@SCHEME
def test_the_page_asks_for_nothing_fits_and_has_no_serious_fault(page, written, width, height, scheme):
    page.size(width, height)
    page.scheme(scheme)
    page.open(written)
    assert page.complaints == []
    assert page.requests == [written.as_uri()]
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    page.call("Page.setBypassCSP", enabled=True)  # for axe itself
    try:
        page.open(written)
        page.run("document.querySelectorAll('section').forEach(each => { each.style.contentVisibility = 'visible'; })")
        page.run(AXE.read_text("utf-8"))
        assert axe(page) == []
    finally:
        page.call("Page.setBypassCSP", enabled=False)


def test_lines_are_chosen_by_their_words_and_the_newest_stands_first(page, written):
    page.open(written)
    assert page.run(LINES) == 3
    assert page.text("#changes-table tbody th") == "2026-01-20"
    page.fill("#words", "LOSS moved")
    assert (page.run(LINES), page.text("#shown")) == (1, "1 of 3")
    page.fill("#words", "nothing of it")
    assert page.run(LINES) == 0


def test_a_log_that_means_harm_stays_text(page, tmp_path):
    path = tmp_path / "history.html"
    evil = [change(HOSTILE, value=HOSTILE, cpu=HOSTILE, verdict=HOSTILE, release=HOSTILE, because=(HOSTILE,))]
    told = [Night(night=HOSTILE, run="javascript:alert(1)", cells=1, new=0, changes=1, classes=(HOSTILE,))]
    path.write_text(history(view(told, evil, HOSTILE)))
    page.open(path)
    assert page.run("[document.title, document.images.length]") == ["repromatrix: what changed since when", 0]
    assert page.run("document.querySelectorAll('main a').length") == 0
    assert page.text("#changes-table tbody th") == harmless.shown(HOSTILE)
    assert page.complaints == []
