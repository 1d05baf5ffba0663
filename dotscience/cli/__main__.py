"""`python -m dotscience.cli`: the `ds` command of this very interpreter."""

from dotscience.cli import main

main()
