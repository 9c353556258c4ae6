"""The smallest worker that does everything: it hums a text, says how long a recording is, and gives it back."""

import array
import math

import sconce_worker


class Echo(sconce_worker.Worker):
    name = "echo"
    tasks = ["transcribe", "synthesize", "convert"]
    sample_rate = 16000
    max_text = 500
    voices = [{"name": "low", "languages": ["en", "de"]}, {"name": "high", "languages": ["en"]}]
    speed = True
    options = {"loudness": {"type": "number", "minimum": 0, "maximum": 1}}

    def transcribe(self, job):
        seconds = len(job["samples"]) / job["rate"]
        yield {"start": 0.0, "end": seconds, "text": "%.1f seconds" % seconds}
        yield {"language": "en"}

    def synthesize(self, job):
        hertz = 440 if job.get("voice") == "high" else 220
        loudness = job.get("options", {}).get("loudness", 0.3)
        # A twentieth of a second for each character.
        count = int(len(job["text"]) * 0.05 * self.sample_rate / job.get("speed", 1.0))
        for begin in range(0, count, self.sample_rate):
            span = range(begin, min(begin + self.sample_rate, count))
            yield array.array("f", (loudness * math.sin(2 * math.pi * hertz * at / self.sample_rate) for at in span))

    def convert(self, job):
        yield job["samples"], job["rate"]


sconce_worker.run(Echo())
