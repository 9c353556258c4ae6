"""The client of the package `vosk` (`vosk-transcriber --server`), unchanged, against the server: a recording goes in as fast as
it can, and its text comes out."""

import asyncio
import string
import sys
from types import SimpleNamespace

from vosk.transcriber.transcriber import Transcriber


def text(results):
    return " ".join(result["text"] for result in results if result.get("text"))


def bare(words):
    return words.lower().translate(str.maketrans("", "", string.punctuation)).split()


async def main(server, recording, truth):
    # What it reads of a program here, it reads of ffmpeg.
    process = await asyncio.create_subprocess_exec("cat", recording, stdout=asyncio.subprocess.PIPE)
    client = SimpleNamespace(args=SimpleNamespace(server=server))
    results, samples = await Transcriber.recognize_stream_server(client, process)
    assert samples > 0
    assert bare(text(results)) == bare(truth), (results, truth)
    timed = [word for result in results for word in result.get("result", [])]
    assert timed and all({"conf", "end", "start", "word"} <= word.keys() for word in timed), results


asyncio.run(main(*sys.argv[1:]))
