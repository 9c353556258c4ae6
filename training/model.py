"""The model: Whisper as transformers has it, small, with a CTC head beside it while it learns."""

import torch
from torch import nn
from transformers import WhisperConfig, WhisperForConditionalGeneration

from audio import FRAMES, HOP, MELS, RATE
from sounds import BLANK
from tokens import Tokens

WIDTH, HEADS, ENCODER_LAYERS, DECODER_LAYERS, TEXT_POSITIONS = 192, 3, 4, 2, 128
ALIGNMENT_HEADS = [(0, 0), (1, 0), (1, 1)]
POSITION_S, TOLERANCE_S = 2 * HOP / RATE, 0.06


def config(tokens: Tokens) -> WhisperConfig:
    """Whisper's shape at our size; half the mel frames are encoder positions."""
    return WhisperConfig(
        vocab_size=tokens.size, num_mel_bins=MELS, d_model=WIDTH,
        encoder_layers=ENCODER_LAYERS, encoder_attention_heads=HEADS, encoder_ffn_dim=4 * WIDTH,
        decoder_layers=DECODER_LAYERS, decoder_attention_heads=HEADS, decoder_ffn_dim=4 * WIDTH,
        max_source_positions=FRAMES // 2, max_target_positions=TEXT_POSITIONS,
        pad_token_id=tokens.end, bos_token_id=tokens.end, eos_token_id=tokens.end,
        decoder_start_token_id=tokens["<|startoftranscript|>"],
        suppress_tokens=tokens.suppressed, begin_suppress_tokens=tokens.suppressed_at_first,
    )


class Look:
    """Where one cross-attention head looks, computed once more from its queries and keys."""

    def __init__(self, attention: nn.Module, head: int) -> None:
        self._part = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
        attention.q_proj.register_forward_hook(lambda _, __, out: setattr(self, "_query", out))
        attention.k_proj.register_forward_hook(lambda _, __, out: setattr(self, "_key", out))

    def weights(self) -> torch.Tensor:
        """Attention `[batch, tokens, positions]` of the last forward pass."""
        query, key = self._query[..., self._part].float(), self._key[..., self._part].float()
        return (query @ key.transpose(1, 2) * (WIDTH // HEADS) ** -0.5).softmax(-1)


def astray(look: torch.Tensor, spans: torch.Tensor) -> torch.Tensor:
    """Mean negative log of the attention `[batch, tokens, positions]` that falls on the true spans [s]."""
    centre_s = (torch.arange(look.shape[-1], device=look.device) + 0.5) * POSITION_S
    inside = (centre_s > spans[..., :1] - TOLERANCE_S) & (centre_s < spans[..., 1:] + TOLERANCE_S)
    known = ~spans[..., 0].isnan()
    return -((look * inside).sum(-1)[known] + 1e-4).log().mean()


class Learner(nn.Module):
    """Whisper, a linear CTC head over its encoder that spells phonemes, and some heads told where to look."""

    def __init__(self, tokens: Tokens, sounds: int) -> None:
        super().__init__()
        self.whisper = WhisperForConditionalGeneration(config(tokens))
        self.ctc = nn.Linear(WIDTH, sounds)
        layers = self.whisper.model.decoder.layers
        self._looks = [Look(layers[layer].encoder_attn, head) for layer, head in ALIGNMENT_HEADS]

    def forward(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Mean cross-entropy per token, CTC loss per phoneme, and how far the told heads look astray."""
        with torch.autocast(batch["mel"].device.type, torch.bfloat16):
            out = self.whisper(input_features=batch["mel"], decoder_input_ids=batch["ids"])
            heard = self.ctc(out.encoder_last_hidden_state)
        text = nn.functional.cross_entropy(out.logits.float().flatten(0, 1), batch["labels"].flatten())
        steps = torch.full_like(batch["sound_lengths"], heard.shape[1])
        ctc = nn.functional.ctc_loss(heard.float().log_softmax(-1).transpose(0, 1), batch["sounds"], steps,
                                     batch["sound_lengths"], blank=BLANK, reduction="sum", zero_infinity=True)
        look = torch.stack([astray(one.weights(), batch["spans"]) for one in self._looks]).mean()
        return text, ctc / max(1, len(batch["sounds"])), look
