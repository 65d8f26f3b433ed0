"""Tags are read wherever a container has them, and a fault costs no more than its own property."""

import hashlib
import io
import struct
import subprocess
import tempfile
from pathlib import Path

import pytest
from PIL import Image

import picture_files as files
import tag_files as tags
from engine import DONE_WITH_FAILURES, Engine, fresh_folder

DATE = files.ascii_tag(0x9003, "2020:01:01 01:01:01")


def exif(*entries, ifd0=()):
    """A TIFF block with a directory of EXIF."""
    pointer = lambda at: files.long(0x8769, at)
    size = len(files.tiff_block(*ifd0, pointer(0)))
    return files.tiff_block(*ifd0, pointer(size)) + files.directory(entries, size)


def extended(inner, lost=()):
    """A main packet, and another in parts of 100 bytes but for those that are lost."""
    data = tags.packet(inner)
    digest = hashlib.md5(data).hexdigest().upper()
    parts = [(at, data[at:at + 100]) for at in range(0, len(data), 100)]
    header = b"http://ns.adobe.com/xmp/extension/\0" + digest.encode()
    return [tags.xmp_segment(tags.packet(f"<xmpNote:HasExtendedXMP>{digest}</xmpNote:HasExtendedXMP>"))] + [
        files.segment(0xE1, header + struct.pack(">II", len(data), at) + part)
        for number, (at, part) in enumerate(reversed(parts)) if len(parts) - 1 - number not in lost]


def foreign_extension(inner):
    """Of another main packet: a program has left it behind."""
    return [tags.xmp_segment(tags.packet(f"<xmpNote:HasExtendedXMP>{'0' * 32}</xmpNote:HasExtendedXMP>")),
            *extended(inner)[1:]]


def split(data, marker, header, at=300):
    return [files.segment(marker, header + data[:at]), files.segment(marker, header + data[at:])]


def jpeg_xl(*boxes, behind=()):
    """cjxl's code stream in boxes of our own."""
    with tempfile.TemporaryDirectory() as folder:
        files.corners().save(folder + "/a.png")
        subprocess.run(["cjxl", folder + "/a.png", folder + "/a.jxl", "-d", "1", "--quiet"], check=True, stderr=subprocess.DEVNULL)
        made = Path(folder, "a.jxl").read_bytes()
    assert made[:2] == b"\xff\x0a"
    return (tags.box(b"JXL ", b"\r\n\x87\n") + tags.box(b"ftyp", b"jxl \0\0\0\0jxl ") + b"".join(boxes) +
            tags.box(b"jxlc", made) + b"".join(behind))


def stored(data):
    """RFC 7932 without compression: 16-bit window, uncompressed meta-blocks, an empty last one."""
    out = b""
    for at in range(0, len(data), 0x10000):
        part = data[at:at + 0x10000]
        # ISLAST 0, MNIBBLES 4 as 00, MLEN-1 in 16 bits, ISUNCOMPRESSED 1; in front of the first, WBITS 16 as 0.
        bits = (len(part) - 1) << 3 | 1 << 19
        out += (bits << (at == 0)).to_bytes(3, "little") + part
    return out + b"\x03"


def brob(kind, data):
    return tags.box(b"brob", kind + stored(data))


JXL_EXIF = b"\0\0\0\0" + exif(DATE)
WORD = tags.subject("word")
KEYWORD_RESOURCE = tags.iptc((25, "word"))


def big_tiff():
    """The tags of BigTIFF that do not fit into eight bytes lie behind the pixels."""
    whole = files.big_tiff(files.corners(seed=40))
    at = len(whole) + 64  # behind the entries that are added
    ifd = struct.pack("<Q", 1) + struct.pack("<HHQQ", 0x9003, 2, 20, at + 128) + struct.pack("<Q", 0)
    text = b"2020:01:01 01:01:01\0"
    data = tags.packet(WORD)
    make = b"A long maker's name\0"
    entries = [(700, 1, len(data), struct.pack("<Q", at + 256)), (0x8769, 13, 1, struct.pack("<Q", at)),
               (271, 2, len(make), struct.pack("<Q", at + 192))]
    whole = files.big_tiff(files.corners(seed=40), *entries)
    tail = bytearray(at - len(whole)) + ifd.ljust(128, b"\0") + text.ljust(64, b"\0") + make.ljust(64, b"\0") + data
    return whole + bytes(tail)


