"""A server of files on this machine that speaks as model hubs do, and misbehaves when told to."""

import hashlib
import http.server
import re
import sys
import time

from engine import ROOT

sys.path.insert(0, str(ROOT / "tests/support"))
from local_server import LocalServer  # noqa: E402


class ModelServer:
    """Serves `files` by path. `faults` are taken from the front of a path's list, one a request:
    a status; ("cut", n): ends after n bytes of the body; ("slow", seconds): waits before each 64 KiB;
    ("to", address): redirects, with X-Linked-ETag as Hugging Face does."""

    def __init__(self):
        self.files, self.faults, self.tags, self.requests = {}, {}, {}, []
        self.sent = []  # bytes of each file's body, one a request
        self.keys = {}  # path → what Authorization must be
        self.ranges = True
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def do_GET(self):
                owner.answer(self)

        self.server = LocalServer(Handler)
        self.address, self.close = self.server.address, self.server.close
        self.server.serve()

    def tag(self, path):
        return self.tags.get(path, '"' + hashlib.md5(self.files[path]).hexdigest() + '"')

    def asked(self, path):
        return [headers for asked, headers in self.requests if asked == path]

    def answer(self, handler):
        path = handler.path.partition("?")[0]
        self.requests.append((path, dict(handler.headers)))
        fault = self.faults[path].pop(0) if self.faults.get(path) else None
        if isinstance(fault, int):
            return self.say(handler, fault)
        if path in self.keys and handler.headers.get("Authorization") != self.keys[path]:
            return self.say(handler, 401)
        if fault and fault[0] == "to":
            linked = {"X-Linked-ETag": f'"{fault[2]}"'} if len(fault) > 2 else {}
            return self.say(handler, 302, {"Location": fault[1], **linked})
        if path not in self.files:
            return self.say(handler, 404)
        data, start, status = self.files[path], 0, 200
        headers = {"ETag": self.tag(path)}
        wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        if wanted and self.ranges and handler.headers.get("If-Range") in (None, self.tag(path)):
            start, status = int(wanted[1]), 206
            if start >= len(data):
                return self.say(handler, 416)
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": len(data) - start}.items():
            handler.send_header(name, value)
        handler.end_headers()
        end = len(data) if not fault or fault[0] != "cut" else min(len(data), start + fault[1])
        sent, index = self.sent, len(self.sent)
        sent.append(0)
        try:
            for at in range(start, end, 65536):
                if fault and fault[0] == "slow":
                    time.sleep(fault[1])
                handler.wfile.write(data[at:min(at + 65536, end)])
                sent[index] += min(at + 65536, end) - at
        except OSError:
            pass  # the client went away
        if end < len(data):
            handler.close_connection = True

    def say(self, handler, status, headers=None):
        handler.send_response(status)
        for name, value in {"Content-Length": "0", **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
