"""``python -m clmassmod``."""

import sys

from clmassmod.cli import main

sys.exit(main())
