"""clmassmod: from the haloes of a simulation to the bias and scatter of their lensing masses.

The configuration is read and checked here, the jobs are in workflow/rules, and what they do is in the package.
"""

import sys
from pathlib import Path

from snakemake.utils import min_version

from clmassmod.config import read_yaml
from clmassmod.errors import ClmassmodError
from clmassmod.steps.campaign import prepare

min_version("9.0")

# The default is read only where no other was given: Snakemake would merge the two.
if not workflow.overwrite_configfiles:
    if not Path("config/default.yaml").is_file():
        sys.exit(
            "clmassmod: no config/default.yaml in this folder; name a configuration with --configfile FILE"
        )

    configfile: "config/default.yaml"


# For `snakemake --sdm apptainer`; see envs/clmassmod.def.
container: "envs/clmassmod.sif"


report: "workflow/report/workflow.rst"


# Who only looks at the workflow leaves no trace either, and may do so beside a run.
looks = {"--lint", "--list-rules", "--list", "-l", "--list-target-rules", "--lt", "--report", "--dag"}
looks |= {"--rulegraph", "--filegraph", "--d3dag", "--summary", "-S", "--detailed-summary", "-D"}
looking = looks & {argument.partition("=")[0] for argument in sys.argv}
dry_run = workflow.output_settings.dryrun or bool(looking)
try:
    for path in workflow.configfiles:
        read_yaml(path)  # refuses a key given twice, of which Snakemake silently takes the last
    campaign = prepare(
        config,
        main_process=workflow.is_main_process,
        source=", ".join(map(str, workflow.configfiles)),
        project=workflow.basedir,
        dry_run=dry_run,
        exclusive=True,
        tell=lambda text: print(f"clmassmod: {text}", file=sys.stderr),
    )
except ClmassmodError as error:
    sys.exit(f"clmassmod: {error}")  # an exception would be shown with a traceback
except OSError as error:  # a folder that cannot be written, a file that cannot be read
    where = f"{error.filename}: " if error.filename else ""
    sys.exit("clmassmod: " + " ".join(f"{where}{error.strerror or error}".split()))


include: "workflow/rules/common.smk"


rule all:
    """Every halo, every bin, and the report."""
    default_target: True
    input:
        all_shards,
        expand(BINS, analysis=campaign.analyses),
        REPORT,
    message:
        f"Complete: {REPORT}"


include: "workflow/rules/halos.smk"
include: "workflow/rules/populations.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/validation.smk"
