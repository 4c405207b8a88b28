"""Find a model and write down where it lies and the hashes of its files."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.models.sources import describe_source
from drank.runtime.device import go_offline
from drank.runtime.files import write_json

go_offline()
write_json(snakemake.output[0], describe_source(snakemake.params.source))
