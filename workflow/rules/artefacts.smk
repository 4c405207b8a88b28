# What each artefact is printed from.


def records_for(artefact):
    """The records of an artefact's runs, of the kinds that it shows."""
    found = [
        f"results/{kind}/{'/'.join(cell)}.json"
        for kind in artefact.kinds
        if kind != "throughput"
        for point in artefact.points
        for cell in [point.cell, *RUNS.draws.get(point.cell, [])]
        if RUNS.wanted[cell][kind]
    ]
    timed = [
        f"results/throughput/{point.model}/{point.ratio:g}"
        for point in artefact.points
        if "throughput" in artefact.kinds and RUNS.wanted[point.cell]["throughput"]
    ]
    return list(dict.fromkeys([*found, *timed]))


def compressing(artefact):
    """The ways to the models that an artefact's runs compress, but for controls."""
    chains = [chain_at(*cell) for cell in dict.fromkeys(point.cell for point in artefact.points)]
    return [chain for chain in chains if chain.method.compresses and not chain.method.control]


def spectra_of(artefact):
    """The effective ranks that an artefact shows: of each model those that D-Rank reads, or else those of its first method."""
    if "spectra" not in artefact.layout.reads:
        return []
    chains = [chain for chain in compressing(artefact) if not chain.shape]
    by_rank = [chain for chain in chains if chain.method.allocator == "effective-rank"]
    first = {chain.model: base_of(chain.label) for chain in reversed(chains)}
    ranked = {chain.model for chain in by_rank}
    others = [chain for chain in chains if chain.model not in ranked and base_of(chain.label) == first[chain.model]]
    return list(dict.fromkeys(chain.effective_ranks for chain in [*by_rank, *others]))


def plans_of(artefact):
    """The plans that an artefact reads."""
    return list(dict.fromkeys(chain.plan for chain in compressing(artefact))) if "plans" in artefact.layout.reads else []


def told_of(artefact):
    """What the script that prints an artefact is told of it."""
    timed = compressing(artefact) if "timings" in artefact.layout.reads else []
    timings = {"/".join(chain.place): chain.timings() for chain in timed}
    spectra = [path.removeprefix("results/effective_ranks/").removesuffix(".json") for path in spectra_of(artefact)]
    draws = [(model, label, float(ratio)) for point in artefact.points for model, label, ratio in RUNS.draws.get(point.cell, [])]
    notes = {model: refusals(REFUSED[model]) for model in artefact.models}
    return artefact.told() | {"timings": timings, "spectra": spectra, "draws": draws, "notes": notes}
