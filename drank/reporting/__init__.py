"""Reporting: the records of all measurements, and the summary, tables, figures and report that are made of them."""
