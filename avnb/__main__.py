"""`python -m avnb` is `avnb`."""

from avnb.cli import app

app()
