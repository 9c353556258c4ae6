"""Whole requests to the server beside faster-whisper, with the same published weights, in one run: ratios are what counts.

    pip install faster-whisper requests safetensors        # into an environment of its own
    python benches/recordings.py target/release/sconce CT2_FOLDER recordings/*.wav
    python benches/recordings.py target/release/sconce CT2_FOLDER recordings/*.wav --callers 8 --pairs 7 --threads 2

CT2_FOLDER is a Whisper as faster-whisper has it (`model.bin`, `config.json`, `tokenizer.json`). The server gets the same numbers
as safetensors, written to a folder that goes away. Each engine is a process of its own with as many threads; they answer in turn,
greedily, in English, with times and no text of the window before. With several callers each engine is sent all recordings so
many times at once; faster-whisper then has its batched pipeline. A line is a median over the pairs: seconds by the clock, CPU
seconds, the peak of its memory (pages of files among it), and how many times ours in f32 it took.
"""

import argparse
import concurrent.futures
import json
import os
import re
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
REST = 0.5


# === the weights ===


def read_model(file):
    """The variables of CTranslate2's format, version 6: name, sizes, type, bytes; then other names of some."""
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


def as_published(found):
    """The same under the names of transformers. Projections that are one matrix there are several here."""
    made = {}

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
    return made, heads, layers


def write_model(folder, to):
    from safetensors.numpy import save_file

    made, heads, layers = as_published(read_model(folder / "model.bin"))
    width, mels, _ = made["model.encoder.conv1.weight"].shape
    inner = made["model.encoder.layers.0.fc1.weight"].shape[0]
    config = {
        "model_type": "whisper", "activation_function": "gelu", "d_model": width, "num_mel_bins": mels,
        "encoder_layers": layers("encoder"), "encoder_attention_heads": heads, "encoder_ffn_dim": inner,
        "decoder_layers": layers("decoder"), "decoder_attention_heads": heads, "decoder_ffn_dim": inner,
        "max_source_positions": len(made["model.encoder.embed_positions.weight"]),
        "max_target_positions": len(made["model.decoder.embed_positions.weight"]),
        "vocab_size": len(made["model.decoder.embed_tokens.weight"]),
    }  # fmt: skip
    theirs = json.loads((folder / "config.json").read_text())
    generation = {key: theirs[key] for key in ("suppress_ids", "suppress_ids_begin", "alignment_heads") if key in theirs}
    names = {"suppress_ids": "suppress_tokens", "suppress_ids_begin": "begin_suppress_tokens"}
    save_file(made, to / "model.safetensors")
    (to / "config.json").write_text(json.dumps(config))
    (to / "generation_config.json").write_text(json.dumps({names.get(key, key): generation[key] for key in generation}))
    (to / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())


# === the engines ===


class Process:
    """What an engine used, from /proc."""

    def cpu(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak(self):
        return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())[1]) / 1024

    def end(self):
        self.process.kill()
        self.process.wait()


class Sconce(Process):
    def __init__(self, program, model, dtype, threads, callers):
        import requests

        self.name, self.session = f"sconce, {dtype}", requests.Session()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        settings = {
            "PORT": port, "LOAD_MODE": "startup", "MODEL_ID": "measured", "HOST": "127.0.0.1", "RUST_LOG": "error",
            "SCONCE_MODELS__MEASURED__SOURCE": f"file://{model}", "SCONCE_MODELS__MEASURED__DTYPE": dtype,
            "SCONCE_RUNTIME__THREADS": threads, "SCONCE_RUNTIME__MAX_BATCH": max(callers, 1),
        }  # fmt: skip
        environment = {key: str(value) for key, value in settings.items()}
        began = time.perf_counter()
        self.process = subprocess.Popen([program], env={"PATH": os.environ["PATH"], **environment})
        while True:
            try:
                if self.session.get(f"{self.url}/health", timeout=5).ok:
                    break
            except requests.ConnectionError:
                time.sleep(0.01)
            if self.process.poll() is not None:
                sys.exit(f"{program} ended")
        self.load = time.perf_counter() - began

    def hear(self, path):
        fields = {"model": "measured", "language": "en", "response_format": "verbose_json", "temperature": "0"}
        files = {"file": (path.name, path.read_bytes())}
        answer = self.session.post(f"{self.url}/v1/audio/transcriptions", data=fields, files=files, timeout=3600)
        answer.raise_for_status()
        return answer.json()["text"]

    def answer(self, paths, callers):
        with concurrent.futures.ThreadPoolExecutor(callers) as pool:
            return list(pool.map(self.hear, paths * callers if callers > 1 else paths))


