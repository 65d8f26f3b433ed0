#include "media/xmp_packet.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "media/charset.h"

namespace image_engine::media {
namespace {

constexpr size_t kMostProperties = 2000;
constexpr std::string_view kDescription = "rdf:Description", kDeclares = "xmlns:";

// Of packets that use them undeclared.
constexpr std::pair<std::string_view, std::string_view> kUsualNamespaces[] = {
    {"dc", "http://purl.org/dc/elements/1.1/"},
    {"xmp", "http://ns.adobe.com/xap/1.0/"},
    {"exif", "http://ns.adobe.com/exif/1.0/"},
    {"tiff", "http://ns.adobe.com/tiff/1.0/"},
    {"photoshop", "http://ns.adobe.com/photoshop/1.0/"},
    {"lr", "http://ns.adobe.com/lightroom/1.0/"},
    {"digiKam", "http://www.digikam.org/ns/1.0/"},
    {"MicrosoftPhoto", "http://ns.microsoft.com/photo/1.0/"},
    {"mwg-rs", "http://www.metadataworkinggroup.com/schemas/regions/"},
    {"Iptc4xmpCore", "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"},
    {"Iptc4xmpExt", "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"}};

struct XmlTag {
  size_t begin = 0, end = 0;  // of "<" and behind ">"
  std::string_view name, attributes;
  bool closes = false, is_empty = false;
};

// The tags of a text one after the other; comments, declarations and tags that do not end are skipped.
class XmlTags {
 public:
  explicit XmlTags(std::string_view text) : text_(text) {}
  std::optional<XmlTag> next();
  void go_to(size_t at) { at_ = at; }

 private:
  // Behind the next `end`, or the text's end.
  [[nodiscard]] size_t behind(std::string_view end, size_t from) const {
    const size_t found = text_.find(end, from);
    return found == text_.npos ? text_.size() : found + end.size();
  }
  // The offset of the tag's ">", none where another "<" comes first: that is in no attribute either.
  [[nodiscard]] std::optional<size_t> end_of(size_t from) const {
    char quote = 0;
    for (; from < text_.size() && text_[from] != '<'; ++from) {
      if (quote == 0 && text_[from] == '>') return from;
      if (quote == 0 ? text_[from] == '"' || text_[from] == '\'' : text_[from] == quote)
        quote = quote == 0 ? text_[from] : '\0';
    }
    return std::nullopt;
  }

