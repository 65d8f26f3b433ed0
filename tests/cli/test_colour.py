"""Colours that are stated otherwise than by an ICC profile's name, against numbers computed here or by ffmpeg."""

import io
import shutil
import struct
import subprocess
import zlib

import numpy as np
import pytest
from PIL import Image

import picture_files as files

UPRIGHT = [files.RED, files.GREEN, files.BLUE, files.YELLOW]
D65 = (0.3127, 0.3290)
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
BT2020 = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))


def to_xyz(primaries):
    """Linear light to CIE XYZ (SMPTE RP 177)."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    white = np.array([D65[0] / D65[1], 1, (1 - D65[0] - D65[1]) / D65[1]])
    return columns * np.linalg.solve(columns, white)


def srgb_light(signal):
    return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)


def in_srgb(colour, primaries, light=srgb_light):
    """Of numbers in 0…1; colours beyond sRGB are cut off, as relative colorimetric conversion does."""
    linear = np.clip(np.linalg.inv(to_xyz(SRGB)) @ to_xyz(primaries) @ light(np.asarray(colour, dtype=float)), 0, 1)
    signal = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return tuple(np.rint(255 * signal).astype(int).tolist())


def corners_in_srgb(primaries, light=srgb_light):
    return [in_srgb(np.array(colour) / 255, primaries, light) for colour in UPRIGHT]


def gamma(value):
    return lambda signal: signal ** value


def profile(name, primaries, light_gamma, *more):
    """A matrix profile (ICC 2.4) of display colours, adapted to D50 by Bradford's matrix."""
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    white = np.array([D65[0] / D65[1], 1, (1 - D65[0] - D65[1]) / D65[1]])
    d50 = np.array([0.9642, 1, 0.8249])
    adapted = np.linalg.inv(bradford) @ np.diag((bradford @ d50) / (bradford @ white)) @ bradford @ to_xyz(primaries)
    number = lambda value: struct.pack(">i", round(value * 65536))
    xyz = lambda column: b"XYZ \0\0\0\0" + b"".join(number(v) for v in column)
    curve = b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(light_gamma * 256), 0)
    text = b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name.encode().ljust(len(name) + 1 + 78, b"\0")
    tags = [(b"desc", text), (b"wtpt", xyz(d50)), *zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(xyz, adapted.T)),
            *((tag, curve) for tag in (b"rTRC", b"gTRC", b"bTRC")), *more]
    table, data = struct.pack(">I", len(tags)), b""
    for tag, value in tags:
        table += tag + struct.pack(">II", 132 + 12 * len(tags) + len(data), len(value))
        data += value.ljust((len(value) + 3) // 4 * 4, b"\0")
    header = struct.pack(">I4xI4s4s4s", 132 + 12 * len(tags) + len(data), 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    header = header.ljust(36, b"\0") + b"acsp" + bytes(28) + b"".join(map(number, d50))
    return header.ljust(128, b"\0") + table + data


def exif_with(index=None, colour_space=None):
    """A TIFF block with these in the directories of Exif and of interoperability."""
    entries = [files.short(0xA001, colour_space)] if colour_space is not None else []
    first = files.directory([files.long(0x8769, 26)])
    size = 2 + 12 * (len(entries) + (index is not None)) + 4
    if index is not None:
        entries.append(files.long(0xA005, 26 + size))
    block = b"II*\0" + struct.pack("<I", 8) + first + files.directory(entries, 26)
    return block + (files.directory([files.ascii_tag(1, index)], len(block)) if index is not None else b"")


def jpeg_with(exif, **options):
    return files.jpeg(files.segment(0xE1, b"Exif\0\0" + exif), **options)


def webp_with(exif):
    data = io.BytesIO()
    files.corners().save(data, "WEBP", lossless=True, exif=exif)
    return data.getvalue()


def icc_jpeg(icc, *segments):
    return files.jpeg(files.segment(0xE2, b"ICC_PROFILE\0\1\1" + icc), *segments)


def number_chunk(name, *numbers):
    return files.chunk(name, struct.pack(f">{len(numbers)}I", *numbers))


def chromaticities(primaries):
    return number_chunk(b"cHRM", *(round(v * 100_000) for point in (D65, *primaries) for v in point))


def icc_chunk(icc):
    return files.chunk(b"iCCP", b"p\0\0" + zlib.compress(icc))


R03 = exif_with("R03", 65535)
ADOBE_COLOURS = corners_in_srgb(ADOBE, gamma(563 / 256))
CICP = {"p3": (12, 13), "bt2020": (9, 1)}
STATED = {
    "r03.jpg": (jpeg_with(R03), ADOBE_COLOURS, "Adobe RGB (1998)"),
    "r03.webp": (webp_with(R03), ADOBE_COLOURS, "Adobe RGB (1998)"),
    "r03.png": (files.png(files.chunk(b"eXIf", R03)), ADOBE_COLOURS, "Adobe RGB (1998)"),
    "colour_space_2.jpg": (jpeg_with(exif_with(colour_space=2)), ADOBE_COLOURS, "Adobe RGB (1998)"),
    "r98.jpg": (jpeg_with(exif_with("R98", 1)), UPRIGHT, None),
    "uncalibrated.jpg": (jpeg_with(exif_with(colour_space=65535)), UPRIGHT, None),
    "profile_before_r03.jpg": (icc_jpeg(profile("P3 of 2.2", P3, 2.2), files.segment(0xE1, b"Exif\0\0" + R03)),
                               corners_in_srgb(P3, gamma(2.2)), "P3 of 2.2"),
    "adobe_called_srgb.jpg": (icc_jpeg(profile("sRGB IEC61966-2.1", ADOBE, 2.2)), corners_in_srgb(ADOBE, gamma(2.2)),
                              "sRGB IEC61966-2.1"),
    "adobe_called_srgb.png": (files.png(icc_chunk(profile("sRGB", ADOBE, 2.2))), corners_in_srgb(ADOBE, gamma(2.2)), "sRGB"),
    "cicp_p3.png": (files.png(files.chunk(b"cICP", bytes((12, 13, 0, 1)))), corners_in_srgb(P3), "Display P3"),
    "cicp_bt2020.png": (files.png(files.chunk(b"cICP", bytes((9, 14, 0, 1)))), corners_in_srgb(BT2020), "BT.2020"),
    "cicp_linear.png": (files.png(files.chunk(b"cICP", bytes((1, 8, 0, 1)))), corners_in_srgb(SRGB, gamma(1)), "sRGB"),
    "cicp_before_profile.png": (files.png(files.chunk(b"cICP", bytes((12, 13, 0, 1))), icc_chunk(profile("a", ADOBE, 2.2))),
                                corners_in_srgb(P3), "Display P3"),
    "cicp_srgb_before_gamma.png": (files.png(files.chunk(b"cICP", bytes((1, 13, 0, 1))), number_chunk(b"gAMA", 100_000)),
                                   UPRIGHT, None),
    "gamma_1.png": (files.png(number_chunk(b"gAMA", 100_000)), corners_in_srgb(SRGB, gamma(1)), "sRGB"),
    "gamma_1.8.png": (files.png(number_chunk(b"gAMA", 55_556)), corners_in_srgb(SRGB, gamma(1.8)), "sRGB"),
    "gamma_2.2.png": (files.png(number_chunk(b"gAMA", 45_455)), UPRIGHT, None),
    "gamma_of_adobe.png": (files.png(number_chunk(b"gAMA", 45_455), chromaticities(ADOBE)), corners_in_srgb(ADOBE),
                           "Adobe RGB (1998)"),
    "chromaticities_p3.png": (files.png(chromaticities(P3)), corners_in_srgb(P3), "Display P3"),
    "chromaticities_srgb.png": (files.png(chromaticities(SRGB)), UPRIGHT, None),
    "srgb_before_gamma.png": (files.png(files.chunk(b"sRGB", b"\0"), number_chunk(b"gAMA", 100_000)), UPRIGHT, None),
    "profile_before_gamma.png": (files.png(icc_chunk(profile("P3 of 2.2", P3, 2.2)), number_chunk(b"gAMA", 100_000)),
                                 corners_in_srgb(P3, gamma(2.2)), "P3 of 2.2"),
    "senseless_gamma.png": (files.png(number_chunk(b"gAMA", 1), chromaticities(((0, 0), (0, 0), (0, 0)))), UPRIGHT, None),
}


@pytest.mark.parametrize("name", STATED)
def test_stated_colours(engine, photos, name):
    data, expected, described = STATED[name]
    (photos / name).write_bytes(data)
    engine.analyze(photos)
    files.assert_colours(files.seen(engine, photos / name)[0], expected)
    assert engine.show(photos / name).get("colour_profile") == described


def test_grey_gamma(engine, photos):
    grey = Image.new("L", (64, 48), 100)
    data = io.BytesIO()
    grey.save(data, "PNG")
    whole = data.getvalue()
    (photos / "a.png").write_bytes(whole[:33] + number_chunk(b"gAMA", 100_000) + whole[33:])
    engine.analyze(photos)
    expected = in_srgb([100 / 255] * 3, SRGB, gamma(1))
    files.assert_colours(files.seen(engine, photos / "a.png")[0], [expected] * 4, 2)


@pytest.mark.parametrize("alpha", (65535, 32767, 16383, 0))
def test_16_bits_with_alpha_and_a_profile(engine, photos, alpha):
    """As without the profile: its primaries and curve do not concern the share of white."""
    black, red = (0, 0, 0, alpha), (65535, 0, 0, alpha)
    (photos / "black.png").write_bytes(files.png16(6, black, icc_chunk(profile("P3", P3, 2.2))))
    (photos / "plain.png").write_bytes(files.png16(6, black))
    (photos / "red.png").write_bytes(files.png16(6, red, icc_chunk(profile("P3", P3, 2.2))))
    engine.analyze(photos)
    white = 1 - alpha / 65535
    assert all(files.is_close(files.seen(engine, photos / name)[0][0], [round(255 * white)] * 3, 2)
               for name in ("plain.png",))
    files.assert_colours(files.seen(engine, photos / "black.png")[0], [in_srgb([white] * 3, P3, gamma(2.2))] * 4, 3)
    files.assert_colours(files.seen(engine, photos / "red.png")[0], [in_srgb([1, white, white], P3, gamma(2.2))] * 4, 3)


def cmyk16(picture):
    inks = (65535 - np.asarray(picture).astype(np.uint16) * 257).astype("<u2")
    data = np.concatenate([inks, np.zeros((*inks.shape[:2], 1), "<u2")], axis=2).tobytes()
    entries = [files.long(256, picture.width), files.long(257, picture.height), files.short(258, 16, 16, 16, 16),
               files.short(259, 1), files.short(262, 5), files.short(277, 4), files.long(278, picture.height),
               files.long(279, len(data))]
    size = len(files.directory([*entries, files.long(273, 0)]))
    return b"II*\0" + struct.pack("<I", 8) + files.directory([*entries, files.long(273, 8 + size)]) + data


def test_cmyk_of_16_bits(engine, photos):
    (photos / "a.tif").write_bytes(cmyk16(files.corners()))
    engine.analyze(photos)
    files.assert_colours(files.seen(engine, photos / "a.tif")[0], UPRIGHT)


def avif(target, primaries, transfer, pixel_format="yuv444p", matrix="bt709"):
    if not shutil.which("ffmpeg"):
        pytest.skip("ffmpeg is not installed")
    source = target.with_suffix(".source")
    files.corners((240, 160)).save(source, "PNG")
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", source, "-vf",
                    f"scale=out_color_matrix={matrix}:out_range=full,format={pixel_format}", "-c:v", "libaom-av1",
                    "-still-picture", "1", "-crf", "5", "-color_primaries", primaries, "-color_trc", transfer, "-colorspace",
                    {"bt2020": "bt2020nc"}.get(matrix, matrix), "-color_range", "pc", target], check=True)
    source.unlink()


