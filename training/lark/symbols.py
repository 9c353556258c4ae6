"""The alphabet that Lark reads: one character a sound, and how ARPAbet is written in it."""

import re

PUNCTUATION = ';:,.!?—… '
VOWELS = "AIOWYæɑɔəɛɜiɪuʊʌᵊ"
CONSONANTS = "bdfhjklmnpstvwzɡŋɹʃʒðθʤʧT"
STRESS = "ˈˌ"

EDGE = 0
"""The symbol before the first and after the last: silence."""

SYMBOLS = ["_", *PUNCTUATION, *STRESS, *VOWELS, *CONSONANTS]
INDEX = {symbol: index for index, symbol in enumerate(SYMBOLS)}

ARPABET = {
    "AA": "ɑ", "AE": "æ", "AO": "ɔ", "AW": "W", "AY": "I", "EH": "ɛ", "EY": "A", "IH": "ɪ", "IY": "i",
    "OW": "O", "OY": "Y", "UH": "ʊ", "UW": "u", "B": "b", "CH": "ʧ", "D": "d", "DH": "ð", "F": "f", "G": "ɡ",
    "HH": "h", "JH": "ʤ", "K": "k", "L": "l", "M": "m", "N": "n", "NG": "ŋ", "P": "p", "R": "ɹ", "S": "s",
    "SH": "ʃ", "T": "t", "TH": "θ", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}
MARKS = {"0": "", "1": "ˈ", "2": "ˌ"}
FLAP = re.compile(rf"(?<=[{VOWELS}ɹ])t(?=[{VOWELS}])")
SYLLABIC = re.compile(r"(?<=[tdszʃʒvfpbkɡTʧʤ])ə(?=[nl](?:[^AIOWYæɑɔəɛɜiɪuʊʌᵊˈˌj]|$))")


def vowel(phone: str) -> str:
    """A vowel of ARPAbet with its digit of stress: `AH1` is "ˈʌ", `ER0` is "əɹ"."""
    name, stress = phone[:-1], phone[-1]
    if name == "AH":
        sound = "ə" if stress == "0" else "ʌ"
    elif name == "ER":
        sound = "əɹ" if stress == "0" else "ɜɹ"
    else:
        sound = ARPABET[name]
    return MARKS[stress] + sound


def spell(arpabet: list[str]) -> str:
    """A pronunciation in ARPAbet in Lark's alphabet, with American flaps: `W AO1 T ER0` is "wˈɔTəɹ"."""
    sounds = "".join(vowel(phone) if phone[-1].isdigit() else ARPABET[phone] for phone in arpabet)
    return SYLLABIC.sub("ᵊ", FLAP.sub("T", sounds))


def ids(sounds: str) -> list[int]:
    """The indices of `sounds`, framed by silence; what the alphabet lacks is left out."""
    return [EDGE, *(INDEX[symbol] for symbol in sounds if symbol in INDEX), EDGE]
