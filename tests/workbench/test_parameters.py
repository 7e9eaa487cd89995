import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lean_agentic.workbench.parameters import Parameter, ParameterError, read_parameters, resolve

CELL = """
n: int = 10  # rows (default=10)
rate: float = 1  # per second
mode: str = "a#b=c"
sizes: tuple[float, ...] = (1, 2)  # powers
pair: tuple[int, str] = (1, "x")
single: tuple[int] = (1,)
names: list[str] = [
    "one",  # first
    "two",
]  # all names
limit: int | None = None
label: str | None = None  # text
fast: bool = True
anything: list = [1, "a"]
"""


def notebook(path, *cells, tagged=0):
    made = [nbformat.v4.new_code_cell(cell) for cell in cells]
    if tagged is not None:
        made[tagged].metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=made), path)
    return path


@pytest.fixture
def declared(tmp_path):
    return read_parameters(notebook(tmp_path / "x.ipynb", "import os", CELL, tagged=1))


def test_reads_names_types_defaults_and_comments(declared):
    assert list(declared) == [
        "n", "rate", "mode", "sizes", "pair", "single", "names", "limit", "label", "fast", "anything",
    ]  # fmt: skip
    assert str(declared["n"]) == "n: int = 10  # rows (default=10)"
    assert declared["mode"].default == "a#b=c"
    assert declared["names"] == Parameter("names", "list[str]", list[str], ["one", "two"], "all names")
    assert declared["sizes"].default == (1.0, 2.0)
    assert declared["limit"].annotation == "int | None"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("n", "2_000", 2000),
        ("n", "-3", -3),
        ("rate", "1e-3", 1e-3),
        ("rate", "2", 2.0),
        ("mode", "3", "3"),
        ("mode", "", ""),
        ("sizes", "1,2.5", (1.0, 2.5)),
        ("sizes", "(1, 2)", (1.0, 2.0)),
        ("sizes", "", ()),
        ("pair", "4,x", (4, "x")),
        ("single", "4", (4,)),
        ("names", "a, b", ["a", "b"]),
        ("limit", "None", None),
        ("limit", "7", 7),
        ("label", "none", None),
        ("label", "7", "7"),
        ("fast", "FALSE", False),
        ("anything", "1,x,true,2.5", [1, "x", True, 2.5]),
    ],
)
def test_parses_text_by_the_declared_type(declared, name, text, value):
    parsed = declared[name].parse(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("n", "1.5"),
        ("n", "1e3"),
        ("n", "ten"),
        ("rate", "fast"),
        ("rate", "inf"),
        ("rate", "nan"),
        ("sizes", "1,x"),
        ("sizes", "[1, "),
        ("sizes", "(1)"),
        ("sizes", "[{[]: 1}]"),
        ("pair", "[1]"),
        ("pair", "1"),
        ("pair", "1,x,2"),
        ("limit", "1.5"),
        ("fast", "1"),
        ("fast", "yes"),
    ],
)
def test_refuses_text_of_another_type(declared, name, text):
    with pytest.raises(ParameterError, match=name):
        declared[name].parse(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", True),
        ("n", 1.0),
        ("n", "1"),
        ("rate", True),
        ("rate", float("inf")),
        ("fast", 1),
        ("mode", 1),
        ("sizes", 3),
        ("pair", [1]),
    ],
)
def test_refuses_values_of_another_type(declared, name, value):
    with pytest.raises(ParameterError, match=name):
        declared[name].accept(value)


def test_a_list_becomes_the_declared_tuple(declared):
    assert declared["sizes"].accept([1, 2]) == (1.0, 2.0)


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
def test_a_number_survives_its_own_spelling(number):
    kind = type(number)
    parameter = Parameter("x", kind.__name__, kind, number)
    assert parameter.parse(str(number)) == number


@given(st.lists(st.integers()))
def test_a_sequence_survives_both_spellings(numbers):
    parameter = Parameter("x", "list[int]", list[int], [])
    assert parameter.parse(repr(numbers)) == numbers
    assert parameter.parse(",".join(map(str, numbers))) == numbers


def test_the_command_line_wins_over_the_profile_and_the_profile_over_defaults(declared):
    values = resolve(declared, {"n": 1, "rate": 2}, {"n": "5"})
    assert (values["n"], values["rate"], values["fast"]) == (5, 2.0, True)


def test_all_problems_are_told_at_once_with_the_valid_parameters(declared):
    with pytest.raises(ParameterError) as caught:
        resolve(declared, {"rate": "high"}, {"limits": "1", "n": "x"})
    text = str(caught.value)
    assert "no parameter limits. Did you mean limit?" in text
    assert "rate must be float, not 'high'" in text
    assert "n must be int, not 'x'" in text
    assert "label: str | None = None  # text" in text


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("n = 10", "not a typed assignment"),
        ("n: int", "not a typed assignment"),
        ("import os", "not a typed assignment"),
        ("n: int = 5 * 2", "not a literal of its type"),
        ("n: int = 1.5", "not a literal of its type"),
        ("n: dict = {}", "not a literal of its type"),
        ("n: Path = 1", "not a literal of its type"),
        ("%matplotlib inline", "not Python"),
    ],
)
def test_refuses_a_cell_that_is_no_list_of_typed_literals(tmp_path, cell, said):
    with pytest.raises(ParameterError, match=said):
        read_parameters(notebook(tmp_path / "x.ipynb", cell))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist"),
        ("not json", "not a notebook"),
        ("[]", "not a notebook"),
        ('{"nbformat": 4}', "not a notebook"),
        ('{"nbformat": 3, "worksheets": []}', "not a notebook"),
        ("\xff", "not a notebook"),
    ],
)
def test_refuses_what_is_no_notebook(tmp_path, content, said):
    path = tmp_path / "x.ipynb"
    if content is not None:
        path.write_text(content, encoding="latin-1")
    with pytest.raises(ParameterError, match=said):
        read_parameters(path)


def test_refuses_a_notebook_without_a_parameters_cell(tmp_path):
    with pytest.raises(ParameterError, match="no cell tagged `parameters`"):
        read_parameters(notebook(tmp_path / "x.ipynb", "n: int = 1", tagged=None))


def test_an_empty_parameters_cell_declares_none(tmp_path):
    assert read_parameters(notebook(tmp_path / "x.ipynb", "# none yet")) == {}
