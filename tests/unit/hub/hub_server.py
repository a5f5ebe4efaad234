"""A Hugging Face Hub on loopback: the API, LFS redirects, validators; and, on request, its worst days."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PIECE = 1 << 14


@dataclass
class Fault:
    """What to do wrong in one answer.  ``drop``: close after so many bytes of it; ``stall``: fall
    silent after so many; ``status`` with ``headers``: refuse; ``flip``: change the byte there;
    ``announce``: add so many to the length told; ``extra``: send so many bytes too many, with
    no length told; ``ignore_range``: answer the whole file."""

    drop: int | None = None
    stall: int | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    flip: int | None = None
    announce: int = 0
    extra: int = 0
    ignore_range: bool = False
    encoding: str | None = None


@dataclass
class Repo:
    """One model repository.  ``gated``: files need a token in ``allowed``; ``hidden``: unknown without one."""

    files: dict[str, bytes]
    lfs: tuple[str, ...] = (".safetensors", ".gguf", ".bin")
    commit: str = "a" * 40
    gated: str | bool = False
    hidden: bool = False
    allowed: tuple[str, ...] = ()
    licence: str = "apache-2.0"
    config: dict[str, Any] = field(default_factory=lambda: {"model_type": "llama"})
    safetensors: dict[str, Any] | None = None
    tags: list[str] = field(default_factory=list)

    def is_lfs(self, name: str) -> bool:
        return name.endswith(self.lfs)


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class HubServer:
    """Use as a context manager.  ``faults[name]`` are the faults of the next answers with that file's bytes."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.known_tokens = {"good-token", "other-token"}
        self.faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self.served: Counter[str] = Counter()  # bytes of bodies by file name
        self.log: list[tuple[str, str, dict[str, str]]] = []  # method, path, headers
        self.pace = 0.0  # seconds to wait after each piece
        self.validator = "v1"  # part of the CDN's etag
        hub = self

        class Handler(_Handler):
            server_hub = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that hang up are the point
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> HubServer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def requests_for(self, end: str) -> list[dict[str, str]]:
        """Headers of the requests whose path ends so."""
        return [headers for _, path, headers in self.log if path.split("?")[0].endswith(end)]


