"""A compressed model in forms that programs without drank read; each module has one, which `drank.calls.hand_on.FORMS` lists."""
