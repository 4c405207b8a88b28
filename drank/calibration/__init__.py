"""Calibration: hidden states on their way through a model, and what they and their gradients are on average."""
