#include "types/language.h"

#include <algorithm>

#include "core/text.h"

namespace image_engine {
namespace {

struct LanguageRow {
  std::string_view code;
  std::string_view names;  // separated by spaces
};

// ISO 639-2's two codes and the English name.
constexpr LanguageRow kLanguages[] = {
    {"en", "eng english"},
    {"zh", "zho chi chinese mandarin"},
    {"de", "deu ger german deutsch"},
    {"es", "spa spanish castilian"},
    {"ru", "rus russian"},
    {"ko", "kor korean"},
    {"fr", "fra fre french"},
    {"ja", "jpn japanese"},
    {"pt", "por portuguese"},
    {"tr", "tur turkish"},
    {"pl", "pol polish"},
    {"ca", "cat catalan"},
    {"nl", "nld dut dutch flemish"},
    {"ar", "ara arabic"},
    {"sv", "swe swedish"},
    {"it", "ita italian"},
    {"id", "ind indonesian"},
    {"hi", "hin hindi"},
    {"fi", "fin finnish"},
    {"vi", "vie vietnamese"},
    {"he", "heb hebrew"},
    {"uk", "ukr ukrainian"},
    {"el", "ell gre greek"},
    {"ms", "msa may malay"},
    {"cs", "ces cze czech"},
    {"ro", "ron rum romanian"},
    {"da", "dan danish"},
    {"hu", "hun hungarian"},
    {"ta", "tam tamil"},
    {"no", "nor norwegian"},
    {"nb", "nob bokmal"},
    {"nn", "nno nynorsk"},
    {"th", "tha thai"},
    {"ur", "urd urdu"},
    {"hr", "hrv croatian"},
    {"bg", "bul bulgarian"},
    {"lt", "lit lithuanian"},
    {"la", "lat latin"},
    {"mi", "mri mao maori"},
    {"ml", "mal malayalam"},
    {"cy", "cym wel welsh"},
    {"sk", "slk slo slovak"},
    {"te", "tel telugu"},
    {"fa", "fas per persian farsi"},
    {"lv", "lav latvian"},
    {"bn", "ben bengali"},
    {"sr", "srp serbian"},
    {"az", "aze azerbaijani"},
    {"sl", "slv slovenian"},
    {"kn", "kan kannada"},
    {"et", "est estonian"},
    {"mk", "mkd mac macedonian"},
    {"br", "bre breton"},
    {"eu", "eus baq basque"},
    {"is", "isl ice icelandic"},
    {"hy", "hye arm armenian"},
    {"ne", "nep nepali"},
    {"mn", "mon mongolian"},
    {"bs", "bos bosnian"},
    {"kk", "kaz kazakh"},
    {"sq", "sqi alb albanian"},
    {"sw", "swa swahili"},
    {"gl", "glg galician"},
    {"mr", "mar marathi"},
    {"pa", "pan punjabi"},
    {"si", "sin sinhala"},
    {"km", "khm khmer"},
    {"sn", "sna shona"},
    {"yo", "yor yoruba"},
    {"so", "som somali"},
    {"af", "afr afrikaans"},
    {"oc", "oci occitan"},
    {"ka", "kat geo georgian"},
    {"be", "bel belarusian"},
    {"tg", "tgk tajik"},
    {"sd", "snd sindhi"},
    {"gu", "guj gujarati"},
    {"am", "amh amharic"},
    {"yi", "yid yiddish"},
    {"lo", "lao"},
    {"uz", "uzb uzbek"},
    {"fo", "fao faroese"},
    {"ht", "hat haitian"},
    {"ps", "pus pashto"},
    {"tk", "tuk turkmen"},
    {"mt", "mlt maltese"},
    {"sa", "san sanskrit"},
    {"lb", "ltz luxembourgish"},
    {"my", "mya bur burmese"},
    {"bo", "bod tib tibetan"},
    {"tl", "tgl tagalog filipino"},
    {"mg", "mlg malagasy"},
    {"as", "asm assamese"},
    {"tt", "tat tatar"},
    {"haw", "hawaiian"},
    {"ln", "lin lingala"},
    {"ha", "hau hausa"},
    {"ba", "bak bashkir"},
    {"jw", "jv jav javanese"},
    {"su", "sun sundanese"},
    {"yue", "cantonese"},
    {"eo", "epo esperanto"},
    {"ga", "gle irish"},
    {"ku", "kur kurdish"},
};

bool has_name(const LanguageRow& row, std::string_view name) {
  if (row.code == name) return true;
  for (std::string_view rest = row.names; !rest.empty();) {
    const size_t end = std::min(rest.find(' '), rest.size());
    if (rest.substr(0, end) == name) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

}  // namespace

std::string language_code(std::string_view name) {
  const std::string lower = ascii_lower(name.substr(0, name.find_first_of("-_")));
  const auto* row = std::ranges::find_if(kLanguages, [&](const LanguageRow& r) { return has_name(r, lower); });
  return row == std::end(kLanguages) || lower.empty() ? "" : std::string(row->code);
}

}  // namespace image_engine
