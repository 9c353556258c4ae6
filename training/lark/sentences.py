"""What the voice says while it learns: examples and definitions of WordNet, sentences of a grammar of
commands, numbers and dates, and a few words that have nothing to do with each other.

A sentence is held out by the hash of its own text, so the split needs no file and cannot drift.
"""

import random
import re
import sys
import zlib
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
import grammar  # noqa: E402

from frontend import dictionary, sounds  # noqa: E402

LONGEST = 180
"""The most sounds in one sentence; longer ones are not learnt from."""

PLAIN = re.compile(r"[A-Za-z][A-Za-z',;:?! -]+[.?!]?")
FRAMES = ["The word {word} means {text}.", "{Word} is {text}.", "What is {word}? It is {text}.", "{Word}: {text}."]
QUESTIONS = ("is", "are", "do", "does", "did", "can", "could", "will", "would", "what", "who", "where", "when", "why", "how")


def is_held_out(text: str) -> bool:
    """Whether `text` is kept for evaluation: one sentence in thirty-two."""
    return zlib.crc32(text.encode()) % 32 == 0


def finish(text: str) -> str:
    """`text` with a capital and a mark at its end."""
    text = text.strip(" ,;:")
    return text[:1].upper() + text[1:] + ("" if text[-1:] in ".?!" else ".")


def glosses(folder: Path):
    """Every (words, gloss) of WordNet's data files."""
    for kind in ["noun", "verb", "adj", "adv"]:
        for line in (folder / f"data.{kind}").read_text().splitlines():
            if not line.startswith(" "):
                head, _, gloss = line.partition(" | ")
                yield head.split()[4].replace("_", " "), gloss.strip()


def examples(folder: Path) -> list[str]:
    """WordNet's examples of use, of three words or more."""
    found = (text for _, gloss in glosses(folder) for text in re.findall(r'"([^"]+)"', gloss))
    return [finish(text) for text in found if text.count(" ") >= 2 and PLAIN.fullmatch(text)]


def definitions(folder: Path) -> list[str]:
    """WordNet's definitions, framed as sentences."""
    rng, made = random.Random(1), []
    for word, gloss in glosses(folder):
        text = re.sub(r"\([^)]*\)", "", gloss.split(';')[0]).strip()
        if PLAIN.fullmatch(text) and re.fullmatch("[A-Za-z ]+", word) and 8 < len(text) < 120:
            made.append(rng.choice(FRAMES).format(word=word, Word=word.capitalize(), text=text.rstrip(".")))
    return made


def spoken(rng: random.Random) -> str:
    """A sentence of the grammar, with the marks that the grammar itself leaves out."""
    text = grammar.sentence(rng)
    return finish(text + "?") if text.split()[0] in QUESTIONS else finish(text + rng.choice(["", "", "", "!"]))


def salad(rng: random.Random, words: list[str]) -> str:
    """One to six words of the dictionary that have nothing to do with each other."""
    return finish(rng.choice([" ", ", ", " "]).join(rng.choice(words) for _ in range(rng.randint(1, 6))))


def joined(rng: random.Random, texts: list[str]) -> str:
    """Two sentences as one, so that long ones are learnt too."""
    first, second = rng.choice(texts), rng.choice(texts)
    link = rng.choice([", and ", ", but ", "; ", ", because ", ": ", " — ", ", "])
    return first.rstrip(".?!") + link + second[:1].lower() + second[1:]


def usable(text: str) -> str | None:
    """The sounds of `text` where the dictionary knows all its words and it is not too long."""
    said = sounds(text.replace(" -- ", " — ").replace("-", " "))
    return said if said and len(said) <= LONGEST else None


def corpus(wordnet: Path, seed: int):
    """Endless sentences (text, sounds) to learn from, each once, in an order that `seed` fixes."""
    rng, words = random.Random(seed), sorted(dictionary())
    texts = {"examples": examples(wordnet), "definitions": definitions(wordnet)}
    kept = {name: [text for text in found if not is_held_out(text)] for name, found in texts.items()}
    for found in kept.values():
        rng.shuffle(found)
    makers = {
        "examples": lambda: kept["examples"].pop() if kept["examples"] else spoken(rng),
        "definitions": lambda: kept["definitions"].pop() if kept["definitions"] else spoken(rng),
        "joined": lambda: joined(rng, kept["examples"] or ["Yes, it is."]),
        "spoken": lambda: spoken(rng), "salad": lambda: salad(rng, words),
    }
    shares, seen = [0.42, 0.2, 0.15, 0.13, 0.1], set()
    while True:
        text = makers[rng.choices(list(makers), shares)[0]]()
        said = None if text in seen or is_held_out(text) else usable(text)
        if said:
            seen.add(text)
            yield text, said


def held_out(wordnet: Path, count: int) -> list[tuple[str, str]]:
    """`count` sentences (text, sounds) of five words or more that were never trained on: WordNet's examples."""
    found = [text for text in sorted(set(examples(wordnet))) if is_held_out(text) and 4 <= text.count(" ") <= 24]
    random.Random(7).shuffle(found)
    pairs = [(text, said) for text in found if (said := usable(text))]
    return pairs[:count]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for index, (text, said) in zip(range(40), corpus(folder, 1)):
        print(text, "|", said)
    for text, said in held_out(folder, 30):
        print("held out:", text)
