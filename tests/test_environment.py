"""The three files that describe an install say the same: pyproject.toml, constraints.txt, environment.yml."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DIRECT = [Requirement(text) for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]]
PINS = {
    Requirement(line).name.lower().replace("_", "-"): Requirement(line)
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
}
DESIGN_CARD = (
    "jupyterlab", "ipywidgets", "numpy", "pandas", "matplotlib", "hnswlib", "torch", "torch-geometric", "z3-solver",
    "numba", "onnxruntime",
)  # fmt: skip


def pinned_version(requirement: Requirement) -> Version:
    (specifier,) = requirement.specifier
    assert specifier.operator == "=="
    return Version(specifier.version)


@pytest.mark.parametrize("requirement", DIRECT, ids=lambda requirement: requirement.name)
def test_every_dependency_has_a_pin_that_satisfies_it(requirement: Requirement) -> None:
    assert pinned_version(PINS[requirement.name.lower()]) in requirement.specifier


@pytest.mark.parametrize("pin", PINS.values(), ids=lambda pin: pin.name)
def test_what_is_installed_is_what_is_pinned(pin: Requirement) -> None:
    try:
        installed = importlib.metadata.version(pin.name)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{pin.name} is not installed on this platform")
    assert Version(installed).public == pinned_version(pin).public


def test_the_packages_of_the_design_card_are_dependencies() -> None:
    assert set(DESIGN_CARD) <= {requirement.name for requirement in map(Requirement, PROJECT["dependencies"])}


def test_environment_yml_installs_exactly_this_project_under_the_pins() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, pip, pip_part = environment["dependencies"]
    assert environment["name"] == PROJECT["name"]
    assert python.startswith("python=")
    assert Version(python.removeprefix("python=")) in Requirement(f"python{PROJECT['requires-python']}").specifier
    assert pip == "pip"
    assert pip_part == {"pip": ["-c constraints.txt", "-e .[dev]"]}


def test_torch_is_pinned_alike_everywhere() -> None:
    (torch,) = (requirement for requirement in DIRECT if requirement.name == "torch")
    assert str(torch.specifier) == str(PINS["torch"].specifier) == "==2.13.0"


def test_continuous_integration_runs_the_test_command_of_the_readme() -> None:
    commands = [line.split("#")[0].strip() for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert "make test" in commands
    assert script[-1] == "make test"
