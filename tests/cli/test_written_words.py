"""Keywords, people, places and descriptions as people have written them into the tags of their pictures."""

import os

import pytest

import picture_files as files
import tag_files as tags
from engine import Engine, fresh_folder


def names(found):
    return {os.path.basename(path) for path in found}


class Library:
    """Photos by name, each of its own seed, analyzed at once."""

    def __init__(self, folder, photos, options=()):
        self.photos = folder / "photos"
        self.photos.mkdir()
        for seed, (name, content) in enumerate(photos.items()):
            parts = content if isinstance(content, (list, tuple)) else [tags.xmp_segment(tags.packet(content))]
            size = (96 + 2 * (seed // 200), 64)
            (self.photos / name).write_bytes(files.jpeg(*parts, seed=seed % 200 + 1, size=size))
        self.engine = Engine(folder)
        self.engine.analyze(self.photos)

    def show(self, name):
        return self.engine.show(self.photos / name)

    def found(self, *query):
        return {os.path.basename(path) for path in self.engine.search(*query)}


CATEGORIES = ('&lt;Categories&gt;&lt;Category Assigned="0"&gt;Food &amp;amp; Drink&lt;Category Assigned="1"&gt;Tea'
              '&lt;/Category&gt;&lt;Category Assigned="0"&gt;Coffee&lt;/Category&gt;&lt;/Category&gt;'
              '&lt;Category Assigned="1"&gt;Quinces&lt;/Category&gt;&lt;/Categories&gt;')


def hierarchy(*levels):
    """A path of the Metadata Working Group's keywords."""
    inner = ""
    for level in reversed(levels):
        below = f"<mwg-kw:Children><rdf:Bag>{inner}</rdf:Bag></mwg-kw:Children>" if inner else ""
        inner = f'<rdf:li rdf:parseType="Resource"><mwg-kw:Keyword>{level}</mwg-kw:Keyword>{below}</rdf:li>'
    return ('<mwg-kw:Keywords rdf:parseType="Resource"><mwg-kw:Hierarchy><rdf:Bag>' + inner +
            "</rdf:Bag></mwg-kw:Hierarchy></mwg-kw:Keywords>")


# What is written, and the keywords that are shown.
KEYWORDS = {
    "lightroom.jpg": (tags.bag("lr:hierarchicalSubject", "Nature|Animals|Lynx"), ["Nature|Animals|Lynx"]),
    "leaf.jpg": (tags.bag("lr:hierarchicalSubject", "Country|Bavaria|Wasserburg", "Wasserburg") + tags.subject("Wasserburg"),
                 ["Wasserburg", "Country|Bavaria|Wasserburg"]),
    "digikam.jpg": (tags.structures("digiKam:TagsList", kind="Seq").replace("</rdf:Seq>", "<rdf:li>Trees/Conifers/Larch</rdf:li></rdf:Seq>"),
                    ["Trees|Conifers|Larch"]),
    "windows.jpg": (tags.bag("MicrosoftPhoto:LastKeywordXMP", "Boats/Sailing/Dinghy"), ["Boats|Sailing|Dinghy"]),
    "mediapro.jpg": (tags.bag("mediapro:CatalogSets", "Clients|Zanzibari"), ["Clients|Zanzibari"]),
    "acdsee.jpg": (f"<acdsee:categories>{CATEGORIES}</acdsee:categories>", ["Food & Drink|Tea", "Quinces"]),
    "mwg.jpg": (hierarchy("Music", "Strings", "Viola"), ["Music|Strings|Viola"]),
    "both.jpg": (tags.bag("lr:hierarchicalSubject", "Birds|Owls") +
                 tags.structures("digiKam:TagsList", kind="Seq").replace("</rdf:Seq>", "<rdf:li>Birds/Owls</rdf:li></rdf:Seq>"),
                 ["Birds|Owls"]),
    "slash.jpg": (tags.bag("lr:hierarchicalSubject", "Bands|AC/DC"), ["Bands|AC/DC"]),
}

# A word of a level, and the photo that it finds.
LEVELS = [("lynx", "lightroom.jpg"), ("animals", "lightroom.jpg"), ("bavaria", "leaf.jpg"), ("wasserburg", "leaf.jpg"),
          ("conifers", "digikam.jpg"), ("larch", "digikam.jpg"), ("sailing", "windows.jpg"), ("zanzibari", "mediapro.jpg"),
          ("drink", "acdsee.jpg"), ("tea", "acdsee.jpg"), ("quinces", "acdsee.jpg"), ("strings", "mwg.jpg"), ("viola", "mwg.jpg"),
          ("owls", "both.jpg"), ("bands", "slash.jpg")]


def faces(*regions):
    return ('<mwg-rs:Regions rdf:parseType="Resource">' + tags.structures(
        "mwg-rs:RegionList", *({"mwg-rs:Name": name, **({"mwg-rs:Type": kind} if kind else {})} for name, kind in regions)) +
            "</mwg-rs:Regions>")


PEOPLE = {
    "regions.jpg": (faces(("Personalpha", "Face"), ("Rexdog", "Pet"), ("Personbeta", ""), ("", "Face")), ["Personalpha", "Personbeta"]),
    "microsoft.jpg": ('<MP:RegionInfo rdf:parseType="Resource">' + tags.structures(
        "MPRI:Regions", {"MPReg:Rectangle": "0.1, 0.1, 0.2, 0.2", "MPReg:PersonDisplayName": "Ann Persongamma"},
        {"MPReg:Rectangle": "0.5, 0.1, 0.2, 0.2"}) + "</MP:RegionInfo>", ["Ann Persongamma"]),
    "iptc.jpg": (tags.bag("Iptc4xmpExt:PersonInImage", "Persondelta", "Personalpha"), ["Persondelta", "Personalpha"]),
    "details.jpg": (tags.structures("Iptc4xmpExt:PersonInImageWDetails", {
        "Iptc4xmpExt:PersonName": '<rdf:Alt><rdf:li xml:lang="x-default">Personepsilon</rdf:li></rdf:Alt>'}), ["Personepsilon"]),
    "acdsee_faces.jpg": ('<acdsee-rs:Regions rdf:parseType="Resource">' + tags.structures(
        "acdsee-rs:RegionList", {"acdsee-rs:Name": "Personzeta", "acdsee-rs:Type": "Face"}) + "</acdsee-rs:Regions>", ["Personzeta"]),
    "twice.jpg": (faces(("Personeta", "Face")) + tags.bag("Iptc4xmpExt:PersonInImage", "Personeta"), ["Personeta"]),
}


def location(name, **parts):
    return tags.structures("Iptc4xmpExt:" + name, {"Iptc4xmpExt:" + key: value for key, value in parts.items()})


PLACES = {
    "iim.jpg": ([tags.app13(tags.iptc((90, "Caprile"), (92, "Villa"), (95, "Veneto"), (101, "Italy")))],
                {"location": "Villa", "city": "Caprile", "region": "Veneto", "country": "Italy", "country_code": "IT"}),
    "photoshop.jpg": ("<photoshop:City>Lagosword</photoshop:City><photoshop:State>Algarve</photoshop:State>"
                      "<photoshop:Country>Portugal</photoshop:Country><Iptc4xmpCore:Location>Ponta Stone</Iptc4xmpCore:Location>"
                      "<Iptc4xmpCore:CountryCode>PT</Iptc4xmpCore:CountryCode>",
                      {"location": "Ponta Stone", "city": "Lagosword", "region": "Algarve", "country": "Portugal", "country_code": "PT"}),
    "created.jpg": (location("LocationCreated", City="Tromso", CountryCode="no") + location("LocationShown", City="Elsewhere"),
                    {"city": "Tromso", "country": "Norway", "country_code": "NO"}),
    "shown.jpg": (location("LocationShown", City="Kirkwall", CountryName="Scotland"),
                  {"city": "Kirkwall", "country": "Scotland", "country_code": "GB"}),
    "three_letters.jpg": ("<photoshop:Country>Atlantis</photoshop:Country><Iptc4xmpCore:CountryCode>ATL</Iptc4xmpCore:CountryCode>",
                          {"country": "Atlantis"}),
}


def described(text):
    return [files.exif_segment(files.ascii_tag(0x010E, text))]


MAKERS = ["OLYMPUS DIGITAL CAMERA         ", "SONY DSC", "DCIM\\100MEDIA\\DJI_0012.JPG", "DCIM100MEDIADJI_0012.JPG",
          "DCIM/101GOPRO/GOPR0001.JPG", "SAMSUNG CAMERA PICTURES", "MINOLTA DIGITAL CAMERA", "Exif_JPEG_PICTURE", "default",
          "<Digimax i5, Samsung #1>", "KODAK Digital Still Camera"]
PEOPLES = ["Our OLYMPUS DIGITAL CAMERA", "DCIM is a folder", "A burst of colours", "mon", "Samsung"[:3]]


@pytest.fixture(scope="module")
def library():
    described_ones = {f"maker{i}.jpg": described(text) for i, text in enumerate(MAKERS)}
    described_ones |= {f"people{i}.jpg": described(text) for i, text in enumerate(PEOPLES)}
    with fresh_folder() as folder:
        yield Library(folder, {name: content for table in (KEYWORDS, PEOPLE, PLACES) for name, (content, _) in table.items()} |
                      described_ones)


@pytest.mark.parametrize("name", KEYWORDS)
def test_keywords_are_shown_as_paths(library, name):
    assert library.show(name)["keywords"] == KEYWORDS[name][1]


@pytest.mark.parametrize("word, name", LEVELS)
def test_each_level_is_found(library, word, name):
    assert library.found(word) == library.found(f"tag:{word}") == library.found(f"keyword:{word}") == {name}


@pytest.mark.parametrize("name", PEOPLE)
def test_people_are_shown(library, name):
    assert library.show(name)["people"] == PEOPLE[name][1]


def test_people_are_found_without_a_model(library):
    document = library.engine.json("search", "person:personalpha")
    assert names(result["path"] for result in document["results"]) == {"regions.jpg", "iptc.jpg"}
    assert not document.get("notes") and all({"field": "person", "text": "Personalpha"} in r["why"] for r in document["results"])
    assert library.found('person:"ann persongamma"') == {"microsoft.jpg"}
    assert library.found("personzeta") == {"acdsee_faces.jpg"} and library.found("person:rexdog") == set()
    assert library.found("person:personepsilon") == {"details.jpg"} and library.found("person:personeta") == {"twice.jpg"}


@pytest.mark.parametrize("name", PLACES)
def test_places_in_words(library, name):
    shown = library.show(name)
    assert shown["place"] == PLACES[name][1] and "gps" not in shown
    for part, text in shown["place"].items():
        if part != "country_code":
            assert name in library.found(f'place:"{text}"')


def test_a_position_comes_before_words(engine, photos):
    exif = [("0,0", ""), ("48,8.232N", "11,34.530E")]
    for name, (latitude, longitude) in zip(("words.jpg", "position.jpg"), exif):
        position = (f"<exif:GPSLatitude>{latitude}</exif:GPSLatitude><exif:GPSLongitude>{longitude}</exif:GPSLongitude>"
                    if longitude else "")
        (photos / name).write_bytes(tags.jpeg(position + "<photoshop:City>Timbuktu</photoshop:City>", seed=len(name)))
    engine.analyze(photos)
    assert engine.show(photos / "words.jpg")["place"] == {"city": "Timbuktu"}
    place = engine.show(photos / "position.jpg")["place"]
    if place.get("country_code") is None:
        pytest.skip("no place names: build/share/places.csv is missing")
    assert place["city"] != "Timbuktu" and place["country_code"] == "DE"


def test_a_sidecar_comes_first(engine, photos):
    (photos / "a.jpg").write_bytes(tags.jpeg(tags.bag("lr:hierarchicalSubject", "Old|One") + faces(("Oldname", "Face"))))
    (photos / "a.xmp").write_bytes(tags.packet(tags.bag("lr:hierarchicalSubject", "New|Two") + faces(("Newname", "Face")) +
                                               "<photoshop:City>Newtown</photoshop:City>"))
    engine.analyze(photos)
    shown = engine.show(photos / "a.jpg")
    assert (shown["keywords"], shown["people"], shown["place"]) == (["New|Two"], ["Newname"], {"city": "Newtown"})


@pytest.mark.parametrize("number", range(len(MAKERS)))
def test_what_a_maker_writes_is_no_description(library, number):
    assert "description" not in library.show(f"maker{number}.jpg")


@pytest.mark.parametrize("number", range(len(PEOPLES)))
def test_what_people_write_is_one(library, number):
    assert library.show(f"people{number}.jpg")["description"] == PEOPLES[number]


def test_a_makers_text_gives_way(engine, photos):
    """To the next tag; and the camera's own name is no description, nor a mode of Huawei's."""
    (photos / "a.jpg").write_bytes(files.jpeg(
        *described("OLYMPUS DIGITAL CAMERA"), tags.xmp_segment(tags.packet(
            '<dc:description><rdf:Alt><rdf:li xml:lang="x-default">OLYMPUS DIGITAL CAMERA</rdf:li></rdf:Alt></dc:description>'
            '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">SONY DSC</rdf:li></rdf:Alt></dc:title>')),
        tags.app13(tags.iptc((120, "A caption"), (5, "A name")))))
    (photos / "b.jpg").write_bytes(files.jpeg(files.exif_segment(
        files.ascii_tag(0x010E, "Maker X100"), files.ascii_tag(0x010F, "Maker"), files.ascii_tag(0x0110, "Maker X100")), seed=1))
    (photos / "c.jpg").write_bytes(files.jpeg(files.exif_segment(
        files.ascii_tag(0x010E, "oznor"), files.ascii_tag(0x010F, "HUAWEI")), seed=2))
    engine.analyze(photos)
    shown = engine.show(photos / "a.jpg")
    assert shown["description"] == "A caption" and shown["title"] == "A name"
    assert all("description" not in engine.show(photos / name) for name in ("b.jpg", "c.jpg"))
