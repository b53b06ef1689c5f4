"""The receiver under test: a board of the streams that are live, fed by lifecycle hooks."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Board:
    """Listen on a free port and keep the names of live streams; ``broken``: answer 503."""

    def __init__(self) -> None:
        self.live: dict[int, str] = {}
        self.broken = False
        self._handled: set[str] = set()
        board = self

        class Hooks(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                hook = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if not board.broken:
                    board.handle(hook)
                self.send_response(503 if board.broken else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Hooks)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks"

    def handle(self, hook: dict) -> None:
        """Take one hook. It may come twice, so those that were handled are remembered."""
        if hook["uuid"] in self._handled:
            return
        self._handled.add(hook["uuid"])
        payload = hook["payload"]
        if payload.get("event") == "peer_joined":
            self.live[payload["session"]] = hook["connection"]["id"]
        elif payload.get("state") == "disconnected":
            self.live.pop(payload["session"], None)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
