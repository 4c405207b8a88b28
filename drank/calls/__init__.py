"""The calls: compress, plan and evaluate one model in one process, without a configuration file; `drank` itself hands them on.

They carry out the steps of the workflow (`drank.steps`) on a configuration that they make of their arguments.
"""
