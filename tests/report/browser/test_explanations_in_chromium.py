"""Why classes differ, in a real browser: the table of pairs, its filter, and a pair's experiments."""

import pytest

from tests.moved import with_members
from tests.report import tried
from tests.report.browser.test_pictures_in_chromium import AXE, axe

BAD = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def explained(builder, written):
    """Three classes: one pair is explained, two are not."""
    words = {"framework": "torch", "version": "2.13.0", "dtype": "float32"}
    a, b, c = (builder.record([0.5, last], variant=v, **words) for v, last in (("a", 0.25), ("b", 0.3), ("c", 0.7)))
    made = tried.changed_cell(builder, a, "gradient-manual", like=b)
    other = tried.changed_cell(builder, a, "strict", like=c)
    factors = (("gradient", "auto", "manual"), ("layout", "io", BAD))
    flipped = ((("gradient",), tried.ran(made), tried.NONE), (("layout",), tried.NONE, tried.NONE))
    nothing = ((("layout",), tried.NONE, tried.NONE),)
    strict = tried.condition("strict", "settings", (("FLAG", "1"),), tried.ran(other), tried.NONE)
    pairs = (
        tried.pair(a, b, ("classes",), factors, flipped, (strict,)),
        tried.pair(a, c, ("classes",), factors[1:], nothing),
        tried.pair(b, c, ("classes",), factors[1:], nothing, exhausted=True),
    )
    known = {each.key: each for each in (a, b, c, made, other)}
    experiments = tried.Experiments(pairs=tuple(with_members(each, known) for each in pairs))
    return written(builder, (a, b, c), tables=(), experiments=experiments, tried=known)


def shown(page):
    return page.run(
        "[...document.querySelectorAll('#why-table tbody tr')].filter(row => !row.hidden)"
        ".map(row => row.cells[0].innerText + ': ' + row.cells[2].innerText)"
    )


def test_pairs_without_a_cause_come_first_and_all_are_there(page, explained):
    page.open(explained)
    page.show("explanations")
    assert shown(page) == ["C1 · C3: unexplained", "C2 · C3: unexplained", "C1 · C2: gradient"]
    assert page.text("#why-count") == "3 pairs"
    assert page.complaints == []


def test_the_table_is_filtered_by_words_and_by_cause(page, explained):
    page.open(explained)
    page.fill("#why-filter", "torch-2.13.0-cpu/b layout")
    assert shown(page) == ["C2 · C3: unexplained", "C1 · C2: gradient"]
    page.fill("#why-cause", "gradient", "change")
    assert shown(page) == ["C1 · C2: gradient"]
    assert page.text("#why-count") == "1 of 3 pairs"
    assert page.run("[...document.querySelectorAll('#why-cause option')].map(each => each.textContent)") == [
        "anything (3)", "unexplained (2)", "gradient (1)",
    ]  # fmt: skip


def test_a_pairs_name_opens_the_experiments_with_every_experiment_as_text(page, explained):
    page.open(explained)
    page.run("document.querySelectorAll('#why-table button')[2].click()")
    rows = page.run("[...document.querySelectorAll('dialog[open] tbody tr')].map(row => row.innerText)")
    strict = "refuted At A's end: divergent by 4.00e-1 (1e+07 ULP, from step 2), 0% explained"
    none = "not tested (the matrix has no environment of that kind)"
    assert [" ".join(each.split()) for each in rows] == [
        f"gradient auto against manual cause At A's end: identical, 100% explained At B's end: {none}",
        f"layout io against {BAD} not testable At A's end: {none} At B's end: {none}",
        f"condition strict FLAG=1 {strict} At B's end: {none} On both sides: {none}",
    ]
    assert "repromatrix explain mazur/torch-2.13.0-cpu/a mazur/torch-2.13.0-cpu/b" in page.text("dialog[open]")
    page.key("Escape")
    page.wait(100)
    assert page.run("document.querySelector('dialog[open]')") is None
    assert page.complaints == []


def test_a_cell_of_an_experiment_opens_what_is_known_of_it(page, explained):
    page.open(explained)
    page.click("#why-table button")
    page.click("dialog[open] dd a")
    page.wait(200)
    assert page.text("dialog[open] h2") == "mazur/torch-2.13.0-cpu/a"


def test_on_a_phone_nothing_but_tables_is_wider_than_the_screen(page, explained):
    page.size(390, 844)
    page.open(explained)
    page.show("explanations")
    assert page.run("document.documentElement.scrollWidth") == 390
    assert page.run("document.getElementById('why-table').offsetWidth") <= 358


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_section_and_its_experiments_can_be_used_by_everyone(page, explained, scheme):
    page.scheme(scheme)
    page.open(explained)
    page.show("explanations")
    page.run(AXE.read_text("utf-8"))
    assert axe(page) == []
    page.click("#why-table button")
    page.wait(100)
    assert axe(page) == []


def test_without_a_script_the_table_is_whole_and_says_where_the_experiments_are(unscripted, explained):
    unscripted.open(explained, "#explanations", script=False)
    assert "opens every experiment on it" not in unscripted.shown("C1 · C3", "factor_verdict")
