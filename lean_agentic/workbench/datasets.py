"""Public data sets: what the manifest names, where a valid copy lies, and how to get one.

Goes in: `data/manifest.json` with source, licence, size and SHA-256 of each set. Comes out: the path of a
copy whose checksum is right. A copy is looked for in the folder that `LEAN_AGENTIC_DATA` names, then in
`data/downloads/`. The first copy found decides: a damaged one is refused, so that neither an older file
nor generated data quietly takes its place.
"""

from __future__ import annotations

import json
import logging
import os
import re
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from lean_agentic.workbench.errors import WorkbenchError
from lean_agentic.workbench.files import sha256_of
from lean_agentic.workbench.project import Project, find_project

DATA_VARIABLE = "LEAN_AGENTIC_DATA"
log = logging.getLogger(__name__)


class DatasetError(WorkbenchError):
    """The manifest is wrong, a data set is unknown, or a folder or file cannot be read."""


class ChecksumError(DatasetError):
    """A copy of a data set is not the file that the manifest describes."""


class FetchError(DatasetError):
    """A data set could not be downloaded."""


@dataclass(frozen=True)
class Dataset:
    """One entry of the manifest."""

    name: str
    file: str
    """Path below a data folder, with forward slashes."""
    url: str
    licence: str
    """SPDX identifier."""
    source: str
    """The page a reader would visit."""
    bytes: int
    sha256: str
    what: str
    """One sentence: what the file holds."""


@dataclass(frozen=True)
class Located:
    """A copy of a data set whose checksum was right."""

    name: str
    path: Path
    sha256: str


def load_manifest(project: Project | None = None) -> dict[str, Dataset]:
    """Read `data/manifest.json`: data sets by name, in the file's order.

    Raises
    ------
    DatasetError
        The file is missing, is not JSON, or has an entry with a missing, unknown or malformed field.
    """
    path = (project or find_project()).data / "manifest.json"
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["datasets"]
        datasets = [_dataset(entry) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        wanted = ", ".join(field.name for field in fields(Dataset))
        raise DatasetError(
            f'{path} is not a data manifest: {error!r}. Expected {{"datasets": [...]}}, each entry with {wanted}.'
        ) from error
    by_name = {dataset.name: dataset for dataset in datasets}
    if len(by_name) < len(datasets):
        raise DatasetError(f"{path} names a data set twice; every name must be its own.")
    return by_name


def find_dataset(name: str, project: Project | None = None) -> Dataset:
    """Find one entry of the manifest; an unknown name is a `DatasetError` that lists the known ones."""
    manifest = load_manifest(project)
    if name not in manifest:
        raise DatasetError(f"There is no data set {name!r}. Known: {', '.join(manifest) or 'none'}.")
    return manifest[name]


def locate(name: str, project: Project | None = None) -> Located | None:
    """Find a valid copy of a data set.

    Returns
    -------
    Located or None
        None when there is no copy; the log then says how to get one. A notebook that goes on with data of
        its own making must say so: `recorder.used_data(name, origin="generated")`.

    Raises
    ------
    ChecksumError
        There is a copy, and it is not the file that the manifest describes.
    DatasetError
        The name is unknown, the copy is unreadable, or `LEAN_AGENTIC_DATA` names no folder.

    Examples
    --------
    >>> found = locate("routellm_gsm8k")  # doctest: +SKIP
    >>> frame = pd.read_csv(found.path)  # doctest: +SKIP
    """
    project = project or find_project()
    dataset = find_dataset(name, project)
    for folder in data_folders(project):
        path = folder / dataset.file
        if path.exists():
            _check(dataset, path)
            return Located(dataset.name, path, dataset.sha256)
    log.warning("%s", how_to_get(name))
    return None


def how_to_get(name: str) -> str:
    """One sentence for a reader who lacks a data set."""
    return (
        f"Data set {name} is not here: `lean-agentic data fetch {name}` downloads it, or set {DATA_VARIABLE} to a "
        "folder that holds it."
    )


def data_folders(project: Project) -> list[Path]:
    """Folders that may hold copies, in the order they are searched.

    Raises
    ------
    DatasetError
        `LEAN_AGENTIC_DATA` is set to something that is no folder.
    """
    named = os.environ.get(DATA_VARIABLE)
    if not named:
        return [downloads(project)]
    folder = Path(named).expanduser().resolve()
    if not folder.is_dir():
        raise DatasetError(f"{DATA_VARIABLE} is {named!r}, which is no folder. Set it to one, or unset it.")
    return [folder, downloads(project)]


def downloads(project: Project) -> Path:
    """Where `fetch` puts files; git ignores it."""
    return project.data / "downloads"


def fetch(name: str, project: Project | None = None, *, progress: bool = False) -> Located:
    """Download a data set into `data/downloads/`, unless a valid copy is there already.

    The download goes to a temporary name and is renamed once its checksum is right, so that a killed or
    failed one leaves nothing that could be taken for the file. A damaged earlier download is replaced.

    Raises
    ------
    FetchError
        The server cannot be reached, refuses, breaks off, or sends another file.
    ChecksumError
        The folder that `LEAN_AGENTIC_DATA` names holds a damaged copy, which is not ours to replace.
    """
    project = project or find_project()
    dataset = find_dataset(name, project)
    target = downloads(project) / dataset.file
    for folder in data_folders(project):
        path = folder / dataset.file
        if path.exists() and (path != target or _is_valid(dataset, path)):
            _check(dataset, path)
            return Located(name, path, dataset.sha256)
    _download(dataset, target, progress)
    _check(dataset, target)
    return Located(name, target, dataset.sha256)


def _download(dataset: Dataset, target: Path, progress: bool) -> None:
    # Imported here: pooch brings in requests, which a notebook that only locates files need not wait for.
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.WARNING)
    try:
        pooch.retrieve(
            dataset.url, f"sha256:{dataset.sha256}", fname=target.name, path=target.parent, progressbar=progress
        )
        # pooch's temporary files are private to their maker; a data set may be shared.
        target.chmod(0o644)
    except (OSError, ValueError) as error:
        # What urllib3 says of a connection that failed is three lines of its own machinery.
        offline = isinstance(error, requests.exceptions.ConnectionError)
        reason = f"{urlsplit(dataset.url).netloc} cannot be reached" if offline else error
        raise FetchError(
            f"{dataset.name} was not downloaded from {dataset.url}: {reason}. Nothing was kept. Try again, or fetch "
            f"the file by hand from {dataset.source} and set {DATA_VARIABLE} to its folder."
        ) from error


