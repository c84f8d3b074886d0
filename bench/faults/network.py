"""The network of the injector's own training loop: its constants, and what its first step makes of other weights."""

from bench.faults import bits
from bench.faults.arithmetic import Arithmetic, Tensor
from bench.faults.draw import Job
from bench.faults.host import flat, numbers, transposed


class Network:
    """The constants of a job, its weights before the first step, and passes through them without a fault."""

    def __init__(self, arithmetic: Arithmetic, job: Job) -> None:
        """Take the operations and the job in its final options."""
        self.a, self.job = arithmetic, job
        work = {name: numbers(value) for name, value in job.workload.items() if name not in ("name", "steps")}
        self.x, self.t = arithmetic.tensor(work["input"]), arithmetic.tensor(work["target"])
        self.b1 = arithmetic.tensor([work["hidden_bias"]] * len(work["hidden_weights"]))
        self.b2 = arithmetic.tensor([work["output_bias"]] * len(work["target"]))
        turned = job.options["layout"] == "in_out"
        rows = [transposed(work[name]) if turned else work[name] for name in ("hidden_weights", "output_weights")]
        self.W1, self.W2 = (arithmetic.tensor(each) for each in rows)

    @property
    def sequential(self) -> bool:
        """Whether the hidden gradient sees the new output weights."""
        return self.job.options["update"] == "sequential"

    def differ(self, one: Tensor, other: Tensor) -> bool:
        """Whether two tensors differ in a bit."""
        return bits.text(flat(self.a.host(one))) != bits.text(flat(self.a.host(other)))

    def predict(self, W1: Tensor, W2: Tensor) -> Tensor:  # noqa: N803
        """Return the forward pass."""
        h = self.a.sigmoid(self.a.affine(W1, self.x, self.b1))
        return self.a.sigmoid(self.a.affine(W2, h, self.b2))

    def shown_by_start(self, old: tuple[Tensor, Tensor], new: tuple[Tensor, Tensor]) -> set[str]:
        """Return where it shows that the first step begins with other weights, of both layers, than it should."""
        looks = []
        for W1, W2 in (old, new):  # noqa: N806
            # Everything but the weights in question as in the run that begins otherwise.
            z1 = self.a.affine(W1, self.x, self.b1)
            true = self.given(*new)
            z2 = self.a.affine(W2, true["hidden"], self.b2)
            looks.append(
                {
                    "hidden_pre": z1,
                    "output_pre": z2,
                    "hidden_weights": self.a.update(W1, true["grad_hidden_weights"], self.a.rate),
                    "output_weights": self.a.update(W2, true["grad_output_weights"], self.a.rate),
                    "grad_hidden_weights": self._hidden_gradient(W2, true),
                }
            )
        shown = {name for name in looks[0] if self.differ(looks[0][name], looks[1][name])}
        for layer in ("hidden", "output"):
            if {f"{layer}_pre", f"{layer}_weights"} <= shown:
                shown -= {f"{layer}_pre", f"{layer}_weights"} | (
                    {"grad_hidden_weights"} if layer == "output" else set()
                )
                shown.add(f"start_{layer}_weights")
        return shown

    def given(self, W1: Tensor, W2: Tensor) -> dict[str, Tensor]:  # noqa: N803
        """Return the tensors of a step from these weights."""
        h = self.a.sigmoid(self.a.affine(W1, self.x, self.b1))
        o = self.a.sigmoid(self.a.affine(W2, h, self.b2))
        d2 = self.a.output_delta(o, self.t)
        g2 = self.a.outer(d2, h)
        new = self.a.update(W2, g2, self.a.rate)
        true = {"hidden": h, "output_delta": d2, "grad_output_weights": g2, "new_output_weights": new}
        return true | {"grad_hidden_weights": self._hidden_gradient(W2, true)}

    def _hidden_gradient(self, W2: Tensor, true: dict[str, Tensor]) -> Tensor:  # noqa: N803
        weights = true["new_output_weights"] if self.sequential else W2
        error = self.a.back(weights, true["output_delta"])
        return self.a.outer(self.a.hidden_delta(error, true["hidden"]), self.x)
