"""Records what frameworks give for e^x, the sigmoid and its gradient, for tests/operations/test_elementary.py.

    .venv/bin/python scripts/record_elementary.py ENVIRONMENTS > tests/operations/data/elementary.json

ENVIRONMENTS is the folder of prepared plain environments (`repromatrix build --engine process`). The numbers depend on
the processor: they were recorded on one with AVX-512.
"""  # noqa: INP001

import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from repromatrix.operations import soft
from repromatrix.operations.elementary_exp import EXPONENTIALS

DTYPES = ("float64", "float32", "float16", "bfloat16")
COUNT, CANDIDATES, TELLING = 192, 50_000, 4
# COUNT is a multiple of every vector's length: what is left over would be computed one by one.
UNFUSED = "glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2"
NO_VECTORS = "AVX F16C FMA3 AVX2 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"

# Each program reads [operation, dtype, numbers, errors] and prints the results as C99 hexadecimal text. `exp`, `tanh`
# and `vector` (the sigmoid) take all numbers at once, as whole vectors; all else goes by twos.
COMMON = """
import json, sys
import numpy as np
np.seterr(all="ignore")
operation, dtype, numbers, errors = json.load(sys.stdin)
x = np.array([float.fromhex(each) for each in numbers])
e = np.array([float.fromhex(each) for each in errors])
def pairs(function):
    return np.concatenate([function(a, b) for a, b in zip(x.reshape(-1, 2), e.reshape(-1, 2))])
def tell(found):
    json.dump([float(each).hex() for each in found], sys.stdout)
"""
PROGRAMS = {
    "numpy": """
if operation == "exp":
    tell(np.exp(x.astype(dtype)))
else:
    tell(pairs(lambda z, _: 1 / (1 + np.exp(-z.astype(dtype)))))
""",
    "torch": """
import torch
torch.set_num_threads(1)
made = lambda v: torch.tensor(v, dtype=torch.float64).to(getattr(torch, dtype))
plain = lambda t: t.detach().to(torch.float64).numpy()
forms = {"composed": lambda z: 1 / (1 + torch.exp(-z)), "native": torch.sigmoid}
def gradient(z, e, form):
    z = made(z).requires_grad_()
    form(z).backward(made(e))
    return plain(z.grad)
if operation == "exp":
    tell(plain(torch.exp(made(x))))
elif operation == "vector":
    tell(plain(torch.sigmoid(made(x))))
elif operation in forms:
    tell(pairs(lambda z, _: plain(forms[operation](made(z)))))
else:
    tell(pairs(lambda z, e: gradient(z, e, forms[operation.rpartition(" ")[2]])))
""",
    "tensorflow": """
import tensorflow as tf
made = lambda v: tf.cast(tf.constant(v, tf.float64), dtype)
plain = lambda t: tf.cast(t, tf.float64).numpy()
forms = {"composed": lambda z: 1 / (1 + tf.exp(-z)), "native": tf.sigmoid}
def gradient(z, e, form):
    with tf.GradientTape() as tape:
        tape.watch(z)
        found = form(z)
    return tape.gradient(found, z, output_gradients=e)
last = operation.rpartition(" ")[2]
compiled = tf.function(lambda z, e: gradient(z, e, forms[last]), jit_compile=True)
if operation == "exp":
    tell(plain(tf.exp(made(x))))
elif operation in forms:
    tell(pairs(lambda z, _: plain(forms[operation](made(z)))))
elif operation.startswith("compiled"):
    tell(pairs(lambda z, e: plain(compiled(made(z), made(e)))))
else:
    tell(pairs(lambda z, e: plain(gradient(made(z), made(e), forms[last]))))
""",
    "jax": """
import jax
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp
made = lambda v: jnp.asarray(v).astype(dtype)
plain = lambda a: np.asarray(a.astype("float64"))
forms = {"composed": lambda z: 1 / (1 + jnp.exp(-z)), "native": jax.nn.sigmoid}
gradient = lambda z, e, form: jax.vjp(form, z)[1](e)[0]
last = operation.rpartition(" ")[2]
if operation in ("exp", "tanh"):
    tell(plain(getattr(jnp, operation)(made(x))))
elif operation in forms:
    tell(pairs(lambda z, _: plain(forms[operation](made(z)))))
elif operation.startswith("compiled"):
    compiled = jax.jit(lambda z, e: gradient(z, e, forms[last]))
    tell(pairs(lambda z, e: plain(compiled(made(z), made(e)))))
else:
    tell(pairs(lambda z, e: plain(gradient(made(z), made(e), forms[last]))))
""",
}


