// The lines that do again what was just done, to copy.

import {h} from './dom.js';
import {key} from './api.js';

const NAMES = {curl: 'curl', python: 'Python', javascript: 'JavaScript'};

/** `texts`: {curl, python, javascript}. */
export function snippets() {
  const code = h('code');
  const told = h('span', {role: 'status'});
  const radios = Object.entries(NAMES).map(([name, label], at) => {
    const group = `snippet-${(snippets.count = (snippets.count ?? 0) + 1)}`;
    const input = h('input', {type: 'radio', id: group, value: name, checked: at === 0});
    input.addEventListener('change', () => show());
    return {input, parts: [input, h('label', {for: group}, label)]};
  });
  radios.forEach(({input}) => (input.name = radios[0].input.id));
  const copy = h('button.quiet', {type: 'button'}, 'Copy');
  const box = h('pre', {tabindex: '0', 'aria-label': 'Lines to copy'}, code);
  const element = h('details.snippets', {hidden: true},
    h('summary', 'Do this in your own program'),
    h('div.row', h('div.choice', {role: 'radiogroup', 'aria-label': 'Written in'}, radios.flatMap(({parts}) => parts)),
      h('span.push'), told, copy),
    box);
  let texts = {};
  const show = () => {
    code.textContent = texts[radios.find(({input}) => input.checked).input.value] ?? '';
  };
  copy.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      told.textContent = 'Copied';
    } catch {
      // Outside of https:// a browser may refuse; what is selected can still be copied by hand.
      getSelection().selectAllChildren(code);
      told.textContent = 'Selected: copy it with Ctrl+C';
    }
    setTimeout(() => (told.textContent = ''), 4000);
  });
  return {
    element,
    set(given) {
      texts = given;
      element.hidden = false;
      show();
    },
  };
}

/** Never the key itself, which would be copied along. */
const PLACEHOLDER = 'YOUR_KEY';

export const curlKey = () => (key.get() ? ` \\\n  -H "Authorization: Bearer ${PLACEHOLDER}"` : '');
export const clientKey = () => JSON.stringify(key.get() ? PLACEHOLDER : 'unused');
export const fetchKey = () => (key.get() ? `authorization: "Bearer ${PLACEHOLDER}"` : '');

/** As one word of a POSIX shell. */
export const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
/** As a text of Python and of JavaScript. */
export const literal = JSON.stringify;

/** As a value of Python, which writes truth and nothing in its own way. */
export function python(value) {
  if (value == null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (Array.isArray(value)) return `[${value.map(python).join(', ')}]`;
  if (typeof value !== 'object') return literal(value);
  const said = Object.entries(value).filter(([, one]) => one !== undefined);
  return `{${said.map(([name, one]) => `${literal(name)}: ${python(one)}`).join(', ')}}`;
}
