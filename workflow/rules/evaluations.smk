# One result for each job that measures. `--batch evaluations=1/3` deals out in order of their names what a rule reads, and timings, which
# need all models of a ratio, come after perplexities.
MEASURING_JOBS = [*(f"results/{kinds[0]}/{'/'.join(cell)}.json" for cell, kinds in KINDS_OF.items() if kinds), *timings()]


rule evaluations:
    localrule: True
    input:
        lambda wildcards: MEASURING_JOBS if workflow.dag_settings.batch else RECORDS,
    message:
        "Everything is measured"
