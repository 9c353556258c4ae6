"""Write what transformers answers on the exported model, for the server's tests to agree with.

`recordings/NNN.flac`    100 held-out recordings of one to three seconds, 16 kHz mono int16
`greedy.json`            per recording: the truth, and transformers' greedy ids and text, both ways of decoding
`reference.safetensors`  for the first three: mel, encoder output (first frames), logits after a fixed prefix

Everything is computed in float32 from the int16 samples in the files divided by 32768.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import soundfile
import torch
from safetensors.torch import save_file

import heldout
from reference import Reference
from synthesise import RATE, Espeak

COUNT, TRACED = 100, 3
MEL_FRAMES, ENCODER_POSITIONS = 120, 60
SHORTEST_S, LONGEST_S = 1.0, 3.0


def record(target: Path) -> list[tuple[str, str, np.ndarray]]:
    """Write the recordings; name, truth and samples as a decoder reads them."""
    target.mkdir(parents=True, exist_ok=True)
    espeak, kept = Espeak(), []
    pool = zip(heldout.clean(espeak, 3 * COUNT), heldout.noisy(espeak, 3 * COUNT))
    for number, pair in enumerate(pool):
        recording = pair[number % 2]
        if SHORTEST_S <= len(recording.audio) / RATE <= LONGEST_S and len(kept) < COUNT:
            name = f"{len(kept):03}.flac"
            soundfile.write(target / name, recording.audio, RATE, subtype="PCM_16")
            samples, _ = soundfile.read(target / name, dtype="int16")
            kept.append((name, recording.text, samples.astype(np.float32) / 32768))
    return kept


def greedy(reference: Reference, audio: np.ndarray, timestamps: bool) -> dict:
    ids = reference.greedy(audio, timestamps)
    return {"ids": ids, "text": reference.tokens.decode(ids)}


@torch.no_grad()
def trace(reference: Reference, audio: np.ndarray, answer: list[int]) -> dict[str, torch.Tensor]:
    """mel `[80, frames]` and encoder `[positions, width]` excerpts, prefix `[length]`, logits `[length, vocabulary]`."""
    mel = reference.mel(audio)
    prefix = torch.tensor([[reference.tokens["<|startoftranscript|>"], *answer]])
    out = reference.model(input_features=mel, decoder_input_ids=prefix)
    return {"mel": mel[0, :, :MEL_FRAMES].contiguous(),
            "encoder": out.encoder_last_hidden_state[0, :ENCODER_POSITIONS].contiguous(),
            "prefix": prefix[0], "logits": out.logits[0].contiguous()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    reference = Reference(arguments.model)
    rows, tensors = [], {}
    for name, text, audio in record(arguments.target / "recordings"):
        answers = {"timestamps": greedy(reference, audio, True), "notimestamps": greedy(reference, audio, False)}
        rows.append({"file": name, "said": text} | answers)
        if len(rows) <= TRACED:
            made = trace(reference, audio, answers["timestamps"]["ids"])
            tensors |= {f"{name.removesuffix('.flac')}.{key}": value for key, value in made.items()}
    (arguments.target / "greedy.json").write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
    save_file(tensors, arguments.target / "reference.safetensors")
    (arguments.target / "reference.safetensors").chmod(0o644)


if __name__ == "__main__":
    main()
