"""Calls to a Qdrant server that may be slow, restarting or overloaded for a moment: repeated, then given up clearly."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from lean_agentic.agentdb.errors import MissingExtraError

PASSING = frozenset({408, 429, 500, 502, 503, 504})
"""HTTP answers after which the same call may succeed."""

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How long to go on asking."""

    attempts: int = 5
    first_pause: float = 0.2
    """Seconds before the second attempt; doubled before each further one."""
    timeout: int = 30
    """Seconds that one attempt may take."""


class QdrantCalls:
    """Repeats the calls of one client. Safe from several threads, though qdrant-client's local mode is not."""

    def __init__(self, client: Any, patience: Patience, sleep: Callable[[float], None] = time.sleep) -> None:
        self.client = client
        self._patience = patience
        self._sleep = sleep
        self._one_at_a_time = threading.Lock() if _is_local(client) else None

    def __call__(self, method: str, collection: str, *arguments: Any, **named: Any) -> Any:
        """The client's method of that name, on a collection.

        Raises ConnectionError when no attempt gets an answer; what the server refuses for good is raised at once.
        """
        call = getattr(self.client, method)
        for attempt in range(1, self._patience.attempts + 1):
            try:
                return self._locked(lambda: call(collection, *arguments, **named))
            except Exception as error:
                if not is_passing(error):
                    raise
                last = error
            if attempt < self._patience.attempts:
                self._sleep(self._patience.first_pause * 2 ** (attempt - 1))
        raise ConnectionError(
            f"Qdrant did not answer {method} on the collection {collection} in {self._patience.attempts} attempts "
            f"({last}): check that the server is up and its address is right"
        ) from last

    def _locked(self, call: Callable[[], T]) -> T:
        if self._one_at_a_time is None:
            return call()
        with self._one_at_a_time:
            return call()


def qdrant() -> Any:
    """The module qdrant_client."""
    try:
        import qdrant_client
    except ImportError as error:
        raise MissingExtraError("QdrantServerIndex needs qdrant-client: pip install 'lean_agentic[qdrant]'") from error
    return qdrant_client


def connect(url: str, api_key: str | None, patience: Patience) -> Any:
    """A client of the server at a URL."""
    # Its check of versions would warn from a thread, and only of what a call would tell as well.
    return qdrant().QdrantClient(url=url, api_key=api_key, timeout=patience.timeout, check_compatibility=False)


def is_passing(error: Exception) -> bool:
    """Whether the same call may succeed a moment later: no answer, or one that says so."""
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    if isinstance(error, UnexpectedResponse):
        return error.status_code in PASSING
    return isinstance(error, ResponseHandlingException | ConnectionError | TimeoutError)


def _is_local(client: Any) -> bool:
    return type(client._client).__name__ == "QdrantLocal"
