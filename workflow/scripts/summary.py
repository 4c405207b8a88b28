"""Gather all records into one tidy table."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.reporting.records import read_records
from drank.reporting.summary import summarise, write_csv

records = read_records(snakemake.input)
write_csv(summarise(records, snakemake.params.methods, snakemake.params.models), snakemake.output[0])
