#include "search/speech_acts.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/text.h"

namespace image_engine::search {
namespace {

struct Act {
  std::string_view names;      // separated by blanks, with a blank at both ends
  std::string_view sentences;  // separated by '|'
};
constexpr Act kActs[] = {
    {" toast toasts toasting toasted ",
     "Cheers to you all, let us raise our glasses!|To the bride and groom, may you be happy together!"},
    {" birthday birthdays ", "Happy birthday to you!|Make a wish and blow out the candles."},
    {" wedding marry marries marrying vows ",
     "I take you to be my husband, in good times and in bad.|You may kiss the bride."},
    {" proposal propose proposes proposing engagement ", "Will you marry me?"},
    {" goodbye farewell farewells ", "Goodbye, take care, see you soon."},
    {" greet greets greeting greetings welcome welcomes welcoming ", "Hello, welcome everyone, nice to see you."},
    {" thank thanks thanking ", "Thank you so much, that is very kind of you."},
    {" apology apologies apologize apologizes apologizing apologise apologises apologising ",
     "I am sorry, please forgive me."},
    {" congratulate congratulates congratulating congratulations ", "Congratulations, well done!"},
    {" argue argues arguing argument quarrel quarrels quarrelling ",
     "Stop it, that is not true, I have had enough of this."},
    {" joke jokes joking ", "Do you know the one about the man who walks into a bar?"},
    {" cheer cheers cheering encourage encourages encouraging ", "Come on, go, go, go, you can do it!"},
    {" goal goals ", "Goal! What a shot!"},
    {" countdown ", "Five, four, three, two, one!"},
    {" pray prays praying prayer prayers ", "Our Father in heaven, bless this food. Amen."},
    {" story stories tale tales ", "Once upon a time there was a king who had a daughter."},
    {" recipe cook cooks cooking bake bakes baking ", "Now add the butter and stir until it is smooth."},
    {" directions ", "Turn left at the corner and then go straight on."},
    {" bargain bargains bargaining haggle haggles haggling ", "How much is this? I give you ten for it."},
    {" introduce introduces introducing introduction ", "My name is Anna, and this is my brother."},
    {" warn warns warning warnings ", "Watch out! Be careful!"},
    {" restaurant waiter ", "I would like to have the soup, please."},
    {" mourn mourns mourning funeral funerals eulogy ", "We are here to remember her. She will be missed."},
    {" promise promises promising ", "I promise that I will never do it again."},
    {" graduate graduates graduating graduation ", "Congratulations to this year's class!"},
};

void add_parts(std::string_view list, std::vector<std::string>& parts) {
  while (true) {
    const std::size_t end = std::min(list.find('|'), list.size());
    parts.emplace_back(list.substr(0, end));
    if (end == list.size()) return;
    list.remove_prefix(end + 1);
  }
}

std::set<std::string> words_of(std::string_view text) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || static_cast<unsigned char>(c) >= 0x80; };
  std::set<std::string> words;
  std::string word;
  for (const char c : ascii_lower(text) + " ")
    if (is_letter(c))
      word += c;
    else if (!word.empty())
      words.insert(std::exchange(word, {}));
  return words;
}

}  // namespace

std::vector<std::string> typical_of_acts(std::string_view query) {
  const std::set<std::string> words = words_of(query);
  const auto is_named = [&](const Act& act) {
    return std::ranges::any_of(
        words, [&](const std::string& word) { return act.names.find(" " + word + " ") != std::string_view::npos; });
  };
  std::vector<std::string> sentences;
  for (const Act& act : kActs)
    if (is_named(act)) add_parts(act.sentences, sentences);
  return sentences;
}

}  // namespace image_engine::search
