// The lines that transcribe again what was just transcribed.

import {address} from './api.js';
import {clientKey, curlKey, fetchKey, literal, quoted} from './snippets.js';

/** OpenAI's route, since clients for it are everywhere: the same text, segments and words, at once. */
export function texts({model, language, task, speakers, options, file}) {
  const verb = task === 'translate' ? 'translations' : 'transcriptions';
  const at = address(`v1/audio/${verb}`);
  const spoken = (write) => (language && task !== 'translate' ? write(language) : '');
  // What OpenAI does not know.
  const extra = {
    ...(speakers === 'channels' && {channels: 'separate'}), ...(speakers === 'diarize' && {diarize: 'true'}),
    ...(Object.keys(options).length && {options: literal(options)}),
  };
  const each = (write) => Object.entries(extra).map(([name, value]) => write(name, value)).join('');
  const more = Object.keys(extra).length ? `\n        extra_body=${literal(extra)},` : '';
  // The client does not know the field of a translation.
  const granular = task === 'translate' ? '' : '\n        timestamp_granularities=["word", "segment"],';
  return {
    curl: `curl ${at}${curlKey()} \\
  -F file=@${quoted(file)} \\
  -F model=${quoted(model)} \\${spoken((name) => `\n  -F language=${quoted(name)} \\`)}
  -F response_format=verbose_json \\${each((name, value) => `\n  -F ${name}=${quoted(value)} \\`)}
  -F 'timestamp_granularities[]=word' \\
  -F 'timestamp_granularities[]=segment'`,
    python: `# pip install openai
from openai import OpenAI

client = OpenAI(base_url=${literal(address('v1'))}, api_key=${clientKey()})
with open(${literal(file)}, "rb") as recording:
    heard = client.audio.${verb}.create(
        file=recording,
        model=${literal(model)},${spoken((name) => `\n        language=${literal(name)},`)}
        response_format="verbose_json",${granular}${more}
    )
print(heard.text)`,
    javascript: `// Node.js 20 or newer
import { openAsBlob } from "node:fs";

const form = new FormData();
form.append("file", await openAsBlob(${literal(file)}), ${literal(file)});
form.append("model", ${literal(model)});${spoken((name) => `\nform.append("language", ${literal(name)});`)}
form.append("response_format", "verbose_json");
form.append("timestamp_granularities[]", "word");${each((name, value) => `\nform.append(${literal(name)}, ${literal(value)});`)}
const answer = await fetch(${literal(at)}, {
  method: "POST",${fetchKey() && `\n  headers: { ${fetchKey()} },`}
  body: form,
});
console.log((await answer.json()).text);`,
  };
}