@pytest.mark.parametrize("primaries, numbers", (("smpte432", P3), ("bt2020", BT2020), ("bt709", SRGB)))
def test_avif_by_nclx(engine, photos, primaries, numbers):
    avif(photos / "a.avif", primaries, "iec61966-2-1")
    engine.analyze(photos)
    files.assert_colours(files.seen(engine, photos / "a.avif")[0], corners_in_srgb(numbers), 8)


def pq_light(signal):
    """SMPTE ST 2084, 5.1, cd/m²."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = signal ** (1 / m2)
    return 10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)


def hlg_light(signal):
    """ITU-R BT.2100, table 5, for 1,000 cd/m²; the OOTF of each channel, as zscale has it."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    return 1000 * np.where(signal <= 0.5, signal ** 2 / 3, (np.exp((signal - c) / a) + b) / 12) ** 1.2


def hable(x):
    return (x * (0.15 * x + 0.05) + 0.004) / (x * (0.15 * x + 0.5) + 0.06) - 0.02 / 0.3


def tone_mapped(colour, primaries, light):
    """FFmpeg's tonemap=hable:desat=0 at npl=100, its peak of 10 where none is stated."""
    linear = light(np.asarray(colour, dtype=float)) / 100
    brightest = max(linear.max(), 1e-6)
    return in_srgb(linear * hable(brightest) / hable(10.0) / brightest, primaries, lambda value: value)


