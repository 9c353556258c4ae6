// The last minutes, from the numbers that Prometheus reads.

import {told} from './api.js';
import {bytes, h, say, span} from './dom.js';
import {chart} from './charts.js';
import {latest, quantile, series, sum} from './metrics.js';

/** Over how much time a quantile or a rate is taken; a chart shows no less. */
const WINDOW_MS = 60_000;

const count = (value) => (value < 10 && value % 1 ? value.toFixed(1) : String(Math.round(value)));
const factor = (value) => (value < 0.1 ? value.toFixed(3) : value.toFixed(2));
const short = (model) => model?.split('/').pop() ?? '';

/** A line of a value of each sample. */
const gauge = (name, read) => ({name, read: (sample) => read(sample.values)});

/** A line of a quantile over the last minute before each sample. */
const share = (name, part, metric) => ({
  name, read: (sample, before) => quantile(part, metric, before.values, sample.values),
});

/** A line of how much a counter grew in the last minute before each sample. */
const growth = (name, metric, wanted) => ({
  name, read: (sample, before) => sum(sample.values, metric, wanted) - sum(before.values, metric, wanted),
});

/** Per model, of a gauge. */
function perModel(metric) {
  const values = latest.samples.at(-1)?.values;
  const names = values ? [...new Set(series(values, metric).map(({labels}) => labels.model))] : [];
  return names.map((model) => gauge(short(model), (all) => sum(all, metric, (labels) => labels.model === model)));
}

const CHARTS = [
  {
    title: 'Requests in flight', about: 'Asked for and not yet answered.', format: count,
    lines: () => [gauge('in flight', (values) => sum(values, 'sconce_requests_in_flight')),
      gauge('waiting for a model', (values) => sum(values, 'sconce_waiting_requests'))],
  },
  {
    title: 'Queue', about: 'Requests that wait for their turn, by model.', format: count,
    lines: () => perModel('sconce_queue_depth'),
  },
  {
    title: 'Latency', about: 'From request to last piece, over a minute.', format: span, least: 0.1,
    lines: () => [share('p95', 0.95, 'sconce_request_seconds'), share('p50', 0.5, 'sconce_request_seconds')],
  },
  {
    title: 'First sound', about: 'From request to first sound, over a minute.', format: span, least: 0.1,
    lines: () => [share('p95', 0.95, 'sconce_first_sound_seconds'), share('p50', 0.5, 'sconce_first_sound_seconds')],
  },
  {
    title: 'Real-time factor', about: 'Work per second of sound; below 1 is faster than speech.',
    format: factor, least: 0.1,
    lines: () => [share('p95', 0.95, 'sconce_real_time_factor'), share('p50', 0.5, 'sconce_real_time_factor')],
  },
  {
    title: 'Requests', about: 'Finished in the last minute.', format: count,
    lines: () => [growth('all', 'sconce_requests_total'),
      growth('failed', 'sconce_requests_total', (labels) => labels.outcome !== 'ok')],
  },
  {
    title: 'Memory', about: 'Of the process, and of that the models.', format: bytes, least: 1e8,
    lines: () => [gauge('process', (values) => sum(values, 'process_resident_memory_bytes') || null),
      gauge('models', (values) => sum(values, 'sconce_model_resident_bytes'))],
  },
  {
    title: 'Cold starts', about: 'Models that came into memory in the last minute.', format: count,
    lines: () => [growth('loads', 'sconce_model_load_seconds_count', (labels) => labels.phase === 'load')],
  },
];

export function now(view) {
  const panels = CHARTS.map((asked) => ({...asked, panel: chart(asked)}));
  const state = h('p.lead');
  view.append(
    h('div.head', h('div', h('h1', {id: 'title-now', tabindex: '-1'}, 'Now'), state)),
    h('div.charts', panels.map(({panel}) => panel.element)),
  );
  const update = () => {
    const {samples, problem} = latest;
    const kept = samples.length > 1 ? span((samples.at(-1).at - samples[0].at) / 1000) : '';
    const calm = kept ? `The last ${kept}, as Prometheus sees them.` : 'Collecting…';
    say(state, problem ? told(problem) : calm);
    if (view.hidden || !samples.length) return;
    const to = samples.at(-1).at;
    const from = Math.min(samples[0].at, to - WINDOW_MS);
    for (const {panel, lines, format} of panels) {
      const points = (line) => samples.map((sample) => [sample.at, line.read(sample, before(sample))]);
      const drawn = lines().map((line) => ({...line, points: points(line)}));
      const last = drawn[0]?.points.at(-1)?.[1];
      panel.update(drawn, from, to, last == null ? null : format(last));
    }
  };
  latest.addEventListener('sample', update);
  update();
}

/** The sample that is a minute older, or the first that there is: what it counted was before this page looked. */
function before(sample) {
  const {samples} = latest;
  return samples.findLast((other) => other.at <= sample.at - WINDOW_MS) ?? samples[0];
}