  std::string_view text_;
  size_t at_ = 0;
};

std::optional<XmlTag> XmlTags::next() {
  constexpr std::string_view kBlanks = " \t\r\n";
  constexpr std::pair<std::string_view, std::string_view> kOthers[] = {
      {"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<?", "?>"}, {"<!", ">"}};
  while ((at_ = text_.find('<', at_)) != text_.npos) {
    const std::string_view rest = text_.substr(at_);
    const auto* other = std::ranges::find_if(kOthers, [&](const auto& o) { return rest.starts_with(o.first); });
    if (other != std::end(kOthers)) {
      at_ = behind(other->second, at_ + other->first.size());
      continue;
    }
    const size_t begin = at_++;
    const auto end = end_of(at_);
    if (!end) continue;
    at_ = *end + 1;
    XmlTag tag{begin, at_, {}, text_.substr(begin + 1, *end - begin - 1)};
    tag.closes = tag.attributes.starts_with('/');
    if (tag.closes) tag.attributes.remove_prefix(1);
    tag.is_empty = tag.attributes.ends_with('/');
    if (tag.is_empty) tag.attributes.remove_suffix(1);
    tag.name = tag.attributes.substr(0, tag.attributes.find_first_of(kBlanks));
    tag.attributes.remove_prefix(tag.name.size());
    if (!tag.name.empty()) return tag;
  }
  return std::nullopt;
}

struct XmlAttribute {
  std::string_view name, text, value;  // `text`: name and value as written
};

std::vector<XmlAttribute> attributes_of(std::string_view text) {
  std::vector<XmlAttribute> found;
  for (size_t at = 0; (at = text.find_first_not_of(" \t\r\n", at)) != text.npos;) {
    const size_t equal = text.find('=', at);
    const size_t open = text.find_first_of("\"'", equal);
    if (equal == text.npos || open == text.npos) break;
    const size_t close = text.find(text[open], open + 1);
    if (close == text.npos) break;
    const std::string_view name = text.substr(at, equal - at);
    found.push_back({name.substr(0, name.find_last_not_of(" \t\r\n") + 1), text.substr(at, close + 1 - at),
                     text.substr(open + 1, close - open - 1)});
    at = close + 1;
  }
  return found;
}

using Namespaces = std::map<std::string_view, std::string_view>;

Namespaces namespaces_of(std::string_view text) {
  Namespaces all;
  XmlTags tags(text);
  while (const auto tag = tags.next())
    for (const XmlAttribute& attribute : attributes_of(tag->attributes))
      if (attribute.name.starts_with(kDeclares) && !attribute.value.empty())
        all.emplace(attribute.name.substr(kDeclares.size()), attribute.value);
  all.insert(std::begin(kUsualNamespaces), std::end(kUsualNamespaces));
  all.erase("rdf");
  return all;
}

// Whether an & begins a reference that XML itself knows.
bool is_reference(std::string_view from) {
  constexpr size_t kMostBytes = 10;
  const size_t end = from.find(';');  // npos is more, too
  if (end > kMostBytes) return false;
  const std::string_view name = from.substr(1, end - 1);
  constexpr std::string_view kNames[] = {"amp", "lt", "gt", "quot", "apos"};
  return std::ranges::find(kNames, name) != std::end(kNames) ||
         (name.starts_with('#') && name.find_first_not_of("#x0123456789abcdefABCDEF") == name.npos);
}

std::string with_references(std::string_view text) {
  std::string all;
  for (size_t i = 0; i < text.size(); ++i) {
    all += text[i];
    if (text[i] == '&' && !is_reference(text.substr(i))) all += "amp;";
  }
  return all;
}

// `attribute` or `element` is empty.
std::string packet_of(const Namespaces& namespaces, std::string_view attribute, std::string_view element) {
  std::string packet =
      "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">"
      "<rdf:Description rdf:about=\"\"";
  for (const auto& [prefix, uri] : namespaces) {
    const std::string used = std::string(prefix) + ':';
    if (attribute.find(used) != attribute.npos || element.find(used) != element.npos)
      packet.append(" xmlns:").append(prefix).append("=\"").append(uri).append("\"");
  }
  packet.append(" ").append(with_references(attribute)).append(">").append(with_references(element));
  return packet + "</rdf:Description></rdf:RDF></x:xmpmeta>";
}

// Behind the tag that closes `opened`; none where there is none.
std::optional<size_t> end_of_element(XmlTags tags, const XmlTag& opened) {
  if (opened.is_empty) return opened.end;
  int depth = 1;
  while (const auto tag = tags.next()) {
    if (tag->name != opened.name || tag->is_empty) continue;
    depth += tag->closes ? -1 : 1;
    if (depth == 0) return tag->end;
  }
  return std::nullopt;
}

}  // namespace

std::string xmp_text(Bytes packet) {
  std::string text = utf8_of_text_file(packet);
  const size_t declaration = text.find("<?xml ");
  const size_t end = text.find("?>", std::min(declaration, text.size()));
  if (declaration != text.npos && end != text.npos && text.find('<') == declaration) text.erase(0, end + 2);
  return text;
}

std::vector<XmpProperty> xmp_properties(std::string_view text) {
  const Namespaces namespaces = namespaces_of(text);
  std::vector<XmpProperty> properties;
  XmlTags tags(text);
  bool is_inside = false;
  size_t unclosed = 0;  // each is looked for to the end of the text
  while (properties.size() < kMostProperties && unclosed < 16) {
    const auto tag = tags.next();
    if (!tag) break;
    if (tag->name == kDescription) {
      is_inside = !tag->closes && !tag->is_empty;
      for (const XmlAttribute& attribute : attributes_of(tag->attributes))
        if (!attribute.name.starts_with("xml") && !attribute.name.starts_with("rdf:"))
          properties.push_back({attribute.name, packet_of(namespaces, attribute.text, {})});
    } else if (is_inside && !tag->closes) {
      const auto end = end_of_element(tags, *tag);
      unclosed += end ? 0 : 1;
      if (!end) continue;
      properties.push_back({tag->name, packet_of(namespaces, {}, text.substr(tag->begin, *end - tag->begin))});
      tags.go_to(*end);
    }
  }
  return properties;
}

}  // namespace image_engine::media
