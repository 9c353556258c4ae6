"""Source and filter: a pulse train and noise, each shaped by a spectrum given in bands, and what bands a
recording has. The frame is 12.5 ms at 24 kHz; arrays are [frames, bins] or [frames, bands]."""

import numpy as np

RATE, WINDOW, HOP = 24000, 1200, 300
BINS = WINDOW // 2 + 1
FLOOR = 2e-3
"""The magnitude that counts as nothing."""
VOICED = 40.0
"""A pitch below this, in Hz, means no voice."""
TOP = 11000.0
"""No harmonic lies above, in Hz."""

HANN = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


def centres() -> np.ndarray:
    """The middle of each band in Hz: about 100 Hz apart up to 1.8 kHz, then 5.5 % of the frequency."""
    found = [0.0]
    while found[-1] < RATE / 2:
        found.append(found[-1] + max(100.0, 0.055 * found[-1]))
    return (np.array(found) * (RATE / 2 / found[-1])).astype(np.float32)


CENTRES = centres()
BANDS = len(CENTRES)
FREQUENCIES = np.arange(BINS, dtype=np.float32) * (RATE / WINDOW)


def spread() -> np.ndarray:
    """[bands, bins]: how a value in each band spreads over the bins, linearly between the middles."""
    return np.stack([np.interp(FREQUENCIES, CENTRES, np.eye(BANDS)[band]) for band in range(BANDS)]).astype(np.float32)


SPREAD = spread()
MEAN = SPREAD / SPREAD.sum(1, keepdims=True)
WIDE = np.maximum(0, 1 - np.abs(FREQUENCIES - CENTRES[:, None]) / np.maximum(260, np.gradient(CENTRES))[:, None])
WIDE = (WIDE / WIDE.sum(1, keepdims=True)).astype(np.float32)
"""[bands, bins]: a neighbourhood that holds more than one harmonic."""


def pulses(f0: np.ndarray) -> np.ndarray:
    """Every harmonic below `TOP` at amplitude 1, in phase; `f0` [frames] in Hz, 0 where there is no voice."""
    at = (np.arange(len(f0) * HOP) + 0.5) / HOP - 0.5
    pitch = np.interp(at, np.arange(len(f0)), f0)
    voiced = pitch > VOICED
    pitch = np.maximum(pitch, VOICED)
    phase = 2 * np.pi * np.modf(np.cumsum(pitch / RATE))[0]
    count = np.floor(TOP / pitch) + 0.5
    half = 2 * np.sin(phase / 2)
    near = np.abs(half) < 2e-3
    train = np.where(near, count, np.sin(count * phase) / np.where(near, 1, half)) - 0.5
    return np.where(voiced, train, 0).astype(np.float32)


def stft(samples: np.ndarray) -> np.ndarray:
    """[frames, bins] of `samples`, frame n centred on sample n * HOP, zeros beyond the ends."""
    padded = np.pad(samples, WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][: len(samples) // HOP]
    return np.fft.rfft(frames * HANN, axis=1).astype(np.complex64)


def istft(spectrum: np.ndarray) -> np.ndarray:
    """Samples [frames * HOP] of a spectrum [frames, bins], by overlap and add."""
    frames, parts = np.fft.irfft(spectrum, n=WINDOW, axis=1) * HANN, WINDOW // HOP
    out = np.zeros((len(frames) + parts - 1, HOP))
    weight = np.zeros((len(frames) + parts - 1, HOP))
    for part in range(parts):
        out[part: part + len(frames)] += frames[:, part * HOP: (part + 1) * HOP]
        weight[part: part + len(frames)] += HANN[part * HOP: (part + 1) * HOP] ** 2
    return (out / np.maximum(weight, 1e-8)).reshape(-1)[WINDOW // 2:][: len(frames) * HOP].astype(np.float32)


def source(f0: np.ndarray) -> np.ndarray:
    """The spectrum of the pulse train, scaled so that a harmonic of amplitude 1 peaks at 1."""
    return stft(pulses(f0)) / (WINDOW / 4)


def smooth(values: np.ndarray) -> np.ndarray:
    """A quarter, a half, a quarter over neighbouring frames."""
    padded = np.pad(values, ((1, 1), (0, 0)), mode="edge")
    return padded[:-2] / 4 + padded[1:-1] / 2 + padded[2:] / 4


def analyse(samples: np.ndarray, f0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log magnitudes [frames, bands] of harmonics and of noise.

    Power is fitted as `a |source|^2 + b` by least squares around each band and frame, so no phase matters.
    """
    power, pulse = np.abs(stft(samples)) ** 2, np.abs(source(f0)) ** 2
    around = lambda values: smooth(values @ WIDE.T)
    sx, sp = around(pulse), around(power)
    slope = (around(pulse * power) - sx * sp) / (around(pulse**2) - sx**2 + 1e-6)
    slope = np.clip(slope, 0, sp / (sx + 1e-9)) * (f0 > VOICED)[:, None]
    share = np.clip(slope * sx / (sp + 1e-9), 0, 1)
    total = power @ MEAN.T
    harmonic = np.sqrt(share * total / (pulse @ MEAN.T + 1e-6))
    return np.log(harmonic + FLOOR), np.log(np.sqrt((1 - share) * total) + FLOOR)


def minimum_phase(log_magnitude: np.ndarray) -> np.ndarray:
    """The phase [frames, bins] that a causal filter of this log magnitude has, by the folded cepstrum."""
    cepstrum = np.fft.irfft(log_magnitude, n=WINDOW, axis=1)
    cepstrum[:, 1: WINDOW // 2] *= 2
    cepstrum[:, WINDOW // 2 + 1:] = 0
    return np.fft.rfft(cepstrum, axis=1).imag


def noise(frames: int, seed: int) -> np.ndarray:
    """Complex noise [frames, bins] of power 1."""
    drawn = np.random.default_rng(seed).standard_normal((frames, 2 * BINS), dtype=np.float32)
    return drawn.view(np.complex64) / np.sqrt(np.float32(2))


def synthesise(harmonic: np.ndarray, rough: np.ndarray, f0: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Samples from log magnitudes [frames, bands], pitch [frames] and noise [frames, bins] of power 1."""
    log = harmonic @ SPREAD
    voice = np.exp(log + 1j * minimum_phase(log)) * source(f0)
    return istft(voice + np.exp(rough @ SPREAD) * drawn)
