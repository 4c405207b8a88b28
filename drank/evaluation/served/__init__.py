"""Models run by vLLM, as what is timed: one engine for each, in a process of its own, in vLLM's environment."""