def _is_valid(dataset: Dataset, path: Path) -> bool:
    try:
        _check(dataset, path)
    except ChecksumError as error:
        log.warning("%s", error)
        return False
    return True


def _check(dataset: Dataset, path: Path) -> None:
    """Raise unless `path` holds exactly the bytes that the manifest describes."""
    try:
        status = path.stat()
        found = _cached_sha256(path, status.st_size, status.st_mtime_ns) if path.is_file() else "no file"
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error}.") from error
    if found != dataset.sha256:
        raise ChecksumError(
            f"{path} is not {dataset.name}: sha256 {found} ({status.st_size} bytes), expected {dataset.sha256} "
            f"({dataset.bytes} bytes). Remove it and run `lean-agentic data fetch {dataset.name}`."
        )


@lru_cache(maxsize=256)
def _cached_sha256(path: Path, size: int, mtime_ns: int) -> str:
    # Size and time are in the key, so that a file that changed is read again.
    return sha256_of(path)


def _dataset(entry: dict[str, Any]) -> Dataset:
    dataset = Dataset(**entry)
    for field in fields(Dataset):
        kind = int if field.name == "bytes" else str
        value = getattr(dataset, field.name)
        if type(value) is not kind or not value:
            raise ValueError(f"{field.name} of {dataset.name!r} must be a {kind.__name__}, not {value!r}")
    path = PurePosixPath(dataset.file)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"file of {dataset.name!r} must lie below the data folder, not at {dataset.file!r}")
    if not re.fullmatch(r"[0-9a-f]{64}", dataset.sha256):
        raise ValueError(f"sha256 of {dataset.name!r} must be 64 lower-case hexadecimal digits")
    if not dataset.url.startswith(("https://", "http://")):
        raise ValueError(f"url of {dataset.name!r} must be http(s), not {dataset.url!r}")
    return dataset
