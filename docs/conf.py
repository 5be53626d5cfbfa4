"""Settings of the documentation: everything is built, and read, without a network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "ext"))

from clmassmod import __version__

project = "clmassmod"
copyright = "the clmassmod contributors"
release = version = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "keys",  # docs/ext: the configuration's keys, from the models that check them
    "campaigns",  # docs/ext: the files of config/, by the words at their heads
    "commands",  # docs/ext: the subcommands, from the command line's parser
    "mathml",  # docs/ext: formulae as MathML, which browsers draw themselves
]
exclude_patterns = ["_build"]
nitpicky = True  # a reference that leads nowhere is a warning, and warnings are errors
nitpick_ignore = [("py:obj", "catalogs"), ("py:obj", "profiles")]  # attributes of a base class of CLMassMod

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "amsmath"]
myst_heading_anchors = 3

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"  # numpydoc has them, with shapes and units
autodoc_member_order = "bysource"
numpydoc_class_members_toctree = False
numpydoc_show_class_members = False

templates_path = ["_templates"]
html_theme = "furo"
html_title = f"clmassmod {release}"
html_static_path = ["_static"]
html_css_files = ["clmassmod.css"]
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"
