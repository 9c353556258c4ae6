// Prints the text of a recording, by Node 20 or newer alone: node transcribe.mjs talk.mp3 [MODEL]
// The server is the one in SCONCE_URL, the key the one in SCONCE_KEY.
import { readFile } from "node:fs/promises";
import { basename } from "node:path";

const [recording, model = "whisper-1"] = process.argv.slice(2);
if (!recording || recording === "--help") {
  console.log("usage: node transcribe.mjs RECORDING [MODEL]\n\nwhisper-1 means the server's default model.");
  process.exit(recording ? 0 : 2);
}

const url = process.env.SCONCE_URL ?? "http://localhost:8080";
const form = new FormData();
form.set("model", model);
form.set("file", new Blob([await readFile(recording)]), basename(recording));

/** Comes back while the model is on its way (503) or the queue is full (429), as the server says. */
async function ask(tries = 5) {
  const headers = { authorization: `Bearer ${process.env.SCONCE_KEY ?? "none"}` };
  const answer = await fetch(`${url}/v1/audio/transcriptions`, { method: "POST", headers, body: form });
  if (tries === 0 || answer.headers.get("x-should-retry") !== "true") return answer;
  await new Promise((wake) => setTimeout(wake, 1000 * Number(answer.headers.get("retry-after") ?? 1)));
  return ask(tries - 1);
}

const answer = await ask();
const body = await answer.json();
if (!answer.ok) {
  console.error(`error: ${body.error.message}`);
  process.exit(1);
}
console.log(body.text);
