"""Data sets: the checksum decides, and no failed download leaves a file. Downloads run over real HTTP."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import ClassVar

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lean_agentic.workbench import datasets
from lean_agentic.workbench.cli import main
from lean_agentic.workbench.datasets import ChecksumError, DatasetError, FetchError
from lean_agentic.workbench.project import Project, find_project

CONTENT = b"arrival,tokens\n0.5,17\n" * 200


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the right file, another file, a body that breaks off or stops, or 404; notes what was asked."""

    asked: ClassVar[list[str]] = []
    half_sent = threading.Event()
    may_end = threading.Event()

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = {"/good": CONTENT, "/other": b"<html>moved</html>", "/short": CONTENT, "/stuck": CONTENT}.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.path in ("/short", "/stuck"):
            body = body[: len(body) // 2]
        self.wfile.write(body)
        if self.path == "/stuck":
            self.half_sent.set()
            self.may_end.wait(60)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    Handler.asked = []
    Handler.half_sent.clear()
    Handler.may_end.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http_server.server_port}"
        Handler.may_end.set()
        http_server.shutdown()
        thread.join()


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    monkeypatch.delenv("LEAN_AGENTIC_DATA", raising=False)
    monkeypatch.setenv("LEAN_AGENTIC_HOME", str(tmp_path))
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "experiments").mkdir()
    (tmp_path / "data").mkdir()
    return Project(tmp_path)


def entry(name="trace", url="http://127.0.0.1:9/good", **changes):
    return {
        "name": name,
        "file": f"sub/{name}.csv",
        "url": url,
        "licence": "CC-BY-4.0",
        "source": "https://example.org/trace",
        "bytes": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "what": "Two columns.",
    } | changes


def write_manifest(project, *entries):
    (project.data / "manifest.json").write_text(json.dumps({"datasets": list(entries)}))


def put(folder: Path, content: bytes, name="trace") -> Path:
    path = folder / f"sub/{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def files_in(project):
    return [path for path in (project.data / "downloads").rglob("*") if path.is_file()]


def test_absent_is_none_and_the_log_says_how_to_get_it(project, caplog):
    write_manifest(project, entry())
    assert datasets.locate("trace", project) is None
    assert "lean-agentic data fetch trace" in caplog.text
    assert "LEAN_AGENTIC_DATA" in caplog.text


def test_named_folder_comes_before_downloads(project, tmp_path, monkeypatch):
    write_manifest(project, entry())
    downloaded = put(project.data / "downloads", CONTENT)
    assert datasets.locate("trace", project).path == downloaded
    own = put(tmp_path / "own", CONTENT)
    monkeypatch.setenv("LEAN_AGENTIC_DATA", str(tmp_path / "own"))
    located = datasets.locate("trace", project)
    assert (located.path, located.sha256) == (own, hashlib.sha256(CONTENT).hexdigest())


def test_named_folder_without_the_file_falls_to_downloads(project, tmp_path, monkeypatch):
    write_manifest(project, entry())
    downloaded = put(project.data / "downloads", CONTENT)
    (tmp_path / "own").mkdir()
    monkeypatch.setenv("LEAN_AGENTIC_DATA", str(tmp_path / "own"))
    assert datasets.locate("trace", project).path == downloaded


def test_named_folder_that_does_not_exist_is_refused(project, monkeypatch):
    write_manifest(project, entry())
    monkeypatch.setenv("LEAN_AGENTIC_DATA", "/nowhere/at/all")
    with pytest.raises(DatasetError, match="LEAN_AGENTIC_DATA is '/nowhere/at/all', which is no folder"):
        datasets.locate("trace", project)


def test_damaged_copy_is_refused_though_a_good_one_lies_behind_it(project, tmp_path, monkeypatch):
    write_manifest(project, entry())
    put(project.data / "downloads", CONTENT)
    put(tmp_path / "own", CONTENT[:-1])
    monkeypatch.setenv("LEAN_AGENTIC_DATA", str(tmp_path / "own"))
    with pytest.raises(ChecksumError, match=r"own/sub/trace.csv is not trace"):
        datasets.locate("trace", project)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(position=st.integers(0, len(CONTENT) - 1), flip=st.integers(1, 255))
