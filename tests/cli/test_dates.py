"""When a photo or video was taken, as far as it is known and wherever it is written. The right values are those of the
tags' standards, worked out by hand."""

import struct
import subprocess
import zlib

import pytest

import picture_files as files


def taken(engine, file):
    """What is known of it, and where it is from."""
    shown = engine.show(file)
    if "taken" not in shown:
        return None
    length = {"year": 4, "month": 7, "day": 10, "minute": 16}.get(shown.get("taken_precision"))
    return shown["taken"][:length], shown["taken_from"]


def xmp(**tags):
    names = {"photoshop": "http://ns.adobe.com/photoshop/1.0/", "exif": "http://ns.adobe.com/exif/1.0/",
             "xmp": "http://ns.adobe.com/xap/1.0/"}
    spaces = " ".join(f'xmlns:{name}="{uri}"' for name, uri in names.items())
    attributes = " ".join(f'{key.replace("_", ":")}="{value}"' for key, value in tags.items())
    return ('<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            f'<rdf:Description rdf:about="" {spaces} {attributes}/></rdf:RDF></x:xmpmeta>').encode()


def xmp_segment(**tags):
    return files.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(**tags))


def iptc_segment(*entries):
    records = b"".join(b"\x1c\x02" + bytes([number]) + struct.pack(">H", len(text)) + text for number, text in entries)
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(records)) + records + b"\0" * (len(records) % 2)
    return files.segment(0xED, b"Photoshop 3.0\0" + resource)


def exif_segment(first=(), photo=(), gps=()):
    """Directories that point to one another; entries are (tag, type, count, bytes)."""
    first, photo, gps = list(first), list(photo), list(gps)
    def block(at_photo, at_gps):
        pointers = ([files.long(0x8769, at_photo)] if photo else []) + ([files.long(0x8825, at_gps)] if gps else [])
        one = files.directory(first + pointers)
        two = files.directory(photo, base=8 + len(one)) if photo else b""
        three = files.directory(gps, base=8 + len(one) + len(two)) if gps else b""
        return b"II*\0" + struct.pack("<I", 8) + one + two + three, 8 + len(one), 8 + len(one) + len(two)
    _, at_photo, at_gps = block(0, 0)
    return files.segment(0xE1, b"Exif\0\0" + block(at_photo, at_gps)[0])


def original(text):
    return exif_segment(photo=[files.ascii_tag(0x9003, text)])


CLOCK = (7, 5, 3, struct.pack("<6I", 9, 1, 8, 1, 7, 1))
JPEGS = {
    "a year in XMP": ([xmp_segment(photoshop_DateCreated="1978")], ("1978", "original")),
    "a month in XMP": ([xmp_segment(photoshop_DateCreated="1953-07")], ("1953-07", "original")),
    "a year in IPTC": ([iptc_segment((55, b"19530000"))], ("1953", "original")),
    "a year in EXIF": ([original("1993:00:00 12:00:00")], ("1993", "original")),
    "blanks in EXIF": ([original("1993:07:     :  :  ")], ("1993-07", "original")),
    "nothing but blanks": ([original("    :  :     :  :  ")], None),
    "hour 24": ([original("2015:08:22 24:08:19")], ("2015-08-22", "original")),
    "second 60": ([original("2016:12:31 23:59:60")], ("2016-12-31", "original")),
    "the receiver's time": ([exif_segment(gps=[files.ascii_tag(29, "2022:02:03"), CLOCK])],
                            ("2022-02-03T09:08:07Z", "gps")),
    "IPTC digital creation": ([iptc_segment((62, b"19990714"), (63, b"101500+0100"))],
                              ("1999-07-14T10:15:00+01:00", "digitized")),
    "XMP exif digitized": ([xmp_segment(exif_DateTimeDigitized="2011-01-02T03:04:05")],
                           ("2011-01-02T03:04:05", "digitized")),
    "a scan": ([exif_segment([files.ascii_tag(0x0132, "2020:10:10 10:10:10")],
                             [files.ascii_tag(0x9004, "2020:10:10 10:10:11")]), iptc_segment((55, b"19640812"))],
               ("1964-08-12", "original")),
    "a change": ([exif_segment([files.ascii_tag(0x0132, "2020:10:10 10:10:10")])], ("2020-10-10T10:10:10", "modified")),
    "nothing": ([], None),
}


@pytest.fixture(name="jpegs")
def fixture_jpegs(engine, photos):
    for seed, (name, (segments, _)) in enumerate(JPEGS.items()):
        (photos / f"{name}.jpg").write_bytes(files.jpeg(*segments, seed=seed))
    engine.analyze(photos)
    return photos


def test_of_jpegs(engine, jpegs):
    assert {name: taken(engine, jpegs / f"{name}.jpg") for name in JPEGS} == {name: right for name, (_, right) in JPEGS.items()}
    assert sorted(engine.search("before:1970")) == ["a month in XMP.jpg", "a scan.jpg", "a year in IPTC.jpg"]
    assert engine.search("date:1953-07") == ["a month in XMP.jpg"]
    assert engine.search("date:1953-01") == []
    outcome = engine.run("show", jpegs / "a year in XMP.jpg")
    lines = [line.split() for line in outcome.out.decode().splitlines()]
    assert [line for line in lines if line[0].startswith("taken")] == [
        ["taken", "1978"], ["taken_precision", "year"], ["taken_from", "original"]]


