from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lean_agentic.workbench.lab import LabError, check_port, find_notebook, free_port, prepare_lab
from lean_agentic.workbench.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for name in ("experiments", "notebooks"):
        (tmp_path / name).mkdir()
    (tmp_path / "pyproject.toml").touch()
    for name in ("03_shapes.ipynb", "04_routing_costs.ipynb", "04_routing_limits.ipynb"):
        (tmp_path / "notebooks" / name).touch()
    return Project(tmp_path.resolve())


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_the_command_is_bound_to_this_machine_and_keeps_the_token_out(project: Project) -> None:
    lab = prepare_lab(project, notebook="03", open_browser=False)
    assert "--ServerApp.ip=127.0.0.1" in lab.arguments
    assert f"--ServerApp.root_dir={project.root}" in lab.arguments
    assert "--LabApp.default_url=/lab/tree/notebooks/03_shapes.ipynb" in lab.arguments
    assert len(lab.token) >= 32
    assert lab.token in lab.url
    assert not any(lab.token in argument for argument in lab.arguments)
    assert lab.token not in repr(lab)


def test_a_taken_port_is_named(taken_port: int) -> None:
    with pytest.raises(LabError, match=f"Port {taken_port} is taken by another program.*another --port"):
        check_port(taken_port)


@pytest.mark.parametrize("port", [0, -1, 70_000])
def test_no_port_is_refused(port: int) -> None:
    with pytest.raises(LabError, match="is no port"):
        check_port(port)


def test_a_free_port_passes() -> None:
    port = free_port()
    assert check_port(port) == port


def test_notebooks_are_found_by_beginning_and_by_path(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = project.root / "notebooks" / "04_routing_costs.ipynb"
    assert find_notebook(project, "04_routing_c") == expected
    monkeypatch.chdir(project.root / "notebooks")
    assert find_notebook(project, "04_routing_costs.ipynb") == expected


def test_other_names_are_refused_with_what_there_is(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(LabError, match=r"No notebook is called '99'.*03_shapes.ipynb, 04_routing"):
        find_notebook(project, "99")
    with pytest.raises(LabError, match=r"More than one.*04_routing_costs.ipynb, 04_routing_limits.ipynb"):
        find_notebook(project, "04")
    outside = tmp_path_factory.mktemp("elsewhere") / "x.ipynb"
    outside.touch()
    with pytest.raises(LabError, match="lies outside the project"):
        find_notebook(project, str(outside))


def test_the_command_line_names_a_taken_port(project: Project, taken_port: int) -> None:
    command = [sys.executable, "-m", "lean_agentic", "lab", "--port", str(taken_port), "--no-browser"]
    ended = subprocess.run(command, cwd=project.root, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert f"Port {taken_port} is taken" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_it_serves_and_ctrl_c_ends_it(project: Project, tmp_path: Path) -> None:
    folders = {name: str(tmp_path / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    port = free_port()
    command = [sys.executable, "-m", "lean_agentic", "lab", "--port", str(port), "--no-browser"]
    log = (tmp_path / "lab.log").open("w+")
    server = subprocess.Popen(
        command, cwd=project.root, env=os.environ | folders | {"JUPYTER_TOKEN": "t0ken"}, stdout=log, stderr=log
    )
    try:
        assert status_of(port) == 403  # no token
        assert status_of(port, "t0ken") == 200
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=30) == 0
        assert check_port(port) == port
        log.seek(0)
        assert f"JupyterLab: http://127.0.0.1:{port}/lab?token=t0ken" in log.read()
    finally:
        server.kill()
        server.wait()
        log.close()


def status_of(port: int, token: str = "") -> int:
    """HTTP status of `/api/status`, asked for until somebody answers."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/status", headers={"Authorization": f"token {token}"} if token else {}
    )
    for _ in range(150):
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"nobody answers on port {port}")
