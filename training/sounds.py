"""Phonemes, for the CTC head: forty sounds are found sooner than four hundred words."""

from dataclasses import dataclass

from grammar import WORDS
from synthesise import Espeak

BLANK = 0


@dataclass(frozen=True)
class Sounds:
    """Class ids from 1 by word; 0 is the blank."""

    by_word: dict[str, list[int]]
    size: int

    @classmethod
    def of_vocabulary(cls) -> "Sounds":
        espeak = Espeak()
        spoken = {word: espeak.phonemes(word) for word in WORDS}
        ids = {symbol: number for number, symbol in enumerate(sorted(set("".join(spoken.values()))), BLANK + 1)}
        return cls({word: [ids[symbol] for symbol in symbols] for word, symbols in spoken.items()}, len(ids) + 1)

    def words(self, words: list[str]) -> list[int]:
        return [sound for word in words for sound in self.by_word[word]]
