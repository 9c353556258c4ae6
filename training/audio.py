"""Log-mel features as transformers' WhisperFeatureExtractor makes them, in torch and in batches."""

import numpy as np
import torch
from transformers import WhisperFeatureExtractor

from tokens import WINDOW_S

RATE, HOP, FFT, MELS = 16_000, 160, 400, 80
WINDOW = round(WINDOW_S * RATE)
FRAMES = WINDOW // HOP


def extractor() -> WhisperFeatureExtractor:
    """The reference front end for our window."""
    return WhisperFeatureExtractor(feature_size=MELS, sampling_rate=RATE, hop_length=HOP, n_fft=FFT,
                                   chunk_length=round(WINDOW_S))


class LogMel:
    """`[batch, samples]` in -1..1 to `[batch, 80, frames]`; the ceiling is each window's own."""

    def __init__(self) -> None:
        self._filters = torch.from_numpy(extractor().mel_filters.T.astype(np.float32))
        self._hann = torch.hann_window(FFT)

    def __call__(self, audio: torch.Tensor) -> torch.Tensor:
        spectrum = torch.stft(audio, FFT, HOP, window=self._hann, return_complex=True)
        power = spectrum[..., :-1].abs() ** 2
        mel = (self._filters @ power).clamp(min=1e-10).log10()
        mel = torch.maximum(mel, mel.amax(dim=(1, 2), keepdim=True) - 8.0)
        return (mel + 4.0) / 4.0
