"""TIFF structures that lie; they serve as EXIF blocks and as files."""

import struct

ASCII, SHORT, LONG, RATIONAL = 2, 3, 4, 5
EXIF_IFD, GPS_IFD = 34665, 34853


def entry(tag: int, kind: int, count: int, value: int) -> bytes:
    return struct.pack("<HHII", tag, kind, count, value)


def ifd(entries: list, following: int = 0) -> bytes:
    return struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", following)


def tiff(*parts: bytes) -> bytes:
    return struct.pack("<2sHI", b"II", 42, 8) + b"".join(parts)


def loop() -> bytes:
    first = ifd([entry(274, SHORT, 1, 1)], 8 + 18)
    return tiff(first, ifd([entry(274, SHORT, 1, 1)], 8))


def self_reference() -> bytes:
    return tiff(ifd([entry(274, SHORT, 1, 1), entry(EXIF_IFD, LONG, 1, 8), entry(GPS_IFD, LONG, 1, 8)], 8))


def huge_counts() -> bytes:
    lies = [entry(270, ASCII, 0xFFFFFFFF, 100), entry(271, ASCII, 0xFFFFFFF0, 8), entry(282, RATIONAL, 0x20000001, 8)]
    return tiff(ifd(lies), bytes(64))


def far_offsets() -> bytes:
    return tiff(ifd([entry(271, ASCII, 40, 0xFFFFFFF0), entry(EXIF_IFD, LONG, 1, 0xFFFFFFFE)], 0xFFFFFFFC))


def odd_values() -> bytes:
    """A position of 999°, exposure 0/0, f-number 1/0, month 13 of the year 0, orientation 99."""
    exif_at = 8 + 2 + 3 * 12 + 4
    gps_at = exif_at + 2 + 3 * 12 + 4
    data_at = gps_at + 2 + 4 * 12 + 4
    zero_by_zero, one_by_zero, position, time = data_at, data_at + 8, data_at + 16, data_at + 40
    main = ifd([entry(274, SHORT, 1, 99), entry(EXIF_IFD, LONG, 1, exif_at), entry(GPS_IFD, LONG, 1, gps_at)])
    exif = ifd([entry(33434, RATIONAL, 1, zero_by_zero), entry(33437, RATIONAL, 1, one_by_zero), entry(36867, ASCII, 20, time)])
    north, east = ord("N"), ord("E")
    gps = ifd([entry(1, ASCII, 2, north), entry(2, RATIONAL, 3, position), entry(3, ASCII, 2, east), entry(4, RATIONAL, 3, position)])
    data = struct.pack("<10I", 0, 0, 1, 0, 999, 1, 99, 1, 5, 0) + b"0000:13:45 25:61:61\0"
    return tiff(main, exif, gps, data)


def huge_picture() -> bytes:
    size = 0x7FFFFFFF
    tags = [(256, LONG, 1, 16), (257, LONG, 1, size), (258, SHORT, 1, 8), (259, SHORT, 1, 1), (262, SHORT, 1, 1),
            (273, LONG, 1, 8), (277, SHORT, 1, 1), (278, LONG, 1, size), (279, LONG, 1, size)]  # fmt: skip
    return tiff(ifd([entry(*tag) for tag in tags]))
