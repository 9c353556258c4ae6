"""Find the cross-attention heads that look where the word is, and name them in generation_config.json.

A head hits when the row that predicts a token has its strongest frame inside the token's word, within
a tenth of a second. Heads that hit nearly as often as the best one are kept for word timestamps.
"""

import argparse
import json
from pathlib import Path

import torch
from transformers import WhisperForConditionalGeneration

from export import write_json
from reference import Reference
from synthesise import Espeak, Utterance, utterance

TOLERANCE_S, FRAME_S, NEARLY = 0.1, 0.02, 0.85
RECORDINGS = 60


@torch.no_grad()
def hits(reference: Reference, said: Utterance, spans: list[tuple[float, float]]) -> tuple[torch.Tensor, int]:
    """Hits per `[layer, head]`, and how many there could be."""
    tokens = reference.tokens
    prompt = [tokens["<|startoftranscript|>"], tokens["<|notimestamps|>"]]
    words = [tokens.words([word]) for word in said.text.split()]
    ids = torch.tensor([prompt + [id for word in words for id in word]])
    out = reference.model(input_features=reference.mel(said.audio), decoder_input_ids=ids, output_attentions=True)
    looks = torch.stack(out.cross_attentions)[:, 0, :, 1:-1].argmax(-1) * FRAME_S
    spans = torch.tensor([span for word, span in zip(words, spans) for _ in word])
    inside = (looks >= spans[:, 0] - TOLERANCE_S) & (looks <= spans[:, 1] + TOLERANCE_S)
    return inside.sum(-1), inside.shape[-1]


def choose(path: Path) -> tuple[list[list[int]], torch.Tensor]:
    """The heads to keep, as [layer, head], and every head's share of hits."""
    reference, espeak = Reference(path), Espeak()
    reference.model = WhisperForConditionalGeneration.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    total, possible = 0, 0
    for number in range(RECORDINGS):
        said = utterance(espeak, 30_000 + number, held_out=True)
        if spans := said.word_spans():
            found, tokens = hits(reference, said, spans)
            total, possible = total + found, possible + tokens
    share = total / possible
    return (share >= NEARLY * share.max()).nonzero().tolist(), share


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    path = parser.parse_args().model
    heads, share = choose(path)
    print(f"hits per layer and head {share}; kept {heads}")
    settings = path / "generation_config.json"
    write_json(settings, json.loads(settings.read_text()) | {"alignment_heads": heads})


if __name__ == "__main__":
    main()
