"""Read one corpus from where it lies into a Parquet file of documents."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.corpora import read, write
from drank.runtime.device import go_offline

go_offline()
source = snakemake.params.source
write(snakemake.output[0], source, read(source))
