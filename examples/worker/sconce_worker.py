"""A model of Sconce in Python: one file, nothing to install.

Write a class with `load` and what your model does, and hand it to `run`:

    import sconce_worker

    class Mine(sconce_worker.Worker):
        name = "mine"
        tasks = ["synthesize"]
        sample_rate = 24000
        voices = [{"name": "anna", "languages": ["de"]}]

        def load(self):
            self.model = ...

        def synthesize(self, job):
            yield self.model.say(job["text"])     # floats from -1 to 1

    sconce_worker.run(Mine())

`docs/workers.md` of Sconce describes the protocol, and what a job holds. What you print goes to Sconce's log.

This file is under the licences of Sconce; copy it beside your model.
"""

import array
import json
import os
import queue
import struct
import sys
import threading

PROTOCOL = 1
# Bytes of sound in one message: at most 1 MiB are allowed, and small ones are heard sooner.
BLOCK = 64 * 1024


class Invalid(Exception):
    """The request is wrong: `raise Invalid("voice", "there is no voice of that name")`."""

    kind = "invalid"

    def __init__(self, param, message):
        super().__init__(message)
        self.param = param


class Unsupported(Invalid):
    """This model cannot do that."""

    kind = "unsupported"


class Cancelled(Exception):
    """Nobody waits for the answer any more. Let it pass."""


class Worker:
    """What a model is. Its attributes are what Sconce is told before the first job."""

    name = "a worker"
    #: `transcribe`, `synthesize`, `convert`
    tasks = []
    #: Jobs at once. With more than 1 the methods are called from several threads.
    concurrency = 1
    #: Hertz of the sound that it makes.
    sample_rate = None
    #: Characters that it says in one go; Sconce cuts longer texts into sentences.
    max_text = None
    #: `{"name": …, "languages": ["de"]}`, the usual one first.
    voices = []
    #: Whether it speaks with the voice of a recording: `job["reference"]`.
    cloning = False
    #: Whether it follows `job["speed"]`.
    speed = False
    #: Whether it translates into English.
    translate = False
    #: Its knobs: `{"warmth": {"type": "number", "minimum": 0, "maximum": 1}}`
    options = {}
    #: What is said before anybody asks.
    warm_up = None

    #: What Sconce said: the model's name there, `device`, `threads`.
    server = {}

    def load(self):
        """Called once, before the first job. `self.progress(text)` tells how far it is."""

    def transcribe(self, job):
        """Yields `{"start": seconds, "end": seconds, "text": …}`; `job["samples"]` are floats at `job["rate"]` hertz.
        A dictionary without `text` adds to the last message: `{"language": "de"}`."""
        raise Unsupported("model", "this model does not transcribe")

    def synthesize(self, job):
        """Yields blocks of sound: floats from -1 to 1, as `array("f")`, a list, or anything of numpy or torch; or bytes,
        which are samples of 16 bits."""
        raise Unsupported("model", "this model does not synthesize")

    def convert(self, job):
        """As `synthesize`, of `job["samples"]`."""
        raise Unsupported("model", "this model does not convert")

    def progress(self, message):
        self._link.send({"type": "progress", "message": str(message)})


class _Link:
    """Both directions, shared by all threads."""

    def __init__(self):
        # What somebody prints must not come between messages.
        self.output = os.fdopen(os.dup(1), "wb", buffering=0)
        self.input = os.fdopen(os.dup(0), "rb", buffering=1 << 16)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        self.lock = threading.Lock()
        self.changed = threading.Condition()
        self.room = {}
        self.cancelled = set()
        self.window = 1 << 22

    def send(self, header, payload=b""):
        text = json.dumps(header, ensure_ascii=False).encode()
        with self.lock:
            _write(self.output, struct.pack("<II", len(text), len(payload)) + text)
            if payload:
                _write(self.output, payload)
        return len(text) + len(payload)

    def read(self):
        lengths = self.input.read(8)
        if len(lengths) < 8:
            return None, b""
        header, payload = struct.unpack("<II", lengths)
        return json.loads(self.input.read(header)), self.input.read(payload)

    def begin(self, job):
        with self.changed:
            self.room[job] = self.window

    def end(self, job):
        with self.changed:
            self.room.pop(job, None)
            self.cancelled.discard(job)

    def cancel(self, job):
        with self.changed:
            if job in self.room:
                self.cancelled.add(job)
            self.changed.notify_all()

    def more(self, job, count):
        with self.changed:
            if job in self.room:
                self.room[job] += count
            self.changed.notify_all()

    def answer(self, job, header, payload=b""):
        """Waits until the reader has taken enough; ends the job by an exception where nobody wants it."""
        with self.changed:
            while self.room[job] <= 0 and job not in self.cancelled:
                self.changed.wait()
            if job in self.cancelled:
                raise Cancelled()
        sent = self.send(dict(header, id=job), payload)
        with self.changed:
            self.room[job] -= sent


