from drank.runtime.codehash import PROJECT


RECORDS = [*(path for kind in ("perplexity", "zeroshot") for path in results_of(kind)), *timings()]
WAYS = [chain_at(model, *cell) for model in METHODS for cell in cells(model)]
MODELS = [chain.made for chain in WAYS]  # what a run without measurements is for
SPECTRA = list(dict.fromkeys(path for artefact in RUNS.artefacts.values() for path in spectra_of(artefact)))
LAID_OUT = sorted({artefact.layout.function.replace(":", ".") for artefact in RUNS.artefacts.values()})
MADE = [chain_at(model, *cell) for model in METHODS for cell in cells(model, *KINDS) if METHODS[model][cell[0]].compresses]  # and measured
CARDED = [chain.made for chain in MADE if not chain.shape]  # a shape claims nothing, and nobody publishes it
PLANS = [chain.plan for chain in MADE if not chain.method.control]
CARDS = ["results/cards.txt"] if CARDED and config["keep"] != "nothing" else []
ARTEFACT_FILES = [path for artefact in RUNS.artefacts.values() for path in artefact.files]
TOLD = {name: told_of(artefact) for name, artefact in RUNS.artefacts.items()}
PAPER = {  # what tells which numbers of the paper stand beside ours
    "config": config,
    "methods": {model: {label: METHODS[model][label].settings() for label in config["methods"] if label in METHODS[model]} for model in METHODS},
}
CHAINS, FILES, MEASURED = {model: {} for model in METHODS}, {model: {} for model in METHODS}, {}
for WAY in WAYS:
    FOUND = [kind for kind in KINDS if RUNS.wanted[WAY.place][kind]]
    CHAINS[WAY.model].setdefault(WAY.label, {})[WAY.ratio] = WAY.timings()
    FILES[WAY.model].setdefault(WAY.label, {})[WAY.ratio] = WAY.left(FOUND, models=config["keep"] != "nothing")
    MEASURED |= dict.fromkeys(WAY.measured(FOUND))
PAGE = [str(path.relative_to(PROJECT)) for path in sorted((PROJECT / "drank/reporting/report").iterdir()) if path.suffix in (".j2", ".css", ".js")]
STATED = "drank/reporting/published/d_rank.csv"  # the numbers of the paper


rule summary:
    input:
        RECORDS,
    output:
        "results/summary.csv",
    log:
        "results/logs/summary.log",
    benchmark:
        "results/benchmarks/summary.tsv"
    conda:
        "../../envs/plots.yaml"
    threads: 1
    resources:
        **SMALL_JOB,
    params:
        code=code("summary.py"),
        methods=list(dict.fromkeys([*config["methods"], *(label for methods in METHODS.values() for label in methods)])),
        models=list(config["models"]),
    message:
        "Summarising all measurements"
    script:
        "../scripts/summary.py"


rule cards:
    input:
        models=CARDED,
        records=RECORDS,
    output:
        "results/cards.txt",
    log:
        "results/logs/cards.log",
    conda:
        "../../envs/plots.yaml"
    threads: 1
    resources:
        **SMALL_JOB,
    params:
        code=code("cards.py"),
    message:
        "Writing the numbers into the model cards"
    script:
        "../scripts/cards.py"


for ARTEFACT in RUNS.artefacts.values():

    rule:
        name:
            ARTEFACT.name
        input:
            records=records_for(ARTEFACT),
            spectra=spectra_of(ARTEFACT),
            plans=plans_of(ARTEFACT),
        output:
            ARTEFACT.files,
        localrule: True
        log:
            f"results/logs/artefacts/{ARTEFACT.name}.log",
        benchmark:
            f"results/benchmarks/artefacts/{ARTEFACT.name}.tsv"
        conda:
            "../../envs/plots.yaml"
        threads: 1
        resources:
            **SMALL_JOB,
        params:
            code=code("artefact.py", ARTEFACT.layout.function.replace(":", "."), STATED),
            artefact=told_of(ARTEFACT),
            paper=lambda wildcards, input: PAPER,
        message:
            f"Printing {ARTEFACT.name}"
        script:
            "../scripts/artefact.py"


rule report:
    input:
        summary="results/summary.csv",
        pictures=[artefact.picture for artefact in RUNS.artefacts.values() if artefact.picture],
        tables=[path for path in ARTEFACT_FILES if path.endswith(".csv")],
        spectra=SPECTRA,
        plans=PLANS,
        records=RECORDS,
    output:
        page="results/report.html",
        verdict="results/verdict.txt",
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    conda:
        "../../envs/plots.yaml"
    threads: 1
    resources:
        **SMALL_JOB,
    params:
        code=code("report.py", *PAGE, *LAID_OUT, STATED),
        paper=lambda wildcards, input: PAPER,
        artefacts=TOLD,
        chains=CHAINS,
        files=FILES,
        csv=[path for path in ARTEFACT_FILES if path.endswith(".csv")],
        timings=list(MEASURED),
        shown=SHOWN,
        config=lambda wildcards, input: config,
    message:
        "Writing the report"
    script:
        "../scripts/report.py"


rule document:
    input:
        summary="results/summary.csv",
        pictures=[path for path in ARTEFACT_FILES if path.endswith(".png")],
        spectra=SPECTRA,
        plans=PLANS,
        records=RECORDS,
    output:
        text="results/manuscript.tex",
        numbers="results/numbers.tex",
    log:
        "results/logs/document.log",
    conda:
        "../../envs/plots.yaml"
    threads: 1
    resources:
        **SMALL_JOB,
    params:
        code=code("document.py", *LAID_OUT, STATED),
        artefacts=TOLD,
        paper=lambda wildcards, input: PAPER,
        refused=REFUSED,
    message:
        "Writing the manuscript and every number that it may quote"
    script:
        "../scripts/document.py"


rule manuscript:
    input:
        text=rules.document.output.text,
        numbers=rules.document.output.numbers,
        artefacts=[path for path in ARTEFACT_FILES if path.endswith((".tex", ".pdf"))],
    output:
        "results/manuscript.pdf",
    log:
        "results/logs/manuscript.log",
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        **SMALL_JOB,
    message:
        "Typesetting the manuscript"
    shell:
        "command -v latexmk > /dev/null || {{ echo 'the manuscript needs latexmk with booktabs (Debian: latexmk texlive-latex-recommended"
        " lmodern); everything else runs without' >&2; exit 1; }}; "
        "(cd $(dirname {input.text:q}) && latexmk -pdf -interaction=nonstopmode -halt-on-error -outdir=latex manuscript.tex "
        "&& mv latex/manuscript.pdf manuscript.pdf && rm -r latex) > {log:q} 2>&1"
