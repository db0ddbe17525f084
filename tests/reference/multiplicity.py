"""Definitions of what calibration computes, spelled out."""


def naive_adjusted_q(p_values: list[float], n_tests: int | None = None) -> list[float]:
    """Smallest false discovery rate at which the step-up rule of 1995 would reject each test.

    The rule at rate q: with the p-values in order, reject the first k, where k is the largest
    with p_(k) <= k q / n. A test is rejected once q reaches the least n p_(k) / k over all k from
    its rank on.
    """
    n = len(p_values) if n_tests is None else n_tests
    ranked = sorted(p_values)
    adjusted = []
    for p in p_values:
        last_rank = max(k for k, other in enumerate(ranked, start=1) if other == p)
        candidates = [n * other / k for k, other in enumerate(ranked, start=1) if k >= last_rank]
        adjusted.append(min(1.0, *candidates))
    return adjusted


def naive_step_up(p_values: list[float], rate: float) -> list[bool]:
    """Which tests the step-up rule rejects at a rate."""
    n = len(p_values)
    ranked = sorted(p_values)
    passing = [p for k, p in enumerate(ranked, start=1) if p <= k * rate / n]
    limit = max(passing, default=-1.0)
    return [p <= limit for p in p_values]


def naive_empirical_p(value: float, reference: list[float]) -> float:
    """Rank of a value among itself and the reference, counted from the strange end."""
    return (1 + sum(other >= value for other in reference)) / (len(reference) + 1)
