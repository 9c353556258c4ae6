"""Other engines for the benchmark `peers`, each with a Whisper of random weights.

    peers.py ENGINE TYPE THREADS WIDTH HEADS LAYERS

ENGINE is `ctranslate2`, the engine of faster-whisper, with TYPE `float32` or `int8`; or `whisper.cpp` with `q8_0`. Says
`ready`, then for each line of standard input the seconds that the encoder took for one window, and those of 128 tokens
after it. What the decoder prepares once per window, whisper.cpp counts with the encoder, the other with the tokens.
"""

import struct
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

VOCABULARY, TEXTS, MELS, POSITIONS, TEXT = 51865, 50257, 80, 1500, 448
END, PROMPT, TOKENS = 50257, [50258, 50259, 50359, 50363], 128


class Numbers:
    """Random ones that keep every activation small."""

    def __init__(self, width):
        self.random, self.scale = np.random.default_rng(1), width**-0.5

    def __call__(self, *shape):
        return (self.random.uniform(-1, 1, shape) * self.scale).astype(np.float32)


# === CTranslate2 ===


def ctranslate2(kind, threads, width, heads, layers):
    import ctranslate2 as engine

    with tempfile.TemporaryDirectory() as folder:
        made = specification(width, heads, layers)
        made.validate()
        made.save(folder)
        model = engine.models.Whisper(folder, compute_type=kind, intra_threads=threads)
    mel = np.random.default_rng(2).uniform(-1, 1, (1, MELS, 2 * POSITIONS)).astype(np.float32)

    def encode():
        return model.encode(engine.StorageView.from_array(mel))

    def decode(heard):
        # Half of max_length is for the text.
        options = {"beam_size": 1, "max_length": 2 * TOKENS, "suppress_blank": False, "suppress_tokens": [END]}
        assert len(model.generate(heard, [PROMPT], **options)[0].sequences_ids[0]) == TOKENS

    return encode, decode


def specification(width, heads, layers):
    """What converters fill."""
    from ctranslate2.specs import WhisperSpec

    numbers = Numbers(width)

    def linear(to, rows, columns):
        to.weight, to.bias = numbers(rows, columns), numbers(rows)

    def norm(to):
        to.gamma, to.beta = np.ones(width, np.float32), numbers(width)

    def attention(to, *rows):
        norm(to.layer_norm)
        for each, count in zip(to.linear, rows, strict=True):
            linear(each, count, width)

    def feed_forward(to):
        norm(to.layer_norm)
        linear(to.linear_0, 4 * width, width)
        linear(to.linear_1, width, 4 * width)

    made = WhisperSpec(layers, heads, layers, heads)
    for conv, channels in ((made.encoder.conv1, MELS), (made.encoder.conv2, width)):
        conv.weight, conv.bias = numbers(width, channels, 3), numbers(width)
    made.encoder.position_encodings.encodings = numbers(POSITIONS, width)
    made.decoder.position_encodings.encodings = numbers(TEXT, width)
    made.decoder.embeddings.weight = numbers(VOCABULARY, width)
    made.decoder.projection.weight = made.decoder.embeddings.weight
    for half in (made.encoder, made.decoder):
        norm(half.layer_norm)
        for layer in half.layer:
            attention(layer.self_attention, 3 * width, width)
            feed_forward(layer.ffn)
    for layer in made.decoder.layer:
        attention(layer.attention, width, 2 * width, width)
    # The engine looks some of the names up.
    names = [f"<{number}>" for number in range(VOCABULARY)]
    names[END], names[PROMPT[0]], names[PROMPT[-1]] = "<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"
    made.register_vocabulary(names)
    made.config.suppress_ids, made.config.suppress_ids_begin = [], []
    made.config.lang_ids, made.config.alignment_heads = [PROMPT[1]], [(0, 0)]
    return made


# === whisper.cpp ===


