"""Gather all records into one tidy table."""

from drank.steplog import start

start(snakemake.log[0])

from drank.records import Record
from drank.summary import summarise, write_csv

records = [Record.read(path) for path in snakemake.input]
write_csv(summarise(records, snakemake.params.methods, snakemake.params.models), snakemake.output[0])
