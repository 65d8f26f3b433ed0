"""The cloud's client against tests/nvidia/server.py on this machine.

Without a limit, at 50 ms latency and 8 requests at once: requests a second beside the ideal 160, and beside Python's
requests (pip's copy) and http.client with as many threads. With --paced: two processes at 1,200 a minute, for a bit over
a minute: the most that the server saw in any 60 seconds, and what share of the rate was used.

usage: client.py [--build build/release] [--rounds 3] [--requests 800] [--paced]
"""

import argparse
import http.client
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / "build/venv/bin/python"
LATENCY, THREADS, BYTES, RATE = 0.05, 8, 60_000, 1200


class Server:
    def __init__(self, latency):
        self.process = subprocess.Popen([PYTHON, "-B", ROOT / "tests/nvidia/server.py", "--latency", str(latency)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = f"http://127.0.0.1:{self.process.stdout.readline().split()[0]}"
        self.url = self.address + "/plain/model"

    def times(self):
        return sorted(request["time"] for request in json.load(urllib.request.urlopen(self.address + "/control/requests")))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def peer(name, url, count):
    """A client of Python's, run as a program of its own: seconds for `count` requests."""
    local, body = threading.local(), b"x" * BYTES
    where = urllib.parse.urlsplit(url)

    def with_requests(_):
        from pip._vendor import requests

        if not hasattr(local, "session"):
            local.session = requests.Session()
        local.session.post(url, data=body).raise_for_status()

    def with_http_client(_):
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection(where.hostname, where.port)
        local.connection.request("POST", where.path, body)
        assert local.connection.getresponse().read()

    ask = {"requests": with_requests, "http.client": with_http_client}[name]
    begin = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(ask, range(count)))
    print(json.dumps({"seconds": time.perf_counter() - begin}))


def measured(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {**result, "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def unlimited(program, rounds, count):
    commands = {
        "image-engine": lambda url, state: [program, url, "--state", state, "--requests", str(count),
                                            "--threads", str(THREADS), "--bytes", str(BYTES)],
        "requests": lambda url, _: [PYTHON, __file__, "--peer", "requests", url, "--requests", str(count)],
        "http.client": lambda url, _: [PYTHON, __file__, "--peer", "http.client", url, "--requests", str(count)],
    }  # fmt: skip
    runs = {name: [] for name in commands}
    server = Server(LATENCY)
    with tempfile.TemporaryDirectory() as state:
        for _ in range(rounds):
            for name, command in commands.items():
                runs[name].append(measured(command(server.url, state)))
    server.close()
    ideal = THREADS / LATENCY
    print(f"{count} requests of {BYTES} bytes, {LATENCY * 1000:.0f} ms, {THREADS} at once: {ideal:.0f} a second at best")
    for name, results in runs.items():
        rate = statistics.median(count / result["seconds"] for result in results)
        cpu = statistics.median(result["cpu"] for result in results)
        print(f"  {name:14}{rate:7.1f} a second{rate / ideal:7.3f} of it{cpu:7.2f} s of CPU")


def paced(program):
    seconds, server = 75, Server(LATENCY)
    each = RATE * seconds // 60 // 2
    with tempfile.TemporaryDirectory() as state:
        command = [program, server.url, "--state", state, "--requests", str(each), "--rate", str(RATE)]
        for process in [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]:
            assert process.wait() == 0
    times = server.times()
    server.close()
    first = most = 0
    for last, moment in enumerate(times):
        while moment - times[first] > 60:
            first += 1
        most = max(most, last - first + 1)
    used = (len(times) - 1) / (times[-1] - times[0]) * 60 / RATE
    print(f"{len(times)} requests of 2 processes at {RATE} a minute: at most {most} in any 60 s, {used:.3f} of the rate used")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=800)
    parser.add_argument("--paced", action="store_true")
    parser.add_argument("--peer", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    program = options.build / "bin/bench-cloud-client"
    if options.peer:
        peer(*options.peer, options.requests)
    elif options.paced:
        paced(program)
    else:
        unlimited(program, options.rounds, options.requests)


if __name__ == "__main__":
    sys.exit(main())
