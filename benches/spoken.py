"""What a model says here, heard by a Whisper that counts wrong words and by the voice encoder of Chatterbox's reference.

    python benches/spoken.py http://127.0.0.1:8080 sentences.txt --voice anna.wav --checkpoint FOLDER
    python benches/spoken.py … --reference       # the same by the reference, for comparison; slow

Runs on a Python that has chatterbox-tts 0.1.7 (`benches/chatterbox.rs` says how). `sentences.txt` has one a line. The server
speaks with `--model` in the voice that `--voice` is a recording of, and hears with `--listener`; FOLDER has the published
files, and the voice encoder is `ve.safetensors` there. Prints each sentence with what was heard of it, then the share of
wrong words in all, and how like the recording's the voice is: the cosine of the two embeddings, in the middle and at least.
"""

import argparse
import base64
import io
import json
import re
import statistics
import sys
import types
from pathlib import Path

for missing in ("spacy_pkuseg", "pykakasi"):  # for languages that are not spoken here
    sys.modules.setdefault(missing, types.ModuleType(missing))

import librosa  # noqa: E402
import requests  # noqa: E402
import soundfile  # noqa: E402
from chatterbox import tts  # noqa: E402
from chatterbox.models.voice_encoder import VoiceEncoder  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

PATIENCE = 3600


def post(asked, path, **body):
    answer = requests.post(f"{asked.server}/{path}", timeout=PATIENCE, **body)
    if not answer.ok:
        sys.exit(f"{path}: {answer.status_code} {answer.text}")
    return answer


def spoken_here(asked):
    voice = {"content": base64.b64encode(asked.voice.read_bytes()).decode()}

    def speak(text):
        body = {"model": asked.model, "voice": voice, "text": text, "response_format": "wav", "seed": 1}
        body["options"] = asked.options
        return post(asked, "predict", json=body).content

    return speak


def spoken_by_reference(asked):
    model = tts.ChatterboxTTS.from_local(asked.checkpoint, "cpu")
    model.prepare_conditionals(str(asked.voice))

    def speak(text):
        wav = io.BytesIO()
        soundfile.write(wav, model.generate(text)[0].numpy(), model.sr, format="WAV")
        return wav.getvalue()

    return speak


def heard(asked, wav):
    fields = {"model": asked.listener, "language": "en", "response_format": "json"}
    files = {"file": ("spoken.wav", wav, "audio/wav")}
    return post(asked, "v1/audio/transcriptions", data=fields, files=files).json()["text"]


def words(text):
    return re.sub(r"[^a-z0-9' ]+", " ", text.lower()).split()


def wrong_words(said, heard):
    """Words that were changed, left out or put in."""
    row = list(range(len(heard) + 1))
    for at, word in enumerate(said, 1):
        before, row = row, [at]
        for other, last in zip(heard, before):
            row.append(min(before[len(row)] + 1, row[-1] + 1, last + (word != other)))
    return row[-1]


def embedding_of(encoder, sound):
    samples, _ = librosa.load(sound, sr=16_000)
    return encoder.embeds_from_wavs([samples], sample_rate=16_000).mean(axis=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server")
    parser.add_argument("sentences", type=Path)
    parser.add_argument("--voice", type=Path, required=True, help="a recording, mono")
    parser.add_argument("--checkpoint", type=Path, required=True, help="the folder of ve.safetensors")
    parser.add_argument("--model", default="chatterbox")
    parser.add_argument("--listener", default="whisper-base")
    parser.add_argument("--options", type=json.loads, default={}, help="of the model's family, as JSON")
    parser.add_argument("--reference", action="store_true", help="let the reference speak, not the server")
    asked = parser.parse_args()
    encoder = VoiceEncoder().eval()
    encoder.load_state_dict(load_file(asked.checkpoint / "ve.safetensors"))
    voice = embedding_of(encoder, asked.voice)
    speak = spoken_by_reference(asked) if asked.reference else spoken_here(asked)
    count, wrong, likeness = 0, 0, []
    for text in filter(None, map(str.strip, asked.sentences.read_text().splitlines())):
        wav = speak(text)
        text_heard, said = heard(asked, wav), words(text)
        likeness.append(float(embedding_of(encoder, io.BytesIO(wav)) @ voice))
        count, wrong = count + len(said), wrong + wrong_words(said, words(text_heard))
        print(f"{wrong_words(said, words(text_heard))} of {len(said)}  {text}\n  heard: {text_heard}", flush=True)
    print(f"{wrong} of {count} words wrong, {100 * wrong / count:.1f} %", end="; ")
    print(f"likeness {statistics.median(likeness):.3f}, at least {min(likeness):.3f}, n {len(likeness)}")


main()