def test_a_sidecars_tag_of_lower_rank_does_not_count(engine, photos):
    (photos / "a.jpg").write_bytes(files.jpeg(original("2019:07:14 12:20:56")))
    (photos / "a.jpg.xmp").write_bytes(xmp(xmp_CreateDate="2024-08-10T21:43:21"))
    (photos / "b.jpg").write_bytes(files.jpeg(exif_segment(photo=[files.ascii_tag(0x9004, "2019:07:14 12:20:56")]), seed=1))
    (photos / "b.jpg.xmp").write_bytes(xmp(photoshop_DateCreated="1964"))
    engine.analyze(photos)
    assert taken(engine, photos / "a.jpg") == ("2019-07-14T12:20:56", "original")
    assert taken(engine, photos / "b.jpg") == ("1964", "original")


def test_png_states_its_creation_time_in_text(engine, photos):
    texts = {"rfc": (b"tEXt", b"Creation Time\0Mon, 22 Apr 2019 13:15:41 +0200", "2019-04-22T13:15:41+02:00"),
             "iso": (b"iTXt", b"Creation Time\0\0\0\0\x002019-04-22T13:15:41Z", "2019-04-22T13:15:41Z"),
             "packed": (b"zTXt", b"Creation Time\0\0" + zlib.compress(b"2019:04:22 13:15:41"), "2019-04-22T13:15:41"),
             "other": (b"tEXt", b"date:create\x002019-04-22T13:15:41+00:00", None)}
    for name, (kind, text, _) in texts.items():
        (photos / f"{name}.png").write_bytes(files.png(files.chunk(kind, text), files.chunk(b"tEXt", b"Author\0" + name.encode())))
    (photos / "last_change.png").write_bytes(files.png(files.chunk(b"tIME", struct.pack(">HBBBBB", 2019, 4, 22, 13, 15, 41))))
    engine.analyze(photos)
    for name, (_, _, right) in texts.items():
        assert taken(engine, photos / f"{name}.png") == (right and (right, "original")), name
    assert taken(engine, photos / "last_change.png") is None


def video(path, *tags):
    command = ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=5:duration=1"]
    for tag in tags:
        command += ["-metadata", tag]
    subprocess.run([*command, "-c:v", "mpeg4", "-fflags", "+bitexact", path], check=True)


@pytest.mark.parametrize("tags, right", [
    (("date=2019-04-22T13:15:41+0200", "creation_time=2020-01-01T00:00:00Z"), "2019-04-22T13:15:41+02:00"),
    (("date=2019", "creation_time=2020-01-01T00:00:00Z"), "2020-01-01T00:00:00Z"),
    (("date=2019-04",), "2019-04"),
    (("creation_time=1970-01-01T00:00:00Z", "date=2019-04-22 13:15:41"), "2019-04-22T13:15:41"),
    ((), None),
])
def test_of_quicktime(engine, photos, tags, right):
    video(photos / "a.mov", *tags)
    engine.analyze(photos)
    assert taken(engine, photos / "a.mov") == (right and (right, "original"))


def test_a_videos_sidecar_counts(engine, photos):
    for name in "ab":
        video(photos / f"{name}.mov", "creation_time=2020-01-01T00:00:00Z", "title=" + name)
    (photos / "a.mov.xmp").write_bytes(xmp(exif_DateTimeOriginal="2019-04-22T13:15:41+02:00", xmp_Rating=4))
    (photos / "b.mov.xmp").write_bytes(xmp(exif_GPSTimeStamp="2021-01-01T00:00:00Z"))
    engine.analyze(photos)
    assert taken(engine, photos / "a.mov") == ("2019-04-22T13:15:41+02:00", "original")
    assert engine.show(photos / "a.mov")["rating"] == 4 and engine.show(photos / "a.mov")["title"] == "a"
    assert taken(engine, photos / "b.mov") == ("2020-01-01T00:00:00Z", "original")


def test_a_name_is_the_last_resort(engine, photos):
    names = {"IMG-20201018-WA0007.jpg": ("2020-10-18", "name"), "PXL_20190422_131541123.jpg": ("2019-04-22T13:15:41.123Z", "name"),
             "Screenshot 2019-04-22 at 13.15.41.jpg": ("2019-04-22T13:15:41", "name"), "IMG_1234.jpg": None}
    for seed, name in enumerate(names):
        (photos / name).write_bytes(files.jpeg(seed=seed))
    (photos / "20190422_131541.jpg").write_bytes(files.jpeg(original("2001:02:03 04:05:06"), seed=9))
    engine.analyze(photos)
    assert {name: taken(engine, photos / name) for name in names} == names
    assert taken(engine, photos / "20190422_131541.jpg") == ("2001-02-03T04:05:06", "original")
    found = engine.json("search", "date:2020-10-18")["results"]
    assert [result["why"] for result in found] == [[{"field": "taken", "text": "2020-10-18 (name)"}]]
    # Another name, another date; and none, where that is asked for.
    (photos / "IMG-20201018-WA0007.jpg").rename(photos / "IMG-20201019-WA0007.jpg")
    engine.analyze(photos)
    assert taken(engine, photos / "IMG-20201019-WA0007.jpg") == ("2020-10-19", "name")
    off = engine.folder / "off.yaml"
    off.write_text("scan:\n  dates_from_names: false\n")
    engine.analyze(photos, "--config", off)
    assert taken(engine, photos / "IMG-20201019-WA0007.jpg") is None
    assert taken(engine, photos / "20190422_131541.jpg") == ("2001-02-03T04:05:06", "original")
    engine.analyze(photos)
    assert taken(engine, photos / "IMG-20201019-WA0007.jpg") == ("2020-10-19", "name")
