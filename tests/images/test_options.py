"""What an entrypoint can do, read from its source."""

import pytest

from repromatrix import resources
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images.options import vocabulary
from repromatrix.matrix import load


def test_the_options_of_every_framework_of_the_matrix_are_read_and_hold_those_of_its_variants(checkout) -> None:
    matrix = load(checkout / "matrix.yaml")
    found = vocabulary({each.framework for each in matrix.environments})
    assert found["torch"]["tf32"] == ("default", "on", "off")  # written once, in backends.py
    assert found["numpy"]["layout"][0] == "out_in"
    for each in matrix.variants:
        for name, value in each.options:
            assert value in found[each.framework][name]


WRONG = [
    ("OPTIONS = {'a': make()}", "malformed|ValueError"),
    ("OPTIONS = {'a': ()}", "no tuple of texts"),
    ("OPTIONS = {'a': elsewhere.NOWHERE}", "backends.py has no NOWHERE"),
    ("", "has no OPTIONS"),
    ("OPTIONS = {", "SyntaxError"),
]


@pytest.mark.parametrize(("source", "message"), WRONG)
def test_options_that_cannot_be_read_are_an_error_with_the_place(source, message, tmp_path, monkeypatch) -> None:
    (tmp_path / "backends.py").write_text("TF32 = ('default',)\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "entrypoint.py").write_text(source)
    monkeypatch.setattr(resources, "folder", lambda _: tmp_path)
    with pytest.raises(EnvironmentFailedError, match=message) as caught:
        vocabulary(["mine"])
    assert caught.value.where == str(tmp_path / "mine" / "entrypoint.py")
