"""Higgs Audio's reference, transformers, for the benchmark `higgs`.

    higgs_reference.py make FOLDER [--seed N] [--layers N]
                                                    writes a checkpoint of the published shapes with random weights
    higgs_reference.py speak FOLDER THREADS         speaks, as long as it is asked

needs torch 2.6, torchaudio 2.6 and transformers 5.23. Of the 28 layers there are four unless it is said otherwise, and the table of
words is that of a small tokenizer: a step reads one row of it. The codec is whole.

The code runs as it is, in f32, with its own cache.

`speak` says once what loading took, `{"load": [clock, cpu], "peak": bytes}`, and then answers each line of its input. To
`whole TOKENS` it speaks `sentence.txt`, so many frames of it. The answer is, in seconds by the clock and of CPU, `{"tokens",
"seconds", "token", "sound", "first", "whole"}`: frames, seconds of sound, one step after the prompt, the codec, and until the first
and the last sound, which is the same here. To `peak` it answers `{"peak", "mapped"}`: bytes that it had in memory at its worst
since it was loaded, and how many of those that it has now are pages of files.
"""

import argparse
import json
import pathlib
import sys
import time

import torch
from tokenizers import Tokenizer
from transformers import (
    DacConfig,
    HiggsAudioV2ForConditionalGeneration,
    HiggsAudioV2TokenizerConfig,
    HiggsAudioV2TokenizerModel,
)
from transformers.models.higgs_audio_v2.processing_higgs_audio_v2 import HiggsAudioV2Processor
from transformers.utils import logging

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "fixtures" / "higgs" / "net"))
from make import configuration, tokenizer  # noqa: E402

SENTENCE = "The harbour lights went out one by one, and nobody said a word."
SIZES = {"width": 3072, "inner": 8192, "heads": 24, "shared": 8, "head_dim": 128, "layers": 4, "books": 8, "codes": 1024}
RATIOS = [8, 5, 4, 2, 3]


# === the checkpoint ===


def language_model(sizes, words):
    config = configuration(sizes, words)
    with torch.device("meta"):
        model = HiggsAudioV2ForConditionalGeneration(config)
    model = model.to_empty(device="cpu").bfloat16()
    for name, weight in model.named_parameters():
        # Every activation stays about as large as it came in; what is added to the state of many layers is less.
        noise = torch.randn(weight.shape, dtype=torch.float32)
        if name.endswith("norm.weight"):
            weight.copy_(1 + 0.2 * noise)
        elif "embed" in name:
            weight.copy_(noise / 3)
        else:
            weight.copy_((0.3 if "o_proj" in name or "down_proj" in name else 1.0) * noise / weight.shape[1] ** 0.5)
    # The end is as likely as what is in the middle, which is never drawn.
    model.audio_lm_head.weight.view(sizes["books"], -1, sizes["width"])[:, -2:] = 0
    return model


def codec():
    config = HiggsAudioV2TokenizerConfig(
        target_bandwidths=[0.5, 1, 1.5, 2],
        acoustic_model_config=DacConfig(
            encoder_hidden_size=64, downsampling_ratios=RATIOS, decoder_hidden_size=1024, upsampling_ratios=RATIOS,
            hidden_size=256,
        ),
    )  # fmt: skip
    model = HiggsAudioV2TokenizerModel(config)
    for name, weight in [*model.named_parameters(), *model.named_buffers()]:
        if not weight.is_floating_point() or name.endswith(("inited", "cluster_size", "embed_avg")):
            continue
        noise = torch.randn_like(weight)
        if name.endswith("alpha"):
            weight.copy_((1 + 0.4 * noise).abs() + 0.1)
        elif name.endswith(("norm.weight", "original0")):
            weight.copy_(1 + 0.1 * noise)
        elif name.endswith("bias"):
            weight.copy_(0.1 * noise)
        elif name.endswith("codebook.embed"):
            weight.copy_(noise)
        else:
            gain = 0.3 if "res_unit" in name and "conv2" in name else 1.0
            inputs = 2 * weight.shape[0] if "conv_t1" in name else weight[0].numel()
            weight.copy_(gain * noise / inputs**0.5)
    model.acoustic_decoder.conv2.weight.mul_(0.1)
    return model


