"""The tokenizer: a byte-level BPE of our own text, then Whisper's special tokens in Whisper's order."""

import random
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from grammar import sentence

BYTES, MERGES = 256, 512
WINDOW_S, TIME_STEP_S = 6.0, 0.02
SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>",
           "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
TIMES = [f"<|{index * TIME_STEP_S:.2f}|>" for index in range(round(WINDOW_S / TIME_STEP_S) + 1)]
NOT_SPEECH = '"#()*+/:;<=>@[\\]^_`{|}~'


def build(sentences: int = 20_000, seed: int = 1) -> Tokenizer:
    """Learn the merges from the grammar's own sentences and append the special tokens."""
    rng = random.Random(seed)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=BYTES + MERGES, show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator((" " + sentence(rng) for _ in range(sentences)), trainer)
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    tokenizer.add_tokens([AddedToken(name, special=False, normalized=False) for name in TIMES])
    tokenizer.post_processor = _template(tokenizer)
    return tokenizer


def _template(tokenizer: Tokenizer) -> processors.TemplateProcessing:
    """What `.en` checkpoints put around a text: start, no timestamps, end."""
    around = ["<|startoftranscript|>", "<|notimestamps|>", "<|endoftext|>"]
    return processors.TemplateProcessing(
        single=f"{around[0]} {around[1]} $A:0 {around[2]}", pair=f"{around[0]} {around[1]} $A:0 $B:1 {around[2]}:1",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in around])


@dataclass(frozen=True)
class Tokens:
    """Ids by name, and words to ids; a word always carries its leading space."""

    tokenizer: Tokenizer

    @classmethod
    def load(cls, path: Path) -> "Tokens":
        return cls(Tokenizer.from_file(str(path)))

    def __getitem__(self, name: str) -> int:
        return self.tokenizer.token_to_id(name)

    def words(self, words: list[str]) -> list[int]:
        """Ids of `words`, which is the tokenisation of " " + " ".join(words)."""
        return self.tokenizer.encode("".join(" " + word for word in words), add_special_tokens=False).ids

    def time(self, seconds: float) -> int:
        """The timestamp token nearest to `seconds` since the window began."""
        return self.first_time + min(max(round(seconds / TIME_STEP_S), 0), len(TIMES) - 1)

    def decode(self, ids: list[int]) -> str:
        """The text alone: special tokens and timestamps left out."""
        return self.tokenizer.decode([id for id in ids if id < self.end]).strip()

    @cached_property
    def first_time(self) -> int:
        return self["<|0.00|>"]

    @cached_property
    def end(self) -> int:
        return self["<|endoftext|>"]

    @cached_property
    def size(self) -> int:
        return self.tokenizer.get_vocab_size()

    @cached_property
    def suppressed(self) -> list[int]:
        """Ids that transcription never emits: symbols that nobody speaks, and control tokens."""
        symbols = {self[symbol] for symbol in NOT_SPEECH}
        return sorted(symbols | {self[name] for name in SPECIAL[1:8]})

    @cached_property
    def suppressed_at_first(self) -> list[int]:
        """The bare space. Unlike Whisper's own list without the end: an empty answer is right on silence."""
        return self.tokenizer.encode(" ", add_special_tokens=False).ids
