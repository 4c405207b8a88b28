"""The steps of a run, one a file, each a function `run`: it reads what earlier steps wrote, makes calls into the wings, writes one thing.

A rule of the workflow has a script of the same name that hands its files and parameters to one of these; `drank.calls` does the same in
one process.
"""