def all_of(**facts):
    return {"keywords": ["word"], **facts}


DATED = {"taken": "2020-01-01T01:01:01"}

# Each has the keyword `word`, the date or both.
CONTAINERS = {
    "extended.jpg": (files.jpeg(*extended(WORD + "<xmp:Rating>4</xmp:Rating>"), seed=1), all_of(rating=4)),
    "extended_of_another.jpg": (files.jpeg(*foreign_extension(WORD), seed=2), {"keywords": None}),
    "extended_cut.jpg": (files.jpeg(*extended("<xmp:Rating>4</xmp:Rating><!-- " + "x" * 1000 + " -->" + WORD,
                                              lost=[len(tags.packet("")) // 100 + 3]), seed=3), {"rating": 4, "keywords": None}),
    "two_packets.jpg": (files.jpeg(tags.xmp_segment(tags.packet("<xmp:Rating>4</xmp:Rating>")),
                                   tags.xmp_segment(tags.packet("<xmp:Rating>2</xmp:Rating>" + WORD)), seed=4), all_of(rating=4)),
    "second_app13.jpg": (files.jpeg(tags.app13(tags.resource(0x03ED, bytes(16))), tags.app13(KEYWORD_RESOURCE), seed=5), all_of()),
    "resource_over_two.jpg": (files.jpeg(*split(tags.resource(0x03ED, bytes(290)) + KEYWORD_RESOURCE, 0xED, b"Photoshop 3.0\0"),
                                         seed=6), all_of()),
    "exif_over_two.jpg": (files.jpeg(*split(exif(DATE, ifd0=[files.ascii_tag(0x010E, "z" * 500)]), 0xE1, b"Exif\0\0"), seed=7),
                          {**DATED, "description": "z" * 500}),
    "second_exif.jpg": (files.jpeg(files.exif_segment(files.ascii_tag(0x010F, "First")),
                                   files.segment(0xE1, b"Exif\0\0" + exif(DATE, ifd0=[files.ascii_tag(0x010F, "Second")])), seed=8),
                        {**DATED, "camera": {"make": "First"}}),
    **{f"after_{signature.decode()}.jpg": (files.jpeg(tags.app13(tags.resource(0x1389, b"abc", signature) + KEYWORD_RESOURCE),
                                                      seed=9 + i), all_of())
       for i, signature in enumerate([b"PHUT", b"AgHg", b"DCSR", b"MeSa", b"WHO?"])},
    "after_unpadded.jpg": (files.jpeg(tags.app13(tags.resource(0x03ED, b"abc", pad=False) + KEYWORD_RESOURCE), seed=15), all_of()),
    "after_a_lie.jpg": (files.jpeg(tags.app13(b"8BIM\x03\xed\0\0\x7f\xff\xff\xff" + KEYWORD_RESOURCE), seed=16), all_of()),
    "junk_behind_iptc.jpg": (files.jpeg(tags.app13(tags.resource(0x0404, tags.iim((25, "word")) + b"junk" * 5)), seed=17), all_of()),
    "xmp.gif": (tags.gif(tags.gif_xmp(tags.packet(WORD))), all_of()),
    "xmp_behind.gif": (tags.gif(b"\x21\xfe\x05hello\0", behind=[tags.gif_xmp(tags.packet(WORD + "<xmp:Rating>4</xmp:Rating>"))]),
                       all_of(rating=4)),
    "plain.jxl": (jpeg_xl(tags.box(b"Exif", JXL_EXIF), tags.box(b"xml ", tags.packet(WORD))), all_of(**DATED)),
    "behind.jxl": (jpeg_xl(behind=[tags.box(b"Exif", b"\0\0\0\2ab" + exif(DATE)), tags.box(b"xml ", tags.packet(WORD))]),
                   all_of(**DATED)),
    "brob.jxl": (jpeg_xl(brob(b"Exif", JXL_EXIF), brob(b"xml ", tags.packet(WORD))), all_of(**DATED)),
    "brob_behind.jxl": (jpeg_xl(behind=[brob(b"Exif", JXL_EXIF), brob(b"xml ", tags.packet(WORD))]), all_of(**DATED)),
    "broken_brob.jxl": (jpeg_xl(tags.box(b"brob", b"Exif" + b"\xff" * 40), brob(b"xml ", tags.packet(WORD))), all_of()),
    "big.tif": (big_tiff(), all_of(**DATED, camera={"make": "A long maker's name"})),
}


def assert_facts(shown, facts):
    assert {key: shown.get(key) for key in facts} == facts, shown.get("warnings")


@pytest.fixture(scope="module")
def library():
    with fresh_folder() as made:
        photos = made / "photos"
        photos.mkdir()
        for name, (data, _) in CONTAINERS.items():
            (photos / name).write_bytes(data)
        engine = Engine(made)
        engine.analyze(photos)
        yield engine, photos


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers(library, name):
    engine, folder = library
    assert_facts(engine.show(folder / name), CONTAINERS[name][1])


def test_exiftools_jpeg_xl(engine, photos):
    """exiftool compresses the boxes, and puts them where it likes."""
    (photos / "plain.jxl").write_bytes(jpeg_xl())
    options = ["-EXIF:DateTimeOriginal=2023:07:15 10:11:13", "-EXIF:Make=JxlCam", "-XMP-dc:Subject=jxlword", "-XMP-xmp:Rating=4"]
    for name, more in (("a.jxl", []), ("b.jxl", ["-api", "Compress=1"])):
        subprocess.run(["exiftool", "-q", "-m", "-o", photos / name, *more, *options, photos / "plain.jxl"], check=True)
    engine.analyze(photos)
    for name in ("a.jxl", "b.jxl"):
        assert_facts(engine.show(photos / name), {"taken": "2023-07-15T10:11:13", "rating": 4, "keywords": ["jxlword"],
                                                  "camera": {"make": "JxlCam"}})


# ---- Faults

RATING = "<xmp:Rating>4</xmp:Rating>"
FAULTS = {
    "twice": RATING + RATING + WORD,
    "not_closed": RATING + "<dc:title>never closed" + WORD,
    "crossed": RATING + "<dc:title><rdf:Alt></dc:title></rdf:Alt>" + WORD,
    "ampersand": RATING + tags.subject("salt & pepper", "word"),
    "unknown_prefix": RATING + "<mine:thing>1</mine:thing>" + WORD,
    "no_quotes": RATING + "<dc:source rdf:parseType=Resource>x</dc:source>" + WORD,
    "bad_number": "<xmp:Rating>4</xmp:Rating><exif:ISOSpeedRatings>4</exif:ISOSpeedRatings>" + WORD,
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "sidecar"])
def test_a_fault_in_one_property(engine, photos, name, kind):
    data = tags.packet(FAULTS[name])
    photo = photos / ("a.jpg" if kind == "sidecar" else f"a.{kind}")
    if kind == "sidecar":
        photo.write_bytes(files.jpeg())
        (photos / "a.xmp").write_bytes(data)
    elif kind == "jpg":
        photo.write_bytes(files.jpeg(tags.xmp_segment(data)))
    elif kind == "png":
        photo.write_bytes(files.png(files.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + data)))
    else:
        files.corners().save(photo, tiffinfo={700: data})
    engine.analyze(photos)
    shown = engine.show(photo)
    assert shown["rating"] == 4 and "word" in shown["keywords"], shown.get("warnings")
    if name == "ampersand":
        assert "salt & pepper" in shown["keywords"]


@pytest.mark.parametrize("data", [
    tags.packet(RATING + WORD) + b"<junk> & more \0\0",
    tags.packet(RATING + WORD)[:-50],
    tags.packet(RATING + WORD, without=["dc", "xmp"]),
    tags.packet(WORD, attributes='xmp:Rating="4" xmp:Rating="4"'),
], ids=["junk", "cut", "undeclared", "attribute_twice"])
def test_faults_around_the_properties(engine, photos, data):
    (photos / "a.jpg").write_bytes(files.jpeg(tags.xmp_segment(data)))
    engine.analyze(photos)
    shown = engine.show(photos / "a.jpg")
    assert shown["keywords"] == ["word"] and shown["rating"] == 4, shown.get("warnings")


# ---- Character sets and names of sidecars

@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32-le", "cp1252"])
@pytest.mark.parametrize("declared", [True, False])
def test_character_sets_of_sidecars(engine, photos, encoding, declared):
    text = tags.packet(tags.subject("Köln") + RATING).decode().split("?>", 1)[1].rsplit("<?xpacket", 1)[0]
    if declared:
        text = f'<?xml version="1.0" encoding="{encoding[:6].upper()}"?>\n' + text
    (photos / "a.jpg").write_bytes(files.jpeg())
    (photos / "a.xmp").write_bytes(text.encode(encoding))
    engine.analyze(photos)
    shown = engine.show(photos / "a.jpg")
    assert shown["keywords"] == ["Köln"] and shown["rating"] == 4 and "warnings" not in shown


@pytest.mark.parametrize("extension, theirs", [("PNG", ["a.png"]), ("jpg", ["a.jpg"]), (".JPEG", ["a.jpg"]), ("CR2", []),
                                               ("PSD", []), ("", ["a.jpg", "a.png"])])
def test_the_file_of_a_sidecar(engine, photos, extension, theirs):
    (photos / "a.jpg").write_bytes(files.jpeg())
    (photos / "a.png").write_bytes(files.png(picture=files.corners(seed=1)))
    stated = f"<photoshop:SidecarForExtension>{extension}</photoshop:SidecarForExtension>" if extension else ""
    (photos / "a.xmp").write_bytes(tags.packet(stated + WORD + RATING))
    engine.analyze(photos)
    assert [name for name in ("a.jpg", "a.png") if engine.show(photos / name).get("rating") == 4] == theirs


# ---- Pictures that cannot be decoded

def unknown_compression():
    entries = (files.long(256, 8), files.long(257, 8), files.short(258, 8), files.short(259, 31999), files.short(262, 1),
               files.long(273, 8), files.long(279, 8), files.ascii_tag(271, "Maker"), files.ascii_tag(306, "2020:01:01 01:01:01"))
    return files.tiff_block(*entries)


def without_frame():
    whole = files.jpeg(tags.xmp_segment(tags.packet(WORD)), files.segment(0xE1, b"Exif\0\0" + exif(DATE)))
    return whole[:whole.index(b"\xff\xdb")]


def cut_webp():
    data = io.BytesIO()
    files.corners().save(data, "WEBP", lossless=True, exif=exif(DATE), xmp=tags.packet(WORD))
    whole = bytearray(data.getvalue())
    at = whole.index(b"VP8L") + 8
    whole[at:at + 20] = bytes(20)
    return bytes(whole)


def damaged_png():
    """Its header's sum is wrong."""
    whole = bytearray(files.png(files.chunk(b"eXIf", exif(DATE)), files.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + tags.packet(WORD))))
    whole[24] = 77
    return bytes(whole)


UNDECODABLE = {
    "compression.tif": (unknown_compression(), {**DATED, "camera": {"make": "Maker"}}),
    "frame.jpg": (without_frame(), all_of(**DATED)),
    "cut.webp": (cut_webp(), all_of(**DATED)),
    "header.png": (damaged_png(), all_of(**DATED)),
    "stream.jxl": (jpeg_xl(tags.box(b"xml ", tags.packet(WORD))).replace(b"\xff\x0a", b"\0\0"), all_of()),
}


@pytest.mark.parametrize("name", UNDECODABLE)
def test_tags_are_kept_where_pixels_cannot_be_read(engine, photos, name):
    data, facts = UNDECODABLE[name]
    (photos / name).write_bytes(data)
    engine.analyze(photos, expect=DONE_WITH_FAILURES)
    assert_facts(engine.show(photos / name), facts)
    assert engine.show(photos / name)["failures"], "the ledger says what failed"


def test_a_sidecar_of_a_picture_that_cannot_be_read(engine, photos):
    (photos / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    (photos / "a.xmp").write_bytes(tags.packet(WORD))
    engine.analyze(photos, expect=DONE_WITH_FAILURES)
    assert engine.show(photos / "a.jpg")["keywords"] == ["word"]


def test_old_style_jpeg_without_its_stream(engine, photos):
    """A TIFF of compression 6 whose tables are lost."""
    entries = [files.long(256, 8), files.long(257, 8), files.short(258, 8), files.short(259, 6), files.short(262, 6),
               files.long(273, 8), files.long(279, 8), files.ascii_tag(271, "Scanner"), files.ascii_tag(306, "2020:01:01 01:01:01")]
    (photos / "a.tif").write_bytes(files.tiff_block(*entries))
    engine.analyze(photos, expect=DONE_WITH_FAILURES)
    assert_facts(engine.show(photos / "a.tif"), {**DATED, "camera": {"make": "Scanner"}})
