"""Every metric is in the table of daemon/README.md, and the other way round."""

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from latticewatch.daemon.ledger import Counts
from latticewatch.daemon.metrics import (
    GAUGES,
    STAGES,
    Metrics,
    count_kernel_variants,
    resident_bytes,
)
from support.daemons import MODELS

README = Path(__file__).parents[3] / "daemon" / "README.md"


def full_registry() -> CollectorRegistry:
    metrics = Metrics(counts=lambda: Counts(dropped={"queue": 2}, missing={"sender": 1}))
    metrics.watch(dict.fromkeys(GAUGES, lambda: 1.0))
    metrics.describe_models(MODELS, model_set="0" * 16)
    return metrics.registry


def documented() -> dict[str, str]:
    """Name to labels, from the table."""
    rows = re.findall(r"^\| `(latticewatch_\w+)(?:\{(\w[\w, ]*)\})?` \|", README.read_text(), re.M)
    return dict(rows)


def exported() -> dict[str, str]:
    names = {}
    for family in full_registry().collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = dict.fromkeys(key for s in family.samples for key in s.labels if key != "le")
        names[name] = ", ".join(labels)
    return names


def test_the_table_is_the_registry() -> None:
    assert documented() == exported()


def test_names_end_in_a_unit_or_total_or_are_counts_of_things() -> None:
    dimensionless = {"frames_in_flight", "frames_unaccounted", "ready", "subscribers",
                     "source_connections", "clock_synchronised", "kernel_signatures",
                     "model_info", "motif_reservoir_sites"}  # fmt: skip
    for name in exported():
        bare = name.removeprefix("latticewatch_")
        assert bare.endswith(("_total", "_seconds", "_bytes")) or bare in dimensionless, name


def test_a_label_never_leaves_its_closed_set() -> None:
    metrics = Metrics(counts=Counts)
    metrics.count_defect("a kind of a newer version")
    metrics.count_not_scored(["constant", "another"])
    text = generate_latest(metrics.registry).decode()
    assert 'latticewatch_defects_total{kind="unknown"} 1.0' in text
    assert 'latticewatch_frames_not_scored_total{quality="other"} 1.0' in text


def test_clocks_that_disagree_give_no_negative_latency() -> None:
    metrics = Metrics(counts=Counts)
    metrics.observe("end_to_end", -3.0)
    assert (
        metrics.registry.get_sample_value(
            "latticewatch_latency_seconds_sum", {"stage": "end_to_end"}
        )
        == 0
    )


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_exists_from_the_start(stage: str) -> None:
    value = full_registry().get_sample_value
    assert value("latticewatch_latency_seconds_count", {"stage": stage}) == 0


def test_the_process_has_a_size_and_a_number_of_compiled_kernels() -> None:
    assert resident_bytes() > 1e6
    assert count_kernel_variants() >= 0
