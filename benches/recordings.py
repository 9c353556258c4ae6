"""Whole requests to the server beside other engines, with the same published weights, in one run: ratios are what counts.

    pip install faster-whisper requests safetensors jiwer        # into an environment of its own
    pip install pywhispercpp openai-whisper                      # for these peers
    python benches/recordings.py target/release/sconce CT2_FOLDER recordings/*.wav
    python benches/recordings.py target/release/sconce CT2_FOLDER recordings/*.wav --callers 8 --pairs 7 --threads 2
    python benches/recordings.py target/release/sconce CT2_FOLDER recordings/*.wav --peers whisper.cpp:q8_0,openai-whisper:f32
    python benches/recordings.py target/release/sconce CT2_FOLDER speech/*.wav --pairs 0 --dtypes f32,q8     # words alone
    python benches/recordings.py target/release/sconce CT2_FOLDER recordings/*.wav --dtypes q8,q8@avx2,f32@candle

CT2_FOLDER is a Whisper as faster-whisper has it (`model.bin`, `config.json`, `tokenizer.json`). The others get the same numbers in
their own formats, written to a folder that goes away. Each engine is a process of its own with as many threads; they answer in
turn, greedily, in English, with times, no text of the window before and temperature 0. With several callers each engine is sent
all recordings so many times at once; faster-whisper then has its batched pipeline, the others one recording after the other.

A line is a median over the pairs: seconds by the clock and CPU seconds, how many times the first engine's that is, megabytes at
the peak and at the end (pages of files among them), seconds to load, tokens in the texts, words that differ from the first
engine's and, where a transcript lies beside a recording (`NAME.txt`), word errors, both in percent of the words. Letters count, not
their case nor what stands between. What stands behind an @ is the setting `runtime.cpu_kernels`, and behind a + a field that
each request has: `q8,q8+audio_ctx=1`.
"""

import argparse
import concurrent.futures
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from whisper_files import from_ctranslate2, words_in_bytes, write_ggml, write_openai, write_transformers

REST = 0.5


# === the engines ===


