"""Evaluation: what is left of a model, as perplexity, zero-shot accuracy and throughput."""
