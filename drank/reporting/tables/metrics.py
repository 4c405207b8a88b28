"""Metrics in print: their names, units, digits, and on which side they are better."""

from __future__ import annotations

from typing import NamedTuple

from drank.reporting.names import number


class Metric(NamedTuple):
    """How a metric is printed: its name with the unit, what it is multiplied by, digits, and where it is better ("low", "high" or "")."""

    title: str
    scale: float = 1
    digits: int = 2
    better: str = ""

    def text(self, value: float) -> str:
        """The value in these units."""
        return number(self.scale * value, self.digits)


METRICS = {
    "perplexity": Metric("Perplexity", better="low"),
    "perplexity_window_mean": Metric("Perplexity (mean of windows)", better="low"),
    "log_perplexity_gap_to_dense": Metric("Nats per token over dense", digits=3, better="low"),
    "kl_to_dense": Metric("KL to dense (nats per token)", digits=3, better="low"),
    "top1_agreement": Metric("Agreement with dense (%)", 100, 1, "high"),
    "calibration_error": Metric("Calibration error (points)", 100, better="low"),
    "repeated_4grams": Metric("Repeated runs of four tokens (%)", 100, 1, "low"),
    "rise_on_read": Metric("Rise of the loss on text that was read (nats per token)", digits=3, better="low"),
    "rise_on_unread": Metric("Rise of the loss on text that was not read (nats per token)", digits=3, better="low"),
    "overfitting": Metric("Overfitting (nats per token)", digits=3, better="low"),
    "accuracy": Metric("Accuracy (%)", 100, 1, "high"),
    "accuracy_norm": Metric("Accuracy by length (%)", 100, 1, "high"),
    "flips": Metric("Flips against dense (%)", 100, 1, "low"),
    "flips_to_wrong": Metric("Right in dense, wrong here (%)", 100, 1, "low"),
    "flips_to_right": Metric("Wrong in dense, right here (%)", 100, 1, "high"),
    "answers_changed": Metric("Answers other than dense's (%)", 100, 1, "low"),
    "majority": Metric("Most frequent answer (%)", 100, 1),
    "tokens_per_second": Metric("Tokens per second", digits=0, better="high"),
    "speedup_over_dense": Metric("Speed over that of dense", better="high"),
    "time_to_first_token": Metric("Time to the first token (ms)", 1000, 1, "low"),
    "time_per_token": Metric("Time per token (ms)", 1000, 2, "low"),
    "time_per_token_p90": Metric("Time per token, 90th percentile (ms)", 1000, 2, "low"),
    "roofline_share": Metric("Share of the roofline (%)", 100, 1, "high"),
    "operations_per_token": Metric("Operations per token (10⁶)", 1e-6, 1, "low"),
    "peak_memory_bytes": Metric("Peak memory (MiB)", 2**-20, 0, "low"),
}
"""The metrics that have a name in print."""


def metric_of(name: str) -> Metric:
    """How a metric is printed; one that is not in the table goes by its name and is better on no side."""
    return METRICS.get(name, Metric(name.replace("_", " ").capitalize()))