def test_any_changed_byte_is_noticed(project, position, flip):
    write_manifest(project, entry())
    changed = bytearray(CONTENT)
    changed[position] ^= flip
    path = put(project.data / "downloads", bytes(changed))
    os.utime(path, ns=(position, flip))  # a time of its own, as an edit would have
    with pytest.raises(ChecksumError):
        datasets.locate("trace", project)


def test_checksum_is_not_computed_twice_for_an_unchanged_file(project, monkeypatch):
    write_manifest(project, entry())
    read: list[Path] = []
    monkeypatch.setattr(datasets, "sha256_of", lambda path: read.append(path) or hashlib.sha256(CONTENT).hexdigest())
    path = put(project.data / "downloads", CONTENT)
    datasets.locate("trace", project)
    datasets.locate("trace", project)
    assert read == [path]
    os.utime(path, ns=(1, 1))
    datasets.locate("trace", project)
    assert read == [path, path]


def test_directory_in_place_of_the_file_is_refused(project):
    write_manifest(project, entry())
    (project.data / "downloads/sub/trace.csv").mkdir(parents=True)
    with pytest.raises(ChecksumError, match="no file"):
        datasets.locate("trace", project)


def test_fetch_downloads_once(project, server):
    write_manifest(project, entry(url=f"{server}/good"))
    located = datasets.fetch("trace", project)
    assert located.path.read_bytes() == CONTENT
    assert datasets.locate("trace", project) == located
    assert datasets.fetch("trace", project) == located
    assert Handler.asked == ["/good"]
    assert files_in(project) == [located.path]


@pytest.mark.parametrize(
    ("page", "said"), [("/other", "does not match"), ("/gone", "404"), ("/short", "IncompleteRead")]
)
def test_failed_download_leaves_nothing(project, server, page, said):
    write_manifest(project, entry(url=server + page))
    with pytest.raises(FetchError, match=said):
        datasets.fetch("trace", project)
    assert files_in(project) == []
    assert datasets.locate("trace", project) is None


def test_killed_download_leaves_nothing_that_counts(project, server):
    write_manifest(project, entry(url=f"{server}/stuck"))
    with subprocess.Popen([sys.executable, "-m", "lean_agentic", "data", "fetch", "trace"]) as process:
        assert Handler.half_sent.wait(60)
        process.kill()
    assert datasets.locate("trace", project) is None
    write_manifest(project, entry(url=f"{server}/good"))
    assert datasets.fetch("trace", project).path.read_bytes() == CONTENT


def test_refused_connection_is_a_clear_error(project):
    write_manifest(project, entry(url="http://127.0.0.1:9/good"))
    with pytest.raises(FetchError, match=r"not downloaded from http://127.0.0.1:9/good: 127.0.0.1:9 cannot be"):
        datasets.fetch("trace", project)


def test_failed_download_keeps_the_file_that_was_there(project, server):
    write_manifest(project, entry(url=f"{server}/other"))
    path = put(project.data / "downloads", b"earlier")
    with pytest.raises(FetchError):
        datasets.fetch("trace", project)
    assert path.read_bytes() == b"earlier"


def test_damaged_download_is_replaced(project, server):
    write_manifest(project, entry(url=f"{server}/good"))
    put(project.data / "downloads", b"cut off")
    assert datasets.fetch("trace", project).path.read_bytes() == CONTENT


