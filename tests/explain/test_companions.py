"""What moves beside the version that was asked for, as fingerprints name it."""

from dataclasses import replace

from repromatrix.explain.impact.companions import companions


def _with(record, **fingerprint):
    return replace(record, fingerprint={**record.fingerprint, **fingerprint})


def test_packages_kernels_and_python_are_told_and_the_framework_is_not(builder) -> None:
    old = builder.record(version="1.26.4")
    old = _with(old, packages={"numpy": "1.26.4", "scipy": "1.11", "rich": "13"}, python="3.9.1")
    new = builder.record(version="2.4.6")
    new = _with(new, packages={"numpy": "2.4.6", "scipy": "1.12", "six": "1"}, python="3.11.7")
    new = _with(new, kernels={"openblas_core": "SkylakeX", "openblas_requested": "x"})
    told = [(each.kind, each.name, each.a, each.b) for each in companions(old, new)]
    assert [each.computes for each in companions(old, new)] == [True, True, True, False, False]
    assert told == [
        ("package", "scipy", "1.11", "1.12"),
        ("kernel", "openblas_core", "Haswell", "SkylakeX"),
        ("python", "python", "3.9.1", "3.11.7"),
        ("package", "rich", "13", None),
        ("package", "six", None, "1"),
    ]


def test_the_same_environment_has_no_companions(builder) -> None:
    assert companions(builder.record(), builder.record()) == ()
