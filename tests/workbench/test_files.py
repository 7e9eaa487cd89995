import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lean_agentic.workbench.files import rename_durably, sha256_of, write_atomically

SHARED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)


@SHARED_FOLDER
@given(content=st.one_of(st.binary(), st.text()))
def test_what_is_written_is_read_back(tmp_path, content):
    path = tmp_path / "x"
    write_atomically(path, content)
    expected = content if isinstance(content, bytes) else content.encode()
    assert path.read_bytes() == expected
    assert sha256_of(path) == hashlib.sha256(expected).hexdigest()
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


def test_others_may_read_it(tmp_path):
    write_atomically(tmp_path / "x", "1")
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("step", ["fsync", "fdopen"])
def test_a_failing_write_leaves_the_old_content_and_no_litter(tmp_path, monkeypatch, step):
    path = tmp_path / "x"
    write_atomically(path, "old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"os.{step}", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "missing" / "x", "1")


def test_a_folder_is_renamed_with_all_it_holds(tmp_path):
    folder = tmp_path / "partial"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "x").write_text("1")
    rename_durably(folder, tmp_path / "whole")
    assert (tmp_path / "whole" / "inner" / "x").read_text() == "1"
    assert not folder.exists()


def test_a_folder_never_replaces_another(tmp_path):
    for name in ("partial", "whole"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    with pytest.raises(OSError, match="not empty"):
        rename_durably(tmp_path / "partial", tmp_path / "whole")
    assert (tmp_path / "whole" / "whole").exists()
    assert (tmp_path / "partial" / "partial").exists()
