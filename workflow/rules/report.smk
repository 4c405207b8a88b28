RECORDS = [*(path for kind in EVALUATIONS for path in results_of(kind)), *(timings() if TIMED else [])]
TABLES = [*(["main"] if EVALUATIONS else []), *(["paired"] if "perplexity" in EVALUATIONS else []), *TIMED]
QUALITY = {"perplexity": "perplexity", "zeroshot": "accuracy"}
RIVALS = {model: [label for label, m in methods.items() if m.compresses and not m.control] for model, methods in METHODS.items()}
PLANS = [
    f"results/plans/{model}/{method}/{ratio}.json" for model in METHODS for method, ratio in cells(model, *RIVALS[model]) if RIVALS[model]
]
SPECTRA = [path for model in METHODS for path in spectrum_shown(model)]
AGAINST_RATIO = ["ranks", *(QUALITY[kind] for kind in EVALUATIONS), *TIMED]
FIGURES = [*(["effective_rank"] if SPECTRA else []), *(AGAINST_RATIO if PLANS else [])]  # none is drawn of nothing
MODELS = [chain_at(model, *cell).made for model in METHODS for cell in cells(model)]  # what a run without measurements is for
THEIRS = [label for label in config["methods"] if any(label in found and found[label].checkpoint for found in METHODS.values())]
TABLE_FILES = expand("results/tables/{name}-{model}.{form}", name=TABLES, model=METHODS, form=["csv", "tabular.tex", "tex"])
FIGURE_FILES = expand("results/figures/{name}.{form}", name=FIGURES, form=["pdf", "png"])
CARDS = ["results/cards.txt"] if any(path.startswith("results/models/") for path in MODELS) else []
CHAINS = {
    model: {label: {ratio: chain_at(model, label, ratio).timings() for method, ratio in cells(model, label)} for label in METHODS[model]}
    for model in METHODS
}


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
        methods=list(config["methods"]),
        models=list(config["models"]),
    message:
        "Summarising all measurements"
    script:
        "../scripts/summary.py"


rule cards:
    input:
        models=[path for path in MODELS if path.startswith("results/models/")],
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


rule tables:
    input:
        "results/summary.csv",
    output:
        TABLE_FILES,
    log:
        "results/logs/tables.log",
    benchmark:
        "results/benchmarks/tables.tsv"
    conda:
        "../../envs/plots.yaml"
    threads: 1
    resources:
        **SMALL_JOB,
    params:
        code=code("tables.py"),
        names=TABLES,
        refused=REFUSED,
    message:
        "Writing tables"
    script:
        "../scripts/tables.py"


rule figures:
    input:
        summary="results/summary.csv",
        spectra=SPECTRA,
        plans=PLANS,
    output:
        FIGURE_FILES,
    log:
        "results/logs/figures.log",
    benchmark:
        "results/benchmarks/figures.tsv"
    conda:
        "../../envs/plots.yaml"
    threads: 1
    resources:
        **SMALL_JOB,
    params:
        code=code("figures.py"),
        names=FIGURES,
    message:
        "Drawing figures"
    script:
        "../scripts/figures.py"


rule report:
    input:
        summary="results/summary.csv",
        tables=TABLE_FILES,
        figures=expand("results/figures/{name}.png", name=FIGURES),
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
        code=code("report.py", "drank/reporting/report/report.html.j2", "drank/reporting/report/report.css"),
        names=TABLES,
        figures=FIGURES,
        theirs=THEIRS,
        refused=REFUSED,
        chains=CHAINS,
        shown=SHOWN,
        config=lambda wildcards, input: config,
    message:
        "Writing the report"
    script:
        "../scripts/report.py"


rule document:
    input:
        summary="results/summary.csv",
        tables=TABLE_FILES,
        figures=expand("results/figures/{name}.pdf", name=FIGURES),
        spectra=SPECTRA,
        plans=PLANS,
        records=RECORDS,
    output:
        text="results/report.tex",
        numbers="results/numbers.tex",
    log:
        "results/logs/document.log",
    conda:
        "../../envs/plots.yaml"
    threads: 1
    resources:
        **SMALL_JOB,
    params:
        code=code("document.py"),
        names=TABLES,
        figures=FIGURES,
        theirs=THEIRS,
        refused=REFUSED,
    message:
        "Writing the manuscript and every number that it may quote"
    script:
        "../scripts/document.py"


rule pdf:
    input:
        rules.document.output,
        TABLE_FILES,
        expand("results/figures/{name}.pdf", name=FIGURES),
    output:
        "results/report.pdf",
    log:
        "results/logs/pdf.log",
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        **SMALL_JOB,
    message:
        "Typesetting tables and figures"
    shell:
        "command -v latexmk > /dev/null || {{ echo 'the pdf target needs latexmk with booktabs (Debian: latexmk texlive-latex-recommended"
        " lmodern); everything else runs without' >&2; exit 1; }}; "
        "cd results && latexmk -pdf -interaction=nonstopmode -halt-on-error -outdir=latex report.tex > logs/pdf.log 2>&1 "
        "&& mv latex/report.pdf report.pdf && rm -r latex"
