"""A child that speaks the engine's protocol and misbehaves on demand, for what the real one never does.

``python misbehaving_engine.py MODE serve --port 0 --token random …``.  MODE says how it starts; the last
message of a chat says how it answers.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODE = sys.argv[1]
TOKEN = f"secret-{os.getpid()}"
assert sys.argv[sys.argv.index("--token") + 1] == "random"
seen: list[str] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, value: object) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self.answer(401, {"error": {"message": "wrong token"}})
        elif self.path == "/v1/models":
            self.send_response(302)
            self.send_header("Location", "http://192.0.2.1/stolen")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.answer(200, {"status": "ok", "seen": seen})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/load":
            seen.append("load")
            if body["model"] == "nosuch":
                self.answer(404, {"error": {"message": "There is no model nosuch here."}})
            elif body["model"] == "html":
                self.answer(502, b"<html>bad</html>")
            else:
                self.answer(200, body)
            return
        seen.append("chat")
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            getattr(self, body["messages"][-1]["content"])()
        except OSError:
            seen.append("gone")
        self.close_connection = True

    def say(self, raw: str | dict) -> None:
        text = raw if isinstance(raw, str) else "data: " + json.dumps(raw, ensure_ascii=False) + "\n\n"
        self.wfile.write(text.encode())
        self.wfile.flush()

    def text(self, text: str, reason: str | None = None) -> dict:
        return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]}

    def split(self) -> None:
        """Every byte in a packet of its own, with both line ends, comments, and characters cut in two."""
        chunk = json.dumps(self.text("zw\u00f6lf \u4e16\u754c \U0001f600"), ensure_ascii=False)
        data = b": hello\r\n\r\ndata: " + chunk.encode()
        data += b"\r\n\r\ndata: " + json.dumps(self.text("!", "stop")).encode() + b"\n\ndata: [DONE]\n\n"
        for byte in data:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(0.0005)

    def endless(self) -> None:
        for _ in range(4000):
            self.say(self.text("more "))
            time.sleep(0.01)

    def silent(self) -> None:
        time.sleep(30)

    def cut(self) -> None:
        self.say(self.text("half"))

    def garbage(self) -> None:
        self.say(self.text("so far"))
        self.say("data: {not json\n\n")

    def trouble(self) -> None:
        self.say(self.text("so far"))
        self.say({"error": {"message": "The context is full."}})

    def die(self) -> None:
        self.say(self.text("so far"))
        time.sleep(0.05)
        os._exit(7)


if MODE == "broken":
    print("Traceback: something is wrong", file=sys.stderr)
    sys.exit(3)
if MODE == "explains":
    print(json.dumps({"event": "error", "message": "The port is taken."}), flush=True)
    sys.exit(1)
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
port = server.server_address[1]
print("this line is not JSON")
print(json.dumps({"event": "ready", "port": port, "url": f"http://127.0.0.1:{port}", "token": TOKEN}), flush=True)
if MODE == "short-lived":
    threading.Timer(0.05, os._exit, (9,)).start()
server.serve_forever()
