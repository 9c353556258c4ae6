"""What happens to speech on its way to a microphone: rooms, noises, narrow lines, coarse codecs.

Every function takes and gives float32 samples `[n]` at 16 kHz and draws from the generator it is given.
"""

from collections.abc import Callable

import numpy as np
from scipy import fft

RATE = 16_000
Draw = np.random.Generator


def coloured(draw: Draw, samples: int, slope: float) -> np.ndarray:
    """Gaussian noise of unit power whose spectrum falls as f^-slope: 0 white, 0.5 pink, 1 brown."""
    spectrum = fft.rfft(draw.standard_normal(samples).astype(np.float32))
    spectrum /= np.maximum(np.arange(len(spectrum), dtype=np.float32), 20 * samples / RATE) ** np.float32(slope)
    noise = fft.irfft(spectrum, samples).astype(np.float32)
    return noise / noise.std()


def hum(draw: Draw, samples: int) -> np.ndarray:
    """Mains hum of unit power with random harmonics."""
    time = np.arange(samples, dtype=np.float32) / RATE
    base = draw.choice([50.0, 60.0]) * draw.uniform(0.99, 1.01)
    waves = [draw.uniform(0.1, 1) / k * np.sin(2 * np.pi * (base * k * time + draw.uniform())) for k in (1, 2, 3, 5, 7)]
    noise = np.sum(waves, axis=0, dtype=np.float32) + 0.05 * draw.standard_normal(samples).astype(np.float32)
    return noise / noise.std()


def swelling(draw: Draw, noise: np.ndarray) -> np.ndarray:
    """Noise whose level wanders by some decibels, as of traffic."""
    points = draw.uniform(-8, 4, 8)
    level = np.interp(np.arange(len(noise)), np.linspace(0, len(noise), 8), points)
    return (noise * 10 ** (level / 20)).astype(np.float32)


def noise(draw: Draw, samples: int) -> np.ndarray:
    """Some noise of about unit power, without voices."""
    kind = draw.random()
    made = hum(draw, samples) if kind < 0.15 else coloured(draw, samples, draw.uniform(0, 1.1))
    return swelling(draw, made) if draw.random() < 0.3 else made


def add_noise(speech: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Mix so that the power of the active speech stands `snr_db` above the power of the noise."""
    active = speech[np.abs(speech) > 1e-3 * np.abs(speech).max()]
    scale = np.sqrt(np.mean(active**2) / np.mean(noise**2)) * 10 ** (-snr_db / 20)
    return (speech + scale * noise).astype(np.float32)


def filtered(draw: Draw, audio: np.ndarray) -> np.ndarray:
    """A room and a microphone: decaying echoes, an uneven response, a limited band; any of them, or none."""
    samples = len(audio)
    size = samples + RATE // 2
    response = np.ones(size // 2 + 1, np.complex64)
    frequency = np.linspace(0, RATE / 2, len(response), dtype=np.float32)
    if draw.random() < 0.35:
        response *= fft.rfft(_room(draw).astype(np.float32), size)
    if draw.random() < 0.6:
        curve = np.interp(frequency, np.geomspace(60, 8000, 7), draw.uniform(-7, 7, 7))
        response *= 10 ** (curve / 20)
    if draw.random() < 0.25:
        low, high = draw.uniform(20, 350), draw.choice([3400, 4000, 5500, 7000])
        response *= 1 / (1 + (low / np.maximum(frequency, 1)) ** 8) / (1 + (frequency / high) ** 24)
    return fft.irfft(fft.rfft(audio, size) * response, size)[:samples].astype(np.float32)


def _room(draw: Draw) -> np.ndarray:
    """An impulse response: the direct sound, then noise that decays by 60 dB in 0.1 to 0.5 s."""
    decay_s = draw.uniform(0.1, 0.5)
    time = np.arange(round(decay_s * RATE)) / RATE
    tail = draw.standard_normal(len(time)) * 10 ** (-3 * time / decay_s)
    tail[: round(draw.uniform(0.002, 0.02) * RATE)] = 0
    tail *= 10 ** (-draw.uniform(2, 18) / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1
    return tail


def coarse(draw: Draw, audio: np.ndarray) -> np.ndarray:
    """Few bits a sample: 8-bit mu-law, or linear 8 to 12 bits."""
    peak = np.abs(audio).max() + 1e-9
    if draw.random() < 0.5:
        squeezed = np.sign(audio) * np.log1p(255 * np.abs(audio) / peak) / np.log(256)
        squeezed = np.round(squeezed * 127) / 127
        return (np.sign(squeezed) * np.expm1(np.abs(squeezed) * np.log(256)) / 255 * peak).astype(np.float32)
    steps = 2 ** draw.integers(7, 12)
    return (np.round(audio / peak * steps) / steps * peak).astype(np.float32)


def levelled(draw: Draw, audio: np.ndarray) -> np.ndarray:
    """Peak anywhere from -30 dB to full scale, rarely clipped."""
    peak = np.abs(audio).max() + 1e-9
    gain = 10 ** (draw.uniform(-30, 0) / 20) * (draw.uniform(1, 1.6) if draw.random() < 0.05 else 1)
    return np.clip(audio / peak * gain, -1, 1).astype(np.float32)


def distort(draw: Draw, speech: np.ndarray, babble: Callable[[], np.ndarray]) -> np.ndarray:
    """The whole way, for a window with speech; `babble` makes a murmur of many voices."""
    heard = filtered(draw, speech)
    if draw.random() < 0.7:
        if draw.random() < 0.15:
            heard = add_noise(heard, babble(), draw.uniform(8, 30))
        else:
            heard = add_noise(heard, noise(draw, len(heard)), draw.uniform(0, 35))
    if draw.random() < 0.1:
        heard = coarse(draw, heard)
    return levelled(draw, heard)


def nothing(draw: Draw, samples: int, babble: Callable[[], np.ndarray]) -> np.ndarray:
    """A window without speech: digital silence, a faint floor, noise of any level, or a murmur."""
    kind = draw.random()
    if kind < 0.25:
        return np.zeros(samples, np.float32)
    if kind < 0.4:
        return (noise(draw, samples) * 10 ** (draw.uniform(-90, -50) / 20)).astype(np.float32)
    made = babble() if kind < 0.5 else noise(draw, samples)
    made = filtered(draw, made) if draw.random() < 0.5 else made
    if draw.random() < 0.2:
        made[: draw.integers(samples)] = 0
    return levelled(draw, made)