@torch.no_grad()
def make(folder, seed, layers):
    torch.manual_seed(seed)
    words = tokenizer()
    (folder / "model").mkdir(parents=True, exist_ok=True)
    language_model(SIZES | {"layers": layers or SIZES["layers"]}, words).save_pretrained(folder / "model")
    words.save(str(folder / "model" / "tokenizer.json"), pretty=False)
    codec().save_pretrained(folder / "codec")
    (folder / "sentence.txt").write_text(SENTENCE)


# === the reference ===


def now():
    return time.perf_counter(), time.process_time()


def since(began, until=None):
    return [until - began for began, until in zip(began, until or now(), strict=True)]


class Speaker:
    """Sees when the model has made a step."""

    def __init__(self, folder):
        self.words = Tokenizer.from_file(str(folder / "model" / "tokenizer.json"))
        self.model = HiggsAudioV2ForConditionalGeneration.from_pretrained(folder / "model", dtype=torch.float32).eval()
        self.codec = HiggsAudioV2TokenizerModel.from_pretrained(folder / "codec").eval()
        self.steps = []
        self.model.audio_lm_head.register_forward_hook(lambda *_: self.steps.append(now()))

    def prompt(self, text):
        turn = lambda role, said: f"<|start_header_id|>{role}<|end_header_id|>\n\n{said}<|eot_id|>"
        system = turn("system", "Generate audio following instruction.")
        asked = f"<|begin_of_text|>{system}{turn('user', text)}<|start_header_id|>assistant<|end_header_id|>\n\n<|audio_out_bos|>"
        return torch.tensor([self.words.encode(asked, add_special_tokens=False).ids])

    def whole(self, text, frames):
        self.steps.clear()
        began = now()
        ids = self.prompt(text)
        config = self.model.config
        columns = self.model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=True, temperature=0.7, top_k=50, top_p=0.95,
            max_new_tokens=frames + config.num_codebooks, eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id,
        )  # fmt: skip
        codes = HiggsAudioV2Processor.revert_delay_pattern(None, columns[0, 1:]).clip(0, SIZES["codes"] - 1)
        assert len(codes) == frames, "the text ended early"
        spoken = now()
        wave = self.codec.decode(codes.T[None]).audio_values
        sound, whole = since(spoken), since(began)
        assert wave.isfinite().all() and wave.std() > 1e-3, "this is no sound"
        # The first pass is that of the prompt.
        token = [seconds / (len(self.steps) - 1) for seconds in since(self.steps[0], self.steps[-1])]
        seconds = wave.shape[-1] / self.codec.config.sample_rate
        return {"tokens": frames, "seconds": seconds, "token": token, "sound": sound, "first": whole, "whole": whole}


def memory():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    kib = {name: int(rest.split()[0]) for name, rest in (line.split(":", 1) for line in lines) if rest.endswith("kB")}
    return {"peak": kib["VmHWM"] * 1024, "mapped": kib["RssFile"] * 1024}


@torch.inference_mode()
def speak(folder, threads):
    torch.set_num_threads(threads)
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    say = lambda answer: print(json.dumps(answer), flush=True)
    began = now()
    speaker = Speaker(folder)
    say({"load": since(began), "peak": memory()["peak"]})
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak is now what it has
    text = (folder / "sentence.txt").read_text()
    for line in sys.stdin:
        match line.split():
            case ["whole", frames]:
                say(speaker.whole(text, int(frames)))
            case ["peak"]:
                say(memory())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["make", "speak"])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("threads", type=int, nargs="?", default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--layers", type=int)
    given = parser.parse_args()
    match given.what:
        case "make":
            make(given.folder, given.seed, given.layers)
        case "speak":
            speak(given.folder, given.threads)


main()
