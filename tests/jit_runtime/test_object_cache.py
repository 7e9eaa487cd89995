"""The cache of machine code: what it gives is what was put, or nothing."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from lean_agentic.jit_runtime import llvm_engine
from lean_agentic.jit_runtime.compiled import compile_kernel
from lean_agentic.jit_runtime.machine_code import Options
from lean_agentic.jit_runtime.object_cache import FOLDER_VARIABLE, ObjectCache, default_folder
from lean_agentic.kernel import function_from_source, lower, type_of


def compiled(cache: ObjectCache, constant: int = 3, tier: int = 2) -> tuple[int, dict[str, float]]:
    """The result of a small function, compiled through the cache, and the phases of its compilation."""
    function = function_from_source(f"def f(x):\n    return x * {constant} + 1\n")
    made = compile_kernel(lower(function, [type_of(1)]), tier, options=Options(engine="llvm", cache=cache))
    return made.code(5), made.timings


def test_the_second_compilation_comes_from_the_cache(tmp_path: Path) -> None:
    first, phases = compiled(ObjectCache(tmp_path))
    again, cached = compiled(ObjectCache(tmp_path))
    assert (first, again) == (16, 16)
    assert "codegen" in phases
    assert "cache" in cached
    assert "codegen" not in cached


def test_another_function_tier_or_option_is_another_name(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path)
    names = {
        cache.key("a", 1, None), cache.key("b", 1, None), cache.key("a", 2, None), cache.key("a", 1, "fast"),
    }  # fmt: skip
    assert len(names) == 4
    compiled(cache, 3)
    result, phases = compiled(cache, 4)
    assert result == 21
    assert "cache" not in phases


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "foreign"])
def test_a_damaged_file_is_compiled_again(tmp_path: Path, damage: str) -> None:
    compiled(ObjectCache(tmp_path))
    (path,) = tmp_path.glob("*.code")
    whole = path.read_bytes()
    broken = {
        "truncate": whole[: len(whole) // 2], "empty": b"", "foreign": b"no machine code" * 20,
        "flip": whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:],
    }  # fmt: skip
    path.write_bytes(broken[damage])
    result, phases = compiled(ObjectCache(tmp_path))
    assert result == 16
    assert "cache" not in phases
    assert path.read_bytes() == whole


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = ObjectCache(tmp_path / "file")
    assert compiled(cache)[0] == 16
    assert cache.get("absent") is None


def test_files_used_longest_ago_go_first(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path, largest=250)
    for age, key in enumerate(["new", "middle", "old"]):
        cache.put(key, bytes(100))
        os.utime(tmp_path / f"{key}.code", (1e9 - age, 1e9 - age))
    cache.put("newest", bytes(100))
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["new", "newest"]
    assert cache.clear() == 2


def test_many_writers_of_one_name_leave_a_whole_file(tmp_path: Path) -> None:
    blobs = [bytes([number]) * 100_000 for number in range(8)]
    threads = [threading.Thread(target=ObjectCache(tmp_path).put, args=("same", blob)) for blob in blobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ObjectCache(tmp_path).get("same") in blobs
    assert [path.name for path in tmp_path.iterdir()] == ["same.code"]


def test_the_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv(FOLDER_VARIABLE)
    assert default_folder().name == "jit"


def test_llvm_is_not_needed_for_a_hit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled(ObjectCache(tmp_path))
    monkeypatch.setattr(llvm_engine, "_llvm", None)
    assert compiled(ObjectCache(tmp_path))[0] == 16
