import pytest

from lean_agentic.workbench.run_plan import PlanError, plan_runs

PARAMETERS = "n: int = 3  # rows\nsizes: tuple[float, ...] = (1.5, 2.5)\nseed: int = 7"


@pytest.fixture(scope="module")
def project(notebook_project):
    notebook_project.add("01_good", "1", parameters=PARAMETERS, extra="[profiles.quick]\nn = 4\n[profiles.full]\n")
    notebook_project.add("02_plain", "1", extra="timeout_s = { quick = 9 }")
    notebook_project.add("03_no_cell", "1", parameters=None)
    notebook_project.add("04_missing", "1")
    (notebook_project.root / "notebooks" / "04_missing.ipynb").unlink()
    notebook_project.add("05_text", "1")
    (notebook_project.root / "notebooks" / "05_text.ipynb").write_text("import this")
    notebook_project.add("06_profile", "1", extra="[profiles.quick]\nrows = 1\nn = 1.5\n")
    notebook_project.add("07_untimed", "1", extra="[profiles.quick]\n[profiles.huge]\n")
    return notebook_project


def test_values_come_from_defaults_profile_and_command_line(project):
    (run,) = plan_runs(project, ["01"], "quick", {})
    assert run.parameters == {"n": 4, "sizes": (1.5, 2.5), "seed": 7}
    assert (run.profile, run.label, run.timeout_s) == ("quick", "quick", 180)
    (run,) = plan_runs(project, ["01"], "quick", {"seed": "8"})
    assert run.parameters["seed"] == 8
    assert (run.profile, run.label, run.changed) == ("quick", "custom", ("seed",))


def test_an_experiment_that_is_named_twice_runs_once(project):
    runs = plan_runs(project, ["02", "01_good", "02_plain"], "quick", {})
    assert [run.experiment.id for run in runs] == ["02_plain", "01_good"]
    assert runs[0].timeout_s == 9


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("03", "03_no_cell.ipynb has no cell tagged"),
        ("04", "04_missing.ipynb does not exist"),
        ("05", "05_text.ipynb is not a notebook"),
        ("06", "06: profile quick\n  There is no parameter rows."),
        ("06", "n must be int, not 1.5"),
        ("06", "Valid parameters:\n    n: int = 3  # rows"),
        ("nope", "'nope' is unknown"),
    ],
)
def test_what_cannot_run_is_refused(project, name, said):
    with pytest.raises(PlanError) as caught:
        plan_runs(project, ["01", name], "quick", {})
    assert said in str(caught.value)


def test_all_means_every_experiment_and_its_problems(project):
    with pytest.raises(PlanError) as caught:
        plan_runs(project, ["all"], "quick", {"m": "1", "seed": "x"})
    text = str(caught.value)
    assert text.startswith("Nothing was started.\n01_good: profile quick\n  There is no parameter m.")
    assert "seed must be int, not 'x'" in text
    assert "sizes: tuple[float, ...] = (1.5, 2.5)" in text
    assert all(f"0{number}_" in text for number in range(1, 8))


def test_a_profile_needs_a_time_out_and_must_exist(project):
    with pytest.raises(PlanError, match="no time-out for the profile 'huge'"):
        plan_runs(project, ["07"], "huge", {})
    with pytest.raises(PlanError, match="has no profile 'huge'"):
        plan_runs(project, ["01"], "huge", {})


def test_no_experiments_is_an_error(tmp_path, project):
    (tmp_path / "experiments").mkdir()
    with pytest.raises(PlanError, match="no experiment"):
        plan_runs(type(project)(tmp_path), ["all"], "quick", {})
