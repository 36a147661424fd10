"""`python -m avnb` is `avnb`."""

from avnb.cli import app

if __name__ == "__main__":
    app()
