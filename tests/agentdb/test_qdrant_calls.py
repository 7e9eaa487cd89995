"""Calls that fail for a moment are repeated, by the real client and a small HTTP server that fails as told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import UnexpectedResponse

from lean_agentic.agentdb.qdrant_calls import Patience, QdrantCalls, connect, is_passing

PATIENCE = Patience(attempts=4, first_pause=0.5, timeout=5)


class Server(HTTPServer):
    """Answers with the statuses it is given, then with success; notes the keys it sees."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.calls = 0
        self.keys: set[str | None] = set()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.calls += 1
        self.server.keys.add(self.headers.get("api-key"))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        body = json.dumps({"result": {"exists": True}, "status": "ok", "time": 0.0}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keeps quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def calls_to(url: str, pauses: list[float], patience: Patience = PATIENCE) -> QdrantCalls:
    client = QdrantClient(url=url, timeout=patience.timeout, check_compatibility=False)
    return QdrantCalls(client, patience, pauses.append)


def test_passing_failures_are_waited_out_ever_longer(server: Server) -> None:
    server.statuses = [503, 429, 500]
    pauses: list[float] = []
    assert calls_to(server.url, pauses)("collection_exists", "a") is True
    assert pauses == [0.5, 1.0, 2.0]
    assert server.calls == 4


def test_a_refusal_is_not_repeated(server: Server) -> None:
    server.statuses = [403]
    pauses: list[float] = []
    with pytest.raises(UnexpectedResponse, match="403"):
        calls_to(server.url, pauses)("collection_exists", "a")
    assert (server.calls, pauses) == (1, [])


def test_it_gives_up_and_says_what_to_check(server: Server) -> None:
    server.statuses = [503] * 9
    pauses: list[float] = []
    with pytest.raises(ConnectionError, match=r"did not answer collection_exists .* in 4 attempts"):
        calls_to(server.url, pauses)("collection_exists", "a")
    assert (server.calls, len(pauses)) == (4, 3)


def test_a_server_that_is_not_there_is_waited_for(server: Server) -> None:
    pauses: list[float] = []
    port = HTTPServer(("127.0.0.1", 0), Handler)
    address = f"http://127.0.0.1:{port.server_port}"
    port.server_close()
    with pytest.raises(ConnectionError, match="check that the server is up"):
        calls_to(address, pauses, Patience(attempts=2, first_pause=0.1, timeout=2))("collection_exists", "a")
    assert pauses == [0.1]


@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection:UserWarning")
def test_the_key_is_sent(server: Server) -> None:
    client = connect(server.url, "secret", PATIENCE)
    assert QdrantCalls(client, PATIENCE)("collection_exists", "a") is True
    assert "secret" in server.keys


def test_errors_of_our_own_are_not_repeated() -> None:
    assert not is_passing(ValueError("wrong"))
    assert is_passing(TimeoutError())
