"""Errors in words and in times: what compare.py and no_words.py count."""

import re
import unicodedata

# Numbers are written in digits by some recognisers and in letters by others.
UNITS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
         "nineteen").split()  # fmt: skip
TENS = dict(zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), range(20, 100, 10), strict=True))


def in_letters(number: int) -> str:
    """English, below 1000000."""
    if number < 20:
        return UNITS[number]
    if number < 100:
        tens = next(name for name, value in TENS.items() if value == number // 10 * 10)
        return tens + (" " + UNITS[number % 10] if number % 10 else "")
    size, name = (100, "hundred") if number < 1000 else (1000, "thousand")
    rest = number % size
    return f"{in_letters(number // size)} {name}" + (f" {in_letters(rest)}" if rest else "")


def words_of(text: str, language: str = "en") -> list[str]:
    """Lower case, without punctuation and accents of typography; hyphens separate words; an apostrophe belongs to its word. English
    numbers below a million are in letters."""
    text = re.sub(r"[-\u2010-\u2015]", " ", unicodedata.normalize("NFKC", text).lower().replace("\u2019", "'"))
    if language == "en":
        text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
        text = re.sub(r"\b\d{1,6}\b", lambda found: in_letters(int(found[0])), text)
    return [word for word in (re.sub(r"[^\w']|_", "", part).strip("'") for part in text.split()) if word]


def aligned(expected: list[str], got: list[str]) -> list[tuple[int | None, int | None]]:
    """The cheapest alignment by substitutions, insertions and deletions, each of cost 1: pairs of places, None where there is no word."""
    cost = [list(range(len(got) + 1))]
    for row, word in enumerate(expected, 1):
        line = [row]
        for column, other in enumerate(got, 1):
            line.append(min(cost[-1][column - 1] + (word != other), cost[-1][column] + 1, line[-1] + 1))
        cost.append(line)
    pairs = []
    row, column = len(expected), len(got)
    while row or column:
        if row and column and cost[row][column] == cost[row - 1][column - 1] + (expected[row - 1] != got[column - 1]):
            row, column = row - 1, column - 1
            pairs.append((row, column))
        elif row and cost[row][column] == cost[row - 1][column] + 1:
            row -= 1
            pairs.append((row, None))
        else:
            column -= 1
            pairs.append((None, column))
    return pairs[::-1]


def word_errors(expected: list[str], got: list[str]) -> int:
    return sum(left is None or right is None or expected[left] != got[right] for left, right in aligned(expected, got))


def time_differences(expected: list[tuple[str, float]], got: list[tuple[str, float]]) -> list[float]:
    """Seconds between the beginnings of words that both have, sorted by size."""
    pairs = aligned([word for word, _ in expected], [word for word, _ in got])
    both = [(left, right) for left, right in pairs if left is not None and right is not None and expected[left][0] == got[right][0]]
    return sorted(abs(expected[left][1] - got[right][1]) for left, right in both)


def in_silence(begins: list[float], voice: list[list[float]], least: float = 0.05) -> int:
    """How many of these seconds are `least` and more from all spans of voice."""
    return sum(all(begin <= start - least or begin >= end + least for start, end in voice) for begin in begins)
