"""Rank allocation: from spectra, costs and a budget to a plan of integer ranks that meets the budget to within one rank's cost.

An allocator gives ranks, real or whole, to the groups that share a budget. Ranks then move from Q and K to V if asked, are rounded down,
and what is left of the budget is handed out until not one more rank fits.
"""
