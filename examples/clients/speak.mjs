// Speaks a text into a file while it is made, by Node 20 or newer alone: node speak.mjs "Good morning." morning.mp3
// The server is the one in SCONCE_URL, the key the one in SCONCE_KEY.
import { createWriteStream } from "node:fs";
import { extname } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

const [text, file, voice = "alloy"] = process.argv.slice(2);
if (!file) {
  console.log("usage: node speak.mjs TEXT FILE [VOICE]\n\nThe file ends in .mp3, .opus, .aac, .flac, .wav or .pcm.");
  process.exit(text === "--help" ? 0 : 2);
}

const url = process.env.SCONCE_URL ?? "http://localhost:8080";
const headers = { authorization: `Bearer ${process.env.SCONCE_KEY ?? "none"}`, "content-type": "application/json" };
const ask = { model: "tts-1", voice, input: text, response_format: extname(file).slice(1) };
const answer = await fetch(`${url}/v1/audio/speech`, { method: "POST", headers, body: JSON.stringify(ask) });
if (!answer.ok) {
  console.error(`error: ${(await answer.json()).error.message}`);
  process.exit(1);
}
await pipeline(Readable.fromWeb(answer.body), createWriteStream(file));
console.log(`${file} is written`);
