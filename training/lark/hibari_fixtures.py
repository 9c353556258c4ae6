"""Writes what the tests of src/families/lark/hibari compare with: a tiny voice of seeded random weights in the files
and with the names that Hibari is published in, and what ONNX Runtime makes of it.

    python hibari_fixtures.py tests/fixtures/hibari --seed 1 --prosody 12 --text 8 --decoder 16 --bins 25

The file has its matrices as 8-bit integers. What it is compared with comes from the same numbers as floats, since the
runtime would round the other side of a product as well, by the largest number of a whole sentence.
"""

import argparse
import gzip
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

SYMBOLS = "_;:,.!?—… ˈˌAIOWYæɑɔəɛɜiɪuʊʌᵊᵻɐbdfhjklmnpstvwzɡŋɹʃʒðθʤʧT"
WORDS = [{"hello": "həlˈO", "lark": {"DEFAULT": "lˈɑɹk", "NOUN": None}, "the": "ðˈi", "Apple": "ˈæpᵊl",
          "water": "wˈɔɾəɹ", "nothing": {"DEFAULT": None}}, {"there": "ðˈɛɹ", "hello": "hˈɛ", "nothing": "nˈʌθɪŋ"}]
SAID = "həlˈO ðˈɛɹ, ði ˈæpᵊl!"
HEADS, PARTS, RATE, TOP, VOICED = 2, 5, 24000, 11000.0, 40.0
QUIET = -30.0
"""A log magnitude that nobody hears."""


