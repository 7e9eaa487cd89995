"""Opens JupyterLab on the project's notebooks: on this machine only, behind a token, on a port that is free.

In go a project, a port and a notebook; the current process becomes the Jupyter server, so Ctrl-C ends it and
nothing is left behind.
"""

from __future__ import annotations

import errno
import os
import secrets
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.project import Project

LOOPBACK = "127.0.0.1"
TOKEN_VARIABLE = "JUPYTER_TOKEN"


class LabError(WorkbenchError):
    """JupyterLab cannot be started as asked."""


@dataclass(frozen=True)
class LabCommand:
    """A JupyterLab server that is ready to start."""

    arguments: tuple[str, ...]
    """The command line; the token is not in it, for other users can read those."""
    token: str
    url: str
    """Where to open it, with the token."""

    def __repr__(self) -> str:
        return f"LabCommand({self.url.split('?')[0]})"

    def become(self) -> None:
        """Replace this process by the server. Does not return."""
        sys.stdout.flush()
        os.execve(self.arguments[0], self.arguments, os.environ | {TOKEN_VARIABLE: self.token})


def prepare_lab(
    project: Project, port: int | None = None, notebook: str | None = None, open_browser: bool = True
) -> LabCommand:
    """Work out how to start JupyterLab.

    Parameters
    ----------
    port
        TCP port on the loopback interface; a free one by default.
    notebook
        What to open: a path, or how its name in `notebooks/` begins, such as `04`.

    Raises
    ------
    LabError
        The port is taken, reserved or no port; or no notebook, or more than one, answers to the name.
    """
    port = free_port() if port is None else check_port(port)
    page = "/lab"
    if notebook is not None:
        page += f"/tree/{find_notebook(project, notebook).relative_to(project.root).as_posix()}"
    token = os.environ.get(TOKEN_VARIABLE) or secrets.token_hex(24)
    settings = {
        "ServerApp.ip": LOOPBACK,
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,  # Jupyter would silently move to another port
        "ServerApp.root_dir": project.root,
        "ServerApp.open_browser": open_browser,
        "ServerApp.answer_yes": True,  # one Ctrl-C ends it without a question
        "LabApp.default_url": page,
    }
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        settings["ServerApp.allow_root"] = True
    arguments = (sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in settings.items()))
    return LabCommand(arguments, token, f"http://{LOOPBACK}:{port}{page}?token={token}")


def free_port() -> int:
    """Ask the system for a TCP port that nobody uses."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def check_port(port: int) -> int:
    """Return the port if a server can listen there.

    Raises
    ------
    LabError
        It is taken, needs more rights, or is no port.
    """
    if not 0 < port < 65536:
        raise LabError(f"{port} is no port; give one from 1 to 65535, or leave --port out to get a free one.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port just left is free, as for Jupyter
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            why = "is taken by another program" if error.errno == errno.EADDRINUSE else f"is out of reach ({error})"
            raise LabError(
                f"Port {port} {why}. End that program, give another --port, or leave --port out to get a free one."
            ) from error
    return port


def find_notebook(project: Project, name: str) -> Path:
    """Find a notebook by path or by how its name begins.

    Raises
    ------
    LabError
        None or more than one is meant, or it lies outside the project.
    """
    folder = project.root / "notebooks"
    given = Path(name).resolve()
    found = [given] if given.is_file() else sorted(folder.glob(f"{name}*.ipynb"))
    if len(found) != 1:
        there = ", ".join(path.name for path in found or sorted(folder.glob("*.ipynb"))) or "none"
        raise LabError(
            f"{'No' if not found else 'More than one'} notebook is called {name!r}. "
            f"Give a path, or how one of these begins: {there}."
        )
    if not found[0].is_relative_to(project.root):
        raise LabError(f"{found[0]} lies outside the project {project.root}; JupyterLab is opened on the project only.")
    return found[0]
