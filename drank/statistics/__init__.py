"""Statistics: how sure a number is, how sure a difference is, and what many comparisons at once allow to be said."""
