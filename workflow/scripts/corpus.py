"""Read one corpus from where it lies into a Parquet file of documents."""

from drank.steplog import start

start(snakemake.log[0])

from drank.compute import go_offline
from drank.corpora import read, write

go_offline()
source = snakemake.params.source
write(snakemake.output[0], source, read(source))