class Graph:
    """A graph of ONNX that grows by one step after another; names of tensors are those of the published file."""

    def __init__(self, random: np.random.Generator, quantised: bool):
        self.random, self.quantised, self.nodes, self.tensors = random, quantised, [], {}

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes):
        names = [f"/{kind}_{len(self.nodes)}_{n}" for n in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value, dtype=np.float32) -> str:
        name = f"constant_{len(self.tensors)}"
        self.tensors[name] = np.array(value, dtype)
        return name

    def tensor(self, name: str, *shape: int, scale: float = 0.3, middle: float = 0.0) -> str:
        if name not in self.tensors:
            self.tensors[name] = (middle + scale * self.random.standard_normal(shape)).astype(np.float32)
        return name

    def linear(self, x: str, name: str, depth: int, columns: int, bias: str | None = None) -> str:
        """The matrix is an integer that lies around 0, and named after nothing."""
        bias, matrix = self.tensor(bias or f"{name}.bias", columns), f"/{name}/Transpose_output_0"
        if f"{matrix}_scale" not in self.tensors:
            numbers = self.random.standard_normal((depth, columns)) / np.sqrt(depth)
            scale = np.float32(np.abs(numbers).max() / 127)
            self.tensors[f"{matrix}_scale"] = scale
            self.tensors[f"{matrix}_quantized"] = np.round(numbers / scale).astype(np.int8)
            self.tensors[f"{matrix}_zero_point"] = np.int8(0)
        if not self.quantised:
            self.tensors[matrix] = self.tensors[f"{matrix}_quantized"].astype(np.float32) * self.tensors[f"{matrix}_scale"]
            return self.op("Add", bias, self.op("MatMul", x, matrix))
        rounded, scale, zero = self.op("DynamicQuantizeLinear", x, outputs=3)
        product = self.op("MatMulInteger", rounded, f"{matrix}_quantized", zero, f"{matrix}_zero_point")
        scales = self.op("Mul", scale, f"{matrix}_scale")
        return self.op("Add", bias, self.op("Mul", self.op("Cast", product, to=TensorProto.FLOAT), scales))

    def norm(self, x: str, name: str, width: int) -> str:
        weight, bias = self.tensor(f"{name}.weight", width, middle=1.0), self.tensor(f"{name}.bias", width)
        return self.op("LayerNormalization", x, weight, bias, axis=-1, epsilon=1e-5)

    def gelu(self, x: str) -> str:
        turned = self.op("Add", self.op("Erf", self.op("Div", x, self.constant(2 ** 0.5))), self.constant(1.0))
        return self.op("Mul", self.op("Mul", x, turned), self.constant(0.5))

    def conv(self, x: str, name: str, depth: int, columns: int, kernel: int, dilation: int = 1, group: int = 1,
             middle: float = 0.0) -> str:
        """`x`: [1, depth, rows]"""
        scale = 1 / np.sqrt(depth * kernel / group)
        weight = self.tensor(f"{name}.weight", columns, depth // group, kernel, scale=scale)
        bias, pad = self.tensor(f"{name}.bias", columns, middle=middle), kernel // 2 * dilation
        return self.op("Conv", x, weight, bias, dilations=[dilation], group=group, kernel_shape=[kernel],
                       pads=[pad, pad], strides=[1])

    def turn(self, x: str) -> str:
        return self.op("Transpose", x, perm=[0, 2, 1])

    def block(self, x: str, name: str, width: int, hidden: int, kernel: int, dilation: int = 1) -> str:
        """ConvNeXt; `x`: [1, width, rows]"""
        inner = self.turn(self.conv(x, f"{name}.dw", width, width, kernel, dilation, width))
        inner = self.gelu(self.linear(self.norm(inner, f"{name}.norm", width), f"{name}.pw1", width, hidden))
        inner = self.linear(inner, f"{name}.pw2", hidden, width)
        return self.op("Add", x, self.turn(self.op("Mul", self.tensor(f"{name}.gamma", width), inner)))

    def layer(self, x: str, name: str, width: int) -> str:
        """Of a transformer; `x`: [1, rows, width]"""
        size = width // HEADS
        all_three = self.linear(self.norm(x, f"{name}.norm1", width), f"{name}.self_attn.in_proj", width, 3 * width,
                                f"{name}.self_attn.in_proj_bias")
        heads = self.op("Reshape", all_three, self.constant([0, 0, 3 * HEADS, size], np.int64))
        queries, keys, values = self.op("Split", self.op("Transpose", heads, perm=[0, 2, 1, 3]), outputs=3, axis=1)
        scores = self.op("MatMul", queries, self.op("Transpose", keys, perm=[0, 1, 3, 2]))
        weights = self.op("Softmax", self.op("Div", scores, self.constant(size ** 0.5)), axis=-1)
        mixed = self.op("Transpose", self.op("MatMul", weights, values), perm=[0, 2, 1, 3])
        mixed = self.op("Reshape", mixed, self.constant([0, 0, width], np.int64))
        x = self.op("Add", x, self.linear(mixed, f"{name}.self_attn.out_proj", width, width))
        inner = self.gelu(self.linear(self.norm(x, f"{name}.norm2", width), f"{name}.linear1", width, 2 * width))
        return self.op("Add", x, self.linear(inner, f"{name}.linear2", 2 * width, width))

    def text(self, name: str, width: int, rounds: int) -> str:
        """[1, width, ids]"""
        x = self.turn(self.op("Gather", self.tensor(f"{name}.emb.weight", len(SYMBOLS), width, scale=1.0), "ids"))
        for n in range(2):
            x = self.block(x, f"{name}.convs.{n}", width, 2 * width, 5)
        x = self.turn(x)
        for _ in range(rounds):
            x = self.layer(x, f"{name}.attn", width)
        return self.turn(self.norm(x, f"{name}.norm", width))

    def model(self, outputs: dict[str, str]) -> onnx.ModelProto:
        nodes = self.nodes + [helper.make_node("Identity", [name], [output]) for output, name in outputs.items()]
        inputs = [helper.make_tensor_value_info("ids", TensorProto.INT64, [1, "L"]),
                  helper.make_tensor_value_info("speed", TensorProto.FLOAT, [1])]
        results = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None) for output in outputs]
        used = {name for node in nodes for name in node.input}
        tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in self.tensors.items() if name in used]
        graph = helper.make_graph(nodes, "hibari", inputs, results, tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def build(options: argparse.Namespace, quantised: bool) -> onnx.ModelProto:
    graph = Graph(np.random.default_rng(options.seed), quantised)
    prosody, text, decoder = options.prosody, options.text, options.decoder
    said, words = graph.text("pn.text", prosody, 3), graph.text("m.text", text, 2)
    logs = graph.gelu(graph.conv(said, "pn.dur.0", prosody, prosody, 3))
    logs = graph.conv(logs, "pn.dur.2", prosody, 1, 1, middle=2.3)
    steps = graph.op("Div", graph.op("Sub", graph.op("Exp", logs), graph.constant(1.0)), "speed")
    lengths = graph.op("Clip", graph.op("Round", graph.op("Reshape", steps, graph.constant([-1], np.int64))),
                       graph.constant(1.0))
    ends = graph.op("CumSum", lengths, graph.constant(0, np.int64))
    places = graph.op("Range", graph.constant(0.0), graph.op("ReduceSum", lengths, keepdims=0), graph.constant(1.0))
    after = graph.op("GreaterOrEqual", graph.op("Unsqueeze", places, graph.constant([1], np.int64)),
                     graph.op("Unsqueeze", ends, graph.constant([0], np.int64)))
    which = graph.op("ReduceSum", graph.op("Cast", after, to=TensorProto.INT64), graph.constant([1], np.int64), keepdims=0)
    x = graph.conv(graph.op("Gather", said, which, axis=2), "pn.pro_in", prosody, prosody, 1)
    for n, dilation in enumerate([1, 2, 4]):
        x = graph.block(x, f"pn.pro.{n}", prosody, 2 * prosody, 7, dilation)
    x = graph.conv(x, "pn.pro_out", prosody, 4, 1, middle=1.0)
    x = graph.op("Reshape", x, graph.constant([1, 2, 2, -1], np.int64))
    x = graph.op("Reshape", graph.op("Transpose", x, perm=[0, 1, 3, 2]), graph.constant([1, 2, -1], np.int64))
    pitch, loudness = graph.op("Split", x, outputs=2, axis=1)
    f0 = graph.op("Mul", pitch, graph.constant(100.0))
    high = graph.op("Div", graph.op("Log", graph.op("Add", graph.constant(1.0), graph.op("Relu", f0))), graph.constant(5.0))
    twice = graph.op("Unsqueeze", graph.op("Gather", words, which, axis=2), graph.constant([3], np.int64))
    twice = graph.op("Reshape", graph.op("Tile", twice, graph.constant([1, 1, 1, 2], np.int64)),
                     graph.constant([1, text, -1], np.int64))
    x = graph.conv(graph.op("Concat", twice, high, loudness, axis=1), "m.dec_in", text + 2, decoder, 7)
    for n in range(3):
        x = graph.block(x, f"m.dec.{n}", decoder, 2 * decoder, 7)
    x = graph.linear(graph.norm(graph.turn(x), "m.dec_norm", decoder), "m.head", decoder, PARTS * options.bins)
    return graph.model({"spectrum": x, "f0": f0, "lengths": lengths})


def pulses(f0: np.ndarray, hop: int) -> np.ndarray:
    """Every harmonic below `TOP` at amplitude 1, in phase; `f0` [frames] in Hz."""
    pitch = np.interp((np.arange(len(f0) * hop) + 0.5) / hop - 0.5, np.arange(len(f0)), f0)
    hertz = np.maximum(pitch, VOICED)
    phase = 2 * np.pi * np.modf(np.cumsum(hertz / RATE))[0]
    count, half = np.floor(TOP / hertz) + 0.5, 2 * np.sin(phase / 2)
    near = np.abs(half) < 2e-3
    return np.where(pitch > VOICED, np.where(near, count, np.sin(count * phase) / np.where(near, 1, half)) - 0.5, 0)


def sound(rows: np.ndarray, f0: np.ndarray) -> np.ndarray:
    """Samples of `rows` [frames, PARTS * bins] without their noise, through a Hann window of four hops."""
    harmonic, turn, _, rest, phase = np.split(rows.astype(np.float64), PARTS, axis=1)
    window = 2 * (harmonic.shape[1] - 1)
    hop, frames = window // 4, len(rows)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    padded = np.pad(pulses(f0, hop), window // 2, mode="reflect")
    source = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop][:frames] * hann / (window / 4)
    spectrum = np.exp(np.minimum(harmonic, 7) + 1j * np.pi * np.tanh(turn)) * np.fft.rfft(source, axis=1)
    spectrum += np.exp(np.minimum(rest, 7) + 1j * phase)
    out, weight = np.zeros((frames + 3) * hop), np.zeros((frames + 3) * hop)
    for frame, samples in enumerate(np.fft.irfft(spectrum, n=window, axis=1)):
        out[frame * hop:][:window] += samples * hann
        weight[frame * hop:][:window] += hann ** 2
    return (out / np.maximum(weight, 1e-8))[window // 2:][: frames * hop]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for size, usual in {"seed": 1, "prosody": 12, "text": 8, "decoder": 16, "bins": 25}.items():
        parser.add_argument(f"--{size}", type=int, default=usual)
    options = parser.parse_args()
    tiny = options.folder / "tiny"
    tiny.mkdir(parents=True, exist_ok=True)
    onnx.save(build(options, True), tiny / "hibari.onnx")
    (tiny / "vocab.json").write_text(json.dumps({symbol: n for n, symbol in enumerate(SYMBOLS) if n}, ensure_ascii=False))
    for kind, words in zip(["gold", "silver"], WORDS):
        packed = gzip.compress(json.dumps(words, ensure_ascii=False).encode(), mtime=0)
        (tiny / f"lexicon_us_{kind}.json.gz").write_bytes(packed)
    ids = [0, *[SYMBOLS.index(symbol) for symbol in SAID], 0]
    given = {"ids": np.array([ids]), "speed": np.ones(1, np.float32)}
    for quantised in [True, False]:  # The first, so that the file itself is known to be whole.
        session = onnxruntime.InferenceSession(build(options, quantised).SerializeToString())
        rows, f0, lengths = (output.squeeze() for output in session.run(["spectrum", "f0", "lengths"], given))
    quiet = rows.copy()
    quiet[:, 2 * options.bins: 3 * options.bins] = QUIET
    made = {"ids": np.array(ids, np.uint8), "lengths": lengths.astype(np.int32), "f0": f0, "spectrum": rows,
            "samples": sound(quiet, f0).astype(np.float32)}
    save_file({name: np.ascontiguousarray(value) for name, value in made.items()}, options.folder / "tiny.safetensors",
              {"sounds": SAID})


if __name__ == "__main__":
    main()
