"""From the fits of an analysis to its bins, and a population and a comparison with truth for each."""


checkpoint bins:
    """Gather the fits of an analysis and decide which are in which bin; refuse where too many failed."""
    input:
        fits_of_analysis,
        ancient(campaign.inputs("bins")),
    output:
        BINS,
        POPULATION,
    log:
        f"{ROOT}/logs/bins/{{analysis}}.log",
    benchmark:
        f"{ROOT}/benchmarks/bins/{{analysis}}.tsv"
    retries: 0  # its refusal is final
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        campaign=folder,
        content=content("bins", "analysis"),
    message:
        "Bins of analysis {wildcards.analysis}"
    shell:
        "clmassmod bins --campaign {params.campaign:q} --analysis {wildcards.analysis:q} > {log:q} 2>&1"


rule ensemble:
    """Infer the distribution of the lensing masses of one bin, without truth."""
    input:
        BINS,
        POPULATION,
    output:
        ENSEMBLE,
    log:
        f"{ROOT}/logs/ensembles/{{analysis}}/{{bin}}.log",
    benchmark:
        f"{ROOT}/benchmarks/ensembles/{{analysis}}/{{bin}}.tsv"
    threads: chains(campaign.config.ensemble)
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
    params:
        campaign=folder,
        content=content("ensemble", "analysis"),
    message:
        "Ensemble of bin {wildcards.bin}, analysis {wildcards.analysis}"
    shell:
        "clmassmod ensemble --campaign {params.campaign:q} --analysis {wildcards.analysis:q}"
        " --bin {wildcards.bin:q} > {log:q} 2>&1"


rule compare:
    """Infer bias and scatter of the lensing masses of one bin against the true masses."""
    input:
        BINS,
        POPULATION,
        ancient(campaign.inputs("truth")),
    output:
        COMPARISON,
    log:
        f"{ROOT}/logs/comparisons/{{analysis}}/{{bin}}.log",
    benchmark:
        f"{ROOT}/benchmarks/comparisons/{{analysis}}/{{bin}}.tsv"
    threads: chains(campaign.config.compare)
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
    params:
        campaign=folder,
        content=content("compare", "analysis"),
    message:
        "Comparison of bin {wildcards.bin}, analysis {wildcards.analysis}"
    shell:
        "clmassmod compare --campaign {params.campaign:q} --analysis {wildcards.analysis:q}"
        " --bin {wildcards.bin:q} > {log:q} 2>&1"
