"""drank: compress language models by SVD, measure what is left of them, write the paper's tables and figures."""

# A configuration named on the command line stands alone; the default is not merged into it.
if not workflow.overwrite_configfiles:

    configfile: f"{workflow.basedir}/config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/functions.smk"
include: "workflow/rules/artefacts.smk"
include: "workflow/rules/shards.smk"
include: "workflow/rules/corpora.smk"
include: "workflow/rules/calibrate.smk"
include: "workflow/rules/checkpoint.smk"
include: "workflow/rules/spectrum.smk"
include: "workflow/rules/allocate.smk"
include: "workflow/rules/compress.smk"


if SHAPES:

    include: "workflow/rules/shapes.smk"


if MEASURED_TOGETHER:

    include: "workflow/rules/reading.smk"
    include: "workflow/rules/seen.smk"
    include: "workflow/rules/evaluate.smk"


if timings():

    include: "workflow/rules/throughput.smk"


include: "workflow/rules/report.smk"


if RECORDS:

    include: "workflow/rules/evaluations.smk"


include: "workflow/rules/prefetch.smk"
include: "workflow/rules/testbed.smk"
include: "workflow/rules/hooks.smk"


localrules:
    all,
    prefetch,
    allocate,
    summary,
    cards,
    report,
    document,
    manuscript,
    testbed,


rule all:
    default_target: True
    input:
        [*(["results/summary.csv", "results/report.html", *CARDS] if RECORDS else []), *ARTEFACT_FILES] or MODELS,
