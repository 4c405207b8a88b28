"""Spectra: what the SVD sees of each matrix, `A = L W R`, and what it finds there."""
