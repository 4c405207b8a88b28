"""Find a model and write down where it lies and the hashes of its files."""

from drank.steplog import start

start(snakemake.log[0])

from drank.compute import go_offline
from drank.files import write_json
from drank.sources import describe_source

go_offline()
write_json(snakemake.output[0], describe_source(snakemake.params.source))
