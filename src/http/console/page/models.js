// Every model with its state as it changes, and what may be done with it.

import {post, sentence, told} from './api.js';
import {bytes, h, say, span} from './dom.js';
import {isHere, refresh, store} from './store.js';
import {latest} from './metrics.js';

const STATES = {
  ready: 'Ready', loading: 'Loading', downloading: 'Downloading', failed: 'Failed', not_loaded: 'Not loaded',
};
const TASKS = {transcribe: 'hears', synthesize: 'speaks', convert: 'converts'};
const PHASES = {
  resolving: 'Asking the source', waiting: 'Another process downloads it', checking: 'Looking at what is here',
  downloading: 'Downloading', verifying: 'Verifying', unpacking: 'Unpacking', publishing: 'Naming the files',
};

export function models(view) {
  const rows = new Map();
  const summary = h('p.lead', {id: 'models-summary'});
  const memory = memoryBar();
  const here = h('ul.models', {'aria-labelledby': 'title-here'});
  const presets = h('ul.models.compact', {'aria-labelledby': 'title-presets'});
  const search = h('input', {
    type: 'search', placeholder: 'Search the presets', 'aria-label': 'Search the presets', autocomplete: 'off',
  });
  const all = h('button', {type: 'button', 'aria-expanded': 'false'}, 'Show all');
  const presetsHead = h('div.head', h('h2', {id: 'title-presets'}, 'Presets'), h('div.search', search, all));
  const found = h('p.muted', {role: 'status'});
  const done = h('p.visually-hidden', {role: 'status'});
  view.append(
    h('div.head', h('div', h('h1', {id: 'title-models', tabindex: '-1'}, 'Models'), summary), memory.element),
    h('h2.visually-hidden', {id: 'title-here'}, 'Here'),
    here,
    presetsHead,
    found, presets, done,
  );

  const update = () => {
    const known = Object.values(store.models);
    presetsHead.hidden = !store.ready;
    if (!store.ready) return say(summary, unknown());
    const ready = known.filter((model) => model.status === 'ready').length;
    say(summary, `${ready} of ${known.length} in memory. Requests that name none get ${store.default}.`);
    memory.update(known);
    const wanted = search.value.trim().toLowerCase();
    const matches = (model) => [model.name, ...(model.aliases ?? [])].join(' ').toLowerCase().includes(wanted);
    const mine = known.filter(isHere).sort((a, b) => order(a) - order(b));
    const others = known.filter((model) => !isHere(model));
    // What this build could serve as well is shown to who looks for it.
    const open = wanted || all.getAttribute('aria-expanded') === 'true';
    const shown = open ? others.filter(matches) : [];
    place(here, mine);
    place(presets, shown);
    const many = others.length === 1 ? 'One more model' : `${others.length} more models`;
    const none = open ? `No preset is called like “${search.value}”.` : `${many} can be brought in by name.`;
    say(found, shown.length ? '' : others.length ? none : 'All presets are here.');
  };

  /** Rows are kept, so that what has the focus keeps it. */
  const place = (list, wanted) => {
    const elements = wanted.map((model) => {
      let row = rows.get(model.name);
      if (!row) rows.set(model.name, (row = modelRow(model.name, (text) => say(done, text))));
      row.update(model);
      return row.element;
    });
    elements.forEach((element, at) => {
      if (list.children[at] !== element) list.insertBefore(element, list.children[at] ?? null);
    });
    while (list.children.length > elements.length) list.lastChild.remove();
  };

  store.addEventListener('change', update);
  latest.addEventListener('sample', update);
  search.addEventListener('input', update);
  all.addEventListener('click', () => {
    const open = all.getAttribute('aria-expanded') !== 'true';
    all.setAttribute('aria-expanded', open);
    all.textContent = open ? 'Show fewer' : 'Show all';
    update();
  });
  setInterval(update, 5000);
  update();
}

