"""Runs a command in a network namespace of its own (`unshare -n -m`, as root or with `-r`) from which every packet seems to have a way out, and
writes what it sent: network_watch.py FOLDER LOG COMMAND…. LOG: {"names": those it looked up, "packets": the others, "protocol address port"}.

All addresses are routed to the namespace's own loopback, where a packet socket sees what is sent and nobody answers but a
resolver that knows no name. FOLDER is for its files."""

import contextlib
import ctypes
import fcntl
import ipaddress
import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

RESOLVER = "127.0.0.53"
SIOCSIFFLAGS, SIOCADDRT, IFF_UP, RTF_UP, ETH_P_ALL, PACKET_OUTGOING = 0x8914, 0x890B, 1, 1, 3, 4
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp"}


def route_everything_to_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP | 0x49))
        anywhere = struct.pack("H14x", socket.AF_INET)
        device = ctypes.create_string_buffer(b"lo")
        route = struct.pack("L16s16s16sHhLPhPLLH", 0, anywhere, anywhere, anywhere, RTF_UP, 0, 0, 0, 0, ctypes.addressof(device), 0, 0, 0)
        fcntl.ioctl(handle, SIOCADDRT, route)
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, SIOCADDRT, struct.pack("16s16s16sIHHILIi", b"", b"", b"", 0, 0, 0, 1, 0, RTF_UP, socket.if_nametoindex("lo")))


def name_in(query):
    """The name that a DNS query asks for."""
    labels, at = [], 12
    while at < len(query) and query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace"))
        at += 1 + query[at]
    return ".".join(labels)


class Watch:
    def __init__(self):
        self.names, self.packets = [], []
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.resolver.bind((RESOLVER, 53))
        self.ended, self.end = os.pipe()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        ended = False
        while not ended:
            ready = select.select([self.wire, self.resolver, self.ended], [], [])[0]
            ended = self.ended in ready
            if self.resolver in ready:
                query, asker = self.resolver.recvfrom(4096)
                self.resolver.sendto(query[:2] + b"\x81\x83" + query[4:6] + bytes(6) + query[12:], asker)  # no such name
            with contextlib.suppress(BlockingIOError):
                while True:
                    packet, address = self.wire.recvfrom(65536, socket.MSG_DONTWAIT)
                    if address[2] == PACKET_OUTGOING:
                        self.note(packet)

    def note(self, packet):
        if packet[0] >> 4 == 6:
            protocol, target, rest = packet[6], ipaddress.ip_address(packet[24:40]), packet[40:]
        else:
            protocol, target, rest = packet[9], ipaddress.ip_address(packet[16:20]), packet[(packet[0] & 15) * 4 :]
        source_port, port = struct.unpack("!HH", rest[:4]) if protocol in (6, 17) else (0, 0)
        if protocol == 17 and str(target) == RESOLVER and port == 53:
            self.names.append(name_in(rest[8:]))
        elif not (protocol == 17 and source_port == 53):  # our own answer
            self.packets.append(f"{PROTOCOLS.get(protocol, protocol)} {target} {port}")

    def close(self):
        os.write(self.end, b"e")
        self.thread.join()


def main(folder, log, *command):
    route_everything_to_loopback()
    for name, text in {"resolv.conf": f"nameserver {RESOLVER}\n", "nsswitch.conf": "hosts: files dns\n"}.items():
        file = Path(folder) / name
        file.write_text(text)
        subprocess.run(["mount", "--bind", file, f"/etc/{name}"], check=True)
    watch = Watch()
    code = subprocess.run(command).returncode
    watch.close()
    Path(log).write_text(json.dumps({"names": watch.names, "packets": watch.packets}))
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