HDR = [(transfer, primaries, colour) for transfer in ((16, pq_light), (18, hlg_light))
       for primaries in ((9, BT2020), (12, P3), (1, SRGB)) for colour in ((0.5, 0.5, 0.5), (0.55, 0.4, 0.3), (0.3, 0.45, 0.6))]


@pytest.mark.parametrize("transfer, primaries, colour", HDR)
def test_png_with_pq_or_hlg(engine, photos, transfer, primaries, colour):
    code = files.chunk(b"cICP", bytes((primaries[0], transfer[0], 0, 1)))
    (photos / "a.png").write_bytes(files.png16(2, [round(65535 * value) for value in colour], code))
    Image.new("RGB", (64, 48), tuple(round(255 * value) for value in colour)).save(photos / "8.png")
    whole = (photos / "8.png").read_bytes()
    (photos / "8.png").write_bytes(whole[:33] + code + whole[33:])
    engine.analyze(photos)
    expected = tone_mapped(colour, primaries[1], transfer[1])
    files.assert_colours(files.seen(engine, photos / "a.png")[0], [expected] * 4, 3)
    files.assert_colours(files.seen(engine, photos / "8.png")[0], [expected] * 4, 5)  # a code of 8 bits is up to 3 levels
    assert engine.show(photos / "a.png")["colour_profile"].endswith({16: "PQ", 18: "HLG"}[transfer[0]])


