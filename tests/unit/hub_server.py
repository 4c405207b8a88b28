"""A hub on this machine: it answers what the hub's client asks to make a repository and commit files to it, and keeps the files."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c" * 40


class Hub(ThreadingHTTPServer):
    """What was asked of it, and the files by `repository@revision/path`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[str] = []
        self.files: dict[str, bytes] = {}
        self.messages: list[str] = []

    @property
    def url(self) -> str:
        """Its HF_ENDPOINT."""
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        self._answer(404, {"error": "not found"})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b"".join(self._chunks())
        self.server.asked.append(self.path)
        parts = self.path.strip("/").split("/")
        if self.path == "/api/repos/create":
            repo = json.loads(body)
            self._answer(200, {"url": f"{self.server.url}/{repo.get('organization', 'me')}/{repo['name']}"})
        elif "branch" in parts:
            self._answer(200, {})
        elif "preupload" in parts:
            files = json.loads(body)["files"]
            self._answer(200, {"files": [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in files]})
        elif "commit" in parts:
            repository, revision = "/".join(parts[2:4]), parts[5]
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "header":
                    self.server.messages.append(line["value"]["summary"])
                else:
                    assert (line["key"], line["value"]["encoding"]) == ("file", "base64"), line["key"]
                    name = f"{repository}@{revision}/{line['value']['path']}"
                    self.server.files[name] = base64.b64decode(line["value"]["content"])
            self._answer(200, {"commitUrl": f"{self.server.url}/{repository}/commit/{COMMIT}", "commitOid": COMMIT, "hookOutput": ""})
        else:
            self._answer(200, {})

    def _chunks(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, status: int, value: object) -> None:
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Tests print nothing."""


@contextmanager
def hub() -> Iterator[Hub]:
    """A hub while the block runs."""
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