class FasterWhisper(Process):
    """This script again, which answers lines of its input."""

    def __init__(self, folder, kind, threads):
        self.name = f"faster-whisper, {kind}"
        command = [sys.executable, __file__, "--answer", str(folder), kind, str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.load = json.loads(self.process.stdout.readline())

    def answer(self, paths, callers):
        self.process.stdin.write(json.dumps([[str(path) for path in paths], callers]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def answer(folder, kind, threads):
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    began = time.perf_counter()
    model = WhisperModel(folder, device="cpu", compute_type=kind, cpu_threads=int(threads))
    print(json.dumps(time.perf_counter() - began), flush=True)
    options = {"language": "en", "beam_size": 1, "best_of": 1, "temperature": 0}
    alone = lambda path: model.transcribe(path, condition_on_previous_text=False, **options)
    for line in sys.stdin:
        paths, callers = json.loads(line)
        hear = alone
        if callers > 1:
            batched = BatchedInferencePipeline(model)
            whole = lambda path: batched.transcribe(path, batch_size=callers, without_timestamps=False, **options)
            hear, paths = whole, [joined(paths, callers)]
        print(json.dumps(["".join(part.text for part in hear(path)[0]).strip() for path in paths]), flush=True)


def joined(paths, times):
    """All recordings so many times, one after the other: what its pipeline makes batches of."""
    from faster_whisper import decode_audio

    return np.concatenate([decode_audio(path) for path in paths] * times)


def main():
    if sys.argv[1:2] == ["--answer"]:
        return answer(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--callers", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--dtypes", default="f32,bf16,q8")
    parser.add_argument("--peers", default="int8,float32")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        write_model(asked.folder, Path(made))
        ours = (Sconce(asked.program, made, dtype, asked.threads, asked.callers) for dtype in asked.dtypes.split(","))
        peers = (FasterWhisper(asked.folder, kind, asked.threads) for kind in asked.peers.split(",") if kind)
        engines = [*ours, *peers]
        took, texts = {engine.name: [] for engine in engines}, {}
        for _ in range(1 + asked.pairs):
            for engine in engines:
                time.sleep(REST)
                began, cpu = time.perf_counter(), engine.cpu()
                texts[engine.name] = engine.answer(asked.recordings, asked.callers)
                took[engine.name].append((time.perf_counter() - began, engine.cpu() - cpu))
        print(f"{len(asked.recordings)} recordings, {asked.callers} callers, {asked.threads} threads, median of {asked.pairs}")
        middle = lambda name, at: statistics.median(round[at] for round in took[name][1:])  # the first round warms up
        first = engines[0].name
        for engine in engines:
            clock, cpu = middle(engine.name, 0), middle(engine.name, 1)
            ratios = f"{clock / middle(first, 0):5.2f} {cpu / middle(first, 1):5.2f}"
            same = "as the first" if texts[engine.name] == texts[first] else "other words"
            print(f"{engine.name:26}{clock:8.2f} s {cpu:8.2f} s CPU {ratios}  {engine.peak():6.0f} MB  load {engine.load:.2f} s  {same}")
            engine.end()
        for engine in engines:
            print(f"{engine.name}: {texts[engine.name][0]}")


if __name__ == "__main__":
    main()
