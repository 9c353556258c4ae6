"""Other engines for the benchmark `peers`, each with a Whisper of random weights.

    peers.py ENGINE TYPE THREADS WIDTH HEADS LAYERS LAYERS MELS VOCABULARY

LAYERS are the encoder's and the decoder's. ENGINE is `ctranslate2`, the engine of faster-whisper, with TYPE `float32` or `int8`; or `whisper.cpp` with `q8_0` or `f16`. Says
`ready`, then for each line of standard input the seconds that the encoder took for one window, and those of 128 tokens
after it. What the decoder prepares once per window, whisper.cpp counts with the encoder, the other with the tokens.
"""

import sys
import tempfile
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
from whisper_files import SPECTRUM, configuration, write_ggml

TEXTS, POSITIONS, TEXT = 50257, 1500, 448
END, PROMPT, TOKENS = 50257, [50258, 50259, 50359, 50363], 128


Shape = namedtuple("Shape", "width heads encoder decoder mels vocabulary")


class Numbers:
    """Random ones that keep every activation small."""

    def __init__(self, width):
        self.random, self.scale = np.random.default_rng(1), width**-0.5

    def __call__(self, *shape):
        return (self.random.uniform(-1, 1, shape) * self.scale).astype(np.float32)


# === CTranslate2 ===


def ctranslate2(kind, threads, shape):
    import ctranslate2 as engine

    with tempfile.TemporaryDirectory() as folder:
        made = specification(shape)
        made.validate()
        made.save(folder)
        model = engine.models.Whisper(folder, compute_type=kind, intra_threads=threads)
    mel = np.random.default_rng(2).uniform(-1, 1, (1, shape.mels, 2 * POSITIONS)).astype(np.float32)

    def encode():
        return model.encode(engine.StorageView.from_array(mel))

    def decode(heard):
        # Half of max_length is for the text.
        options = {"beam_size": 1, "max_length": 2 * TOKENS, "suppress_blank": False, "suppress_tokens": [END]}
        assert len(model.generate(heard, [PROMPT], **options)[0].sequences_ids[0]) == TOKENS

    return encode, decode


def specification(shape):
    """What converters fill."""
    from ctranslate2.specs import WhisperSpec

    width, numbers = shape.width, Numbers(shape.width)

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

    made = WhisperSpec(shape.encoder, shape.heads, shape.decoder, shape.heads)
    for conv, channels in ((made.encoder.conv1, shape.mels), (made.encoder.conv2, width)):
        conv.weight, conv.bias = numbers(width, channels, 3), numbers(width)
    made.encoder.position_encodings.encodings = numbers(POSITIONS, width)
    made.decoder.position_encodings.encodings = numbers(TEXT, width)
    made.decoder.embeddings.weight = numbers(shape.vocabulary, width)
    made.decoder.projection.weight = made.decoder.embeddings.weight
    for half in (made.encoder, made.decoder):
        norm(half.layer_norm)
        for layer in half.layer:
            attention(layer.self_attention, 3 * width, width)
            feed_forward(layer.ffn)
    for layer in made.decoder.layer:
        attention(layer.attention, width, 2 * width, width)
    # The engine looks some of the names up.
    names = [f"<{number}>" for number in range(shape.vocabulary)]
    names[END], names[PROMPT[0]], names[PROMPT[-1]] = "<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"
    made.register_vocabulary(names)
    made.config.suppress_ids, made.config.suppress_ids_begin = [], []
    made.config.lang_ids, made.config.alignment_heads = [PROMPT[1]], [(0, 0)]
    return made


# === whisper.cpp ===


def whisper_cpp(kind, threads, shape):
    import _pywhispercpp as engine

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "random.bin"
        words = [f"<{number}>".encode() for number in range(TEXTS)]
        write_ggml(*random_tensors(shape), words, np.zeros((shape.mels, SPECTRUM)), kind, file)
        model = engine.whisper_init_from_file_with_params(str(file), engine.whisper_context_default_params())
    mel = np.random.default_rng(2).uniform(-1, 1, (shape.mels, 2 * POSITIONS)).astype(np.float32)
    assert engine.whisper_set_mel(model, mel, 2 * POSITIONS, shape.mels) == 0

    def encode():
        assert engine.whisper_encode(model, 0, threads) == 0

    def decode(_):
        # One token at a time, the prompt too; whatever is likely next, the work is the same.
        for past in range(len(PROMPT) + TOKENS - 1):
            token = PROMPT[past] if past < len(PROMPT) else past
            assert engine.whisper_decode(model, token, 1, past, threads) == 0

    return encode, decode


def random_tensors(shape):
    """As transformers names them."""
    width, numbers, made = shape.width, Numbers(shape.width), {}

    def linear(name, rows, columns, bias=True):
        made[f"{name}.weight"] = numbers(rows, columns)
        if bias:
            made[f"{name}.bias"] = numbers(rows)

    def norm(name):
        made[f"{name}.weight"], made[f"{name}.bias"] = np.ones(width, np.float32), numbers(width)

    for name, channels in (("conv1", shape.mels), ("conv2", width)):
        made[f"model.encoder.{name}.weight"] = numbers(width, channels, 3)
        made[f"model.encoder.{name}.bias"] = numbers(width)
    made["model.decoder.embed_tokens.weight"] = numbers(shape.vocabulary, width)
    halves = (
        ("encoder", shape.encoder, POSITIONS, ["self_attn"]),
        ("decoder", shape.decoder, TEXT, ["self_attn", "encoder_attn"]),
    )
    for half, layers, positions, attentions in halves:
        made[f"model.{half}.embed_positions.weight"] = numbers(positions, width)
        norm(f"model.{half}.layer_norm")
        for layer in (f"model.{half}.layers.{at}" for at in range(layers)):
            for attention in attentions:
                norm(f"{layer}.{attention}_layer_norm")
                for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                    linear(f"{layer}.{attention}.{part}", width, width, part != "k_proj")
            norm(f"{layer}.final_layer_norm")
            linear(f"{layer}.fc1", 4 * width, width)
            linear(f"{layer}.fc2", width, 4 * width)
    return made, configuration(made, shape.heads)


def main(engine, kind, threads, *sizes):
    start = {"ctranslate2": ctranslate2, "whisper.cpp": whisper_cpp}[engine]
    encode, decode = start(kind, int(threads), Shape(*map(int, sizes)))
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        heard = encode()
        encoded = time.perf_counter()
        decode(heard)
        print(encoded - began, time.perf_counter() - encoded, flush=True)


main(*sys.argv[1:])
