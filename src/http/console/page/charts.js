// A small chart: a title, the value of now, and the last minutes as lines.

import {h} from './dom.js';

const [WIDTH, HEIGHT] = [300, 84];
const SVG = 'http://www.w3.org/2000/svg';

function svg(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** `format` writes a value; `least` is the least top of the scale, so that noise near nothing looks like nothing. */
export function chart({title, about, format, least = 1}) {
  const value = h('p.value', '–');
  const legend = h('ul.legend');
  const picture = svg('svg', {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': title,
  });
  const top = h('span.top-of-scale');
  const element = h('article.chart',
    h('header', h('h2', title), value), h('p.about', about), h('div.plot', picture, top), legend);

  /** `lines`: [{name, points: [[time, value or null]], faint}], all over the same stretch of time. */
  const update = (lines, from, to, headline) => {
    const all = lines.flatMap((line) => line.points.map(([, y]) => y).filter((y) => y != null));
    const highest = Math.max(least, ...all);
    const x = (time) => ((time - from) / (to - from)) * WIDTH;
    const y = (amount) => HEIGHT - 2 - (amount / highest) * (HEIGHT - 8);
    const rules = [0, 0.5, 1].map((share) =>
      svg('line', {class: 'rule', x1: 0, x2: WIDTH, y1: y(share * highest), y2: y(share * highest)}));
    picture.replaceChildren(...rules, ...lines.flatMap((line, at) => strokes(line, at, x, y)));
    top.textContent = all.length ? format(highest) : '';
    value.textContent = headline ?? '–';
    const last = (line) => line.points.findLast(([, amount]) => amount != null)?.[1];
    picture.setAttribute('aria-label', `${title}: ${headline ?? 'nothing yet'}`);
    const several = lines.length > 1;
    legend.replaceChildren(...(several ? lines : []).map((line, at) =>
      h(`li.line-${at % 5}`, line.name, ' ', h('b', last(line) == null ? '–' : format(last(line))))));
  };
  return {element, update};
}

/** A line breaks where there is nothing to show. */
function strokes(line, at, x, y) {
  const runs = [[]];
  for (const [time, amount] of line.points) {
    if (amount == null) runs.push([]);
    else runs.at(-1).push([x(time), y(amount)]);
  }
  return runs.filter((run) => run.length).flatMap((run) => {
    if (run.length === 1) run = [[run[0][0] - 2, run[0][1]], [run[0][0] + 2, run[0][1]]];
    const points = run.map(([left, height]) => `${left.toFixed(1)},${height.toFixed(1)}`).join(' ');
    const stroke = svg('polyline', {class: `stroke line-${at % 5}${line.faint ? ' faint' : ''}`, points});
    if (at || line.faint) return [stroke];
    const area = `${run[0][0].toFixed(1)},${HEIGHT} ${points} ${run.at(-1)[0].toFixed(1)},${HEIGHT}`;
    return [svg('polygon', {class: `area line-${at % 5}`, points: area}), stroke];
  });
}
