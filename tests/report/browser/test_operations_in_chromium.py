"""The operations in a real browser: pairs with their examples folded away, and the catalogue with its filters."""

import pytest

from tests.report import replays
from tests.report.browser.test_pictures_in_chromium import AXE, axe

KNOWN = ("bias", "outer")  # what is judged in no time


@pytest.fixture(scope="module")
def replayed(builder, written):
    records = [builder.record((0.5, 0.25), variant=name) for name in "abc"]
    found = replays.replayed(builder, *(each.cell.id for each in records), known=KNOWN)
    return written(builder, records, tables=(), replayed=found)


def rows(page):
    return page.run(
        "[...document.querySelectorAll('#forms-table tbody tr')].filter(row => !row.hidden)"
        ".map(row => row.cells[0].textContent + ' of ' + row.cells[2].textContent)"
    )


def test_the_catalogue_is_filtered_by_words_operation_and_dtype(page, replayed):
    page.open(replayed)
    assert rows(page) == ["bias of x-1, x-2", "outer of x-1, x-2"]
    page.fill("#forms-operation", "outer", "change")
    assert rows(page) == ["outer of x-1, x-2"]
    assert page.text("#forms-count") == "1 of 2 rows"
    page.fill("#forms-operation", "", "change")
    page.fill("#forms-filter", "sum")
    assert rows(page) == ["bias of x-1, x-2"]
    assert page.complaints == []


def test_the_first_inputs_on_which_an_operation_differs_unfold(page, replayed):
    page.open(replayed)
    page.show("operations")
    page.click("#operations details summary")
    said = page.text("#operations details li")
    assert said.startswith("sigmoid at hidden[0] of mazur/x-1/v and mazur/x-2/v differs on 5 of 5 inputs")
    assert page.run("document.querySelector('#operations details').open")


@pytest.mark.parametrize("width", [1400, 390])
def test_nothing_but_tables_is_wider_than_the_screen_and_everyone_can_use_it(page, replayed, width):
    page.size(width, 844)
    page.open(replayed)
    page.show("operations")
    assert page.run("document.documentElement.scrollWidth") == width
    page.run(AXE.read_text("utf-8"))
    assert axe(page) == []
