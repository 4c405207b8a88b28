"""What makes vLLM read compressed checkpoints: a plug-in of its own, and its server started with it.

vLLM builds its own layers, which join the projections that read one input, shares them out to the processes of tensor parallelism and
packs weights for the processor. `quantization` tells it which of them are low-rank, `linear` runs those, `parts` holds and checks what
they store.
"""
