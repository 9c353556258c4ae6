"""Writes the voice: float16 weights, configuration and lexicon.

    python export.py WORK assets/models/lark.en
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

import vocoder
from frontend import VOWEL_FORMS, dictionary
from letters import LETTERS, Letters
from lexicon import entries, pack
from model import FRAMES, PITCH_CENTRE, PITCH_SCALE, Lark
from symbols import SYMBOLS, VOWELS


def stack(width: int, hidden: int, kernel: int, dilations) -> dict:
    return {"width": width, "hidden": hidden, "kernel": kernel, "dilations": list(dilations)}


def configuration(lark: Lark, letters: Letters) -> dict:
    """`config.json`."""
    sizes, spelling = lark.config, letters.config
    return {
        "model_type": "lark",
        "language": "en",
        "symbols": SYMBOLS,
        "vowels": VOWELS,
        "text": stack(sizes.text, sizes.text_hidden, sizes.text_kernel, sizes.text_dilations),
        "prosody": stack(sizes.prosody, sizes.prosody_hidden, sizes.kernel, sizes.prosody_dilations),
        "decoder": stack(sizes.decoder, sizes.decoder_hidden, sizes.kernel, sizes.decoder_dilations),
        "letters": {"alphabet": LETTERS, "slots": spelling.slots,
                    "stack": stack(spelling.width, spelling.hidden, spelling.kernel, spelling.dilations)},
        "pitch": {"centre": PITCH_CENTRE, "scale": PITCH_SCALE},
        "signal": {"sample_rate": vocoder.RATE, "window": vocoder.WINDOW, "hop": vocoder.HOP, "frames_per_step": FRAMES,
                   "band_centres": [round(float(centre), 3) for centre in vocoder.CENTRES], "top": vocoder.TOP,
                   "voiced": vocoder.VOICED},
        "letter_names": {letter: dictionary()[letter] for letter in "bcdefghijklmnopqrstuvwxyz"} | {"a": "ˈA"},
        "before_vowel": VOWEL_FORMS,
    }


def tensors(lark: Lark, letters: Letters, kind: torch.dtype) -> dict[str, torch.Tensor]:
    """Every weight by name; those of the letters begin with `letters.`."""
    named = {**lark.state_dict(), **{f"letters.{name}": value for name, value in letters.state_dict().items()}}
    return {name: value.to(kind).contiguous() for name, value in named.items()}


def write(folder: Path, lark: Lark, letters: Letters, words: dict[str, str], kind: torch.dtype = torch.float16) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(configuration(lark, letters), ensure_ascii=False, indent=1)
    (folder / "config.json").write_text(text + "\n")
    save_file(tensors(lark, letters, kind), folder / "model.safetensors")
    (folder / "lexicon.bin").write_bytes(pack(words))


def read(folder: Path) -> tuple[Lark, Letters]:
    """The networks of a folder that `write` made, with the sizes of this code."""
    from safetensors.torch import load_file

    named = {name: value.float() for name, value in load_file(folder / "model.safetensors").items()}
    lark, letters = Lark().eval(), Letters().eval()
    letters.load_state_dict({name[8:]: value for name, value in named.items() if name.startswith("letters.")})
    lark.load_state_dict({name: value for name, value in named.items() if not name.startswith("letters.")})
    return lark, letters


def averaged(path: Path) -> Lark:
    """The averaged weights of a checkpoint."""
    saved, lark = torch.load(path)["average"], Lark().eval()
    lark.load_state_dict({name.removeprefix("module."): value for name, value in saved.items() if name != "n_averaged"})
    return lark


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    letters = Letters().eval()
    letters.load_state_dict(torch.load(options.work / "letters.pt")["model"])
    write(options.folder, averaged(options.work / "checkpoint.pt"), letters, entries())
    print({path.name: path.stat().st_size for path in sorted(options.folder.iterdir())})


if __name__ == "__main__":
    main()