def test_a_profile_that_says_pq(engine, photos):
    """By the cicp tag of ICC.1:2022, as JPEG XL's decoder and HDR JPEGs have it."""
    icc = profile("Rec2100PQ", BT2020, 2.2, (b"cicp", b"cicp\0\0\0\0" + bytes((9, 16, 0, 1))))
    picture = Image.new("RGB", (64, 48), (140, 102, 77))
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=95, subsampling=0, icc_profile=icc)
    (photos / "a.jpg").write_bytes(data.getvalue())
    picture.save(photos / "a.png", icc_profile=icc)
    engine.analyze(photos)
    expected = tone_mapped(np.array((140, 102, 77)) / 255, BT2020, pq_light)
    for name in ("a.jpg", "a.png"):
        files.assert_colours(files.seen(engine, photos / name)[0], [expected] * 4, 6)


@pytest.mark.parametrize("transfer, light", (("smpte2084", pq_light), ("arib-std-b67", hlg_light)))
def test_jpeg_xl_with_pq_or_hlg(engine, photos, transfer, light):
    """Its decoder gives a profile whose curve alone says so."""
    colour = (0.55, 0.4, 0.3)
    source = photos / "a.source"
    source.write_bytes(files.png16(2, [round(65535 * value) for value in colour]))
    made = subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", source, "-pix_fmt", "rgb48le", "-color_primaries", "bt2020",
                           "-color_trc", transfer, "-c:v", "libjxl", "-distance", "0.1", photos / "a.jxl"], check=False)
    if made.returncode != 0:
        pytest.skip("this ffmpeg writes no JPEG XL")
    source.unlink()
    engine.analyze(photos)
    files.assert_colours(files.seen(engine, photos / "a.jxl")[0], [tone_mapped(colour, BT2020, light)] * 4, 4)


def test_colours_that_a_newer_version_reads_are_analyzed_again(engine, photos):
    """A catalogue of a version that took R03 for sRGB."""
    import sqlite3
    (photos / "a.jpg").write_bytes(jpeg_with(R03))
    engine.analyze(photos)
    right = engine.show(photos / "a.jpg")
    with sqlite3.connect(engine.catalogue) as catalogue:
        catalogue.execute("UPDATE records SET data = json_remove(data, '$.colour_profile') WHERE stage = 'metadata'")
        catalogue.execute("UPDATE records SET data = json_set(data, '$.sharpness', 0.125) WHERE stage = 'quality'")
        catalogue.execute("UPDATE files SET metadata_version = '3'")
    catalogue.close()
    engine.analyze(photos)
    assert engine.show(photos / "a.jpg")["quality"] == right["quality"]
