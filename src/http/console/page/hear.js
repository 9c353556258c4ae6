// Speech to text: a recording in, words as they are recognised.

import {ask, events, failed, told} from './api.js';
import {download, field, fill, h, say, span, wide} from './dom.js';
import {texts} from './hear_lines.js';
import {options} from './options.js';
import {Player} from './player.js';
import {recorder} from './recording.js';
import {snippets} from './snippets.js';
import {choices, known, outlook, store} from './store.js';
import {FILES, transcriptView} from './transcript.js';

/** The languages that are asked for most; the field takes any code or English name. */
const LANGUAGES = ['Arabic', 'Chinese', 'Dutch', 'English', 'French', 'German', 'Hindi', 'Italian', 'Japanese',
  'Korean', 'Polish', 'Portuguese', 'Russian', 'Spanish', 'Swedish', 'Turkish', 'Ukrainian'];

/** Who says what: not at all, by the channels of the recording, or by the voices on it. */
const SPEAKERS = [['', 'Not told apart'], ['channels', 'One on each channel'], ['diarize', 'By their voices']];

export function hear(view) {
  const model = h('select');
  const languages = h('datalist', {id: 'languages'}, LANGUAGES.map((name) => h('option', {value: name})));
  const language = h('input', {list: 'languages', placeholder: 'Detect', autocomplete: 'off'});
  const task = h('select', h('option', {value: 'transcribe'}, 'As it is spoken'),
    h('option', {value: 'translate'}, 'In English'));
  const speakers = h('select');
  const knobs = options({model: () => model.value});
  const player = new Player('the recording');
  const transcript = transcriptView(player);
  const state = h('p.state-line', {role: 'status', hidden: true});
  const failure = h('p.failure', {role: 'alert', hidden: true});
  const facts = h('p.muted', {hidden: true});
  const again = h('button', {type: 'button', hidden: true, onclick: () => run()}, 'Transcribe again');
  const stop = h('button', {type: 'button', hidden: true, onclick: () => running?.abort()}, 'Stop');
  const exports = h('div.row.saves', {hidden: true, role: 'group', 'aria-label': 'Save the transcript'});
  const lines = snippets();
  const empty = h('p.empty', {hidden: true},
    'No model here hears. Load one under ', h('a', {href: '#models'}, 'Models'), '.');
  const source = recorder({label: 'A recording to transcribe', view, take: (blob, name) => {
    [recording, fileName] = [blob, name];
    run();
  }});
  let [recording, fileName, prediction, running] = [null, '', null, null];

  view.append(
    h('div.head', h('div', h('h1', {id: 'title-hear', tabindex: '-1'}, 'Hear'),
      h('p.lead', 'A recording in, its words out.'))),
    empty,
    h('div.split',
      h('div.stack', source.element,
        h('div.fields', wide('Model', model), field('Language', language), field('Text', task),
          wide('Speakers', speakers)),
        languages, knobs.element),
      h('div.card.stack',
        player.element, state, failure, transcript.element, facts, h('div.row', stop, again, exports), lines.element)),
  );
  exports.append(h('span.muted', 'Save as'), ...Object.keys(FILES).map((name) =>
    h('button', {type: 'button', onclick: () => save(name)}, name)));
  const blank = h('p.placeholder', 'The transcript appears here, word by word. Click a word to hear it.');
  transcript.element.before(blank);

  const update = () => {
    const offered = choices('transcribe');
    fill(model, offered, model.value || (offered.some(([name]) => name === store.default) ? store.default : undefined));
    empty.hidden = !store.ready || offered.length > 0;
    fill(speakers, SPEAKERS.filter(([name]) => name !== 'diarize' || store.tellsSpeakers));
    knobs.update();
    if (running && !prediction) say(state, outlook(model.value) || 'Listening…');
  };
  model.addEventListener('change', update);
  store.addEventListener('change', update);
  update();

  async function run() {
    let chosen;
    try {
      chosen = knobs.read();
    } catch (error) {
      return say(failure, error.message);
    }
    running?.abort();
    const mine = (running = new AbortController());
    prediction = null;
    const segments = [];
    transcript.clear();
    blank.hidden = true;
    for (const element of [failure, facts]) say(element, '');
    exports.hidden = again.hidden = true;
    stop.hidden = false;
    update();
    const opened = player.open(recording);
    await known();
    if (running !== mine) return;
    const begun = performance.now();
    const asked = {
      model: model.value, language: language.value.trim(), task: task.value, speakers: speakers.value, options: chosen,
      file: fileName,
    };
    try {
      const query = new URLSearchParams({model: asked.model, timestamps: 'word', task: asked.task});
      if (asked.language) query.set('language', asked.language);
      if (asked.speakers === 'channels') query.set('channels', 'separate');
      if (asked.speakers === 'diarize') query.set('diarize', 'true');
      const form = new FormData();
      form.append('file', recording, fileName);
      if (Object.keys(asked.options).length) form.append('options', JSON.stringify(asked.options));
      const response = await ask(`predict?${query}`, {
        method: 'POST', body: form, signal: mine.signal, headers: {accept: 'text/event-stream'},
      });
      for await (const event of events(response)) {
        failed(event);
        if (event.segment) {
          segments.push(event.segment);
          transcript.add(event.segment);
        }
        prediction = event.prediction ?? prediction;
      }
      if (!prediction) throw new Error('The answer broke off. Transcribe again.');
      if (!segments.length) transcript.add({start: 0, end: 0, text: '(no speech was heard)'});
      say(facts, factsOf(prediction, (performance.now() - begun) / 1000));
    } catch (error) {
      if (running !== mine) return;
      if (error.name === 'AbortError') say(facts, 'Stopped.');
      else say(failure, told(error));
    }
    if (running !== mine) return;
    running = null;
    say(state, '');
    stop.hidden = true;
    again.hidden = false;
    exports.hidden = !prediction;
    await opened;
    if (prediction) lines.set(texts(asked));
  }

  function save(name) {
    const {end, type, write} = FILES[name];
    download(`${fileName.replace(/\.[^.]+$/, '')}.${end}`, [write(prediction)], type);
  }
}

function factsOf(prediction, took) {
  const words = prediction.segments?.flatMap((segment) => segment.words ?? []) ?? [];
  const sure = words.filter((word) => word.probability != null);
  const mean = sure.reduce((sum, word) => sum + word.probability, 0) / sure.length;
  const name = languageName(prediction.language);
  return [
    name, sure.length ? `${Math.round(mean * 100)} % sure` : null,
    `${span(prediction.duration)} of sound in ${span(took)}`, prediction.model,
  ].filter(Boolean).join(' · ');
}

function languageName(code) {
  try {
    return code && new Intl.DisplayNames(['en'], {type: 'language'}).of(code);
  } catch {
    return code;
  }
}
