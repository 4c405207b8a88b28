"""Compression: the factors of a plan, made, fitted again, corrected and trained."""
