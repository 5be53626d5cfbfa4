"""The precision of every step against expectations from outside of the package; not a part of `all`."""

VALIDATED = f"{VALIDATION}/steps/{{step}}.json"


rule validate_step:
    """Measure the checks of one step; those that fail are in the record."""
    output:
        VALIDATED,
    log:
        f"{VALIDATION}/logs/{{step}}.log",
    benchmark:
        f"{VALIDATION}/benchmarks/{{step}}.tsv"
    wildcard_constraints:
        step="|".join(plan.STEPS),
    # what takes longest is begun first
    priority: lambda wildcards: 1 if wildcards.step in plan.LONGEST else 0
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        source=source_hash,
    message:
        "Validation of step {wildcards.step}"
    shell:
        "clmassmod validate {wildcards.step:q} --record {output:q} > {log:q} 2>&1"


rule validation_page:
    """Write the table and the page of the validation, whatever failed."""
    input:
        expand(VALIDATED, step=plan.STEPS),
    output:
        f"{VALIDATION}/{plan.TABLE}",
        f"{VALIDATION}/{plan.PAGE}",
    log:
        f"{VALIDATION}/logs/page.log",
    params:
        folder=validation_folder,
        source=source_hash,
    message:
        "Page of the validation"
    shell:
        "clmassmod validate --gather --output {params.folder:q} > {log:q} 2>&1"


rule validate:
    """Validate every step: results/validation; fails where a check does, and names it."""
    input:
        f"{VALIDATION}/{plan.TABLE}",
        f"{VALIDATION}/{plan.PAGE}",
    log:
        f"{VALIDATION}/logs/verdict.log",
    retries: 0  # the same checks fail again
    params:
        folder=validation_folder,
    message:
        f"Verdict of the validation: {VALIDATION}/{plan.PAGE}"
    shell:
        "clmassmod validate --verdict --output {params.folder:q} 2>&1 | tee {log:q}"
