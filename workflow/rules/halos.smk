"""One job a halo, or a shard of haloes; each halo has its own files, and a marker says which are done."""


rule tables:
    """Tabulate distances, concentrations and what the reader needs of the simulation, once a campaign."""
    input:
        simulation_files,
    output:
        TABLES,
    log:
        f"{ROOT}/logs/tables.log",
    benchmark:
        f"{ROOT}/benchmarks/tables.tsv"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        campaign=folder,
        content=content("tables"),
    message:
        "Tables of cosmology and reader"
    shell:
        "clmassmod tables --campaign {params.campaign:q} > {log:q} 2>&1"


rule mock:
    """Observe the haloes of a shard with a mock survey."""
    input:
        simulation_files,
        tables=tables_for(MOCKED),
    output:
        MOCKED,
    log:
        f"{ROOT}/logs/mocks/{{survey}}/{{shard}}.log",
    benchmark:
        f"{ROOT}/benchmarks/mocks/{{survey}}/{{shard}}.tsv"
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
    params:
        campaign=folder,
        content=content("mock", "survey", MOCKED),
    message:
        "Mock of {wildcards.shard}, survey {wildcards.survey}"
    shell:
        "clmassmod mock --campaign {params.campaign:q} --survey {wildcards.survey:q}"
        " --shard={wildcards.shard:q} > {log:q} 2>&1"


rule fit:
    """Fit the masses of the haloes of a shard as one analysis does."""
    input:
        source_of_fit,
        tables=tables_for(FITTED),
    output:
        FITTED,
    log:
        f"{ROOT}/logs/fits/{{analysis}}/{{shard}}.log",
    benchmark:
        f"{ROOT}/benchmarks/fits/{{analysis}}/{{shard}}.tsv"
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
    params:
        campaign=folder,
        content=content("fit", "analysis", FITTED),
    message:
        "Fit of {wildcards.shard}, analysis {wildcards.analysis}"
    shell:
        "clmassmod fit --campaign {params.campaign:q} --analysis {wildcards.analysis:q}"
        " --shard={wildcards.shard:q} > {log:q} 2>&1"
