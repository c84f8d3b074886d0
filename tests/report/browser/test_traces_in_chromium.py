"""Where traces part, in a real browser: the table, and the weights over the steps as a picture."""

import pytest

from tests.report.browser.test_pictures_in_chromium import AXE, axe

READING = "#picture-traced .reading"
STEPS = 3


@pytest.fixture(scope="module")
def cells(builder):
    """Two classes in float32 and one in float64, with the traces of all of them."""
    words = {"framework": "torch", "version": "2.13.0", "dtype": "float32"}
    one = builder.record([0.5, 0.25, 0.125], id="mazur/torch-2.13.0-cpu/one", weights=1.0, **words)
    twin = builder.record([0.5, 0.25, 0.125], id="mazur/torch-2.13.0-cpu/twin", weights=1.0, **words)
    two = builder.record([0.5, 0.25, 0.0625], id="mazur/torch-2.13.0-cpu/two", weights=1.5, **words)
    fine = builder.record([0.5, 0.25, 0.3], id="mazur/numpy-2.4.6-cpu/fine", weights=1.0)
    moved = {(2, "hidden_weights", 0): 1.0 + 2.0**-22, (1, "output_weights", 0): 1.5, (1, "hidden_weights", 0): 1.0}
    return (one, twin, two, fine), (builder.trace(one), builder.trace(two, moved), builder.trace(fine))


@pytest.fixture(scope="module")
def traced(builder, written, cells):
    records, traces = cells
    return written(builder, records, tables=(), traces=traces)


def test_the_table_names_the_first_tensor_that_differs_with_both_values(page, traced):
    page.open(traced)
    page.show("divergences")
    (row,) = page.run(
        "[...document.querySelectorAll('#divergences tbody tr')].map(row => [...row.cells].map(each => each.innerText))"
    )
    assert [each.split() for each in row] == [
        ["C1", "\u00b7", "C2"],
        ["mazur/torch-2.13.0-cpu/one", "mazur/torch-2.13.0-cpu/two"],
        ["1"],
        ["output_weights[0][0]"],
        ["4,194,304"],
        ["float32"],
        ["1", "1.5"],
        ["0x1.0000000000000p+0", "0x1.8000000000000p+0"],
        ["0x3f800000", "0x3fc00000"],
        [],
    ]
    page.click("#divergences tbody a")
    page.wait(100)
    assert page.text("dialog h2") == "mazur/torch-2.13.0-cpu/one"
    assert page.complaints == []


def test_without_traces_the_page_says_how_to_make_them_and_has_no_such_picture(page, report):
    page.open(report)
    page.show("divergences")
    assert "make matrix ARGS=--trace" in page.text("#divergences")
    assert page.run("document.getElementById('picture-traced')") is None


def test_where_nothing_parts_the_page_says_so(page, builder, written, cells):
    (one, *_), (trace, *_) = cells
    page.open(written(builder, [one], tables=(), traces=[trace]))
    page.show("divergences")
    assert "Nothing differs" in page.text("#divergences")


def test_the_weights_of_a_traced_cell_are_read_step_by_step_with_the_arrow_keys(page, traced):
    page.open(traced)
    page.show("picture-traced")
    page.fill("#picture-reference", "0")
    page.fill("#picture-trace", page.run("String(traced.findIndex(each => each.label === 'C2'))"))
    page.fill("#picture-unit", "ulp")
    page.wait(200)
    page.run("document.querySelector('#picture-traced .canvas').focus()")
    assert page.text(READING) == "weight output_weights 1,1 of C2, after step 1: 4,194,304 ULP of float32 from C1"
    page.key("ArrowDown")
    assert page.text(READING) == "weight hidden_weights 1,1 of C2, after step 1: the same bits as C1"
    page.key("ArrowRight")
    assert page.text(READING) == "weight hidden_weights 1,1 of C2, after step 2: 2 ULP of float32 from C1"
    page.fill("#picture-trace-as", "values")
    page.wait(200)
    page.run("document.querySelector('#picture-traced .canvas').focus()")
    page.key("ArrowDown")
    page.key("ArrowRight")
    assert page.text(READING) == "weight hidden_weights 1,1 of C2, after step 2: 1.00000024"
    assert "Only the traces of cells that speak for their class" in page.text("#picture-traced p")
    assert page.complaints == []


def test_the_picture_has_a_table_with_every_weight_after_every_step(page, traced):
    page.open(traced)
    page.show("picture-traced")
    page.fill("#picture-trace-as", "values")
    page.wait(200)
    page.click("#picture-traced summary")
    page.wait(100)
    rows = page.run("[...document.querySelectorAll('#picture-traced tbody tr')].map(row => row.cells.length)")
    assert rows == [STEPS + 1] * 2


def test_a_reference_without_a_trace_is_named_and_nothing_is_drawn_against_it(page, builder, written, cells):
    (one, twin, two, fine), (_, other, _) = cells
    page.open(written(builder, (one, twin, two, fine), tables=(), traces=[other]))
    page.show("picture-traced")
    page.fill("#picture-reference", "0")
    page.wait(200)
    assert "No trace of the reference C1 to compare with." in page.text("#picture-traced p")
    assert page.complaints == []


def test_it_is_drawn_on_a_phone_and_for_printing(page, traced):
    page.size(390, 844)
    page.open(traced)
    page.show("picture-traced")
    page.show("divergences")
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert page.run("document.querySelectorAll('#picture-traced svg').length") == 1
    assert page.pdf().startswith(b"%PDF-")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault_in_a_page_with_traces(page, traced, scheme):
    page.scheme(scheme)
    page.call("Page.setBypassCSP", enabled=True)  # for axe itself
    page.open(traced)
    try:
        for section in ("picture-traced", "divergences"):
            page.show(section)
        page.run("document.querySelectorAll('main details').forEach(each => { each.open = true; })")
        page.run(AXE.read_text("utf-8"))
        faults = axe(page)
    finally:
        page.call("Page.setBypassCSP", enabled=False)
    assert faults == []
