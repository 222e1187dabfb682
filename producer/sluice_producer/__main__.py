"""`python -m sluice_producer` is the `sluice` command of this interpreter."""

import sys

from sluice_producer.cli import main

sys.exit(main())
