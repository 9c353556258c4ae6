"""Lark's networks: symbols to durations, frames to pitch, frames and pitch to the bands of a spectrum.

All are ConvNeXt blocks on [batch, steps, channels]; a step is 25 ms, two frames of the vocoder. What lies outside a sentence is zero in every layer, so a window
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
"""What a step knows of its place in its symbol: how far from the start, from the end, and the log of its length."""
FRAMES = 2
"""Frames of the vocoder in a step."""


@dataclasses.dataclass
class Config:
    """Sizes; dilations are listed one a block."""

    symbols: int = len(SYMBOLS)
    bands: int = BANDS
    text: int = 160
    text_hidden: int = 384
    text_kernel: int = 5
    text_dilations: tuple[int, ...] = (1, 2, 4, 8)
    prosody: int = 96
    prosody_hidden: int = 288
    prosody_dilations: tuple[int, ...] = (1, 2, 4)
    decoder: int = 192
    decoder_hidden: int = 576
    decoder_dilations: tuple[int, ...] = (1, 1, 1, 1, 1, 1)
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
        cheap = "tanh" if self.training else "none"
        change = self.down(functional.gelu(self.up(self.norm(self.depthwise(x))), approximate=cheap))
        return (x + self.scale * change) * inside


def stack(channels: int, hidden: int, kernel: int, dilations) -> nn.ModuleList:
    return nn.ModuleList(Block(channels, hidden, kernel, dilation) for dilation in dilations)


def run(blocks: nn.ModuleList, x: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    x = x * inside
    for block in blocks:
        x = block(x, inside)
    return x


class Encoder(nn.Module):
    """Symbols [batch, n] to what they mean here [batch, n, text] and log(1 + steps) of each [batch, n]."""

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
    """Steps [batch, t, text + places] to scaled log pitch and the logit of voice, each [batch, t, FRAMES]."""

    def __init__(self, config: Config):
        super().__init__()
        self.enter = nn.Linear(config.text + PLACES, config.prosody)
        self.blocks = stack(config.prosody, config.prosody_hidden, config.kernel, config.prosody_dilations)
        self.norm = nn.LayerNorm(config.prosody)
        self.leave = nn.Linear(config.prosody, 2 * FRAMES)

    def forward(self, steps, inside):
        x = self.leave(self.norm(run(self.blocks, self.enter(steps), inside)))
        return x[..., :FRAMES], x[..., FRAMES:]


class Decoder(nn.Module):
    """Steps, scaled log pitch and voice (0 or 1) to what the spectrum is [batch, t, FRAMES, 2 bands].

    The bands are log magnitudes, harmonics before noise, less their mean and by their deviation.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.enter = nn.Linear(config.text + PLACES + 2 * FRAMES, config.decoder)
        self.blocks = stack(config.decoder, config.decoder_hidden, config.kernel, config.decoder_dilations)
        self.norm = nn.LayerNorm(config.decoder)
        self.leave = nn.Linear(config.decoder, FRAMES * 2 * config.bands)

    def forward(self, steps, pitch, voiced, inside):
        x = self.enter(torch.cat([steps, pitch * voiced, voiced], -1))
        return self.leave(self.norm(run(self.blocks, x, inside))).unflatten(-1, (FRAMES, -1))


class Lark(nn.Module):
    """The three networks."""

    def __init__(self, config: Config = Config()):
        super().__init__()
        self.config = config
        self.encoder, self.prosody, self.decoder = Encoder(config), Prosody(config), Decoder(config)
        self.register_buffer("mean", torch.zeros(2 * config.bands))
        self.register_buffer("deviation", torch.ones(2 * config.bands))

    def forward(self, ids, there, symbol, places, inside, pitch, voiced):
        """Everything for training, where the true durations (`symbol`, `places`), pitch and voice are known."""
        text, durations = self.encoder(ids, there)
        known = text.gather(1, symbol.unsqueeze(-1).expand(-1, -1, text.shape[-1]))
        steps = torch.cat([known, places], -1)
        said_pitch, said_voice = self.prosody(steps, inside)
        return durations, said_pitch, said_voice, self.decoder(steps, pitch, voiced, inside)


def place(lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """For the steps of each symbol [n]: the symbol of every step [t] and its place in it [t, PLACES]."""
    symbol = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    length = lengths[symbol].float()
    since = torch.arange(len(symbol)) - (torch.cumsum(lengths, 0) - lengths)[symbol]
    part = (since + 0.5) / length
    return symbol, torch.stack([part, 1 - part, torch.log(length) - 1], -1)


@torch.no_grad()
def speak(model: Lark, ids: list[int], speed: float = 1.0):
    """Log magnitudes of harmonics and noise [frames, bands], and pitch in Hz [frames], of one sentence."""
    text, durations = model.encoder(torch.tensor([ids]), torch.ones(1, len(ids), 1))
    lengths = torch.clamp(torch.round((torch.exp(durations[0]) - 1) / speed), min=1).long()
    symbol, places = place(lengths)
    steps, inside = torch.cat([text[0][symbol], places], -1)[None], torch.ones(1, len(symbol), 1)
    pitch, logit = model.prosody(steps, inside)
    voiced = (logit > 0).float()
    bands = model.decoder(steps, pitch, voiced, inside) * model.deviation + model.mean
    harmonic, noise = bands.reshape(-1, 2 * model.config.bands).numpy().T.reshape(2, model.config.bands, -1)
    f0 = torch.exp(pitch * PITCH_SCALE + PITCH_CENTRE) * voiced
    return harmonic.T, noise.T, f0.reshape(-1).numpy()
