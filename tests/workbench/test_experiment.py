import pytest

from lean_agentic.workbench.experiment import ExperimentError, Measure, find_experiment, load_experiments
from lean_agentic.workbench.project import Project

WHOLE = """
title = "Sorting"
notebook = "notebooks/07.ipynb"
timeout_s = { quick = 60, nightly = 600.5 }
benchmark = "benchmark.py"
[profiles.quick]
n = 2_000
[profiles.nightly]
[[measures]]
metric = "saving"
unit = "%"
direction = "higher"
target = "cost_savings"
[[measures]]
metric = "speedup"
unit = "x"
direction = "higher"
"""
HEAD = 'title = "T"\nnotebook = "x.ipynb"\n'
QUICK = "[profiles.quick]\n"
MEASURE = '[[measures]]\nmetric = "m"\nunit = "%"\ndirection = "higher"\n'


@pytest.fixture
def add(tmp_path):
    def write(name, text):
        folder = tmp_path / "experiments" / name
        folder.mkdir(parents=True)
        (folder / "experiment.toml").write_text(text, encoding="latin-1")
        return Project(tmp_path)

    return write


def test_reads_every_setting(add, tmp_path):
    (experiment,) = load_experiments(add("07_sorting", WHOLE))
    assert (experiment.id, experiment.title) == ("07_sorting", "Sorting")
    assert experiment.notebook == tmp_path / "notebooks" / "07.ipynb"
    assert experiment.runs == experiment.folder / "runs"
    assert experiment.benchmark == experiment.folder / "benchmark.py"
    assert experiment.profile("quick") == {"n": 2000}
    assert experiment.measures == (
        Measure("saving", "%", "higher", "cost_savings"),
        Measure("speedup", "x", "higher"),
    )
    assert [experiment.timeout(name) for name in ("quick", "full", "nightly")] == [60, 7200, 600.5]


def test_a_measure_may_need_a_program_that_a_machine_lacks():
    assert Measure("x", "%", "higher").expected
    assert Measure("x", "%", "higher", needs="sh").expected
    assert not Measure("x", "%", "higher", needs="a-program-that-is-not-there").expected


def test_a_profile_is_a_copy(add):
    (experiment,) = load_experiments(add("07", WHOLE))
    experiment.profile("quick")["n"] = 1
    assert experiment.profile("quick") == {"n": 2000}


def test_an_unknown_profile_lists_the_known(add):
    (experiment,) = load_experiments(add("07", WHOLE))
    with pytest.raises(ExperimentError, match="It has: nightly, quick"):
        experiment.profile("huge")


def test_a_profile_of_its_own_needs_a_time_out(add):
    (experiment,) = load_experiments(add("07", HEAD + QUICK + "[profiles.huge]\n"))
    with pytest.raises(ExperimentError, match="no time-out for the profile 'huge'"):
        experiment.timeout("huge")


def test_finds_by_the_start_of_the_id(add):
    add("04_routing", HEAD + QUICK)
    project = add("05_memory", HEAD + QUICK)
    assert find_experiment(project, "04").id == "04_routing"
    assert find_experiment(project, "05_memory").id == "05_memory"
    assert [experiment.id for experiment in load_experiments(project)] == ["04_routing", "05_memory"]


def test_a_whole_id_wins_over_a_longer_one(add):
    add("04", HEAD + QUICK)
    assert find_experiment(add("04_b", HEAD + QUICK), "04").id == "04"


@pytest.mark.parametrize(("name", "said"), [("0", "start of several ids"), ("9", "unknown"), ("", "several")])
def test_a_name_that_fits_none_or_several_lists_the_known(add, name, said):
    add("04_routing", HEAD + QUICK)
    with pytest.raises(ExperimentError, match=rf"{said}.*Known: 04_routing, 05_memory"):
        find_experiment(add("05_memory", HEAD + QUICK), name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title = ", "cannot be read"),
        ("\xff", "cannot be read"),
        ('title = "T"\n' + QUICK, "needs `notebook`, a str; found None"),
        ("title = 3\n" + QUICK, "needs `title`"),
        (HEAD, "needs `profiles`"),
        (HEAD + "[profiles.full]\n", "quick"),
        (HEAD + "[profiles]\nquick = 3\n", "must be a table"),
        (HEAD + 'titel = "T"\n' + QUICK, "unknown settings .'titel'"),
        (HEAD + "timeout_s = 3\n" + QUICK, "`timeout_s` must be a dict"),
        (HEAD + 'timeout_s = { quick = "3" }\n' + QUICK, "timeout_s.quick must be seconds above 0"),
        (HEAD + "timeout_s = { quick = 0 }\n" + QUICK, "must be seconds above 0"),
        (HEAD + "timeout_s = { quick = true }\n" + QUICK, "must be seconds above 0"),
        (HEAD + "measures = 3\n" + QUICK, "`measures` must be a list"),
        (HEAD + "benchmark = 3\n" + QUICK, "`benchmark` must be a str"),
        (HEAD + "measures = [3]\n" + QUICK, "is wrong"),
        (HEAD + QUICK + '[[measures]]\nmetric = "m"\n', "is wrong"),
        (HEAD + QUICK + MEASURE.replace("higher", "up"), "not higher or lower"),
        (HEAD + QUICK + MEASURE + MEASURE, "lists m twice"),
        (HEAD + QUICK + MEASURE + 'target = ["nope"]\n', "all its values are texts"),
        (HEAD + QUICK + MEASURE + 'target = "nope"\n', "unknown target 'nope'"),
        (HEAD + QUICK + MEASURE + 'target = "vector_search_p99"\n', "in 'ms', lower is better"),
        (HEAD + QUICK + MEASURE.replace("higher", "lower") + 'target = "cost_savings"\n', "higher is better"),
    ],
)
def test_a_wrong_file_is_refused_with_its_reason(add, text, said):
    with pytest.raises(ExperimentError, match=said):
        load_experiments(add("07", text))
