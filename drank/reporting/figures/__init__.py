"""Figures: pure functions of an artefact's material, one or two columns wide. A new one is one module and one line of `layouts`."""
