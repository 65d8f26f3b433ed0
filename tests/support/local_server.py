"""An HTTP server of a test's own, on a free port of this machine."""

import http.server
import threading


class LocalServer(http.server.ThreadingHTTPServer):
    """Takes connections once made; `handler` answers from the first serve() until close()."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self.server_port}"

    def serve(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()
