"""The tables, the figures and the page that show a campaign's results."""


rule report:
    """Write summary.csv, the figures and index.html."""
    input:
        populations,
        tables=TABLES,
    output:
        report(REPORT, caption="../report/page.rst", category="Results"),
        report(SUMMARY, caption="../report/summary.rst", category="Results"),
    log:
        f"{ROOT}/logs/report.log",
    benchmark:
        f"{ROOT}/benchmarks/report.tsv"
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        campaign=folder,
        content=content("report"),
    message:
        "Report"
    shell:
        "clmassmod report --campaign {params.campaign:q} > {log:q} 2>&1"
