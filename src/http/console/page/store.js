// What the server has: its models as they change, its voices, and what this key may do.

import {ask, events, json, Problem} from './api.js';

/** Idle times and queues change without an event. */
const REFRESH_MS = 15_000;
const LONGEST_PAUSE_MS = 15_000;

export const store = Object.assign(new EventTarget(), {
  /** By name, in the server's order. */
  models: {},
  default: '',
  server: '',
  loadMode: '',
  /** Whether models may be loaded and unloaded, and voices added. */
  administers: false,
  /** Whether the speakers of a recording can be told apart. */
  tellsSpeakers: false,
  voices: [],
  /** Why nothing is known. */
  problem: null,
  ready: false,
});

const tell = () => store.dispatchEvent(new Event('change'));

let following = null;

/** Begins anew, with the key that is there now. */
export function connect() {
  following?.abort();
  following = new AbortController();
  follow(following.signal);
}

async function follow(signal) {
  let pause = 1000;
  while (!signal.aborted) {
    try {
      await refresh();
      await refreshVoices();
      const stream = await ask('models/events', {signal, headers: {accept: 'text/event-stream'}});
      pause = 1000;
      for await (const event of events(stream)) merge(event.models);
    } catch (error) {
      if (signal.aborted) return;
      store.problem = error instanceof Problem ? error : new Problem(String(error));
      tell();
      // A new key begins a new connection.
      if (error.status === 401 || error.status === 403) return;
    }
    await new Promise((done) => setTimeout(done, pause));
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }
}

/** Everything that there is, models that nobody uses included. */
export async function refresh() {
  const status = await json('models/status');
  const at = Date.now();
  for (const model of Object.values(status.models)) model.at = at;
  Object.assign(store, {
    models: status.models, default: status.default, server: status.server, loadMode: status.load_mode,
    administers: status.may_administer ?? false, tellsSpeakers: status.tells_speakers ?? false,
    problem: null, ready: true,
  });
  tell();
}

export async function refreshVoices() {
  store.voices = (await json('v1/audio/voices')).data;
  tell();
}

/** An event tells of models in use only; one that is no longer among them has gone. */
function merge(models) {
  const at = Date.now();
  // What a model of one's own can do, and its voices, are known once it is there.
  const came = Object.entries(models).some(([name, {status}]) =>
    status === 'ready' && store.models[name]?.status !== 'ready');
  const gone = Object.values(store.models).some(({name, status}) => status !== 'not_loaded' && !(name in models));
  for (const [name, model] of Object.entries(models)) {
    store.models[name] = {...catalogued(store.models[name]), ...model, at};
  }
  store.problem = null;
  tell();
  if (gone || came) refresh().catch(() => {});
  if (came) refreshVoices().catch(() => {});
}

/** What no event repeats. */
function catalogued(model = {}) {
  const kept = ['aliases', 'source', 'availability', 'reason', 'licence', 'million_parameters', 'listed',
    'family', 'tasks', 'stems'];
  return Object.fromEntries(kept.map((name) => [name, model[name]]));
}

setInterval(() => {
  if (!document.hidden && store.ready && !store.problem) refresh().catch(() => {});
}, REFRESH_MS);

// === Questions to what is known ===

/** When the models are known: who is quicker than the first answer waits for it. */
export const known = () =>
  new Promise((done) => {
    const look = () => {
      if (!store.ready) return;
      store.removeEventListener('change', look);
      done();
    };
    store.addEventListener('change', look);
    look();
  });

// One that a program speaks has no files, and is always fetched: it is here if somebody named it.
const hasFiles = (model) => Object.keys(model.source ?? {}).length > 0;

export const isHere = (model) => (model.fetched && hasFiles(model)) || model.listed || model.status !== 'not_loaded' || model.preload;

/** Models for a task, those that answer at once first. */
export function able(task) {
  const rank = (model) => (model.status === 'ready' ? 0 : model.fetched ? 1 : isHere(model) ? 2 : 3);
  // What a model of one's own does is known once it is there; nearly all hear or speak.
  const perhaps = (model) => task !== 'convert' && !model.tasks && isHere(model);
  const can = (model) => model.availability === 'available' && (model.tasks?.includes(task) || perhaps(model));
  return Object.values(store.models).filter(can).sort((a, b) => rank(a) - rank(b));
}

/** As choices of a list. */
export function choices(task) {
  const absent = (model) => (model.fetched ? ' — not in memory' : ' — not downloaded');
  const note = (model) => (model.status === 'ready' ? '' : absent(model));
  return able(task).map((model) => [model.name, model.name + note(model)]);
}

/** How far a model is on its way, as a sentence; empty when it is there. */
export function outlook(name) {
  const model = store.models[name];
  if (!model || model.status === 'ready') return '';
  if (model.status === 'downloading' && model.progress?.bytes_total) {
    const share = Math.floor((100 * model.progress.bytes_done) / model.progress.bytes_total);
    return `${name} is downloading: ${share} %.`;
  }
  return model.status === 'downloading' || model.status === 'loading' ? `${name} is ${model.status}…` : '';
}
