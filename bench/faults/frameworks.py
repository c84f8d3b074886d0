"""What the injector can put into each framework: kinds, sites, sizes."""

from bench.faults.draw import WEIGHTS, Ground
from bench.faults.patched import allowed

KINDS = (
    "transposed_kernel",
    "scaled",
    "wrong_dtype",
    "off_by_one",
    "stale_weights",
    "update_order",
    "learning_rate",
    "reduction",
    "activation_ulp",
    "epsilon",
    "bit_flip",
)
_SITES = frozenset(
    (
        *("hidden_pre", "hidden", "output_pre", "output", "loss", "objective", "output_delta", "hidden_error"),
        *("hidden_delta", "grad_output_weights", "grad_hidden_weights", "output_weights", "hidden_weights", "update"),
        *("start", "start_hidden_weights", "start_output_weights", "prediction"),
    )
)
_EVERY = {
    "update": ("parallel", "sequential"),
    "layout": ("out_in", "in_out", "in_out_untransposed"),
    "loss_form": ("half_sum", "mean"),
}
_FIXED = {"gradient": "manual", "compile": "eager"}
_SIZES = (1, 4)  # of a layer: a cell records no more than 16 numbers of a value in full
_DTYPES = ("float32", "float64", "bfloat16", "float16")


def _ground(dtypes: tuple[str, ...], *, sizes: tuple[int, int] = _SIZES, longest: int) -> Ground:
    return Ground(
        dtypes=dtypes, options=_EVERY, fixed=_FIXED, kinds=KINDS, sites=_SITES, sizes=sizes, longest=longest
    )  # fmt: skip


def _patched(layouts: tuple[str, ...], *, sizes: tuple[int, int] = (2, 2), mutable: bool = True) -> Ground:
    """What differentiates by itself; `mutable`: its weights can be changed between two steps."""
    sites = {"objective", "update", "start_hidden_weights", "start_output_weights", *(WEIGHTS if mutable else ())}
    kinds = (
        "transposed_kernel",
        "scaled",
        "wrong_dtype",
        "off_by_one",
        "learning_rate",
        *(("bit_flip",) if mutable else ()),
    )
    return Ground(
        dtypes=_DTYPES,
        options={"layout": layouts, "loss_form": ("half_sum", "mean")},
        fixed={"gradient": "auto", "compile": "eager", "update": "parallel"},
        kinds=kinds,
        sites=frozenset(sites),
        sizes=sizes,
        longest=3,
        allows=allowed,
        patched=True,
    )


GROUNDS = {
    "numpy": _ground(("float64", "float32", "float16"), longest=6),
    "torch": _ground(_DTYPES, longest=6),
    "jax": _ground(_DTYPES, sizes=(2, 2), longest=3),  # each shape is compiled anew
    "tensorflow": _ground(_DTYPES, longest=3),
    "torch-auto": _patched(("out_in", "in_out", "in_out_untransposed"), sizes=_SIZES),
    "jax-auto": _patched(("out_in", "in_out", "in_out_untransposed"), mutable=False),
    "tensorflow-auto": _patched(("out_in", "in_out", "in_out_untransposed")),
    "keras-tensorflow": _patched(("in_out", "in_out_untransposed")),
    "keras-jax": _patched(("in_out", "in_out_untransposed")),
    "keras-torch": _patched(("in_out", "in_out_untransposed")),
}