class _Handler(BaseHTTPRequestHandler):
    server_hub: HubServer
    protocol_version = "HTTP/1.1"
    timeout = 10

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub = self.server_hub
        headers = {key.lower(): value for key, value in self.headers.items()}
        hub.log.append((self.command, self.path, headers))
        split = urlsplit(self.path)
        parts = [unquote(part) for part in split.path.strip("/").split("/")]
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token and parts[0] != "cdn" and token not in hub.known_tokens:
            message = "Invalid credentials in Authorization header"
            return self._json(401, {"error": message}, {"X-Error-Message": message})
        if parts[:2] == ["api", "models"]:
            return self._api(parts[2:], parse_qs(split.query), token)
        if parts[:2] == ["api", "whoami-v2"]:
            return self._json(200, {"name": "alice", "type": "user"}, {})
        if parts[0] == "cdn":
            return self._cdn(parts[1], headers)
        if len(parts) >= 5 and parts[2] == "resolve":
            return self._resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]), token, headers)
        return self._json(404, {"error": "Not Found"}, {})

    # --- the API -----------------------------------------------------------------------------

    def _api(self, parts: list[str], query: dict[str, list[str]], token: str) -> None:
        hub = self.server_hub
        if hub.faults["api"]:
            fault = hub.faults["api"].popleft()
            return self._json(fault.status or 500, {"error": "bad day"}, fault.headers)
        if not parts:
            text = query.get("search", [""])[0].lower()
            found = [self._info(name, r, False) for name, r in hub.repos.items() if text in name.lower()]
            return self._json(200, found[: int(query.get("limit", ["100"])[0])], {})
        name = "/".join(parts[:2])
        repo = hub.repos.get(name)
        if repo is None or (repo.hidden and token not in repo.allowed):
            if not token:
                message = "Invalid username or password."
                return self._json(401, {"error": message}, {"X-Error-Message": message})
            message = "Repository not found"
            return self._json(404, {"error": message}, {"X-Error-Code": "RepoNotFound", "X-Error-Message": message})
        if parts[2:3] == ["revision"] and parts[3] not in ("main", repo.commit):
            message = "Invalid rev id: " + parts[3]
            return self._json(404, {"error": message}, {"X-Error-Code": "RevisionNotFound"})
        return self._json(200, self._info(name, repo, "blobs" in query), {})

    def _info(self, name: str, repo: Repo, blobs: bool) -> dict[str, Any]:
        siblings: list[dict[str, Any]] = []
        for file, content in repo.files.items():
            sibling: dict[str, Any] = {"rfilename": file}
            if blobs:
                sibling |= {"size": len(content), "blobId": git_sha1(content)}
                if repo.is_lfs(file):
                    digest = hashlib.sha256(content).hexdigest()
                    sibling["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
            siblings.append(sibling)
        info: dict[str, Any] = {
            "id": name,
            "sha": repo.commit,
            "gated": repo.gated,
            "private": repo.hidden,
            "downloads": 10 * len(name),
            "likes": len(name),
            "tags": ["safetensors", f"license:{repo.licence}", *repo.tags],
            "config": repo.config,
            "siblings": siblings,
        }
        return info | ({"safetensors": repo.safetensors} if repo.safetensors else {})

    # --- files ---------------------------------------------------------------------------------

    def _resolve(self, name: str, revision: str, file: str, token: str, headers: dict[str, str]) -> None:
        repo = self.server_hub.repos.get(name)
        if repo is None:
            return self._json(401 if not token else 404, {"error": "no"}, {"X-Error-Code": "RepoNotFound"})
        if repo.gated and token not in repo.allowed:
            message = f"Access to model {name} is restricted"
            refused = {"X-Error-Code": "GatedRepo", "X-Error-Message": message}
            return self._json(403 if token else 401, {"error": message}, refused)
        if file not in repo.files or revision not in ("main", repo.commit):
            return self._json(
                404, {"error": "no"}, {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}
            )
        content = repo.files[file]
        if repo.is_lfs(file):
            self.send_response(302)
            store = self.server_hub.url.replace("127.0.0.1", "localhost")  # another host, as the real one has
            self.send_header("Location", f"{store}/cdn/{name.replace('/', '~')}~{file}?signature=x")
            self.send_header("X-Linked-Etag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Linked-Size", str(len(content)))
            self.send_header("X-Repo-Commit", repo.commit)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        return self._send_file(file, content, f'"{git_sha1(content)}"', headers, repo.commit)

    def _cdn(self, key: str, headers: dict[str, str]) -> None:
        org, name, file = key.split("~", 2)
        content = self.server_hub.repos[f"{org}/{name}"].files[file]
        etag = hashlib.md5(content).hexdigest() + self.server_hub.validator
        self._send_file(file, content, f'"{etag}"', headers)

    def _send_file(self, name: str, content: bytes, etag: str, headers: dict[str, str], commit: str = "") -> None:
        hub = self.server_hub
        fault = hub.faults[name].popleft() if hub.faults[name] and self.command == "GET" else Fault()
        if fault.status:
            return self._json(fault.status, {"error": "bad day"}, fault.headers)
        start, end, partial = 0, len(content), False
        wanted = headers.get("range", "")
        if wanted.startswith("bytes=") and not fault.ignore_range and headers.get("if-range", etag) == etag:
            first, _, last = wanted[6:].partition("-")
            start, end, partial = int(first), min(end, int(last or end) + 1), True
            if start >= len(content):
                return self._json(416, {"error": "range"}, {"Content-Range": f"bytes */{len(content)}"})
        body = bytearray(content)
        if fault.flip is not None:
            body[fault.flip] ^= 0x10
        body = body[start:end] + bytes(fault.extra)
        self.send_response(206 if partial else 200)
        self.send_header("ETag", etag)
        self.send_header("Accept-Ranges", "bytes")
        if commit:
            self.send_header("X-Repo-Commit", commit)
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        if fault.encoding:
            self.send_header("Content-Encoding", fault.encoding)
        if fault.extra:
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(body) + fault.announce))
        self.end_headers()
        if self.command == "GET":
            self._send_body(name, bytes(body), fault)
        return None

    def _send_body(self, name: str, body: bytes, fault: Fault) -> None:
        hub = self.server_hub
        stop = min(x for x in (fault.drop, fault.stall, len(body)) if x is not None)
        try:
            for at in range(0, stop, PIECE):
                piece = body[at : min(at + PIECE, stop)]
                self.wfile.write(piece)
                self.wfile.flush()
                hub.served[name] += len(piece)
                if hub.pace:
                    time.sleep(hub.pace)
        except OSError:
            self.close_connection = True
            return
        if fault.stall is not None:
            hub.released.wait(20)
        if stop < len(body) or fault.announce:
            self.close_connection = True

    def _json(self, status: int, content: Any, headers: dict[str, str]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
