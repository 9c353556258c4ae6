"""Zonos' reference, Zyphra's own code, for the benchmark `zonos`.

    zonos_reference.py make FOLDER [--seed N] [--hybrid] [--layers N]
                                                    writes a checkpoint of the published shapes with random weights
    zonos_reference.py speak FOLDER THREADS         speaks, as long as it is asked

needs torch 2.6, torchaudio 2.6, transformers 5.2, phonemizer 3.3.0 and inflect, and to speak a checkout of
github.com/Zyphra/Zonos at bc40d98, which the variable `ZONOS` names. Fewer layers than there are in the published models take less
time and memory.

The code runs as it is, in f32, without torch.compile. Two things are its own: the caches are in f32 as well, and weights are
copied into the model one by one, so that they are not there twice. Its hybrid needs an NVIDIA card: the one here has its
transformer's blocks and, between them, the `Mamba2Mixer` of transformers with a cache. Its attention turns neighbours, as the
transformer's does, where a hybrid turns halves: that takes the same time.

`speak` says once what loading took, `{"load": [clock, cpu], "peak": bytes}`, and then answers each line of its input. To
`whole TOKENS` it speaks `sentence.txt`, so many frames of it. The answer is, in seconds by the clock and of CPU, `{"tokens",
"seconds", "token", "sound", "first", "whole"}`: frames, seconds of sound, one step after the prompt, the DAC, and until the first
and the last sound, which is the same here. To `peak` it answers `{"peak", "mapped"}`: bytes that it had in memory at its worst
since it was loaded, and how many of those that it has now are pages of files.
"""

import argparse
import json
import os
import pathlib
import sys
import time
import types

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from transformers import DacConfig, DacModel, Mamba2Config
from transformers.models.mamba2.modeling_mamba2 import Mamba2Cache, Mamba2Mixer
from transformers.utils import logging

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "fixtures" / "zonos" / "net"))
from compose import PHONEMES, configuration  # noqa: E402

SENTENCE = "The harbour lights went out one by one, and nobody said a word."
SIZES = {
    "width": 2048, "inner": 8192, "heads": 16, "shared": 4, "layers": 26, "hybrid_layers": 46, "speaker": 128, "books": 9,
    "codes": 1024,
}  # fmt: skip
STATE, SSM_HEADS, TAPS = 128, 64, 4
# Of a chunk there are squares for each head: with the usual 256 several gigabytes.
CHUNK = 32
NEVER = -1000.0


# === the checkpoint ===