def whisper_cpp(kind, threads, width, heads, layers):
    import _pywhispercpp as engine

    assert kind == "q8_0"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "random.bin"
        write_ggml(file, width, heads, layers)
        model = engine.whisper_init_from_file_with_params(str(file), engine.whisper_context_default_params())
    mel = np.random.default_rng(2).uniform(-1, 1, (MELS, 2 * POSITIONS)).astype(np.float32)
    assert engine.whisper_set_mel(model, mel, 2 * POSITIONS, MELS) == 0

    def encode():
        assert engine.whisper_encode(model, 0, threads) == 0

    def decode(_):
        # One token at a time, the prompt too; whatever is likely next, the work is the same.
        for past in range(len(PROMPT) + TOKENS - 1):
            token = PROMPT[past] if past < len(PROMPT) else past
            assert engine.whisper_decode(model, token, 1, past, threads) == 0

    return encode, decode


def write_ggml(file, width, heads, layers):
    """The file format of whisper.cpp: hyperparameters, mel filters, words, tensors."""
    numbers, text = Numbers(width), []

    def whole(*values):
        return struct.pack(f"<{len(values)}i", *values)

    def tensor(name, values, kind=0):
        kinds = {0: lambda: values.tobytes(), 1: lambda: values.astype(np.float16).tobytes(), 8: lambda: q8_0(values)}
        text.append(whole(values.ndim, len(name), kind, *reversed(values.shape)) + name.encode() + kinds[kind]())

    def linear(name, rows, columns, bias=True):
        tensor(f"{name}.weight", numbers(rows, columns), 8)
        if bias:
            tensor(f"{name}.bias", numbers(rows))

    def norm(name):
        tensor(f"{name}.weight", np.ones(width, np.float32))
        tensor(f"{name}.bias", numbers(width))

    for name, channels in (("conv1", MELS), ("conv2", width)):
        tensor(f"encoder.{name}.weight", numbers(width, channels, 3), 1)
        tensor(f"encoder.{name}.bias", numbers(width, 1))
    tensor("encoder.positional_embedding", numbers(POSITIONS, width))
    tensor("decoder.positional_embedding", numbers(TEXT, width))
    tensor("decoder.token_embedding.weight", numbers(VOCABULARY, width), 8)
    norm("encoder.ln_post")
    norm("decoder.ln")
    for half, attentions in (("encoder", ["attn"]), ("decoder", ["attn", "cross_attn"])):
        for block in (f"{half}.blocks.{layer}" for layer in range(layers)):
            for attention in attentions:
                norm(f"{block}.{attention}_ln")
                for part in ("query", "key", "value", "out"):
                    linear(f"{block}.{attention}.{part}", width, width, part != "key")
            norm(f"{block}.mlp_ln")
            linear(f"{block}.mlp.0", 4 * width, width)
            linear(f"{block}.mlp.2", width, 4 * width)
    with file.open("wb") as out:
        out.write(whole(0x67676D6C, VOCABULARY, POSITIONS, width, heads, layers, TEXT, width, heads, layers, MELS, 7))
        out.write(whole(MELS, 201) + np.zeros((MELS, 201), np.float32).tobytes())
        words = [f"<{number}>".encode() for number in range(TEXTS)]
        out.write(whole(TEXTS) + b"".join(whole(len(word)) + word for word in words))
        out.writelines(text)


def q8_0(values):
    """Blocks of 32 bytes, each after its scale as a half."""
    blocks = values.reshape(-1, 32)
    scales = np.abs(blocks).max(1, keepdims=True) / 127
    packed = np.empty(len(blocks), np.dtype([("scale", "<f2"), ("numbers", "i1", 32)]))
    packed["scale"], packed["numbers"] = scales[:, 0], np.rint(blocks / scales)
    return packed.tobytes()


def main(engine, kind, *numbers):
    encode, decode = {"ctranslate2": ctranslate2, "whisper.cpp": whisper_cpp}[engine](kind, *map(int, numbers))
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        heard = encode()
        encoded = time.perf_counter()
        decode(heard)
        print(encoded - began, time.perf_counter() - encoded, flush=True)


main(*sys.argv[1:])
