"""Forwards Ethernet frames between two interfaces of this machine, each frame delayed.

Usage: delay-link.py INTERFACE INTERFACE DELAY_MS
       delay-link.py --offload INTERFACE

The kernel leaves the checksums of frames that never leave the machine to the hardware, which is
not there: `--offload` switches that off for one interface of the namespace it is run in.
"""

import array
import fcntl
import heapq
import itertools
import select
import socket
import struct
import sys
import time

SIOCETHTOOL = 0x8946
ETHTOOL_SET_TX_CHECKSUM = 0x17
ETHTOOL_SET_SEGMENTATION = 0x1F
ETHTOOL_SET_GENERIC_SEGMENTATION = 0x24
FRAME_BYTES_MAX = 65_600


def switch_off_offloads(name):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in (
            ETHTOOL_SET_TX_CHECKSUM,
            ETHTOOL_SET_SEGMENTATION,
            ETHTOOL_SET_GENERIC_SEGMENTATION,
        ):
            buffer = array.array("B", struct.pack("II", command, 0))
            address, _ = buffer.buffer_info()
            request = struct.pack("16sP", name.encode(), address)
            try:
                fcntl.ioctl(control, SIOCETHTOOL, request)
            except OSError as error:
                print(f"{name}: offload {command:#x}: {error}", file=sys.stderr)


def forward(names, delay_seconds):
    ends = []
    for name in names:
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        end.bind((name, 3))
        ends.append(end)
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    waiting = []
    order = itertools.count()
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, target, frame = heapq.heappop(waiting)
            try:
                target.send(frame)
            except OSError:
                pass
        timeout = max(0, waiting[0][0] - now) if waiting else None
        readable, _, _ = select.select(ends, [], [], timeout)
        for end in readable:
            frame, address = end.recvfrom(FRAME_BYTES_MAX)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            due = time.monotonic() + delay_seconds
            heapq.heappush(waiting, (due, next(order), other[end], frame))


def main():
    if sys.argv[1] == "--offload":
        switch_off_offloads(sys.argv[2])
        return
    first, second, delay_ms = sys.argv[1:4]
    forward((first, second), float(delay_ms) / 1000)


if __name__ == "__main__":
    main()
