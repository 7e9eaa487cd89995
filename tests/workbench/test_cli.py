import os
import subprocess
import sys
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from lean_agentic import __version__
from lean_agentic.workbench import cli
from lean_agentic.workbench.errors import WorkbenchError


def call(*arguments):
    return CliRunner().invoke(cli.main, arguments)


class RefusedError(WorkbenchError):
    exit_code = 7


@pytest.fixture
def command(monkeypatch):
    """Put a command in the place of `report`."""

    def replace(function):
        module = SimpleNamespace(command=click.command()(function))
        monkeypatch.setattr(cli.importlib, "import_module", lambda name: module)

    return replace


def test_help_lists_every_command_and_imports_none():
    code = (
        "import sys\nfrom lean_agentic.workbench.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print([name for name in sys.modules if name.startswith('lean_agentic.workbench.cli.')])\n"
        "print([name for name in ('numpy', 'pandas', 'papermill', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.endswith("[]\n[]\n")
    for name, (_, text) in cli.COMMANDS.items():
        assert name in done.stdout
        assert text[:30] in done.stdout


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_listed_command_exists_and_explains_itself(name):
    done = call(name, "--help")
    assert done.exit_code == 0
    assert "Usage:" in done.output


def test_an_unknown_command_is_refused():
    done = call("nope")
    assert done.exit_code == 2
    assert "No such command 'nope'" in done.output


def test_the_version_is_the_packages():
    assert call("--version").output == f"lean-agentic, version {__version__}\n"


def test_the_module_is_the_same_command_line():
    done = subprocess.run([sys.executable, "-m", "lean_agentic", "--version"], capture_output=True, text=True)
    assert done.stdout == f"lean-agentic, version {__version__}\n"


def test_a_users_error_becomes_a_message_and_its_exit_status(command):
    def refuse():
        raise RefusedError("no such thing; make one")

    command(refuse)
    done = call("report")
    assert done.exit_code == 7
    assert done.stderr == "lean-agentic: no such thing; make one\n"
    assert "Traceback" not in done.output


def test_a_defect_keeps_its_traceback(command):
    def fail():
        raise ZeroDivisionError

    command(fail)
    assert isinstance(call("report").exception, ZeroDivisionError)


def test_ctrl_c_has_a_status_of_its_own(command):
    def stop():
        raise KeyboardInterrupt

    command(stop)
    done = call("report")
    assert done.exit_code == 130
    assert done.stderr == "lean-agentic: Stopped by SIGINT.\n"


def test_relative_folders_are_those_below_the_callers_folder(command, monkeypatch, tmp_path):
    """A kernel runs in the notebook's folder, and would look for them there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEAN_AGENTIC_HOME", "here")
    monkeypatch.setenv("LEAN_AGENTIC_DATA", "../there")

    def show():
        click.echo(os.environ["LEAN_AGENTIC_HOME"])
        click.echo(os.path.normpath(os.environ["LEAN_AGENTIC_DATA"]))

    command(show)
    assert call("report").output.split() == [str(tmp_path / "here"), str(tmp_path.parent / "there")]
