"""Tags of pictures made by hand: XMP, IPTC, and the containers that hold them."""

import struct

import picture_files as files

NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpNote": "http://ns.adobe.com/xmp/note/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/",
    "acdsee": "http://ns.acdsee.com/iptc/1.0/",
    "acdsee-rs": "http://ns.acdsee.com/regions/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "mwg-kw": "http://www.metadataworkinggroup.com/schemas/keywords/",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    "mediapro": "http://ns.iview-multimedia.com/mediapro/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
}


def packet(inner, attributes="", without=()):
    declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items() if prefix not in without)
    return ('<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
            '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            f'<rdf:Description rdf:about="" {declared} {attributes}>{inner}</rdf:Description></rdf:RDF></x:xmpmeta>'
            '<?xpacket end="w"?>').encode()


def bag(name, *items):
    return f"<{name}><rdf:Bag>" + "".join(f"<rdf:li>{item}</rdf:li>" for item in items) + f"</rdf:Bag></{name}>"


def structures(name, *fields, kind="Bag"):
    """A bag of structures; each is a dictionary of texts, or of XML."""
    items = "".join('<rdf:li rdf:parseType="Resource">' + "".join(f"<{key}>{value}</{key}>" for key, value in one.items()) +
                    "</rdf:li>" for one in fields)
    return f"<{name}><rdf:{kind}>{items}</rdf:{kind}></{name}>"


def subject(*words):
    return bag("dc:subject", *words)


def xmp_segment(data):
    return files.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + data)


def jpeg(inner, **options):
    return files.jpeg(xmp_segment(packet(inner)), **options)


def iim(*records):
    """IPTC-IIM; records are (number in record 2, text)."""
    return b"".join(b"\x1c\x02" + bytes([number]) + struct.pack(">H", len(text.encode())) + text.encode()
                    for number, text in records)


def resource(number, data, signature=b"8BIM", pad=True):
    return (signature + struct.pack(">H", number) + b"\0\0" + struct.pack(">I", len(data)) + data +
            b"\0" * (len(data) % 2 if pad else 0))


def iptc(*records):
    return resource(0x0404, iim(*records))


def app13(data):
    return files.segment(0xED, b"Photoshop 3.0\0" + data)


def box(name, data):
    return struct.pack(">I", 8 + len(data)) + name + data


def gif(*extensions, behind=()):
    """A GIF of one colour, the extensions in front of its picture or behind it."""
    table = bytes([200, 30, 30, 30, 30, 200])
    picture = b"\x2c" + struct.pack("<HHHHB", 0, 0, 4, 4, 0) + b"\x02\x05\x84\x8f\xa9\x8b\x05\0"
    return b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0x80, 0, 0) + table + b"".join(extensions) + picture + b"".join(behind) + b";"


def gif_xmp(data):
    """XMP specification part 3, 1.1.2: the packet as it is, then bytes that lead to the end as sub-blocks."""
    return b"\x21\xff\x0bXMP DataXMP" + data + b"\x01" + bytes(range(255, -1, -1)) + b"\0"