const unknown = () => {
  if (!store.problem) return 'Asking the server…';
  const locked = store.problem.status === 401;
  return locked ? 'This server asks for a key. Choose “Key” at the top.' : 'Nothing is known of the models yet.';
};

const order = (model) => ({ready: 0, loading: 1, downloading: 1, failed: 2}[model.status] ?? (model.fetched ? 3 : 4));

/** What models take of the memory that they may take. */
function memoryBar() {
  const text = h('span');
  const bar = h('meter', {min: 0, max: 1, 'aria-label': 'Memory of models'});
  const element = h('div.memory', {hidden: true}, text, bar);
  const update = (all) => {
    const used = all.reduce((sum, model) => sum + (model.footprint_bytes ?? 0), 0);
    const budget = latest.budget;
    element.hidden = !used && !budget;
    say(text, budget ? `${bytes(used)} of ${bytes(budget)} of memory` : `${bytes(used)} of memory`);
    bar.hidden = !budget;
    bar.value = budget ? Math.min(1, used / budget) : 0;
  };
  return {element, update};
}

/** A model: what it is on the left, what may be done on the right, and below how far it is or why it failed. */
function modelRow(name, announce) {
  const [organisation, short] = name.includes('/') ? name.split('/') : ['', name];
  const state = h('span.state');
  const tags = h('span.tags');
  const facts = h('dl.facts');
  const progress = h('progress', {max: 1, 'aria-label': `Progress of ${name}`});
  const measure = h('span.measure');
  const phase = h('div.phase', {hidden: true}, progress, measure);
  const failure = h('p.failure', {hidden: true});
  const buttons = actions(name, failure, announce);
  const element = h('li.model', {'data-model': name},
    h('div.what',
      h('h3', organisation && h('span.organisation', `${organisation}/`), short, ' ', tags),
      facts),
    h('div.how', state, buttons.element),
    phase, failure);

  const update = (model) => {
    const moving = model.update && model.update.status !== 'failed' ? model.update : model;
    element.dataset.state = model.status;
    const hindered = model.availability && model.availability !== 'available';
    say(state, hindered ? capital(model.availability) : STATES[model.status]);
    tags.replaceChildren(...(model.tasks ?? []).map((task) => h('span.tag', TASKS[task] ?? task)),
      ...(model.name === store.default ? [h('span.tag.strong', 'default')] : []),
      ...(model.pinned ? [h('span.tag', 'pinned')] : []));
    write(facts, factsOf(model));
    showProgress(moving, model);
    if (!buttons.failed()) say(failure, reasonOf(model));
    buttons.update(model);
  };

  const showProgress = (moving, model) => {
    const busy = moving.status === 'downloading' || moving.status === 'loading';
    phase.hidden = !busy;
    if (!busy) return;
    const {bytes_done: done = 0, bytes_total: total = 0} = moving.progress ?? {};
    const known = moving.status === 'downloading' && total > 0;
    if (known) progress.value = done / total;
    else progress.removeAttribute('value');
    say(measure, phaseText(moving, model));
  };
  return {element, update};
}

const capital = (word) => word[0].toUpperCase() + word.slice(1);

function phaseText(moving, model) {
  if (moving.status === 'loading') {
    const expected = model.expected_in_seconds;
    return expected ? `Loading into memory, about ${span(expected)} left` : 'Loading into memory';
  }
  const {phase, bytes_done: done, bytes_total: total, bytes_per_second: rate, eta_seconds: left} =
    moving.progress ?? {};
  const parts = [PHASES[phase] ?? 'Downloading'];
  if (total) parts.push(`${bytes(done)} of ${bytes(total)}`);
  if (rate) parts.push(`${bytes(rate)}/s`);
  if (left) parts.push(`${span(left)} left`);
  if (model.waiting) parts.push(`${model.waiting} waiting`);
  return parts.join(' · ');
}

