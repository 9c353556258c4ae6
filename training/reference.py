"""Transcribe with transformers, greedily: the second opinion on what the exported model says."""

from pathlib import Path

import numpy as np
import torch
from transformers import GenerationConfig, LogitsProcessorList, WhisperForConditionalGeneration
from transformers.generation.logits_process import (
    SuppressTokensAtBeginLogitsProcessor,
    SuppressTokensLogitsProcessor,
    WhisperTimeStampLogitsProcessor,
)
from transformers.utils import logging

from audio import RATE, WINDOW, LogMel
from tokens import TIME_STEP_S, Tokens

ANSWER_MOST = 64


class Reference:
    """The exported model in float32, with transformers' own rules for what may follow."""

    def __init__(self, path: Path) -> None:
        logging.set_verbosity_error()
        torch.set_num_threads(1)  # too small a model for more
        self.model = WhisperForConditionalGeneration.from_pretrained(path, dtype=torch.float32).eval()
        self.model.generation_config = GenerationConfig.from_pretrained(path)
        self.tokens, self._log_mel = Tokens.load(path / "tokenizer.json"), LogMel()

    def mel(self, audio: np.ndarray) -> torch.Tensor:
        """`[1, 80, frames]` of the first window of `audio`, silence after its end."""
        window = np.zeros(WINDOW, np.float32)
        window[: min(len(audio), WINDOW)] = audio[:WINDOW]
        return self._log_mel(torch.from_numpy(window)[None])

    @torch.no_grad()
    def greedy(self, audio: np.ndarray, timestamps: bool, previous: list[int] | None = None) -> list[int]:
        """Ids after the prompt, without the end token, of one window; transformers' own rules on every step.

        Not `generate`: that goes on by itself behind an unfinished sentence and joins the answers.
        """
        prompt = [self.tokens["<|startofprev|>"], *previous] if previous else []
        prompt += [self.tokens["<|startoftranscript|>"]] + ([] if timestamps else [self.tokens["<|notimestamps|>"]])
        rules = self._rules(len(prompt), timestamps)
        ids, state = torch.tensor([prompt]), {"encoder_outputs": self.model.model.encoder(self.mel(audio))}
        step = ids
        while ids.shape[1] < len(prompt) + ANSWER_MOST:
            out = self.model(decoder_input_ids=step, use_cache=True, **state)
            state["past_key_values"] = out.past_key_values
            step = rules(ids, out.logits[:, -1]).argmax(-1, keepdim=True)
            if step.item() == self.tokens.end:
                break
            ids = torch.cat([ids, step], dim=1)
        return ids[0, len(prompt):].tolist()

    def _rules(self, begin: int, timestamps: bool) -> LogitsProcessorList:
        settings = self.model.generation_config
        rules = [SuppressTokensLogitsProcessor(settings.suppress_tokens),
                 SuppressTokensAtBeginLogitsProcessor(settings.begin_suppress_tokens, begin)]
        if timestamps:
            rules.append(WhisperTimeStampLogitsProcessor(settings, begin))
        return LogitsProcessorList(rules)

    def transcribe(self, audio: np.ndarray) -> dict:
        """Text and segments of a recording of any length, window after window as openai-whisper does."""
        at, segments, previous = 0, [], []
        while at < len(audio):
            ids = self.greedy(audio[at:], True, previous[-63:])
            found, step = self._segments(ids)
            for start, end, words in found:
                if words:
                    segments.append({"start": at / RATE + start, "end": at / RATE + end, "text": self.tokens.decode(words)})
                    previous += words
            at += step
        return {"text": " ".join(segment["text"] for segment in segments), "segments": segments}

    def _segments(self, ids: list[int]) -> tuple[list[tuple[float, float, list[int]]], int]:
        """Segments `(start [s], end [s], ids)` of one window's answer, and the samples to go on by."""
        first = self.tokens.first_time
        stamps, found, start, words = [id >= first for id in ids], [], 0.0, []
        for id in ids:
            if id < first:
                words.append(id)
            elif words:
                found.append((start, (id - first) * TIME_STEP_S, words))
                words = []
            start = (id - first) * TIME_STEP_S if id >= first else start
        pairs = any(a and b for a, b in zip(stamps, stamps[1:]))
        if pairs and stamps[-2:] == [True, True]:
            return found, round(found[-1][1] * RATE)
        if words and not found:
            found.append((start, WINDOW / RATE, words))
        return found, WINDOW
