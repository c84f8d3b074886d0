"""What `torch==2.8.0` can mean: environments of the matrix first, then its neighbours with another version."""

import pytest

from repromatrix.errors import UsageError
from repromatrix.matrix.candidates import candidates

MORE = (
    '    devices: [cpu, "cuda:0"]\n',
    """\
    devices: [cpu, "cuda:0"]
  - {framework: torch, flavour: cpu, versions: ["1.0", "5.0"], packages: ["torch=={version}+cpu"]}
  - {framework: torch, flavour: cpu, versions: ["4.0"], packages: ["torch=={version}+new"]}
""",
)

# (what is asked, the names in order, the packages of the first)
MEANT = [
    ("numpy-1.0-cpu", ["numpy-1.0-cpu"], "numpy==1.0"),  # an environment by name
    ("numpy==2.0", ["numpy-2.0-cpu"], "numpy==2.0"),  # a version that the matrix has
    ("numpy==1.5", ["numpy-1.5-cpu"], "numpy==1.5"),  # one that it does not have
    ("NumPy == 1.5", ["numpy-1.5-cpu"], "numpy==1.5"),
    ("numpy==2.0.0", ["numpy-2.0-cpu"], "numpy==2.0"),  # PEP 440: the same version
    ("torch==3.0", ["torch-3.0-cpu"], "torch==3.0+cpu"),  # another build is never taken in silence
    ("torch[cuda]==3.0", ["torch-3.0-cuda"], "torch==3.0"),
    ("torch[cpu]==3.0", ["torch-3.0-cpu"], "torch==3.0+cpu"),
    ("torch[cpu]==4.5", ["torch-4.5-cpu"], "torch==4.5+new"),  # like the newest one that is not newer
    ("torch[cpu]==0.5", ["torch-0.5-cpu"], "torch==0.5+cpu"),  # older than all: like the oldest
    ("torch[cpu]==10.0", ["torch-10.0-cpu"], "torch==10.0+cpu"),  # versions are not text
]


@pytest.mark.parametrize(("asked", "names", "package"), MEANT, ids=[each[0] for each in MEANT])
def test_what_is_meant(small_matrix, asked: str, names: list[str], package: str) -> None:
    found = candidates(small_matrix(MORE), asked)
    assert [each.name for each in found] == names
    assert found[0].packages == (package,)


@pytest.mark.parametrize(
    ("asked", "what", "hint"),
    [
        ("nunpy==1.0", "no framework 'nunpy'", "did you mean 'numpy'"),
        ("torch[rocm]==3.0", "no flavour 'rocm'", "expected one of: cpu, cuda"),
        ("torch==3.0+cpu", "a local version", "FRAMEWORK[FLAVOUR]==VERSION, like torch[cpu]==3.0"),
        ("torch>=3.0", "not one exact version", "torch==2.8.0"),
        ("torch", "not one exact version", "torch==2.8.0"),
        ("torch==3.*", "not one exact version", "torch==2.8.0"),
        ("torch==", "not a version of a framework", "torch==2.8.0"),
        ("", "not a version of a framework", "torch==2.8.0"),
    ],
)
def test_what_cannot_be_meant_is_told(small_matrix, asked: str, what: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        candidates(small_matrix(MORE), asked)
    assert what in caught.value.what
    assert hint in caught.value.hint
