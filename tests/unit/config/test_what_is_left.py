"""What a run leaves of a method, and where the time of measuring it is noted, by the paths of its rules."""

from drank.config.chain import Chain
from drank.methods import METHODS


def chain(label, ratio="0.2"):
    return Chain("m", label, METHODS[label], ratio, {})


def test_a_compressed_model_leaves_records_a_plan_and_its_folder():
    left = chain("d-rank").left(("perplexity", "zeroshot", "throughput"), models=True)
    assert left == {
        "perplexity": "results/perplexity/m/d-rank/0.2.json",
        "zeroshot": "results/zeroshot/m/d-rank/0.2.json",
        "throughput": "results/throughput/m/0.2/d-rank.json",
        "plan": "results/plans/m/d-rank/0.2.json",
        "model": "results/models/m/d-rank/0.2",
    }
    assert "model" not in chain("d-rank").left((), models=False)
    assert chain("dense", "0").left(("perplexity",), models=True) == {"perplexity": "results/perplexity/m/dense/0.json"}


def test_measurements_are_timed_by_the_job_that_makes_them():
    evaluate, throughput = "results/benchmarks/evaluate/m/d-rank/0.2.tsv", "results/benchmarks/throughput/m/0.2.tsv"
    assert chain("d-rank").measured(["perplexity", "zeroshot", "throughput"]) == [evaluate, throughput]
    assert chain("d-rank").measured(["zeroshot"]) == [evaluate]
    assert chain("d-rank").measured([]) == []