def shapes(config):
    """The tensors of the language model by their published names."""
    width, backbone = SIZES["width"], config["backbone"]
    inner, attention = 2 * width, backbone["attn_cfg"]
    all_heads = (attention["num_heads"] + 2 * attention["num_heads_kv"]) * attention["head_dim"]
    norm = lambda name, size=width: {f"{name}.weight": (size,), f"{name}.bias": (size,)}
    for book in range(SIZES["books"]):
        yield f"embeddings.{book}.weight", (SIZES["codes"] + 2, width)
        yield f"heads.{book}.weight", (SIZES["codes"] + 1, width)
    for at in range(backbone["n_layer"]):
        layer = f"backbone.layers.{at}"
        yield from norm(f"{layer}.norm").items()
        if at in backbone["attn_layer_idx"]:
            yield f"{layer}.mixer.in_proj.weight", (all_heads, width)
            yield f"{layer}.mixer.out_proj.weight", (width, attention["num_heads"] * attention["head_dim"])
            yield from norm(f"{layer}.norm2").items()
            yield f"{layer}.mlp.fc1.weight", (2 * SIZES["inner"], width)
            yield f"{layer}.mlp.fc2.weight", (width, SIZES["inner"])
        else:
            channels = inner + 2 * STATE
            yield f"{layer}.mixer.in_proj.weight", (inner + channels + SSM_HEADS, width)
            yield f"{layer}.mixer.conv1d.weight", (channels, 1, TAPS)
            yield f"{layer}.mixer.conv1d.bias", (channels,)
            for name in ("dt_bias", "A_log", "D"):
                yield f"{layer}.mixer.{name}", (SSM_HEADS,)
            yield f"{layer}.mixer.norm.weight", (inner,)
            yield f"{layer}.mixer.out_proj.weight", (width, inner)
    yield from norm("backbone.norm_f").items()
    yield from norm("prefix_conditioner.norm").items()
    yield "prefix_conditioner.project.weight", (width, width)
    yield "prefix_conditioner.project.bias", (width,)
    for at, entry in enumerate(config["prefix_conditioner"]["conditioners"]):
        of = f"prefix_conditioner.conditioners.{at}"
        match entry["type"]:
            case "EspeakPhonemeConditioner":
                yield f"{of}.phoneme_embedder.weight", (PHONEMES, width)
            case "FourierConditioner":
                yield f"{of}.weight", (width // 2, entry.get("input_dim", 1))
            case "IntegerConditioner":
                yield f"{of}.int_embedder.weight", (entry["max_val"] - entry["min_val"] + 1, width)
            case "PassthroughConditioner":
                yield f"{of}.project.weight", (width, entry["cond_dim"])
                yield f"{of}.project.bias", (width,)
        if "uncond_type" in entry:
            yield f"{of}.uncond_vector", (width,)


def drawn(name, shape, dice):
    """Every activation stays about as large as it came in, so that no number is lost or next to nothing."""
    noise = torch.randn(shape, generator=dice)
    if name.endswith("A_log"):
        return 0.7 * noise
    if name.endswith("dt_bias"):
        return noise - 2.0
    if len(shape) == 1:
        return 1 + 0.2 * noise if "norm" in name and name.endswith("weight") or name.endswith(".D") else 0.1 * noise
    if "emb" in name:
        return noise / 3
    # What is added to the state of many layers.
    return (0.3 if "out_proj" in name or "fc2" in name else 1.0) * noise / noise[0].numel() ** 0.5


def language_model(config, dice):
    weights = {}
    for name, shape in shapes(config):
        weight = drawn(name, shape, dice)
        # One channel is always the same after the last norm, and the end is chosen where it is not.
        if name == "backbone.norm_f.weight":
            weight[0] = 0
        elif name == "backbone.norm_f.bias":
            weight[0] = 1
        elif name == "heads.0.weight":
            weight[SIZES["codes"]], weight[SIZES["codes"], 0] = 0, NEVER
        weights[name] = weight.bfloat16()
    return weights


def codec(dice):
    model = DacModel(DacConfig(sampling_rate=44_100))
    for name, weight in model.named_parameters():
        noise = torch.randn(weight.shape, generator=dice)
        if name.endswith("alpha"):
            weight.copy_((1 + 0.4 * noise).abs() + 0.1)
        elif name.endswith("bias"):
            weight.copy_(0.1 * noise)
        elif "codebook" in name:
            weight.copy_(noise)
        elif "conv_t1" in name:
            weight.copy_(noise / (2 * weight.shape[0]) ** 0.5)
        else:
            weight.copy_((0.3 if "res_unit" in name and "conv2" in name else 1) * noise / weight[0].numel() ** 0.5)
    model.decoder.conv2.weight.mul_(0.2)
    return model


@torch.no_grad()
def make(folder, seed, hybrid, layers):
    dice = torch.Generator().manual_seed(seed)
    count = "hybrid_layers" if hybrid else "layers"
    config = configuration(SIZES | {count: layers or SIZES[count]}, hybrid)
    if hybrid:
        config["backbone"]["attn_layer_idx"] = list(range(0, config["backbone"]["n_layer"], 4))
    (folder / "model").mkdir(parents=True, exist_ok=True)
    save_file(language_model(config, dice), folder / "model" / "model.safetensors")
    (folder / "model" / "config.json").write_text(json.dumps(config, indent=1))
    codec(dice).save_pretrained(folder / "codec")
    (folder / "sentence.txt").write_text(SENTENCE)


# === the reference ===


def zyphra():
    """Its modules. Those for Japanese, of which nothing is spoken here, may be missing."""
    for missing in ("kanjize", "sudachipy"):
        sys.modules.setdefault(missing, types.ModuleType(missing))
    sys.modules["kanjize"].number2kanji = None
    sys.modules["sudachipy"].SplitMode = None
    sys.modules["sudachipy"].Dictionary = lambda dict: types.SimpleNamespace(create=lambda: None)
    sys.path.insert(0, os.environ["ZONOS"])
    from zonos import autoencoder, backbone, conditioning, config, model

    return types.SimpleNamespace(
        autoencoder=autoencoder, backbone=backbone, conditioning=conditioning, config=config, model=model
    )


class StateSpace(nn.Module):
    """A layer of the hybrid that has a state, as one of Zyphra's is called."""

    def __init__(self, at, backbone):
        super().__init__()
        self.norm = nn.LayerNorm(SIZES["width"], eps=1e-5)
        self.mixer, self.backbone = Mamba2Mixer(mamba_config(), layer_idx=at), [backbone]

    def forward(self, x, inference_params, _rotation):
        cache = self.backbone[0].states
        at = torch.arange(x.shape[1]) + inference_params.seqlen_offset
        return x + self.mixer(self.norm(x), cache_params=cache, cache_position=at)

    def allocate_inference_cache(self, *_args, **_kwargs):
        return None


def mamba_config(layers=1):
    return Mamba2Config(
        hidden_size=SIZES["width"], expand=2, head_dim=2 * SIZES["width"] // SSM_HEADS, num_heads=SSM_HEADS,
        state_size=STATE, n_groups=1, conv_kernel=TAPS, use_bias=False, use_conv_bias=True, layer_norm_epsilon=1e-5,
        chunk_size=CHUNK, num_hidden_layers=layers,
    )  # fmt: skip


def hybrid_of(transformer):
    class Hybrid(transformer):
        def __init__(self, config):
            kinds, config.ssm_cfg = config.ssm_cfg, {}
            super().__init__(config)
            config.ssm_cfg = kinds
            for at in range(config.n_layer):
                if at not in config.attn_layer_idx:
                    self.layers[at] = StateSpace(at, self)

        def allocate_inference_cache(self, batch_size, max_seqlen, dtype):
            layers = len(self.layers)
            self.states = Mamba2Cache(mamba_config(layers), batch_size, dtype=torch.float32, device="cpu")
            return super().allocate_inference_cache(batch_size, max_seqlen, dtype=dtype)

    return Hybrid


def load(folder):
    of = zyphra()
    published = of.autoencoder.DacModel.from_pretrained
    of.autoencoder.DacModel.from_pretrained = lambda _name: published(folder / "codec")
    config = of.config.ZonosConfig.from_dict(json.loads((folder / "model" / "config.json").read_text()))
    transformer = of.backbone.BACKBONES["torch"]
    # What is overwritten need not be drawn.
    for module in (nn.Linear, nn.Embedding, nn.Conv1d):
        module.reset_parameters = lambda _module: None
    model = of.model.Zonos(config, hybrid_of(transformer) if config.backbone.ssm_cfg else transformer)
    there, kept = model.state_dict(), set()
    with safe_open(folder / "model" / "model.safetensors", framework="pt") as file:
        for name in file.keys():
            there[name].copy_(file.get_tensor(name))
            kept.add(name)
    assert kept == there.keys(), there.keys() ^ kept
    model._pad_embeddings_and_heads()  # as its own loading does
    setup = model.setup_cache
    model.setup_cache = lambda batch_size, max_seqlen: setup(batch_size, max_seqlen, dtype=torch.float32)
    return model.eval().requires_grad_(False), of.conditioning.make_cond_dict


def now():
    return time.perf_counter(), time.process_time()


def since(began, until=None):
    return [until - began for began, until in zip(began, until or now(), strict=True)]


class Speaker:
    """Sees when the model has made a step."""

    def __init__(self, folder):
        self.model, self.conditions = load(folder)
        self.steps = []
        self.model.backbone.register_forward_hook(lambda *_: self.steps.append(now()))

    def whole(self, text, frames):
        self.steps.clear()
        began = now()
        given = self.conditions(text=text, speaker=None, language="en-us", device="cpu")
        given = self.model.prepare_conditioning(given)
        codes = self.model.generate(given, max_new_tokens=frames, progress_bar=False, disable_torch_compile=True)
        assert codes.shape[-1] == frames, "the text ended early"
        spoken = now()
        wave = self.model.autoencoder.decode(codes)
        sound, whole = since(spoken), since(began)
        assert wave.isfinite().all() and wave.std() > 1e-3, "this is no sound"
        # The first pass is that of the prompt.
        token = [seconds / (len(self.steps) - 1) for seconds in since(self.steps[0], self.steps[-1])]
        seconds = wave.shape[-1] / self.model.autoencoder.sampling_rate
        return {"tokens": frames, "seconds": seconds, "token": token, "sound": sound, "first": whole, "whole": whole}


def memory():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    kib = {name: int(rest.split()[0]) for name, rest in (line.split(":", 1) for line in lines) if rest.endswith("kB")}
    return {"peak": kib["VmHWM"] * 1024, "mapped": kib["RssFile"] * 1024}


@torch.inference_mode()
def speak(folder, threads):
    torch.set_num_threads(threads)
    logging.disable_progress_bar()
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
    parser.add_argument("--hybrid", action="store_true")
    parser.add_argument("--layers", type=int)
    given = parser.parse_args()
    match given.what:
        case "make":
            make(given.folder, given.seed, given.hybrid, given.layers)
        case "speak":
            speak(given.folder, given.threads)


main()
