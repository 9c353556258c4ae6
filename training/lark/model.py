"""Lark's networks: symbols to durations, frames to pitch, frames and pitch to the bands of a spectrum.

All are ConvNeXt blocks on [batch, time, channels]. What lies outside a sentence is zero in every layer, so a window
of a sentence with the receptive field's context gives what the whole would.
"""

import dataclasses

import torch
from torch import nn
from torch.nn import functional

from symbols import SYMBOLS
from vocoder import BANDS

PITCH_CENTRE, PITCH_SCALE = 5.2, 0.25
"""Log pitch in Hz is given to the decoder as (log f0 - centre) / scale, 0 where there is no voice."""
PLACES = 3
"""What a frame knows of its place in its symbol: how far from the start, from the end, and the log of its length."""


@dataclasses.dataclass
class Config:
    """Sizes; dilations are listed one a block."""

    symbols: int = len(SYMBOLS)
    bands: int = BANDS
    text: int = 192
    text_hidden: int = 384
    text_kernel: int = 5
    text_dilations: tuple[int, ...] = (1, 2, 4, 8)
    prosody: int = 128
    prosody_hidden: int = 384
    prosody_dilations: tuple[int, ...] = (1, 2, 4, 2)
    decoder: int = 224
    decoder_hidden: int = 576
    decoder_dilations: tuple[int, ...] = (1, 1, 1, 1, 1, 1, 1)
    kernel: int = 7


class Depthwise(nn.Module):
    """A convolution over time for each channel by itself, as shifted sums: the compiler makes one loop of it."""

    def __init__(self, channels: int, kernel: int, dilation: int):
        super().__init__()
        self.dilation = dilation
        self.weight = nn.Parameter(torch.randn(kernel, channels) / kernel**0.5)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        taps, time = self.weight.shape[0], x.shape[1]
        reach = taps // 2 * self.dilation
        padded = functional.pad(x, (0, 0, reach, reach))
        shifted = (padded[:, tap * self.dilation: tap * self.dilation + time] * self.weight[tap] for tap in range(taps))
        return sum(shifted, self.bias)


class Block(nn.Module):
    """ConvNeXt: depthwise convolution, norm, two layers with GELU between, scaled into the residual."""

    def __init__(self, channels: int, hidden: int, kernel: int, dilation: int):
        super().__init__()
        self.depthwise = Depthwise(channels, kernel, dilation)
        self.norm = nn.LayerNorm(channels)
        self.up = nn.Linear(channels, hidden)
        self.down = nn.Linear(hidden, channels)
        self.scale = nn.Parameter(torch.full((channels,), 0.3))

    def forward(self, x: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        change = self.down(functional.gelu(self.up(self.norm(self.depthwise(x))), approximate="tanh"))
        return (x + self.scale * change) * inside


def stack(channels: int, hidden: int, kernel: int, dilations) -> nn.ModuleList:
    return nn.ModuleList(Block(channels, hidden, kernel, dilation) for dilation in dilations)


def run(blocks: nn.ModuleList, x: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    x = x * inside
    for block in blocks:
        x = block(x, inside)
    return x


class Encoder(nn.Module):
    """Symbols [batch, n] to what they mean here [batch, n, text] and log(1 + half frames) of each [batch, n]."""

    def __init__(self, config: Config):
        super().__init__()
        self.embedding = nn.Embedding(config.symbols, config.text)
        self.blocks = stack(config.text, config.text_hidden, config.text_kernel, config.text_dilations)
        self.norm = nn.LayerNorm(config.text)
        self.duration = nn.Linear(config.text, 1)

    def forward(self, ids, inside):
        x = self.norm(run(self.blocks, self.embedding(ids), inside)) * inside
        return x, self.duration(x).squeeze(-1)


class Prosody(nn.Module):
    """Frames [batch, t, text + places] to scaled log pitch and the logit of voice, each [batch, t]."""

    def __init__(self, config: Config):
        super().__init__()
        self.enter = nn.Linear(config.text + PLACES, config.prosody)
        self.blocks = stack(config.prosody, config.prosody_hidden, config.kernel, config.prosody_dilations)
        self.norm = nn.LayerNorm(config.prosody)
        self.leave = nn.Linear(config.prosody, 2)

    def forward(self, frames, inside):
        x = self.leave(self.norm(run(self.blocks, self.enter(frames), inside)))
        return x[..., 0], x[..., 1]


class Decoder(nn.Module):
    """Frames, scaled log pitch and voice (0 or 1) to log magnitudes of harmonics and noise [batch, t, 2 bands]."""

    def __init__(self, config: Config):
        super().__init__()
        self.enter = nn.Linear(config.text + PLACES + 2, config.decoder)
        self.blocks = stack(config.decoder, config.decoder_hidden, config.kernel, config.decoder_dilations)
        self.norm = nn.LayerNorm(config.decoder)
        self.leave = nn.Linear(config.decoder, 2 * config.bands)

    def forward(self, frames, pitch, voiced, inside):
        x = self.enter(torch.cat([frames, (pitch * voiced).unsqueeze(-1), voiced.unsqueeze(-1)], -1))
        return self.leave(self.norm(run(self.blocks, x, inside)))


class Lark(nn.Module):
    """The three networks."""

    def __init__(self, config: Config = Config()):
        super().__init__()
        self.config = config
        self.encoder, self.prosody, self.decoder = Encoder(config), Prosody(config), Decoder(config)

    def forward(self, ids, there, symbol, places, inside, pitch, voiced):
        """Everything for training, where the true durations (`symbol`, `places`), pitch and voice are known."""
        text, durations = self.encoder(ids, there)
        known = text.gather(1, symbol.unsqueeze(-1).expand(-1, -1, text.shape[-1]))
        frames = torch.cat([known, places], -1)
        said_pitch, said_voice = self.prosody(frames, inside)
        return durations, said_pitch, said_voice, self.decoder(frames, pitch, voiced, inside)


def place(frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """For frames of each symbol [n]: the symbol of every frame [t] and its place in it [t, PLACES]."""
    symbol = torch.repeat_interleave(torch.arange(len(frames)), frames)
    length = frames[symbol].float()
    start = (torch.cumsum(frames, 0) - frames)[symbol]
    since = torch.arange(len(symbol)) - start
    part = (since + 0.5) / length
    return symbol, torch.stack([part, 1 - part, torch.log(length) - 2], -1)


@torch.no_grad()
def speak(model: Lark, ids: list[int], speed: float = 1.0):
    """Log magnitudes of harmonics and noise [frames, bands], and pitch in Hz [frames], of one sentence."""
    row = torch.tensor([ids])
    text, durations = model.encoder(row, torch.ones(1, len(ids), 1))
    halves = torch.clamp(torch.round((torch.exp(durations[0]) - 1) / speed), min=1).long()
    symbol, places = place(2 * halves)
    frames, inside = torch.cat([text[0][symbol], places], -1)[None], torch.ones(1, len(symbol), 1)
    pitch, logit = model.prosody(frames, inside)
    voiced = (logit > 0).float()
    bands = model.decoder(frames, pitch, voiced, inside)[0].numpy()
    f0 = torch.exp(pitch * PITCH_SCALE + PITCH_CENTRE) * voiced
    return bands[:, : model.config.bands], bands[:, model.config.bands:], f0[0].numpy()
