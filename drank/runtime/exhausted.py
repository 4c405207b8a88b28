"""What to lower where a step needs more memory than its GPU has, beside torch's own words."""

from __future__ import annotations

import sys

CALIBRATION = "`batch`, then `length`, of `calibration`"

LOWER = {
    **dict.fromkeys(("calibrate", "gradients", "relinearise"), CALIBRATION),
    "compress": f"{CALIBRATION} or `finetune`",
    **dict.fromkeys(("sensitivity", "selection"), "`batch`, then `length`, of `search`"),
    **dict.fromkeys(("reference", "overfitting", "evaluate"), "`batch` of `perplexity` or `zeroshot`, then `length` of `perplexity`"),
    "throughput": "`batch` or `prompt` of `throughput`, or give it fewer `variants`",
}
"""By rule what its steps need memory for, as a configuration names it; all others need it for the weights alone."""


def advise(error: BaseException, rule: str) -> None:
    """Note with an error of a step for want of a GPU's memory what a configuration can lower; any other error stays as it is."""
    if not isinstance(error, getattr(sys.modules.get("torch"), "OutOfMemoryError", ())):  # without torch it is none of its errors
        return
    lower = f"lower {LOWER[rule]}, or " if rule in LOWER else ""
    error.add_note(
        f"the step {rule} needs more memory than the GPU has free: {lower}compute on a CPU (`compute: device: cpu`); finished steps that "
        "do not go by what is changed are kept"
    )
