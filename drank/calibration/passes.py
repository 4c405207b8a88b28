"""The backward passes by name: what the loss is asked on the calibration text, and what of it is kept.

They are apart from what takes them, for tables and configurations name them too.
"""

from __future__ import annotations

LABELS = ("text", "sampled")
"""Whose next tokens are the labels: the text's, or draws from what the model itself predicts."""

LIKELIEST = "likeliest"
"""The pass that no labels tell: the curvature of the divergence over the likeliest tokens of each prediction, IO-SVD's output side."""

WINDOWS = "windows"
"""The pass over the text's own labels that keeps what each window says by itself, and fits two factors to it, as GFWSVD does."""

PASSES = (*LABELS, LIKELIEST, WINDOWS)
"""Those for the labels that a method may choose, and those that a weighting takes of itself."""

INPUT_SIDE, OUTPUT_SIDE = "fitted.inputs", "fitted.outputs"
"""What the fitted factors of a projection are called among its statistics, after its role."""
