"""What the name of a column says: a step, a loss, a measurement of the machine; of training or of validation."""

import re
from functools import lru_cache

TRAIN, VALIDATION, TEST = "train", "validation", "test"
_SPLITS = {
    **dict.fromkeys(("train", "training", "trn"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "eval", "evaluation", "dev"), VALIDATION),
    **dict.fromkeys(("test", "testing"), TEST),
}
# What counts, from the finest to the coarsest; samples and tokens only where nothing else does.
_COUNTERS = (
    ("step", "steps", "iter", "iters", "iteration", "iterations", "it", "update", "updates", "progress"),
    ("batch", "batches", "minibatch"),
    ("epoch", "epochs", "ep"),
    ("sample", "samples", "example", "examples", "token", "tokens", "count"),
)
_RANKS = {word: rank for rank, words in enumerate(_COUNTERS) for word in words}
EPOCH = _RANKS["epoch"]
_BESIDE = {"global", "current", "cur", "num", "number", "no", "n", "nr", "of", "idx", "index", "id", "trainer",
           "optimizer", "optim", "opt", "consumed", "seen", "processed", "completed", "done", "model",
           "gradient"}  # fmt: skip
_MEASURED = {
    "time", "times", "timing", "timings", "timestamp", "timestamps", "runtime", "elapsed", "elapsedtime", "eta",
    "remaining", "duration", "second", "seconds", "sec", "secs", "s", "ms", "msec", "us", "ns", "wall", "walltime",
    "clock", "date", "datetime", "latency", "memory", "mem", "gpu", "cpu", "ram", "gb", "gib", "mb", "mib", "bytes",
    "allocated", "reserved", "throughput", "speed", "fps", "tps", "wps", "ups", "tgs", "flops", "tflops", "flos",
    "teraflops", "mfu", "hfu", "utilization", "util", "bandwidth", "power", "temperature", "percentage", "lineno",
    "pid", "hostname",
}  # fmt: skip
_PER_SECOND = re.compile(r"(?:per_?|/)(?:s|sec|secs|second|seconds|gpu|day|hour)$|(?:it|samples|tokens|steps|iters)/s$")
_UNITS = {"s", "ms", "us", "ns", "sec", "secs", "min", "h", "b", "kb", "mb", "gb", "tb", "kib", "mib", "gib", "tib",
          "gflops", "tflops", "it"}  # fmt: skip
_LOSSES = {"loss", "losses", "logloss", "nll", "cost"}
_KNOWN = {
    "accuracy", "acc", "lr", "learning", "rate", "grad", "gradient", "norm", "ppl", "perplexity", "zeros", "scale",
    "f1", "auc", "bleu", "rouge", "precision", "recall", "score", "error", "mse", "mae", "rmse", "reward", "kl",
    "entropy", "momentum", "decay", "epoch", "seed", "bpb", "bpc", "lambda", "map", "iou", "top1", "top5",
}  # fmt: skip
_GENERIC = {"value", "values", "data", "y", "scalar", "metric", "metrics", "scalars", "results", "result", "history",
            "log", "logs", "log_history"}  # fmt: skip
_OF = re.compile(r"(?<=\w)'s\b")  # training's
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@lru_cache(maxsize=4096)
def tokens(name: str) -> tuple[str, ...]:
    """Return the words of a name in lower case: `trainLoss_step` is train, loss, step."""
    return tuple(re.findall(r"[a-z]+[0-9]*|[0-9]+", _CAMEL.sub(" ", _OF.sub("", name)).lower()))


def leaf(name: str) -> str:
    """Return the last part of a path."""
    return name.rpartition("/")[2]


@lru_cache(maxsize=4096)
def counter(name: str) -> int | None:
    """Return how fine a step a name counts, 0 the finest; None: it counts no step."""
    words = [each for each in tokens(leaf(name)) if each not in _SPLITS and each not in _BESIDE]
    return _RANKS.get(words[0]) if len(words) == 1 else None


@lru_cache(maxsize=4096)
def split(name: str) -> str | None:
    """Return whose numbers a name says they are: of training, validation or test; None: it does not say."""
    return next((_SPLITS[each] for each in tokens(name) if each in _SPLITS), None)


def splits(text: str) -> str | None:
    """Return a word for it as it stands in a text: `valid`, `Test`; None: there is none."""
    return next((each for each in tokens(text) if each in _SPLITS), None)


@lru_cache(maxsize=4096)
def measured(name: str) -> bool:
    """Whether a name is of what a machine took, time, memory, throughput: nothing that a training job computes."""
    if loss(name):
        return False
    lower = name.lower()
    parents = {word for part in lower.split("/")[:-1] for word in tokens(part)}
    own = tokens(leaf(name)) if not _PER_SECOND.search(lower) else ("time",)
    return bool(_MEASURED & {*own}) or bool({"timing", "timings", "time", "perf", "throughput", "system"} & parents)


def unit(text: str) -> bool | None:
    """Whether what stands behind a number is a unit of time, memory or speed; None: it is nothing."""
    return None if not text or text == "%" else text.lower() in _UNITS


@lru_cache(maxsize=4096)
def loss(name: str) -> bool:
    """Whether a name is of a loss."""
    words = tokens(leaf(name))
    return bool(_LOSSES & {*words}) and not {"scale", "scaler", "scaling", "per"} & {*words}


@lru_cache(maxsize=4096)
def known(name: str) -> bool:
    """Whether a name says what its numbers are; else it may be a run's."""
    own = {*tokens(leaf(name))}
    return bool(own & (_LOSSES | _KNOWN | {*_SPLITS})) or measured(name) or counter(name) is not None


def generic(name: str) -> bool:
    """Whether a name says only that there are values."""
    return name.lower() in _GENERIC


@lru_cache(maxsize=4096)
def canonical(name: str) -> str:
    """Return a name as it is compared: lower case, one way to write its parts and whose numbers they are."""
    words = tokens(leaf(name))
    whose = split(name)
    rest = [each for each in words if each not in _SPLITS]
    return " ".join(([whose] if whose else []) + rest) or name.lower()


def preference(name: str) -> tuple[int, int, int]:
    """Return how far a loss is from being simply the loss; the least is the one that is meant."""
    words = [each for each in tokens(leaf(name)) if each not in _SPLITS]
    plain = 0 if len(words) == 1 else 1 if "total" in words or "lm" in words else 2
    return ("epoch" in words, plain, len(words) + (split(name) is not None))
