"""The injector's own training loop: the network written out by hand once more, with a hook at every tensor.

`Arithmetic` is a framework's own operations (`frameworks`); the loop knows none of the project's training code. Clean
pairs with armed hooks show that it has the bits of the real one.
"""

from typing import Any

from bench.faults.arithmetic import Arithmetic, Tensor
from bench.faults.draw import Fault, Job
from bench.faults.hooks import Hooks, Run
from bench.faults.host import flat, reduced, shaped, sigmoid, transposed
from bench.faults.network import Network

SUMS = ("reversed", "short", "narrow")  # other ways to sum


class Loop(Network):
    """A training run with faults in it."""

    def __init__(self, arithmetic: Arithmetic, job: Job, faults: tuple[Fault, ...]) -> None:
        """Take the operations, the job in its final options, and the faults that are no options."""
        super().__init__(arithmetic, job)
        self.faults = faults
        self.run = Run(shown=[set() for _ in faults])
        self.hooks = Hooks(arithmetic, faults, self.run)

    def train(self) -> Run:
        """Return the finished run."""
        self._start()
        old_W1, old_W2 = self.W1, self.W2  # noqa: N806
        steps = self.job.steps
        for step in range(1, steps + 1):
            old_W1, old_W2 = self._step(step, old_W1, old_W2)  # noqa: N806
        clean = self.a.host(self.predict(self.W1, self.W2))
        last = clean
        for place, fault in enumerate(self.faults):
            if fault.how == "stale_final":
                last = self.a.host(self.predict(old_W1, old_W2))
                self.hooks.show(place, clean, last, (("prediction", steps + 1),))
        self.run.prediction = flat(last)
        return self.run

    def _start(self) -> None:
        for place, fault in enumerate(self.faults):
            if fault.how == "ahead":
                self._start_ahead(place)
            elif fault.site.startswith("start_"):
                layer = fault.site.removeprefix("start_").removesuffix("_weights")
                before = self.a.host(self.W1 if layer == "hidden" else self.W2)
                changed = transposed(before) if fault.how == "transposed" else self.hooks.value(fault, before)
                self._begin(place, **{layer: self.a.tensor(changed)})

    def _begin(self, place: int, hidden: Tensor = None, output: Tensor = None) -> None:
        """Begin with other weights, and note in which tensors of the first step that shows."""
        old = (self.W1, self.W2)
        new = (old[0] if hidden is None else hidden, old[1] if output is None else output)
        self.run.shown[place] |= {(name, 1) for name in self.shown_by_start(old, new)}
        self.W1, self.W2 = new

    def _start_ahead(self, place: int) -> None:
        """Begin with the weights after one clean step."""
        ahead = Loop(self.a, self.job, ())
        ahead._step(1, ahead.W1, ahead.W2)
        self._begin(place, hidden=ahead.W1, output=ahead.W2)

    def _step(self, step: int, old_W1: Tensor, old_W2: Tensor) -> tuple[Tensor, Tensor]:  # noqa: N803
        """Train one step; return the weights that it began with."""
        a, W1, W2 = self.a, self.W1, self.W2  # noqa: N806
        z1 = self._affine("hidden_pre", step, (W1, old_W1), self.x, self.b1)
        h = self._activation("hidden", step, z1)
        z2 = self._affine("output_pre", step, (W2, old_W2), h, self.b2)
        o = self._activation("output", step, z2)
        loss = self._loss(step, o)
        d2 = self._delta("output_delta", step, o, a.output_delta(o, self.t), a.host(o))
        g2 = self.hooks.at("grad_output_weights", step, a.outer(d2, h))
        new_W2 = self._update("output_weights", step, W2, g2)  # noqa: N806
        used = (new_W2, W2) if self.sequential else (W2, new_W2)
        error = self._back(step, used, old_W2, d2)
        d1 = self._delta("hidden_delta", step, h, a.hidden_delta(error, h), a.host(error))
        g1 = self.hooks.at("grad_hidden_weights", step, a.outer(d1, self.x))
        new_W1 = self._update("hidden_weights", step, W1, g1)  # noqa: N806
        seen = {"hidden_pre": z1, "hidden": h, "output_pre": z2, "output": o, "loss": loss}
        seen |= {"grad_output_weights": g2, "grad_hidden_weights": g1}
        seen |= {"output_weights": new_W2, "hidden_weights": new_W1}
        self._untraced(step, {"d2": d2, "used": used[0], "error": error, "d1": d1, "h": h, "o": o})
        self.run.steps.append({name: self._told(name, value) for name, value in seen.items()})
        self.W1, self.W2 = new_W1, new_W2
        return W1, W2

    # The sites. Each gives what the faults of this step make of the value there.

    def _affine(self, site: str, step: int, weights: tuple[Tensor, Tensor], v: Tensor, b: Tensor) -> Tensor:
        def again(fault: Fault) -> Any:
            if fault.how == "stale":
                return self.a.host(self.a.affine(weights[1], v, b))
            if fault.how == "transposed":
                return self.a.host(self.a.affine(self.a.tensor(transposed(self.a.host(weights[0]))), v, b))
            return self._sums(fault, weights[0], v, b) if fault.how in SUMS else None

        return self.hooks.at(site, step, self.a.affine(weights[0], v, b), again)

    def _activation(self, site: str, step: int, z: Tensor) -> Tensor:
        def again(fault: Fault) -> Any:
            if fault.how != "epsilon":
                return None
            host = self.a.host(z)
            return shaped([sigmoid(each, fault.amount) for each in flat(host)], host)

        return self.hooks.at(site, step, self.a.sigmoid(z), again)

    def _loss(self, step: int, o: Tensor) -> Tensor:
        def again(fault: Fault) -> Any:
            if fault.how == "late_loss":
                return self.run.losses[step - 2]
            squares = [(t - p) ** 2 for t, p in zip(flat(self.a.host(self.t)), flat(self.a.host(o)), strict=True)]
            divisor = len(squares) if self.job.options["loss_form"] == "mean" else 2
            if fault.how in SUMS:
                return reduced(fault.how, squares, self.a.dtype) / divisor
            return None

        return self.hooks.at("loss", step, self.a.loss(o, self.t), again)

    def _delta(self, site: str, step: int, activation: Tensor, clean: Tensor, factor: Any) -> Tensor:
        """`factor` is what the derivative of the sigmoid is multiplied with, for a hidden delta; else the output."""

        def again(fault: Fault) -> Any:
            if fault.how != "epsilon":
                return None
            outputs = flat(self.a.host(activation))
            if site == "output_delta":
                scale = 2 / len(outputs) if self.job.options["loss_form"] == "mean" else 1.0
                errors = [scale * (o - t) for o, t in zip(outputs, flat(self.a.host(self.t)), strict=True)]
            else:
                errors = flat(factor)
            values = [e * (p * (1 - p) + fault.amount) for e, p in zip(errors, outputs, strict=True)]
            return shaped(values, self.a.host(clean))

        return self.hooks.at(site, step, clean, again)

    def _back(self, step: int, used: tuple[Tensor, Tensor], old: Tensor, d2: Tensor) -> Tensor:
        def again(fault: Fault) -> Any:
            if fault.how in SUMS:
                return self._sums(fault, used[0], d2, None)
            turned = self.a.tensor(transposed(self.a.host(used[0]))) if fault.how == "transposed" else None
            weights = {"stale": old, "swapped": used[1], "transposed": turned}.get(fault.how)
            return None if weights is None else self.a.host(self.a.back(weights, d2))

        return self.hooks.at("hidden_error", step, self.a.back(used[0], d2), again)

    def _update(self, site: str, step: int, W: Tensor, g: Tensor) -> Tensor:  # noqa: N803
        def again(fault: Fault) -> Any:
            match fault.how:
                case "rate":
                    return self.a.host(self.a.update(W, g, self.a.rate * fault.amount))
                case "skip":
                    return self.a.host(W)
                case "twice":
                    return self.a.host(self.a.update(self.a.update(W, g, self.a.rate), g, self.a.rate))
            return None

        return self.hooks.at(site, step, self.a.update(W, g, self.a.rate), again, others=("update",))

    def _sums(self, fault: Fault, W: Tensor, v: Tensor, b: Tensor | None) -> Any:  # noqa: N803
        """A product with another reduction; without a bias it is the one that goes back through the weights."""
        rows, vector = self.a.host(W), flat(self.a.host(v))
        if self.a.turned == (b is not None):
            rows = transposed(rows)
        dtype = self.a.dtype
        sums = [reduced(fault.how, [w * x for w, x in zip(row, vector, strict=True)], dtype) for row in rows]
        values = sums if b is None else [s + c for s, c in zip(sums, flat(self.a.host(b)), strict=True)]
        like = self.a.host(self.a.back(W, v)) if b is None else self.a.host(self.a.affine(W, v, b))
        return shaped(values, like)

    def _untraced(self, step: int, seen: dict[str, Tensor]) -> None:
        """Find out whether what no trace has changed a gradient, by computing that without the fault."""
        a = self.a
        for place, site, before in self.hooks.untraced:
            clean = a.tensor(before)
            if site == "output_delta":
                pairs = {"grad_output_weights": (a.outer(clean, seen["h"]), a.outer(seen["d2"], seen["h"]))}
                error = a.back(seen["used"], clean)
                faulty = a.back(seen["used"], seen["d2"])
                deltas = (a.hidden_delta(error, seen["h"]), a.hidden_delta(faulty, seen["h"]))
            elif site == "hidden_error":
                pairs = {}
                deltas = (a.hidden_delta(clean, seen["h"]), a.hidden_delta(seen["error"], seen["h"]))
            else:
                pairs, deltas = {}, (clean, seen["d1"])
            pairs["grad_hidden_weights"] = (a.outer(deltas[0], self.x), a.outer(deltas[1], self.x))
            for name, (one, other) in pairs.items():
                if self.differ(one, other):
                    self.run.shown[place].add((name, step))
        self.hooks.untraced.clear()

    def _told(self, name: str, value: Tensor) -> list[float]:
        host = self.a.host(value)
        return flat(transposed(host) if self.a.turned and name.endswith("weights") else host)
