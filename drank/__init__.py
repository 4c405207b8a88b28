"""drank: compress language models by SVD with dynamic ranks (D-Rank, arXiv:2509.25622) and with the methods it is compared to.

Importing drank imports neither torch nor transformers. It makes transformers know compressed checkpoints, so that
`AutoModelForCausalLM.from_pretrained` rebuilds them.
"""

from drank.models import registration

__version__ = "0.1.0"

registration.install()
