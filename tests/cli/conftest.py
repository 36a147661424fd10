"""The command line, for all tests that call it."""

import pytest
from typer.testing import CliRunner

from avnb import cli


@pytest.fixture
def run(monkeypatch):
    """Runs a command line in a wide terminal."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERMINAL_WIDTH", "200")
    return lambda *arguments: CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
