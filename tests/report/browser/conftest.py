"""A browser for the tests of the page: one Chromium for a module, skipped where there is none."""

import os

import pytest

from repromatrix.report.render import write
from tests.report.browser.chromium import chromium, find
from tests.report.reports import build

REQUIRE = "REPROMATRIX_REQUIRE_DOCKER"  # set in CI, where a missing tool must not pass as a skipped test


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with started(tmp_path_factory) as page:
        yield page


@pytest.fixture
def unscripted(tmp_path_factory):
    """A tab that runs no script, with a screen so high that nothing waits for being scrolled to.

    It is a browser of its own: the switch of DevTools races with the page that it is for.
    """
    with started(tmp_path_factory, "--blink-settings=scriptEnabled=false") as page:
        page.size(1400, 30000)
        yield page


def started(tmp_path_factory, *flags):
    if find() is None:
        (pytest.fail if os.environ.get(REQUIRE) else pytest.skip)("no Chromium: apt-get install chromium")
    return chromium(tmp_path_factory.mktemp("chromium"), flags)


@pytest.fixture
def page(browser):
    """The tab, on a desktop's screen in light colours, with nothing noticed yet."""
    browser.size(1400, 900)
    browser.scheme("light")
    browser.complaints.clear()
    browser.requests.clear()
    return browser


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Write the report of records and return its page's path; other arguments are the view's or the manifest's."""

    def write_page(builder, records, *, missing=(), manifest=None, traces=(), **words):
        folder = tmp_path_factory.mktemp("report")
        found = {each.cell.id: each for each in traces}
        evidence = {name: words.pop(name) for name in ("experiments", "tried", "replayed") if name in words}
        manifest = manifest or builder.manifest(records, traces=traces, **words)
        view = build(manifest, records, missing, traces=found, **evidence)
        write(view, folder)
        return folder / "index.html"

    return write_page


@pytest.fixture(scope="module")
def report(builder, written):
    """The page of a run that reproduces the published table, with a failed and a missing cell."""
    lost = builder.record(outcome=builder.Outcome.FAILED, reason="it broke", id="mazur/numpy-2.4.6-cpu/broken")
    run = builder.run()
    other = builder.record([0.3] * 10, weights=2.0, id="mazur/numpy-2.4.6-cpu/other", variant="other")
    return written(builder, (*run, other, lost), missing=("mazur/numpy-2.4.6-cpu/gone",))