def test_damaged_copy_in_the_named_folder_is_left_alone(project, server, tmp_path, monkeypatch):
    write_manifest(project, entry(url=f"{server}/good"))
    own = put(tmp_path / "own", b"cut off")
    monkeypatch.setenv("LEAN_AGENTIC_DATA", str(tmp_path / "own"))
    with pytest.raises(ChecksumError):
        datasets.fetch("trace", project)
    assert own.read_bytes() == b"cut off"
    assert Handler.asked == []


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"datasets": {}', '{"datasets": ["trace"]}', '{"sets": []}', '{"datasets": 5}', b"\xff\xfe"],
)
def test_manifest_that_is_none_is_refused(project, text):
    (project.data / "manifest.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DatasetError, match="is not a data manifest"):
        datasets.load_manifest(project)


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": "abc"},
        {"sha256": "G" * 64},
        {"bytes": "12"},
        {"bytes": True},
        {"licence": ""},
        {"file": "../outside.csv"},
        {"file": "/etc/passwd"},
        {"url": "file:///etc/passwd"},
        {"mirror": "https://example.org"},
    ],
)
def test_malformed_entry_is_refused(project, changes):
    write_manifest(project, entry(**changes))
    with pytest.raises(DatasetError, match="is not a data manifest"):
        datasets.load_manifest(project)


def test_name_used_twice_is_refused(project):
    write_manifest(project, entry(), entry(file="elsewhere.csv"))
    with pytest.raises(DatasetError, match="twice"):
        datasets.load_manifest(project)


def test_unknown_name_lists_the_known_ones(project):
    write_manifest(project, entry(), entry(name="other"))
    with pytest.raises(DatasetError, match=r"no data set 'trce'. Known: trace, other"):
        datasets.locate("trce", project)


def test_verify_counts_wrong_but_not_missing(project):
    write_manifest(project, entry(), entry(name="absent"))
    put(project.data / "downloads", CONTENT)
    done = CliRunner().invoke(main, ["data", "verify"])
    assert (done.exit_code, "trace: valid" in done.output, "absent: missing" in done.output) == (0, True, True)
    put(project.data / "downloads", b"damaged")
    done = CliRunner().invoke(main, ["data", "verify"])
    assert done.exit_code == 1
    assert "trace: wrong." in done.output
    assert "absent: missing" in done.output


def test_fetch_goes_on_after_a_failure_and_says_so_in_its_status(project, server):
    write_manifest(project, entry(name="gone", url=f"{server}/gone"), entry(url=f"{server}/good"))
    done = CliRunner().invoke(main, ["data", "fetch"])
    assert done.exit_code == 1
    assert "gone: failed. gone was not downloaded" in done.output
    assert "trace: valid at" in done.output


def test_fetch_refuses_an_unknown_name_before_it_starts(project, server):
    write_manifest(project, entry(url=f"{server}/good"))
    done = CliRunner().invoke(main, ["data", "fetch", "trace", "trce"])
    assert done.exit_code == 2
    assert Handler.asked == []


def test_list_shows_licence_source_and_copy(project):
    write_manifest(project, entry(), entry(name="absent"))
    path = put(project.data / "downloads", CONTENT)
    done = CliRunner().invoke(main, ["data", "list"])
    assert done.exit_code == 0
    for text in ("CC-BY-4.0", "https://example.org/trace", str(path), "not here"):
        assert text in done.output


def test_committed_manifest_names_each_revision_and_licence(monkeypatch):
    monkeypatch.delenv("LEAN_AGENTIC_HOME", raising=False)
    manifest = datasets.load_manifest(find_project(Path(__file__).parent))
    assert len(manifest) == 5
    for dataset in manifest.values():
        # A commit in the address: a branch would change under the checksum.
        assert any(len(part) == 40 for part in dataset.url.split("/"))
        assert dataset.licence in {"CC-BY-4.0", "Apache-2.0"}


@pytest.mark.skipif("LEAN_AGENTIC_DATA" not in os.environ, reason="LEAN_AGENTIC_DATA names no local copy")
def test_local_copy_is_what_the_manifest_describes():
    project = find_project(Path(__file__).parent)
    for name, dataset in datasets.load_manifest(project).items():
        located = datasets.locate(name, project)
        assert located is not None
        assert located.path.stat().st_size == dataset.bytes
