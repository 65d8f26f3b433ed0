"""A server on this machine that answers as NVIDIA's do, and misbehaves when told to.

usage: server.py [--tls] [--latency SECONDS]     prints its port, and with --tls its certificate's path; ends with stdin

POST /control takes any of
  faults   [{...}, ...]: the first one whose "path" begins the request's is used, "times" times (1; -1: for ever):
             path ("/"), method (any), times, status (200), headers {}, body (text; $AUTHORIZATION stands for the key
             that came), base64 (of other bytes), pad (so many "x" after the body), hang (seconds before the headers),
             slow (seconds before each 1,000 bytes of the body), cut (closes after so many bytes of the body),
             reset (true: the connection, without an answer)
  latency  seconds before each answer
  limit    {"requests", "seconds", "retry_after" (none)}: 429 beyond so many in any such window; null: none
  clear    true: no faults any more
  forget   true: the requests until now
GET /control/requests gives [{time (monotonic), peer, method, path, headers, bytes}].
What is no fault is answered by protocol.py: answer(method, path, headers, body) gives (status, headers, body); below
/plain, by 200 and a word.
"""

import argparse
import base64
import collections
import http.server
import json
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]
from local_server import LocalServer  # noqa: E402
from protocol import answer  # noqa: E402


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.owner = self.server.owner
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:  # the client was killed: nobody was asked
            self.close_connection = True
            return None
        if self.path.startswith("/control"):
            return self.say(200, {"Content-Type": "application/json"}, self.owner.control(self.path, body))
        fault = self.owner.note(self.client_address[1], self.command, self.path, dict(self.headers), body)
        if fault.get("reset"):
            return self.reset()
        time.sleep(self.owner.latency + fault.get("hang", 0))
        if set(fault) - {"path", "method", "times", "hang", "slow", "cut"}:
            text = fault.get("body", "").replace("$AUTHORIZATION", self.headers.get("Authorization", ""))
            content = text.encode() + base64.b64decode(fault.get("base64", "")) + b"x" * fault.get("pad", 0)
            reply = fault.get("status", 200), fault.get("headers", {}), content
        elif self.path.startswith("/plain"):
            reply = 200, {"Content-Type": "application/json"}, b'{"text": "a picture"}'
        else:
            reply = answer(self.command, self.path, self.headers, body)
        self.say(*reply, slow=fault.get("slow"), cut=fault.get("cut"))

    do_POST = do_PUT = do_DELETE = do_PATCH = do_CONNECT = do_GET

    def say(self, status, headers, body, slow=None, cut=None):
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            sent = body if cut is None else body[:cut]
            for at in range(0, len(sent), 1000 if slow else max(len(sent), 1)):
                if slow:
                    self.wfile.flush()
                    time.sleep(slow)
                self.wfile.write(sent[at:at + 1000] if slow else sent)
            self.wfile.flush()
        except OSError:
            self.close_connection = True  # the client went away
        if cut is not None:
            self.close_connection = True

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


class Listener(LocalServer):
    tls = None

    def get_request(self):
        connection, address = super().get_request()
        if self.tls:
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def shutdown_request(self, request):
        try:
            super().shutdown_request(request)
        except OSError:
            pass  # reset

    def handle_error(self, request, client_address):
        pass  # clients that go away or refuse the certificate


class Server:
    """In this process, for pytest. `requests` holds what /control/requests gives, and each "body"."""

    def __init__(self, tls=False, latency=0.0):
        self.lock = threading.Lock()
        self.faults, self.requests, self.latency, self.limit, self.certificate = [], [], latency, None, None
        self.recent = collections.deque()
        self.listener = Listener(Handler)
        self.listener.owner = self
        if tls:
            self.folder = tempfile.TemporaryDirectory()
            self.certificate = make_certificate(Path(self.folder.name))
            self.listener.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.listener.tls.load_cert_chain(self.certificate)
        self.port = self.listener.server_port
        self.address = f"https://localhost:{self.port}" if tls else self.listener.address
        self.close = self.listener.close
        self.listener.serve()

    def control(self, path, body):
        with self.lock:
            if path == "/control/requests":
                return json.dumps([{key: value for key, value in request.items() if key != "body"}
                                   for request in self.requests]).encode()
            settings = json.loads(body)
            if settings.get("clear"):
                self.faults.clear()
            self.faults.extend(settings.get("faults", []))
            self.latency = settings.get("latency", self.latency)
            self.limit = settings.get("limit", self.limit)
            if settings.get("forget"):
                self.requests.clear()
        return b"{}"

    def note(self, peer, method, path, headers, body):
        """Writes a request down and gives its fault, {} for none."""
        now = time.monotonic()
        with self.lock:
            self.requests.append({"time": now, "peer": peer, "method": method, "path": path, "headers": headers,
                                  "bytes": len(body), "body": body})
            for fault in self.faults:
                if path.startswith(fault.get("path", "/")) and fault.get("method", method) == method:
                    fault["times"] = fault.get("times", 1) - 1
                    if fault["times"] == 0:
                        self.faults.remove(fault)
                    return fault
            return self.over_limit(now)

    def over_limit(self, now):
        if not self.limit:
            return {}
        while self.recent and self.recent[0] <= now - self.limit["seconds"]:
            self.recent.popleft()
        if len(self.recent) < self.limit["requests"]:
            self.recent.append(now)
            return {}
        wait = self.limit.get("retry_after")
        return {"status": 429, "headers": {} if wait is None else {"Retry-After": str(wait)},
                "body": '{"status": 429, "title": "Too Many Requests"}'}


def make_certificate(folder):
    """A key and its own certificate, in one file."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)  # fmt: skip
    certificate.write_bytes(certificate.read_bytes() + key.read_bytes())
    return str(certificate)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--latency", type=float, default=0.0)
    options = parser.parse_args()
    server = Server(options.tls, options.latency)
    print(server.port, server.certificate or "", flush=True)
    sys.stdin.buffer.read()
    server.close()


if __name__ == "__main__":
    main()
