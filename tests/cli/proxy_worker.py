# Stands in for image-engine-worker: writes each request to a log, misbehaves on files whose names say so, and lets the
# real worker answer everything else. Runs without site packages and with an empty environment, as the worker does.
import array
import ctypes
import json
import os
import resource
import select
import socket
import struct
import sys
import time

REQUEST_BYTES = 1024  # more than any packet has
HASH = 2  # worker/protocol.h: Operation
# Alone in a PID namespace it is process 1: /proc, of the namespace outside, has its real number.
OURS = int(os.readlink("/proc/self"))

with open(sys.argv[0] + ".json", encoding="utf-8") as file:
    settings = json.load(file)
log = os.open(settings["log"], os.O_WRONLY | os.O_APPEND)
engine = socket.socket(fileno=3)


def note(**entry):
    os.write(log, (json.dumps({"worker": OURS, **entry}) + "\n").encode())


def hold():
    """Waits while as many contents as `hold_at` have been asked for and the test has not let them go."""
    with open(settings["log"], encoding="utf-8") as noted:
        contents = sum(json.loads(line).get("operations", 0) & HASH != 0 for line in noted)
    while contents >= settings["hold_at"] and not os.path.exists(settings["log"] + ".go"):
        time.sleep(0.002)


def start_real():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        os.dup2(theirs.fileno(), 3)
        os.dup2(4, 4, inheritable=True)
        os.execve(settings["real"], [settings["real"], *sys.argv[1:]], dict(os.environ))
    theirs.close()
    return ours


def crash():
    ctypes.string_at(0)  # process 1 ignores signals that it sends to itself


def be_killed():
    """By the system: for its CPU time. Process 1 cannot kill itself."""
    resource.setrlimit(resource.RLIMIT_CPU, (0, 0))
    while True:
        pass


def be_killed_once():
    mark = settings["log"] + ".killed"
    if not os.path.exists(mark):
        os.close(os.open(mark, os.O_CREAT | os.O_WRONLY))
        be_killed()


def hang():
    time.sleep(3600)


def eat():
    eaten = []
    while True:
        eaten.append(bytearray(os.urandom(4096)) * 4096)


def garbage():
    memory = os.open("/proc/self/fd/4", os.O_RDWR)
    os.pwrite(memory, b"\xff" * 65536, 0)
    engine.send(struct.pack("=II", 1, 65536))


def answer_too_long():
    engine.send(struct.pack("=II", 1, 0xFFFFFFFF))


FAULTS = {
    "crash": crash,
    "kill": be_killed,
    "kill_once": be_killed_once,
    "exit": lambda: os._exit(0),
    "hang": hang,
    "eat": eat,
    "garbage": garbage,
    "too_long": answer_too_long,
    "short": lambda: engine.send(b"x"),
}

NO_SLOT = 0xFFFFFFFF


def pass_on_reply():
    """The reply; of a video's frames first the chunks, and the slots that the engine releases meanwhile."""
    while True:
        ready, _, _ = select.select([real, engine], [], [])
        if engine in ready and real not in ready:
            packet = engine.recv(REQUEST_BYTES)
            if not packet:
                os._exit(0)
            real.send(packet)
            continue
        packet = real.recv(REQUEST_BYTES)
        engine.send(packet)
        if len(packet) < 20 or struct.unpack_from("=IIQI", packet)[3] == NO_SLOT:
            return


note(start=sys.argv[1:], environment=dict(os.environ))
real = start_real()
hello = real.recv(1024)
LAYERS = slice(4, 11)  # worker/protocol.h: Hello
if settings.get("without_layers"):
    hello = hello[: LAYERS.start] + bytes(LAYERS.stop - LAYERS.start) + hello[LAYERS.stop :]
engine.send(hello)
while True:
    packet, control, _, _ = engine.recvmsg(REQUEST_BYTES, socket.CMSG_SPACE(8))
    if not packet:
        break
    descriptors = array.array("i")
    for _, _, data in control:
        descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    operations = struct.unpack_from("=II", packet)[1]
    path = os.fsencode(os.readlink(f"/proc/self/fd/{descriptors[0]}"))
    name = os.path.basename(path).decode("utf-8", "surrogateescape")
    note(file=name, operations=operations)
    fault = settings["faults"].get(name)
    if isinstance(fault, dict):
        fault = next((name for bit, name in fault.items() if int(bit) & operations), None)
    if fault:
        FAULTS[fault]()
    if not fault or fault == "kill_once":
        if settings.get("hold_at") and operations & HASH:
            hold()
        socket.send_fds(real, [packet], list(descriptors))
        if settings.get("delay"):
            time.sleep(settings["delay"])
        pass_on_reply()
    for descriptor in descriptors:
        os.close(descriptor)
