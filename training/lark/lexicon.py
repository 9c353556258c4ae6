"""The dictionary as one small file: see `src/families/lark/lexicon.rs` for the format."""

import struct
import zlib

from frontend import FIXES, WEAK, dictionary
from symbols import INDEX

SHIFT = 32
"""Added to the number of shared bytes, so that it is no line feed."""


def entries() -> dict[str, str]:
    """Every word with its sounds as they are said inside a sentence."""
    return {**dictionary(), **FIXES, **WEAK}


def pack(words: dict[str, str]) -> bytes:
    """The file for `words`."""
    spellings, sounds, before = bytearray(), bytearray(), b""
    for word in sorted(words, key=str.encode):
        bytes_ = word.encode()
        shared = next((n for n, (a, b) in enumerate(zip(before, bytes_)) if a != b), min(len(before), len(bytes_)))
        spellings += bytes([SHIFT + shared]) + bytes_[shared:] + b"\n"
        sounds += bytes(INDEX[sound] for sound in words[word]) + b"\0"
        before = bytes_
    head = struct.pack("<III", len(words), len(spellings), len(sounds))
    return head + zlib.compress(bytes(spellings + sounds), 9)
