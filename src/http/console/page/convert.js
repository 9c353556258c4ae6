// A recording in, the same words in another voice out.

import {address, ask} from './api.js';
import {field, fill, h, say} from './dom.js';
import {maker} from './made.js';
import {Player} from './player.js';
import {recorder} from './recording.js';
import {curlKey, fetchKey, literal, quoted, snippets} from './snippets.js';
import {RATE} from './sound.js';
import {voicesFor} from './speak.js';
import {choices, outlook, store} from './store.js';

/** Instead of a named voice: a recording of the speaker. */
const SHOWN = '(a recording)';

export function convert(view) {
  const model = h('select');
  const voice = h('select');
  const original = new Player('the original');
  const sample = new Player('the voice');
  const failure = h('p.failure', {role: 'alert', hidden: true});
  const made = maker({label: 'the conversion', name: 'converted'});
  const lines = snippets();
  let [recording, target, chosen] = [null, null, false];
  const source = recorder({label: 'The recording to convert', view, take: (blob, name) => {
    recording = {blob, name};
    original.open(blob);
  }});
  const shown = recorder({label: 'A recording of the voice', view, take: (blob, name) => {
    target = {blob, name};
    sample.open(blob);
  }});
  const own = h('div.stack', h('h2', 'The voice'), shown.element, sample.element);
  const form = h('form.stack', {onsubmit: run},
    h('h2', 'The recording'), source.element, original.element,
    h('div.fields', field('Model', model), field('Voice', voice)), own, failure,
    h('div.row', h('button.primary', {type: 'submit'}, 'Convert')));
  const work = h('div.split', form, h('div.card.stack', made.element, lines.element));
  const empty = h('div.empty', {hidden: true},
    h('p', h('strong', 'No model here converts voices yet.')),
    h('p', 'A model that does appears here when the server is set to serve one; ',
      h('a', {href: '#models'}, 'Models'), ' lists what each of them does.'));
  view.append(
    h('div.head', h('div', h('h1', {id: 'title-convert', tabindex: '-1'}, 'Convert'),
      h('p.lead', 'A recording in, the same words in another voice out.'))),
    empty, work);

  const update = () => {
    const offered = choices('convert');
    fill(model, offered);
    empty.hidden = !store.ready || offered.length > 0;
    work.hidden = !offered.length;
    const voices = [...voicesFor(model.value), [SHOWN, 'A recording of the voice']];
    fill(voice, voices, chosen ? voice.value : voices[0][0]);
    own.hidden = voice.value !== SHOWN;
  };
  voice.addEventListener('change', () => (chosen = true));
  for (const choice of [model, voice]) choice.addEventListener('change', update);
  store.addEventListener('change', update);
  update();

  async function run(event) {
    event.preventDefault();
    const wanted = voice.value === SHOWN ? target : voice.value;
    if (!recording) return say(failure, 'There is no recording. Drop one, or record it.');
    if (!wanted) return say(failure, 'There is no voice. Drop 1 to 60 seconds of the speaker, or choose a voice.');
    say(failure, '');
    const [name, file, seed] = [model.value, recording, Math.floor(Math.random() * 1e6)];
    const request = (format, signal) => {
      const body = new FormData();
      body.append('file', file.blob, file.name);
      body.append('model', name);
      if (wanted === target) body.append('target', target.blob, target.name);
      else body.append('voice', wanted);
      body.append('response_format', format);
      body.append('seed', seed);
      if (format === 'pcm') body.append('sample_rate', RATE);
      return ask('v1/audio/voice-conversions', {method: 'POST', body, signal, headers: {accept: '*/*'}});
    };
    const whose = wanted === target ? {target: target.name} : {voice: wanted};
    await made.run(request, () => outlook(name), () => lines.set(texts(name, file.name, whose)));
  }
}

function texts(model, file, {voice, target}) {
  const at = address('v1/audio/voice-conversions');
  const whose = target
    ? `form.append("target", await openAsBlob(${literal(target)}), ${literal(target)});`
    : `form.append("voice", ${literal(voice)});`;
  return {
    curl: `curl ${at}${curlKey()} \\
  -F file=@${quoted(file)} \\
  -F model=${quoted(model)} \\
  -F ${target ? `target=@${quoted(target)}` : `voice=${quoted(voice)}`} \\
  -F response_format=mp3 -o converted.mp3`,
    python: `# pip install requests
import requests

with open(${literal(file)}, "rb") as recording${target ? `, open(${literal(target)}, "rb") as target` : ''}:
    answer = requests.post(
        ${literal(at)},${fetchKey() && '\n        headers={"Authorization": "Bearer YOUR_KEY"},'}
        files={"file": recording${target ? ', "target": target' : ''}},
        data={"model": ${literal(model)}, ${target ? '' : `"voice": ${literal(voice)}, `}"response_format": "mp3"},
    )
answer.raise_for_status()
open("converted.mp3", "wb").write(answer.content)`,
    javascript: `// Node.js 20 or newer
import { openAsBlob } from "node:fs";
import { writeFile } from "node:fs/promises";

const form = new FormData();
form.append("file", await openAsBlob(${literal(file)}), ${literal(file)});
form.append("model", ${literal(model)});
${whose}
form.append("response_format", "mp3");
const answer = await fetch(${literal(at)}, {
  method: "POST",${fetchKey() && `\n  headers: { ${fetchKey()} },`}
  body: form,
});
await writeFile("converted.mp3", answer.body);`,
  };
}
