"""`python -m sluice_producer` is the `sluice` command of this interpreter."""

from sluice_producer.cli import main

main()
