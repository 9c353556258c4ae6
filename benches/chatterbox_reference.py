"""Chatterbox's reference, `chatterbox-tts` 0.1.7 with torch 2.6, for the benchmark `chatterbox`.

    chatterbox_reference.py make FOLDER [--seed N]     writes a checkpoint of the published shapes with random weights
    chatterbox_reference.py count FOLDER TOKENS        how much arithmetic S3Gen does for so many tokens
    chatterbox_reference.py speak FOLDER THREADS       speaks, as long as it is asked

`speak` says once what loading took, `{"load": [clock, cpu], "peak": bytes}`, and then answers each line of its input. To
`whole TOKENS` it speaks `sentence.txt` as the package does, but for two things: so many tokens, and no watermark. The answer
is, in seconds by the clock and of CPU, `{"tokens", "seconds", "token", "sound", "first", "whole"}`: tokens, seconds of
sound, one token of T3 after the prompt, S3Gen, and until the first and the last sound, which is the same here. To `peak` it
answers `{"peak", "mapped"}`: bytes that it had in memory at its worst since it was loaded, and how many of those that it
has now are pages of files.
"""

import argparse
import json
import os
import pathlib
import re
import sys
import time
import types

os.environ["TQDM_DISABLE"] = "1"
for missing in ("spacy_pkuseg", "pykakasi"):  # for languages that are not spoken here
    sys.modules.setdefault(missing, types.ModuleType(missing))

import torch  # noqa: E402
from chatterbox import tts  # noqa: E402
from chatterbox.models.s3gen import S3Gen  # noqa: E402
from chatterbox.models.t3 import T3  # noqa: E402
from chatterbox.models.t3.modules.cond_enc import T3Cond  # noqa: E402
from chatterbox.models.voice_encoder import VoiceEncoder  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402

SENTENCE = (
    "The harbour lights went out one by one, and the last of the boats came home late that evening, while the old man "
    "on the pier went on counting them under his breath."
)
CODES, WORDS, STOP, START = 6561, 704, 0, 255
# What a voice is at most: six seconds for T3, ten for S3Gen.
HEARD, CONTINUED, MEL = 150, 250, 80
ALWAYS = 3.0


# === the checkpoint ===


def randomise(network, dice):
    """Every activation stays about as large as it came in, so that no number is lost or next to nothing."""
    for name, weight in network.named_parameters():
        noise = torch.randn(weight.shape, generator=dice)
        if name.endswith("original0"):
            # Gains of a vocoder; half of them where a block adds to what it was given.
            weight.copy_((0.4 if "resblocks" in name else 1.0) * (1 + 0.2 * noise))
        elif re.search(r"emb\w*\.weight$", name):
            weight.copy_(noise)
        elif name.endswith("alpha"):
            weight.copy_(0.1 + (1 + 0.4 * noise).abs())
        elif weight.dim() == 1:
            weight.copy_(1 + 0.2 * noise if name.endswith("weight") else 0.1 * noise)
        else:
            weight.copy_(noise / weight[0].numel() ** 0.5)


def never_stop(t3):
    """One channel of T3 is always the same, and what is no code of speech is chosen where it is not."""
    for layer in t3.tfmr.layers:
        layer.self_attn.o_proj.weight[0], layer.mlp.down_proj.weight[0] = 0, 0
    t3.speech_emb.weight[:, 0], t3.speech_pos_emb.emb.weight[:, 0], t3.tfmr.norm.weight[0] = 0, ALWAYS, 1
    t3.speech_head.weight[CODES:], t3.speech_head.weight[CODES:, 0] = 0, -1000