@dataclass(frozen=True)
class Source:
    """One thing to record: an environment, what is asked of it, and the form that it was found to take by dtype."""

    environment: str
    operation: str
    forms: dict[str, str]
    variables: tuple[tuple[str, str], ...] = ()


def both(name: str) -> dict[str, str]:
    """Return the same form in float64 and float32."""
    return dict.fromkeys(DTYPES[:2], name)


def short(name: str) -> dict[str, str]:
    """Return the same form in float16 and bfloat16."""
    return dict.fromkeys(DTYPES[2:], name)


SCALAR = (("NPY_DISABLE_CPU_FEATURES", NO_VECTORS),)
SSE = (("XLA_FLAGS", "--xla_cpu_max_isa=SSE4_2"),)
SOURCES = (
    Source("numpy-1.26.4-cpu-", "exp", {"float64": "svml-fast", "float32": "numpy"}),
    Source("numpy-2.4.6-cpu-", "exp", {"float64": "svml-accurate", "float32": "numpy"}),
    Source("numpy-1.26.4-cpu-", "exp", both("glibc-fma"), SCALAR),
    Source("numpy-1.26.4-cpu-", "exp", both("glibc"), (*SCALAR, ("GLIBC_TUNABLES", UNFUSED))),
    Source("torch-2.13.0-cpu-", "exp", both("svml-accurate")),
    Source("jax-0.10.2-cpu-", "exp", both("xla-fma")),
    Source("jax-0.10.2-cpu-", "exp", both("xla"), SSE),
    Source("tensorflow-2.21.0-cpu-", "exp", {"float64": "xla", "float32": "eigen"}),
    Source("jax-0.10.2-cpu-", "tanh", {"float32": "xla-fma"}),
    Source("jax-0.10.2-cpu-", "tanh", {"float32": "xla"}, SSE),
    Source("torch-2.13.0-cpu-", "vector", both("reciprocal-of-sleef-fma")),
    Source(
        "numpy-1.26.4-cpu-",
        "composed",
        {"float64": "reciprocal-of-svml-fast", "float32": "reciprocal-of-numpy", "float16": "reciprocal-of-correct"},
    ),
    Source("torch-2.13.0-cpu-", "composed", both("reciprocal-of-svml-accurate") | short("reciprocal-of-correct")),
    Source("torch-2.13.0-cpu-", "native", both("reciprocal-of-glibc-fma") | short("reciprocal-in-float32-of-correct")),
    Source("tensorflow-2.15.1-cpu-", "native", both("ratio-of-glibc-fma") | short("ratio-of-correct")),
    Source("tensorflow-2.21.0-cpu-", "native", {"float32": "ratio-clamped-of-glibc-fma"}),
    Source("tensorflow-2.21.0-cpu-", "composed", both("reciprocal-of-glibc-fma") | short("reciprocal-of-correct")),
    Source("jax-0.10.2-cpu-", "native", both("reciprocal-of-xla-fma") | short("reciprocal-of-correct")),
    Source("jax-0.10.2-cpu-", "native", both("reciprocal-of-xla"), SSE),
    Source(
        "jax-0.4.30-cpu-",
        "native",
        both("reciprocal-of-glibc-fma") | {"bfloat16": "reciprocal-in-float32-of-correct"},
    ),
    Source(
        "torch-2.13.0-cpu-",
        "gradient composed",
        both("(e*(r*r))*u-of-svml-accurate") | short("(e*(r*r))*u-of-correct"),
    ),
    Source(
        "tensorflow-2.21.0-cpu-",
        "gradient composed",
        both("(e*((1/v)/v))*u-of-glibc-fma") | short("(e*((1/v)/v))*u-of-correct"),
    ),
    Source(
        "jax-0.10.2-cpu-",
        "gradient composed",
        both("(e*(1/(v*v)))*u-of-xla-fma") | short("(e*(1/(v*v)))*u-of-correct"),
    ),
    Source("jax-0.4.30-cpu-", "gradient composed", {"bfloat16": "(e*(1/(v*v)-in-float32))*u-of-correct"}),
    Source("jax-0.4.30-cpu-", "gradient native", {"bfloat16": "e*(a*(1-a)-in-float32)-of-reciprocal-of-correct"}),
    Source("jax-0.4.30-cpu-", "compiled gradient native", {"float32": "e*(a*(1-a))-of-reciprocal-of-xla-fma"}),
    Source("tensorflow-2.15.1-cpu-", "compiled gradient native", {"float32": "(e*a)*(1-a)-of-reciprocal-of-xla-fma"}),
)