def _write(output, data):
    view = memoryview(data)
    while view:
        view = view[output.write(view) :]


def run(worker):
    """Serves until Sconce has enough. To be called last."""
    link = worker._link = _Link()
    header, _ = link.read()
    if header is None:
        return
    worker.server, link.window = header, header.get("window", link.window)
    if header.get("protocol") != PROTOCOL:
        message = "this worker speaks the protocol %d" % PROTOCOL
        link.send({"type": "error", "kind": "unsupported", "message": message})
        return
    link.send(_hello(worker))
    try:
        worker.load()
    except Exception as error:
        _trace()
        link.send({"type": "error", "kind": "failed", "message": "it could not be loaded: %s" % error})
        return
    link.send({"type": "ready"})
    jobs = queue.Queue()
    threads = max(1, worker.concurrency)
    for _ in range(threads):
        threading.Thread(target=_work, args=(worker, link, jobs), daemon=True).start()
    while True:
        header, payload = link.read()
        kind = header and header.get("type")
        if kind == "job":
            link.begin(header["id"])
            jobs.put((header, payload))
        elif kind == "cancel":
            link.cancel(header["id"])
        elif kind == "more":
            link.more(header["id"], header["bytes"])
        elif kind == "ping":
            link.send({"type": "pong", "id": header["id"]})
        elif kind in (None, "shutdown"):
            # Threads may be in the middle of anything.
            os._exit(0)


def _hello(worker):
    names = "name tasks concurrency sample_rate max_text voices cloning speed translate options warm_up".split()
    said = {name: getattr(worker, name) for name in names}
    said = {name: value for name, value in said.items() if value is not None}
    return dict(said, type="hello", protocol=PROTOCOL)


def _work(worker, link, jobs):
    while True:
        header, payload = jobs.get()
        job = header["id"]
        try:
            _answer(worker, link, header, payload)
        except Cancelled:
            link.send({"type": "error", "id": job, "kind": "cancelled", "message": "nobody waits for it"})
        except Invalid as error:
            said = {"type": "error", "id": job, "kind": error.kind, "param": error.param, "message": str(error)}
            link.send(said)
        except Exception as error:
            _trace()
            link.send({"type": "error", "id": job, "kind": "failed", "message": repr(error)[:400]})
        finally:
            link.end(job)


def _answer(worker, link, header, payload):
    job, task, at = header["id"], header["task"], 0
    if "audio" in header:
        at = 4 * header["audio"]["samples"]
        header.update(samples=_floats(payload[:at]), rate=header["audio"]["rate"])
    if "reference" in header:
        header["reference"]["samples"] = _floats(payload[at:])
    if task == "transcribe":
        last = _transcribe(link, job, worker.transcribe(header))
    else:
        last = _speak(link, job, getattr(worker, task)(header))
    link.send(dict(last, type="done", id=job))


def _floats(payload):
    samples = array.array("f")
    samples.frombytes(payload)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _transcribe(link, job, segments):
    last = {}
    for segment in segments:
        if "text" in segment:
            link.answer(job, dict(segment, type="segment"))
        else:
            last.update(segment)
    return last


def _speak(link, job, blocks):
    last = {}
    for block in blocks:
        if isinstance(block, dict):
            last.update(block)
            continue
        rate = None
        if isinstance(block, tuple):
            block, rate = block
        data, form = _bytes(block)
        header = {"type": "piece", "format": form}
        if rate:
            header["rate"] = int(rate)
        for begin in range(0, len(data), BLOCK):
            link.answer(job, header, data[begin : begin + BLOCK])
    return last


def _bytes(block):
    """Samples as they are sent."""
    if isinstance(block, (bytes, bytearray, memoryview)):
        return bytes(block), "s16le"
    if hasattr(block, "detach"):
        block = block.detach().cpu().numpy()
    if hasattr(block, "astype"):
        return block.astype("<f4").reshape(-1).tobytes(), "f32le"
    samples = block if isinstance(block, array.array) and block.typecode == "f" else array.array("f", block)
    if sys.byteorder == "big":
        samples = samples[:]
        samples.byteswap()
    return samples.tobytes(), "f32le"


def _trace():
    import traceback

    traceback.print_exc(file=sys.stderr)
