// Text to sound.

import {address, ask, told} from './api.js';
import {field, fill, h, say, wide} from './dom.js';
import {maker} from './made.js';
import {options} from './options.js';
import {recorder} from './recording.js';
import {clientKey, curlKey, fetchKey, literal, python, quoted, snippets} from './snippets.js';
import {RATE} from './sound.js';
import {choices, outlook, refreshVoices, store} from './store.js';

const EXAMPLE = 'Good morning. The lights are on, and the kettle is ready.';

export function speak(view) {
  const text = h('textarea', {rows: 6, spellcheck: 'true'}, EXAMPLE);
  const model = h('select');
  const voice = h('select');
  const speed = h('input', {type: 'range', min: 0.5, max: 2, step: 0.05, value: 1});
  const pace = h('output', '1×');
  const language = h('input', {autocomplete: 'off', placeholder: 'As the voice has it'});
  const seed = h('input', {type: 'number', min: 0, step: 1, placeholder: 'Any'});
  const loud = h('select', h('option', {value: ''}, 'As the server is set'), h('option', {value: 'true'}, '-23 LUFS'),
    h('option', {value: 'false'}, 'As the model makes it'));
  const more = [
    field('Language', language, 'For a model that speaks several: en, pt-br, German.'),
    field('Seed', seed, 'Equal seeds speak alike.'), field('Loudness', loud),
  ];
  const knobs = options({model: () => model.value, more});
  const failure = h('p.failure', {role: 'alert', hidden: true});
  const made = maker({label: 'the speech', name: 'speech'});
  const lines = snippets();
  const go = h('button.primary', {type: 'submit'}, 'Speak');
  const empty = h('p.empty', {hidden: true},
    'No model here speaks. Load one under ', h('a', {href: '#models'}, 'Models'), '.');
  // What is out of range the server says.
  const form = h('form.stack', {onsubmit: run, novalidate: true},
    field('Text', text),
    h('div.fields', wide('Model', model), field('Voice', voice),
      h('div.field', h('label', {for: 'speed'}, 'Speed ', pace), speed)),
    knobs.element,
    failure,
    h('div.row', go, h('span.hint', 'Ctrl + Enter')));
  speed.id = 'speed';

  view.append(
    h('div.head', h('div', h('h1', {id: 'title-speak', tabindex: '-1'}, 'Speak'),
      h('p.lead', 'A text in, its sound out.'))),
    empty,
    h('div.split', h('div.stack', form, addVoice(view)), h('div.card.stack', made.element, lines.element)),
  );
  speed.addEventListener('input', () => (pace.textContent = `${Number(speed.value)}×`));
  text.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });

  const update = () => {
    const offered = choices('synthesize');
    fill(model, offered);
    empty.hidden = !store.ready || offered.length > 0;
    go.disabled = !offered.length;
    fill(voice, voicesFor(model.value));
    knobs.update();
  };
  model.addEventListener('change', update);
  store.addEventListener('change', update);
  update();

  async function run(event) {
    event.preventDefault();
    let body;
    try {
      body = read();
    } catch (error) {
      return say(failure, error.message);
    }
    say(failure, '');
    const request = (format, signal) => ask('v1/audio/speech', {
      method: 'POST', signal, headers: {accept: '*/*', 'content-type': 'application/json'},
      body: JSON.stringify({...body, response_format: format, ...(format === 'pcm' && {sample_rate: RATE})}),
    });
    await made.run(request, () => outlook(body.model), () => lines.set(texts(body)));
  }

  function read() {
    const input = text.value.trim();
    if (!input) throw text.focus() ?? new Error('There is no text. Write what is to be said.');
    const body = {model: model.value, input, voice: voice.value};
    if (language.value.trim()) body.language = language.value.trim();
    if (Number(speed.value) !== 1) body.speed = Number(speed.value);
    // One is chosen, so that the sound is the same in every format that is saved.
    body.seed = seed.value === '' ? Math.floor(Math.random() * 1e6) : Number(seed.value);
    if (loud.value) body.normalize_loudness = loud.value === 'true';
    const chosen = knobs.read();
    if (Object.keys(chosen).length) body.options = chosen;
    return body;
  }
}

