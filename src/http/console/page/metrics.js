// The numbers that Prometheus reads, read by the page.

import {ask} from './api.js';
import {store} from './store.js';

/** How often they are read while somebody looks at them, and else. */
const SHOWN_MS = 2000;
const HIDDEN_MS = 10_000;
/** How long they are kept. */
const KEPT_MS = 5 * 60_000;

/** `samples`: [{at, values}], oldest first. */
export const latest = Object.assign(new EventTarget(), {
  samples: [],
  /** Bytes that models may take on all devices together; null: no bound is known. */
  budget: null,
  problem: null,
});

/** Series by name: [{labels, value}]. */
export function parse(text) {
  const families = new Map();
  const line = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
  const label = /(\w+)="((?:[^"\\]|\\.)*)"/g;
  for (const row of text.split('\n')) {
    const found = row[0] !== '#' && line.exec(row);
    if (!found) continue;
    const labels = {};
    for (const [, name, value] of (found[2] ?? '').matchAll(label)) labels[name] = value;
    if (!families.has(found[1])) families.set(found[1], []);
    families.get(found[1]).push({labels, value: Number(found[3])});
  }
  return families;
}

export const series = (values, name, wanted = () => true) =>
  (values.get(name) ?? []).filter(({labels}) => wanted(labels));

export const sum = (values, name, wanted) => series(values, name, wanted).reduce((all, {value}) => all + value, 0);

/** A quantile of what a histogram was given between two samples; null where it was given nothing. */
export function quantile(share, name, before, after, wanted) {
  const buckets = new Map();
  const add = (values, sign) => {
    for (const {labels, value} of series(values, `${name}_bucket`, wanted)) {
      const edge = labels.le === '+Inf' ? Infinity : Number(labels.le);
      buckets.set(edge, (buckets.get(edge) ?? 0) + sign * value);
    }
  };
  add(after, 1);
  add(before, -1);
  const edges = [...buckets.keys()].sort((a, b) => a - b);
  const all = buckets.get(Infinity) ?? 0;
  if (!(all > 0)) return null;
  let [low, below] = [0, 0];
  for (const edge of edges) {
    const count = buckets.get(edge);
    if (count >= share * all) {
      if (edge === Infinity) return low;
      return low + (edge - low) * ((share * all - below) / (count - below));
    }
    [low, below] = [edge, count];
  }
  return low;
}

let shown = false;
let timer = null;

async function read() {
  clearTimeout(timer);
  if (!document.hidden && store.ready && store.problem?.status !== 401) {
    try {
      const values = parse(await (await ask('metrics', {headers: {accept: 'text/plain'}})).text());
      const at = Date.now();
      latest.samples = [...latest.samples.filter((sample) => at - sample.at < KEPT_MS), {at, values}];
      latest.budget = sum(values, 'sconce_memory_budget_bytes') || null;
      latest.problem = null;
    } catch (error) {
      latest.problem = error;
    }
    latest.dispatchEvent(new Event('sample'));
  }
  clearTimeout(timer);
  timer = setTimeout(read, shown ? SHOWN_MS : HIDDEN_MS);
}

document.addEventListener('shown', ({detail}) => {
  shown = detail === 'now';
  if (shown) read();
});
document.addEventListener('visibilitychange', () => { if (!document.hidden) read(); });
store.addEventListener('change', () => { if (!timer) read(); });