function reasonOf(model) {
  const error = model.error ?? model.update?.error;
  if (!error) return sentence(model.reason ?? '');
  const retry = error.retry_in_seconds;
  const next = error.permanent
    ? `It is not tried again by itself: mend the cause, then choose ${model.error ? 'Load' : 'Update'}.`
    : retry ? `Tried again in ${span(retry)}.` : 'The next request tries again.';
  const often = error.attempts > 1 ? ` (${error.attempts} times)` : '';
  return `${sentence(error.message + often)} ${next}`;
}

/** Pairs of what and how much, in the order of how often one looks for them. */
function factsOf(model) {
  const since = (seconds) => (seconds == null ? null : seconds + (Date.now() - model.at) / 1000);
  const idle = since(model.idle_seconds);
  const lastUse = model.status !== 'ready' ? null : idle == null ? null : `${span(Math.max(0.1, idle))} ago`;
  return [
    ['Device', model.device && [model.device, model.dtype].filter(Boolean).join(' · ')],
    ['Memory', memoryOf(model)],
    ['Queue', model.queue_depth ? String(model.queue_depth) : null],
    ['Last use', lastUse],
    ['Loaded in', model.load_seconds && span(model.load_seconds + (model.warm_seconds ?? 0))],
    ['Unloads in', model.expires_in_seconds && span(model.expires_in_seconds)],
    ['Size', model.million_parameters && size(model.million_parameters)],
    ['Licence', model.licence],
    ['Revision', model.revision && model.revision.slice(0, 10)],
    ['Source', Object.values(model.source ?? {}).join(', ')],
    ['Also called', model.aliases?.filter((alias) => !model.name.endsWith(`/${alias}`)).join(', ')],
  ].filter(([, value]) => value);
}

function memoryOf({footprint_bytes: counted, resident_bytes: seen}) {
  if (!counted) return null;
  return seen ? `${bytes(seen)}, counted as ${bytes(counted)}` : bytes(counted);
}

const size = (millions) => `${millions >= 1000 ? `${(millions / 1000).toFixed(1)} B` : `${millions} M`} parameters`;

function write(list, pairs) {
  const signature = JSON.stringify(pairs);
  if (list.dataset.signature === signature) return;
  list.dataset.signature = signature;
  list.replaceChildren(...pairs.map(([what, value]) => h('div', h('dt', what), h('dd', value))));
}

/** The buttons that this key and this state allow. */
function actions(name, failure, announce) {
  const path = `models/${name.split('/').map(encodeURIComponent).join('/')}`;
  let failing = false;
  const act = (verb, body) => async () => {
    failing = false;
    announce(`${verb}: ${name}`);
    try {
      await body();
      await refresh();
    } catch (error) {
      // What failed in the model itself is told by its state.
      await refresh().catch(() => {});
      if (store.models[name]?.error) return;
      failing = true;
      say(failure, told(error));
    }
  };
  const button = (label, className, body) =>
    h('button', {class: className, type: 'button', 'aria-label': `${label} ${name}`, onclick: act(label, body)}, label);
  const load = button('Load', 'primary', () => post(`${path}/load`, {wait: false}));
  const unload = button('Unload', '', () => post(`${path}/unload`, {}));
  const fetch = button('Download', '', () => post('download-models', {models: [name], load: false, wait: false}));
  const update = button('Update', '', () => post('download-models', {models: [name], update: true, wait: false}));
  const element = h('div.actions', load, unload, fetch, update);
  return {
    element,
    failed: () => failing,
    update(model) {
      const may = store.administers && model.availability !== 'unsupported';
      const busy = [model.status, model.update?.status].some((is) => is === 'loading' || is === 'downloading');
      const remote = Object.values(model.source ?? {}).some((source) => /^(hf|gs|s3|https):/.test(source));
      load.hidden = !may || busy || model.status === 'ready';
      unload.hidden = !may || !(model.status === 'ready' || model.status === 'loading');
      fetch.hidden = !may || busy || model.fetched || !remote;
      update.hidden = !may || busy || !remote || model.status !== 'ready';
      if (busy) failing = false;
    },
  };
}
