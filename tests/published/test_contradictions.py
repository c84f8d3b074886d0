"""A document against itself: what is found in the real one, and in perturbed ones."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix.compare.interval import Interval
from repromatrix.errors import ResultsError
from repromatrix.published.contradictions import Convention, Kind, contradictions, convention
from repromatrix.published.table import parse


def found_in(data):
    return contradictions(parse(data, "mazur", []))


def test_the_real_document_contradicts_itself_three_times(builder):
    found = found_in(builder.table())
    assert [(each.kind, each.columns, each.printed.text, each.implied) for each in found] == [
        (Kind.ERROR, ("NumPy Sequential",), "0.20782641", "0.19782641"),
        (Kind.ERROR, ("NumPy Parallel",), "0.20593754", "0.19593754"),
        (Kind.CONVENTION, ("NumPy Sequential",), "[0.65689948, 0.79217359]", "0.2288071086 to 0.2288071171"),
    ]
    assert "forward pass before the last update; those of 9 other columns are after" in found[2].sentence


def test_a_mended_document_has_none(builder):
    data = builder.table()
    data["final_predictions"]["NumPy Parallel"]["error"][1] = "0.19593754"
    data["final_predictions"]["NumPy Sequential"] |= {
        "prediction": ["0.64517168", "0.79406732"],
        "error": ["0.63517168", "0.19593268"],
    }
    assert found_in(data) == ()


def test_a_claim_beyond_the_rounding_of_its_losses_is_found(builder):
    data = builder.table()
    claim = next(each for each in data["claims"] if each["id"] == "keras-pytorch-10")
    claim["value"] = "1.51e-8"  # the printed losses allow 1.48e-8 to 1.50e-8
    found = [each for each in found_in(data) if each.kind is Kind.CLAIM]
    assert [(each.columns, each.printed.text) for each in found] == [(("Keras", "PyTorch Auto"), "1.51e-8")]
    claim["value"] = "1.50e-8"
    assert not [each for each in found_in(data) if each.kind is Kind.CLAIM]


def test_a_claimed_zero_stands_only_while_the_printed_losses_agree(builder):
    data = builder.table()
    data["losses"]["JAX Auto"][9] = "0.2288087460"
    found = next(each for each in found_in(data) if each.kind is Kind.CLAIM)
    assert found.printed.text == "0.0"
    assert found.implied == "0.0000000002 to 0.0000000004"


def test_the_odd_convention_is_named_whichever_it_is(builder):
    data = builder.table()
    kept = {"NumPy Sequential", "JAX Manual Seq"}
    data["final_predictions"] = {name: row for name, row in data["final_predictions"].items() if name in kept}
    data["final_predictions"]["NumPy Again"] = data["final_predictions"]["NumPy Sequential"]
    data["losses"]["NumPy Again"] = data["losses"]["NumPy Sequential"]
    odd = [each for each in found_in(data) if each.kind is Kind.CONVENTION]
    assert [each.columns for each in odd] == [("JAX Manual Seq",)]


def test_conventions_follow_from_the_implied_loss(builder):
    table = parse(builder.table(), "mazur", [])
    found = {row.column: convention(row, table.losses[row.column]) for row in table.predictions}
    assert found.pop("NumPy No-Loop") is None
    assert found.pop("NumPy Sequential") is Convention.BEFORE
    assert set(found.values()) == {Convention.AFTER}


@given(st.decimals(-10, 10, places=8), st.decimals(-10, 10, places=8))
def test_intervals_hold_every_value_that_rounds_to_the_figure(a, b):
    left, right = Interval.printed(f"{a:f}"), Interval.printed(f"{b:f}")
    assert left.high - left.low == Fraction(1, 10**8)
    distance = abs(left - right)
    assert distance.low <= abs(Fraction(a) - Fraction(b)) <= distance.high
    assert distance.low >= 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.pop("losses"),
        lambda data: data["losses"]["Keras"].append("about 0.2"),
        lambda data: data["losses"].update(Keras=["nan"]),
        lambda data: data["final_predictions"]["Keras"].update(error=["0.1"]),
        lambda data: data["claims"].append(
            {"kind": "difference", "id": "x", "a": "Keras", "b": "Kera", "iteration": 1, "value": "0"}
        ),
        lambda data: data["claims"].append(
            {"kind": "difference", "id": "x", "a": "Keras", "b": "JAX Auto", "iteration": 11, "value": "0"}
        ),
    ],
)
def test_a_damaged_table_is_an_error_that_says_what_to_do(builder, damage):
    data = builder.table()
    damage(data)
    with pytest.raises(ResultsError, match=r"published table of mazur is not readable[\s\S]*next:"):
        parse(data, "mazur", [])