def numbers(dtype: str) -> list[float]:
    """Return as many numbers as are recorded: some on which two codes of e^x differ, the others as they come."""
    draw = random.Random(dtype)  # noqa: S311
    drawn = [draw.uniform(-1, 2) if index % 2 else draw.uniform(-30, 30) for index in range(CANDIDATES)]
    x = soft.round_to(np.array(drawn), dtype)
    kept: list[float] = []
    if dtype in DTYPES[:2]:
        found = [each.codes[dtype](x) for each in EXPONENTIALS if dtype in each.codes]
        for one, other in combinations(found, 2):
            kept += x[~soft.same(one, other)][:TELLING].tolist()
    kept = list(dict.fromkeys(kept))[: COUNT * 3 // 4]
    return kept + x[: COUNT - len(kept)].tolist()


def ask(folder: Path, source: Source, dtype: str, x: list[float], e: list[float]) -> list[float]:
    """Return what the environment gives."""
    (home,) = sorted(folder.glob(f"{source.environment}[0-9a-f]*"))[:1]
    question = [source.operation, dtype, [each.hex() for each in x], [each.hex() for each in e]]
    program = COMMON + PROGRAMS[source.environment.partition("-")[0]]
    quiet = {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    ran = subprocess.run(
        [home / "bin/python", "-c", program],
        input=json.dumps(question),
        env=os.environ | quiet | dict(source.variables),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [float.fromhex(each) for each in json.loads(ran.stdout)]


def written(values: list[float], dtype: str) -> str:
    """Return values as their bit patterns in hexadecimal, with blanks between them."""
    size, kind = {"float64": (8, "f8"), "float32": (4, "f4"), "float16": (2, "f2"), "bfloat16": (4, "f4")}[dtype]
    patterns = np.array(values).astype(kind).view(f"u{size}")
    if dtype == "bfloat16":  # the upper half of a float32
        size, patterns = 2, patterns >> 16
    return " ".join(f"{int(each):0{2 * size}x}" for each in patterns)


def main() -> None:
    """Record all sources and print the document."""
    folder = Path(sys.argv[1])
    draw = random.Random("errors")  # noqa: S311
    inputs = {}
    for dtype in DTYPES:
        errors = soft.round_to(np.array([draw.gauss(0, 0.3) for _ in range(COUNT)]), dtype).tolist()
        inputs[dtype] = (numbers(dtype), errors)
    rows = []
    for source in SOURCES:
        for dtype, form in source.forms.items():
            found = ask(folder, source, dtype, *inputs[dtype])
            told = source.environment.rstrip("-") + "".join(f" {name}={value}" for name, value in source.variables)
            of = "sigmoid_gradient" if "gradient" in source.operation else "sigmoid"
            of = source.operation if source.operation in {"exp", "tanh"} else of
            rows.append({"of": of, "form": form, "dtype": dtype, "from": told, "outputs": written(found, dtype)})
            print(told, source.operation, dtype, file=sys.stderr)  # noqa: T201
    shared = {dtype: {"x": written(x, dtype), "e": written(e, dtype)} for dtype, (x, e) in inputs.items()}
    json.dump({"inputs": shared, "recorded": rows}, sys.stdout, indent=1)
    print()  # noqa: T201


if __name__ == "__main__":
    main()
