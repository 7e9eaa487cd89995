import pytest
from click.testing import CliRunner

from lean_agentic.workbench.cli import main


@pytest.fixture
def call(notebook_project, monkeypatch):
    monkeypatch.setenv("LEAN_AGENTIC_HOME", str(notebook_project.root))
    return lambda *arguments: CliRunner().invoke(main, ["run", *arguments])


@pytest.fixture(scope="module", autouse=True)
def experiments(notebook_project):
    profiles = "[profiles.quick]\nn = 4\n[profiles.full]\n"
    notebook_project.add("01_good", "print(n)", parameters="n: int = 3  # rows\nseed: int = 0", extra=profiles)
    notebook_project.add("02_fails", "assert n == 3, 'n is not three'")
    notebook_project.add("03_bare", "1", parameters=None)


def test_lists_experiments_profiles_and_parameters(call):
    done = call("--list")
    assert done.exit_code == 0
    assert done.output.startswith(
        "01_good: Title of 01_good\n  profiles: quick, full\n  parameters:\n    n: int = 3  # rows\n    seed: int = 0\n"
    )
    assert "03_bare.ipynb has no cell tagged `parameters`" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Name experiments"),
        (("01", "-p", "n"), "'n' is not NAME=VALUE"),
        (("01", "-p", "=3"), "'=3' is not NAME=VALUE"),
        (("01", "-p", "n=1", "-p", "n=2"), "n is given twice"),
        (("01", "-p", "rows=1"), "There is no parameter rows"),
        (("01", "-p", "n=1.5"), "n must be int, not '1.5'"),
        (("01", "--profile", "huge"), "has no profile 'huge'"),
        (("all",), "03_bare.ipynb has no cell tagged"),
        (("9",), "'9' is unknown"),
        (("0",), "start of several ids"),
    ],
)
def test_refuses_a_wrong_call_before_anything_starts(call, notebook_project, arguments, said):
    done = call(*arguments)
    assert done.exit_code == 2
    assert said in done.output
    assert notebook_project.runs("01_good") == []


@pytest.mark.slow
def test_runs_and_says_what_failed(call, notebook_project):
    done = call("01", "02", "-p", "n=7")
    assert done.exit_code == 1
    (finished,) = notebook_project.runs("01_good")
    (failed,) = notebook_project.runs("02_fails")
    assert "01_good: finished in 0:" in done.output
    assert f"experiments/01_good/runs/{finished}" in done.output
    assert "1 of 2 failed." in done.output
    assert "FAILED 02_fails: AssertionError: n is not three" in done.output
    assert f"kept in experiments/02_fails/runs/{failed}/notebook.ipynb" in done.output
