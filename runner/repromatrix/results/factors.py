"""What the factors of an experiment are called: one name each, whatever an entrypoint calls its options."""

from collections.abc import Iterable

# What is asked of a cell beside its options, and what its record says of where it ran.
_TAKEN = frozenset(
    {
        *("workload", "steps", "framework", "version", "flavour", "python", "device", "dtype"),
        *("settings", "threads", "isa", "engine", "base", "cpu class"),
    }
)


def option_factor(option: str) -> str:
    """Return the name of the factor that an option is: `option threads` where another factor has the option's own."""
    return f"option {option}" if option in _TAKEN else option


def option_factors(options: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the factors that options are, with their values."""
    return {option_factor(name): value for name, value in options}