class Process:
    """What an engine used, from /proc."""

    def cpu(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def megabytes(self, of):
        return int(re.search(rf"{of}:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())[1]) / 1024

    def end(self):
        self.process.kill()
        self.process.wait()


class Sconce(Process):
    def __init__(self, program, model, dtype, threads, callers):
        import requests

        self.name, self.session = f"sconce, {dtype}", requests.Session()
        dtype, _, field = dtype.partition("+")
        self.fields = dict([field.split("=")] if field else [])
        dtype, _, kernels = dtype.partition("@")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        settings = {
            "PORT": port, "LOAD_MODE": "startup", "MODEL_ID": "measured", "HOST": "127.0.0.1", "RUST_LOG": "error",
            "SCONCE_MODELS__MEASURED__SOURCE": f"file://{model}", "SCONCE_MODELS__MEASURED__DTYPE": dtype,
            "SCONCE_RUNTIME__CPU_KERNELS": kernels or "auto", "SCONCE_RUNTIME__THREADS": threads, "SCONCE_RUNTIME__MAX_BATCH": max(callers, 1),
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
        fields = {"model": "measured", "language": "en", "response_format": "verbose_json", "temperature": "0", **self.fields}
        files = {"file": (path.name, path.read_bytes())}
        answer = self.session.post(f"{self.url}/v1/audio/transcriptions", data=fields, files=files, timeout=3600)
        answer.raise_for_status()
        return answer.json()["text"]

    def answer(self, paths, callers):
        with concurrent.futures.ThreadPoolExecutor(callers) as pool:
            return list(pool.map(self.hear, paths * callers if callers > 1 else paths))


class Peer(Process):
    """This script again, which answers lines of its input."""

    def __init__(self, engine, kind, threads, model, folder):
        self.name = f"{engine}, {kind}"
        command = [sys.executable, __file__, "--answer", engine, kind, str(threads), str(peers_file(engine, kind, model, folder))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.load = self.say()

    def answer(self, paths, callers):
        self.process.stdin.write(json.dumps([[str(path) for path in paths], callers]) + "\n")
        self.process.stdin.flush()
        return self.say()

    def say(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else sys.exit(f"{self.name} ended")


def peers_file(engine, kind, model, folder):
    """Its model, written where it is not CTranslate2's own."""
    if engine == "faster-whisper":
        return model
    tensors, config = from_ctranslate2(model)
    file = folder / f"{engine}-{kind}"
    if engine == "openai-whisper":
        write_openai(tensors, config, file)
    else:
        from faster_whisper.feature_extractor import FeatureExtractor

        filters = FeatureExtractor.get_mel_filters(16000, 400, config["num_mel_bins"])
        write_ggml(tensors, config, words_in_bytes(model), filters, kind, file)
    return file


def samples(path):
    from faster_whisper import decode_audio

    return decode_audio(path)


def faster_whisper(kind, threads, folder):
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    model = WhisperModel(folder, device="cpu", compute_type=kind, cpu_threads=threads)
    batched = BatchedInferencePipeline(model)
    options = {"language": "en", "beam_size": 1, "best_of": 1, "temperature": 0}

    def hear(paths, callers):
        if callers == 1:
            found = (model.transcribe(path, condition_on_previous_text=False, **options) for path in paths)
        else:
            # All recordings so many times, one after the other: what its pipeline makes batches of.
            whole = np.concatenate([samples(path) for path in paths] * callers)
            found = [batched.transcribe(whole, batch_size=callers, without_timestamps=False, **options)]
        return ["".join(part.text for part in parts) for parts, _ in found]

    return hear


def whisper_cpp(_, threads, file):
    from pywhispercpp.model import Model

    model = Model(file, n_threads=threads, language="en", print_progress=False, print_realtime=False, no_context=True,
                  temperature=0.0, temperature_inc=0.0, greedy={"best_of": 1}, redirect_whispercpp_logs_to=None)  # fmt: skip
    return lambda paths, callers: [
        " ".join(part.text for part in model.transcribe(samples(path))) for path in paths * callers
    ]


def openai_whisper(_, threads, file):
    import torch
    import whisper

    torch.set_num_threads(threads)
    model = whisper.load_model(file)
    options = {"language": "en", "temperature": 0, "condition_on_previous_text": False, "fp16": False}
    return lambda paths, callers: [model.transcribe(samples(path), **options)["text"] for path in paths * callers]


ENGINES = {"faster-whisper": faster_whisper, "whisper.cpp": whisper_cpp, "openai-whisper": openai_whisper}


def answer(engine, kind, threads, file):
    # What it prints is not ours.
    ours = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    began = time.perf_counter()
    hear = ENGINES[engine](kind, int(threads), file)
    print(json.dumps(time.perf_counter() - began), file=ours, flush=True)
    for line in sys.stdin:
        print(json.dumps([text.strip() for text in hear(*json.loads(line))]), file=ours, flush=True)


# === words ===


def in_words(text):
    return " ".join(re.findall(r"[\w']+", text.lower()))


def percent(pairs):
    """Words of the first texts that are other ones in the second, and those that are too many there."""
    import jiwer

    right, heard = zip(*[(in_words(right), in_words(heard)) for right, heard in pairs if in_words(right)], strict=True)
    return f"{100 * jiwer.wer(list(right), list(heard)):.2f}"


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
    parser.add_argument("--peers", default="faster-whisper:int8,faster-whisper:float32")
    parser.add_argument("--texts", type=Path, help="a folder for what each of them heard")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_transformers(*from_ctranslate2(asked.folder), asked.folder, folder)
        engines = [Sconce(asked.program, made, dtype, asked.threads, asked.callers) for dtype in asked.dtypes.split(",")]
        for peer in filter(None, asked.peers.split(",")):
            engine, _, kind = peer.partition(":")
            engines.append(Peer(engine, kind, asked.threads, asked.folder, folder))
        took, texts = {engine.name: [] for engine in engines}, {}
        for _ in range(1 + asked.pairs):
            for engine in engines:
                time.sleep(REST)
                began, cpu = time.perf_counter(), engine.cpu()
                texts[engine.name] = engine.answer(asked.recordings, asked.callers)
                took[engine.name].append((time.perf_counter() - began, engine.cpu() - cpu))
        tell(asked, engines, took, texts)


def tell(asked, engines, took, texts):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(asked.folder / "tokenizer.json"))
    transcripts = [path.with_suffix(".txt") for path in asked.recordings]
    print(f"{len(asked.recordings)} recordings, {asked.callers} callers, {asked.threads} threads, median of {asked.pairs}")
    print(f"{'':26}{'clock':>10}{'CPU':>10}{'ratios':>13}{'peak':>9}{'end':>9}{'load':>9}{'tokens':>8}{'differ':>8}{'errors':>8}")
    # The first round warms up, unless there is no other.
    middle = lambda name, at: statistics.median(round[at] for round in took[name][1:] or took[name])
    first = engines[0].name
    for engine in engines:
        clock, cpu, heard = middle(engine.name, 0), middle(engine.name, 1), texts[engine.name]
        # Of a batched pipeline all texts are one.
        together = len(heard) != len(texts[first])
        differ = percent([(" ".join(texts[first]), " ".join(heard))] if together else zip(texts[first], heard, strict=True))
        right = [] if together else [(path.read_text(), text) for path, text in zip(transcripts, heard) if path.exists()]
        tokens = sum(len(tokenizer.encode(text, add_special_tokens=False).ids) for text in heard)
        print(
            f"{engine.name:26}{clock:8.2f} s{cpu:8.2f} s{clock / middle(first, 0):7.2f}{cpu / middle(first, 1):6.2f}"
            f"{engine.megabytes('VmHWM'):6.0f} MB{engine.megabytes('VmRSS'):6.0f} MB{engine.load:7.2f} s"
            f"{tokens:8}{differ:>8}{percent(right) if right else '':>8}"
        )
        engine.end()
        if asked.texts:
            asked.texts.mkdir(exist_ok=True)
            (asked.texts / f"{engine.name}.txt").write_text("\n".join(heard) + "\n")


if __name__ == "__main__":
    main()
