import importlib
import pkgutil

import lean_agentic.workbench
from lean_agentic.workbench.errors import WorkbenchError

# Runs by itself beside another revision of the package, and imports nothing of it.
STANDALONE = {"lean_agentic.workbench.sampler"}


def test_every_error_of_the_workbench_is_one_that_the_command_line_explains():
    for module in pkgutil.iter_modules(lean_agentic.workbench.__path__, "lean_agentic.workbench."):
        if module.name in STANDALONE:
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            own = isinstance(value, type) and issubclass(value, Exception) and value.__module__ == module.name
            assert not own or issubclass(value, WorkbenchError), f"{module.name}.{name}"


def test_the_exit_status_says_that_the_call_was_wrong():
    assert WorkbenchError("x").exit_code == 2
