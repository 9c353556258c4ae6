// Elements, numbers and times, as the page writes them.

/** An element: `h('p.muted', {id: 'x'}, 'text', child)`. A property that begins with `on` is a listener. */
export function h(selector, ...rest) {
  const [name, ...classes] = selector.split('.');
  const element = document.createElement(name || 'div');
  if (classes.length) element.className = classes.join(' ');
  const given = rest[0];
  const hasProperties = given && typeof given === 'object' && !(given instanceof Node) && !Array.isArray(given);
  if (hasProperties) {
    rest.shift();
    for (const [key, value] of Object.entries(given)) {
      if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
      else if (value === true) element.setAttribute(key, '');
      else if (value !== false && value != null) element.setAttribute(key, value);
    }
  }
  element.append(...rest.flat().filter((child) => child != null && child !== false));
  return element;
}

/** A field with its label above it. */
export function field(label, control, hint) {
  control.id ||= `field-${(field.count = (field.count ?? 0) + 1)}`;
  const parts = [h('label', {for: control.id}, label), control];
  if (hint) {
    parts.push(h('span.hint', {id: `${control.id}-hint`}, hint));
    control.setAttribute('aria-describedby', `${control.id}-hint`);
  }
  return h('div.field', parts);
}

/** The same over the whole width of its group. */
export function wide(...asked) {
  const element = field(...asked);
  element.classList.add('wide');
  return element;
}

/** Sets text only where it differs, so that selections and live regions are left in peace. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
  element.hidden = !text;
}

export function bytes(count) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** A time in words: `0.12 s`, `34 s`, `5 min`, `3 h`, `2 d`. */
export function span(seconds) {
  if (seconds < 0.1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(seconds < 1 ? 2 : 1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

/** A place in a recording: `0:07.2`, `1:02:03`. */
export function clock(seconds, digits = 1) {
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value) => String(value).padStart(2, '0');
  const tail = digits ? (seconds - whole).toFixed(digits).slice(1) : '';
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}${tail === '.10' ? '' : tail}`;
}

export function download(name, parts, type) {
  const address = URL.createObjectURL(parts instanceof Blob ? parts : new Blob(parts, {type}));
  h('a', {href: address, download: name}).click();
  // The browser reads it after this task.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** The choices of a list, with the one that was chosen before, where it is still there. */
export function fill(select, choices, chosen) {
  const wanted = chosen ?? select.value;
  const signature = JSON.stringify(choices);
  if (select.dataset.choices !== signature) {
    select.dataset.choices = signature;
    select.replaceChildren(...choices.map(([value, label]) => h('option', {value}, label)));
  }
  if (choices.some(([value]) => value === wanted)) select.value = wanted;
}
