"""Silero's text to speech (v3, v4, v5) as a model of Sconce. It needs torch, for a CPU:

    pip install torch

It loads the one package, `*.pt`, that lies beside this file, or the one that is named as an argument.
"""

import pathlib
import sys

import sconce_worker

# Hertz that all versions know, the best first.
RATES = (48000, 24000, 8000)
# Characters that a call bears with every speaker; longer texts come in sentences anyhow.
MOST = 500
# What the beginning of a package's name says of the language of its voices.
LANGUAGES = ("ru", "en", "de", "es", "fr", "ua", "uz", "indic", "cyrillic", "cis", "turkic", "caucasian")
CODES = {"ua": ["uk"], "indic": ["hi"], "cyrillic": ["ru"], "cis": [], "turkic": [], "caucasian": []}


class Silero(sconce_worker.Worker):
    name = "silero"
    tasks = ["synthesize"]
    sample_rate = RATES[0]
    max_text = MOST
    options = {
        "sample_rate": {"values": list(RATES)},
        "put_accent": {"type": "boolean"},
        "put_yo": {"type": "boolean"},
    }

    def __init__(self, package):
        self.package = package
        import torch  # before `hello`, so that what is missing is said at once

        self.torch = torch
        importer = torch.package.PackageImporter(str(package))
        self.model = importer.load_pickle("tts_models", "model")
        self.voices = [{"name": name, "languages": languages(package)} for name in speakers(self.model)]
        self.warm_up = getattr(self.model, "example_text", None) or ("Привет." if "ru" in package.stem else "Hello.")

    def load(self):
        self.torch.set_num_threads(max(1, int(self.server.get("threads", 1))))
        if self.server.get("device", "cpu").startswith("cuda"):
            self.model.to(self.torch.device(self.server["device"]))

    def synthesize(self, job):
        options = job.get("options", {})
        rate = options.get("sample_rate", RATES[0])
        knobs = {name: options[name] for name in ("put_accent", "put_yo") if name in options}
        speaker = job.get("voice") or self.speaker_of(job.get("language"))
        try:
            with self.torch.inference_mode():
                sound = self.model.apply_tts(text=job["text"], speaker=speaker, sample_rate=rate, **knobs)
        except ValueError as error:
            # That is how the packages say that there is nothing in a text that they can speak.
            raise sconce_worker.Invalid("text", "the text cannot be spoken: %s" % (str(error) or "it has no word"))
        yield sound, rate

    def speaker_of(self, language):
        able = [voice["name"] for voice in self.voices if not language or language in voice["languages"]]
        named = able or [voice["name"] for voice in self.voices if not voice["languages"]]
        if not named:
            raise sconce_worker.Unsupported("language", "no voice of this model speaks %r" % language)
        return named[0]


def speakers(model):
    """Their names; `random` is another one each time, and none to be offered."""
    return [name for name in model.speakers if name != "random"] or ["random"]


def languages(package):
    words = package.stem.lower().replace("-", "_").split("_")
    for language in LANGUAGES:
        if language in words:
            return CODES.get(language, [language])
    return []


def package():
    if len(sys.argv) > 1:
        return pathlib.Path(sys.argv[1])
    found = sorted(pathlib.Path(__file__).absolute().parent.glob("*.pt"))
    if len(found) != 1:
        sys.exit("one package, *.pt, is to lie beside worker.py; there are %d" % len(found))
    return found[0]


if __name__ == "__main__":
    try:
        worker = Silero(package())
    except ImportError as error:
        sys.exit("torch is missing (%s): pip install torch" % error)
    sconce_worker.run(worker)
