// Songs: jobs that can be watched, listened to before their end, and saved stem by stem.

import {ask, events, json, post, told} from './api.js';
import {download, field, fill, h, say, span, wide} from './dom.js';
import {options} from './options.js';
import {Player} from './player.js';
import {choices, store} from './store.js';

const EXAMPLE = '[verse]\nThe night is long and the street is wide\n\n[chorus]\nWalk with me to the other side';
/** The songs of this tab, by their jobs. */
const KEPT = 'sconce.songs';
const FORMAT = 'mp3';

/** Models that make several sounds of one text. */
export const singers = () => choices('synthesize').filter(([name]) => store.models[name]?.stems?.length);

export function sing(view) {
  const text = h('textarea', {rows: 10, spellcheck: 'true'}, EXAMPLE);
  const genre = h('input', {autocomplete: 'off', placeholder: 'pop female vocal bright'});
  const model = h('select');
  const seed = h('input', {type: 'number', min: 0, step: 1, placeholder: 'Any'});
  const knobs = options({model: () => model.value, more: [field('Seed', seed, 'Equal seeds sing alike.')]});
  const failure = h('p.failure', {role: 'alert', hidden: true});
  const form = h('form.stack', {onsubmit: run, novalidate: true},
    field('Lyrics', text, 'Sections with a mark before each, and a blank line between them.'),
    h('div.fields', wide('Model', model), wide('Genre', genre)),
    knobs.element, failure, h('div.row', h('button.primary', {type: 'submit'}, 'Sing')));
  const songs = h('div.stack', {role: 'list', 'aria-label': 'Songs'});
  const blank = h('p.placeholder', 'A song takes minutes. It is listed here, section by section, and can be heard before its end.');
  view.append(
    h('div.head', h('div', h('h1', {id: 'title-sing', tabindex: '-1'}, 'Sing'),
      h('p.lead', 'Lyrics in, a song out.'))),
    h('div.split', form, h('div.card.stack', blank, songs)));

  const update = () => {
    fill(model, singers());
    knobs.update();
  };
  model.addEventListener('change', update);
  store.addEventListener('change', update);
  update();
  for (const id of kept()) add(id);

  async function run(event) {
    event.preventDefault();
    say(failure, '');
    try {
      const body = {task: 'synthesize', model: model.value, text: text.value, response_format: FORMAT,
        stems: store.models[model.value].stems};
      if (genre.value.trim()) body.instructions = genre.value.trim();
      if (seed.value !== '') body.seed = Number(seed.value);
      const chosen = knobs.read();
      if (Object.keys(chosen).length) body.options = chosen;
      const job = await post('v1/jobs', body);
      keep([job.id, ...kept()]);
      add(job.id, true);
    } catch (error) {
      say(failure, told(error));
    }
  }

  function add(id, first = false) {
    blank.hidden = true;
    const element = song(id, () => {
      keep(kept().filter((other) => other !== id));
      element.remove();
      blank.hidden = songs.childElementCount > 0;
    });
    if (first) songs.prepend(element);
    else songs.append(element);
  }
}

const kept = () => JSON.parse(sessionStorage.getItem(KEPT) ?? '[]');
const keep = (ids) => sessionStorage.setItem(KEPT, JSON.stringify(ids));

/** One song; `forget` is called when it is no more. */
function song(id, forget) {
  const state = h('p.state-line', {role: 'status'}, 'Waiting…');
  const bar = h('progress', {max: 1, 'aria-label': 'Sections of the song', hidden: true});
  const failure = h('p.failure', {role: 'alert', hidden: true});
  const player = new Player('the song');
  const listen = h('button', {type: 'button', hidden: true, onclick: () => hear()}, 'Listen to what is there');
  const stop = h('button.quiet', {type: 'button', onclick: () => remove()}, 'Cancel');
  const saves = h('div.row.saves', {role: 'group', 'aria-label': 'Save the song', hidden: true});
  const element = h('div.stack', {role: 'listitem', 'data-job': id},
    state, bar, player.element, failure, h('div.row', listen, stop, saves));
  follow();
  return element;

  async function follow() {
    try {
      const stream = await ask(`v1/jobs/${id}/events`, {headers: {accept: 'text/event-stream'}});
      for await (const event of events(stream)) tell(event);
    } catch (error) {
      // It was kept for its time, or another server is here now.
      if (error.status === 404) forget();
      else say(failure, told(error));
    }
  }

  function tell({type, status, progress, job}) {
    if (type === 'status' && status === 'queued') say(state, 'Waiting for its turn…');
    if (type === 'status' && status === 'running') say(state, 'Singing…');
    if (type === 'progress') moved(progress);
    if (type === 'end' && job) ended(job);
  }

  function moved({sections, seconds, eta_seconds: left}) {
    if (!sections) return;
    bar.hidden = false;
    bar.value = sections.done / sections.of;
    listen.hidden = !seconds;
    const rest = left == null ? '' : ` · about ${span(left)} left`;
    say(state, `${sections.done} of ${sections.of} sections · ${span(seconds)} of sound${rest}`);
  }

  function ended({status, result, error}) {
    bar.hidden = listen.hidden = true;
    say(stop, 'Remove');
    if (status === 'failed') say(failure, error.message);
    if (status !== 'succeeded') return say(state, status === 'cancelled' ? 'Cancelled.' : 'It failed.');
    say(state, `${span(result.audio.duration)} of sound`);
    const stems = [result.audio.stem, ...Object.keys(result.stems ?? {})];
    saves.replaceChildren(h('span.muted', 'Save'), ...stems.map((stem) =>
      h('button', {type: 'button', onclick: () => save(stem)}, stem)));
    saves.hidden = false;
    hear();
  }

  async function sound(query = '') {
    return (await ask(`v1/jobs/${id}/audio${query}`, {headers: {accept: '*/*'}})).blob();
  }

  async function hear() {
    try {
      await player.open(await sound());
      say(failure, '');
    } catch (error) {
      say(failure, told(error));
    }
  }

  async function save(stem) {
    try {
      download(`song.${stem}.${FORMAT}`, await sound(`?stem=${encodeURIComponent(stem)}`));
    } catch (error) {
      say(failure, told(error));
    }
  }

  /** Ends a song that is being sung, and forgets one that was. */
  async function remove() {
    try {
      const answer = await ask(`v1/jobs/${id}`, {method: 'DELETE'});
      if (answer.status === 204) forget();
      else ended(await json(`v1/jobs/${id}`));
    } catch (error) {
      say(failure, told(error));
    }
  }
}