def audible(vocoder):
    """Voices of some hundred Hz, and frames without; a source that is heard, and no sound that clips all the time."""
    vocoder.f0_predictor.classifier.weight.mul_(300.0)
    vocoder.conv_post.bias[: vocoder.conv_post.out_channels // 2].sub_(1.0)
    vocoder.conv_post.parametrizations.weight.original0.mul_(0.5)


def voice(dice):
    """Of no recording: as much of one as is ever taken."""
    codes = lambda count: torch.randint(0, CODES, (1, count), generator=dice)
    speaker = torch.nn.functional.normalize(torch.rand(1, 256, generator=dice))
    heard = T3Cond(
        speaker_emb=speaker, cond_prompt_speech_tokens=codes(HEARD), emotion_adv=0.5 * torch.ones(1, 1, 1)
    )
    spoken = {
        "prompt_token": codes(CONTINUED), "prompt_token_len": torch.tensor([CONTINUED]),
        "prompt_feat": -5 + 2 * torch.randn(1, 2 * CONTINUED, MEL, generator=dice), "prompt_feat_len": None,
        "embedding": torch.randn(1, 192, generator=dice),
    }  # fmt: skip
    return tts.Conditionals(heard, spoken)


def tokenizer():
    """Letters and the pairs that the sentence has twice, at the published size and with its special ids."""
    text = tts.punc_norm(SENTENCE)
    within = [pair for word in text.split() for pair in zip(word, word[1:])]
    pairs = sorted({pair for pair in within if within.count(pair) > 1})
    tokens = ["[STOP]", "[UNK]", "[SPACE]", *sorted(set(text)), *("".join(pair) for pair in pairs)]
    tokens += [f"unused{at}" for at in range(WORDS - 1 - len(tokens))]
    tokens.insert(START, "[START]")
    made = Tokenizer(models.BPE({token: at for at, token in enumerate(tokens)}, pairs, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens(["[STOP]", "[UNK]", "[SPACE]", "[START]"])
    return made


@torch.no_grad()
def make(folder, seed):
    folder.mkdir(parents=True, exist_ok=True)
    dice = torch.Generator().manual_seed(seed)
    for network, file in ((T3, "t3_cfg"), (S3Gen, "s3gen"), (VoiceEncoder, "ve")):
        made = network().eval()
        randomise(made, dice)
        if network is T3:
            never_stop(made)
        if network is S3Gen:
            audible(made.mel2wav)
        # The published files have no window of the tokenizer's.
        weights = {name: weight.contiguous() for name, weight in made.state_dict().items() if name != "tokenizer.window"}
        save_file(weights, folder / f"{file}.safetensors", {"format": "pt"})
        del made, weights
    voice(dice).save(folder / "conds.pt")
    tokenizer().save(str(folder / "tokenizer.json"))
    (folder / "sentence.txt").write_text(SENTENCE)


# === the reference ===


def load(folder):
    tts.perth.PerthImplicitWatermarker = lambda: types.SimpleNamespace(apply_watermark=lambda wave, sample_rate: wave)
    return tts.ChatterboxTTS.from_local(folder, "cpu")


def now():
    return time.perf_counter(), time.process_time()


def since(began, until=None):
    return [until - began for began, until in zip(began, until or now(), strict=True)]


class Clock:
    """Sees when T3 has made a token, and when S3Gen has made sound of all of them."""

    def __init__(self, model):
        self.tokens, self.steps, self.s3gen = 0, [], None
        t3, s3gen = model.t3.inference, model.s3gen.inference
        model.t3.tfmr.register_forward_hook(lambda *_: self.steps.append(now()))
        model.t3.inference = lambda **asked: t3(**asked | {"max_new_tokens": self.tokens})
        model.s3gen.inference = lambda **asked: self.timed(s3gen, asked)

    def timed(self, s3gen, asked):
        assert asked["speech_tokens"].numel() == self.tokens, "the text ended early"
        began = now()
        made = s3gen(**asked)
        self.s3gen = since(began)
        return made

    def whole(self, model, text, tokens):
        self.tokens, self.steps = tokens, []
        began = now()
        wave = model.generate(text)
        whole = since(began)
        assert wave.isfinite().all() and wave.std() > 1e-3, "this is no sound"
        # The first pass is that of the prompt.
        token = [seconds / (len(self.steps) - 1) for seconds in since(self.steps[0], self.steps[-1])]
        seconds = wave.shape[-1] / model.sr
        return {
            "tokens": tokens, "seconds": seconds, "token": token, "sound": self.s3gen, "first": whole, "whole": whole,
        }  # fmt: skip


def memory():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    kib = {name: int(rest.split()[0]) for name, rest in (line.split(":", 1) for line in lines) if rest.endswith("kB")}
    return {"peak": kib["VmHWM"] * 1024, "mapped": kib["RssFile"] * 1024}


def speak(folder, threads):
    torch.set_num_threads(threads)
    say = lambda answer: print(json.dumps(answer), flush=True)
    began = now()
    model = load(folder)
    say({"load": since(began), "peak": memory()["peak"]})
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak is now what it has
    clock, text = Clock(model), (folder / "sentence.txt").read_text()
    for line in sys.stdin:
        match line.split():
            case ["whole", tokens]:
                say(clock.whole(model, text, int(tokens)))
            case ["peak"]:
                say(memory())


@torch.inference_mode()
def count(folder, tokens):
    from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations
    from torch.utils.flop_counter import FlopCounterMode

    model = load(folder)
    for module in list(model.s3gen.mel2wav.modules()):
        if is_parametrized(module):  # which the counter does not understand
            remove_parametrizations(module, "weight")
    codes, mel = torch.zeros(tokens, dtype=torch.long), torch.zeros(1, MEL, 2 * tokens)
    flow = lambda: model.s3gen.flow_inference(codes, ref_dict=model.conds.gen, finalize=True)
    vocoder = lambda: model.s3gen.hift_inference(mel)
    for name, run in (("flow", flow), ("vocoder", vocoder)):
        with FlopCounterMode(display=False) as counter:
            run()
        print(f"{name}: {counter.get_total_flops() / 1e9:.0f} GFLOP", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["make", "count", "speak"])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("number", type=int, nargs="?", default=2)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    match given.what:
        case "make":
            make(given.folder, given.seed)
        case "count":
            count(given.folder, given.number)
        case "speak":
            speak(given.folder, given.number)


main()
