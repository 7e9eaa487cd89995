"""A JupyterLab server and a headless Chromium, and notebooks run in them as a reader would.

`LEAN_AGENTIC_CHROMIUM` may name the browser; otherwise the usual names are looked for on the path. Screenshots
go to `tests/artefacts/`, which git ignores.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

BROWSER_VARIABLE = "LEAN_AGENTIC_CHROMIUM"
BROWSER_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--metrics-recording-only",
)
TOKEN = "browser-tests"
START_SECONDS = 60
RUN_SECONDS = 120


def find_browser() -> Path | None:
    """The Chromium to drive: the one the environment names, else the first on the path."""
    named = os.environ.get(BROWSER_VARIABLE)
    found = named or next(filter(None, map(shutil.which, BROWSER_NAMES)), None)
    return Path(found) if found and Path(found).exists() else None


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab."""

    url: str
    folder: Path
    """Its root; notebooks are copied here, so that the project's own stay as they are."""


@dataclass
class NotebookPage:
    """A notebook that was opened and run in the browser."""

    page: Page
    errors: list[str] = field(default_factory=list)
    """What the page wrote to its console as errors."""

    def set_theme(self, name: str) -> None:
        """Switch JupyterLab to `JupyterLab Light` or `JupyterLab Dark` and wait until the page shows it."""
        self.page.evaluate("name => jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name)
        light = "false" if name.endswith("Dark") else "true"
        self.page.wait_for_selector(f"body[data-jp-theme-light='{light}']", state="attached")
        self.page.wait_for_timeout(300)  # the style sheet follows the attribute


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Folder for screenshots to look at after the tests."""
    folder = Path(__file__).parents[1] / "artefacts"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab on a free loopback port, with folders of its own for settings, data and notebooks."""
    home = tmp_path_factory.mktemp("lab")
    port, notebooks = _free_port(), home / "notebooks"
    notebooks.mkdir()
    _write_settings(home)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={notebooks}"]
    command += [f"--IdentityProvider.token={TOKEN}", "--LabApp.expose_app_in_browser=True"]
    with (home / "lab.log").open("w") as log:
        server = subprocess.Popen(command, env=_environment(home), stdout=log, stderr=log, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_up(url, server, home / "lab.log")
        yield Lab(url, notebooks)
    finally:
        _end(server)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; without one the browser tests are skipped."""
    path = find_browser()
    if path is None:
        pytest.skip(
            f"no Chromium found: `apt-get install chromium`, or set {BROWSER_VARIABLE} to a browser's binary "
            f"(now {os.environ.get(BROWSER_VARIABLE)!r})"
        )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(BROWSER_ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture
def run_notebook(browser: Browser, lab: Lab) -> Iterator[Callable[..., NotebookPage]]:
    """A function that opens a copy of a notebook in the browser, runs all its cells and returns the page.

    It fails the test when a cell ends in an error or the run takes longer than `RUN_SECONDS`.
    """
    contexts = []

    def run(notebook: Path, width: int = 1280, height: int = 2000) -> NotebookPage:
        copy = lab.folder / f"{len(list(lab.folder.iterdir()))}-{notebook.name}"
        shutil.copy(notebook, copy)
        context = browser.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        opened = NotebookPage(context.new_page())
        _record_errors(opened)
        opened.page.goto(f"{lab.url}/lab/tree/{copy.name}?reset&token={TOKEN}", timeout=60_000)
        _hide_side_bar(opened.page)
        opened.set_theme("JupyterLab Light")  # the lab remembers what an earlier test chose
        _run_all_cells(opened.page)
        return opened

    yield run
    for context in contexts:
        context.close()


def _record_errors(opened: NotebookPage) -> None:
    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            opened.errors.append(f"{message.text} ({message.location['url']})")

    opened.page.on("console", on_console)
    opened.page.on("pageerror", lambda error: opened.errors.append(str(error)))


def _hide_side_bar(page: Page) -> None:
    page.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext", timeout=60_000)
    page.evaluate("jupyterapp.shell.collapseLeft()")


def _run_all_cells(page: Page) -> None:
    # The page says "idle" before the kernel answers, and a run asked for then is silently lost.
    page.evaluate(
        """async () => {
            const context = jupyterapp.shell.currentWidget.sessionContext;
            await context.ready;
            await context.session.kernel.info;
            await jupyterapp.commands.execute('notebook:run-all-cells');
        }"""
    )
    page.wait_for_function(
        """() => jupyterapp.shell.currentWidget.content.model.sharedModel.cells
            .filter(cell => cell.cell_type === 'code' && cell.source.trim())
            .every(cell => cell.execution_count !== null)""",
        timeout=RUN_SECONDS * 1000,
    )
    errors = page.evaluate(
        """() => jupyterapp.shell.currentWidget.content.model.sharedModel.cells
            .filter(cell => cell.cell_type === 'code')
            .flatMap(cell => cell.getOutputs())
            .filter(output => output.output_type === 'error')
            .map(output => `${output.ename}: ${output.evalue}`)"""
    )
    assert not errors, f"a cell ended in an error: {errors}"


def _write_settings(home: Path) -> None:
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(json.dumps({"fetchNews": "false"}))


def _environment(home: Path) -> dict[str, str]:
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    return os.environ | {name: str(home / folder) for name, folder in folders.items()}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_up(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    request = urllib.request.Request(f"{url}/api/status", headers={"Authorization": f"token {TOKEN}"})
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


def _end(server: subprocess.Popen[bytes]) -> None:
    """Ask the server to stop, which ends its kernels, and end the whole group if it does not."""
    server.terminate()
    try:
        server.wait(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