/** Voices of a model, and recordings of speakers, which some models can follow. */
export function voicesFor(model) {
  const named = ({id, languages}) => [id, languages?.length ? `${id} (${languages.join(', ')})` : id];
  const own = store.voices.filter((voice) => voice.model === model).map(named);
  const added = store.voices.filter((voice) => !voice.model).map(({id}) => [id, `${id} — a recording`]);
  return [...own, ...added];
}

/** Where administrators add the recording of a speaker. */
function addVoice(view) {
  const name = h('input', {autocomplete: 'off', placeholder: 'anna', required: true});
  const words = h('textarea', {rows: 2});
  const consent = h('textarea', {rows: 2, placeholder: 'Anna agreed on 3 May, by letter.'});
  const chosen = h('p.muted', {role: 'status', hidden: true});
  const failure = h('p.failure', {role: 'alert', hidden: true});
  const add = h('button', {type: 'submit'}, 'Add the voice');
  let sample = null;
  const source = recorder({label: 'A recording of the speaker', view, take: (blob, file) => {
    sample = {blob, file};
    say(chosen, `Recording: ${file}`);
  }});
  const form = h('form.stack', {onsubmit: async (event) => {
    event.preventDefault();
    say(failure, '');
    if (!sample) return say(failure, 'There is no recording. Drop or record 1 to 60 seconds of the speaker.');
    const body = new FormData();
    body.append('name', name.value.trim());
    body.append('audio_sample', sample.blob, sample.file);
    if (words.value.trim()) body.append('transcript', words.value.trim());
    if (consent.value.trim()) body.append('consent', consent.value.trim());
    try {
      await ask('v1/audio/voices', {method: 'POST', body});
      await refreshVoices();
      say(chosen, `The voice ${name.value.trim()} was added.`);
      sample = null;
    } catch (error) {
      say(failure, told(error));
    }
  }},
  h('p.hint', 'For models that speak with a voice they were shown. Add only voices of people who agreed.'),
  source.element, chosen,
  h('div.fields', wide('Name', name), wide('What is said in it', words),
    wide('Consent', consent, 'Who agreed, when and how.')),
  failure, h('div.row', add));
  const element = h('details', {hidden: true}, h('summary', 'Add a voice'), form);
  store.addEventListener('change', () => (element.hidden = !store.administers));
  element.hidden = !store.administers;
  return element;
}

function texts({model, input, voice, language, speed, seed, normalize_loudness, options}) {
  const at = address('v1/audio/speech');
  const extras = {language, seed, normalize_loudness, options};
  const body = {model, voice, input, speed, ...extras, response_format: 'mp3'};
  return {
    curl: `curl ${at}${curlKey()} \\
  -H 'Content-Type: application/json' \\
  -d ${quoted(literal(body))} \\
  -o speech.mp3`,
    python: `# pip install openai
from openai import OpenAI

client = OpenAI(base_url=${literal(address('v1'))}, api_key=${clientKey()})
with client.audio.speech.with_streaming_response.create(
    model=${literal(model)},
    voice=${literal(voice)},
    input=${literal(input)},${speed ? `\n    speed=${speed},` : ''}
    extra_body=${python(extras)},
) as speech:
    speech.stream_to_file("speech.mp3")`,
    javascript: `// Node.js 20 or newer
import { writeFile } from "node:fs/promises";

const answer = await fetch(${literal(at)}, {
  method: "POST",
  headers: { "content-type": "application/json"${fetchKey() && `, ${fetchKey()}`} },
  body: JSON.stringify(${literal(body)}),
});
await writeFile("speech.mp3", answer.body);`,
  };
}
