// Options that only a model's family has, as fields: `/openapi.json` says which there are, and what each may be.

import {json} from './api.js';
import {field, h, say, wide} from './dom.js';
import {store} from './store.js';

/** What a program of somebody's own takes, only that program knows. */
const UNTOLD = ['worker', null, undefined];

let asked = null;

/** Schemas by name, fetched when somebody first wants to see one. */
function schemas() {
  asked ??= json('openapi.json').then((document) => document.components.schemas);
  asked.catch(() => (asked = null));
  return asked;
}

/** `model()` is the name of the model that is chosen; `more` are fields that stand before those of its family. */
export function options({model, more = []}) {
  const state = h('p.muted', {role: 'status', hidden: true});
  const fields = h('div.fields.options');
  const element = h('details', {ontoggle: () => update()},
    h('summary', 'More'), more.length ? h('div.fields', more) : null, state, fields);
  let [shown, read] = [null, () => ({})];

  /** Shows what the chosen model takes; what was written stays as long as the family does. */
  async function update() {
    const {family} = store.models[model()] ?? {};
    const wanted = family ?? model();
    if (shown === wanted) return;
    // What was written for another family is nothing to send.
    if (shown !== null) fields.replaceChildren();
    [shown, read] = [null, () => ({})];
    if (!element.open) return;
    shown = wanted;
    let made;
    try {
      made = UNTOLD.includes(family) ? anything() : each((await schemas())[`${family}_options`]?.properties ?? {});
    } catch (error) {
      shown = null;
      return say(state, error.message);
    }
    // Meanwhile another one may have been chosen.
    if (shown !== wanted) return;
    say(state, made.elements.length ? '' : 'This model has no options of its own.');
    fields.replaceChildren(...made.elements);
    read = made.read;
  }
  return {element, update, read: () => read()};
}

/** A field for each; what is left as it is, is not sent. */
function each(properties) {
  const made = Object.entries(properties).map(([name, schema]) => ({name, ...control(schema)}));
  return {
    elements: made.map(({name, control, hint}) => field(name, control, hint)),
    read: () => Object.fromEntries(made.flatMap(({name, control, read}) => {
      const untouched = control.value.trim() === '' && !control.validity.badInput;
      return untouched ? [] : [[name, valueOf(name, control, read)]];
    })),
  };
}

/** All in one, as JSON. */
function anything() {
  const control = h('textarea', {rows: 2, spellcheck: 'false', placeholder: '{}'});
  const hint = 'What the program behind this model takes, as a JSON object.';
  return {
    elements: [wide('Options', control, hint)],
    read: () => (control.value.trim() ? object(control.value) : {}),
  };
}

function control(schema) {
  const types = [schema.type ?? []].flat();
  const hint = schema.description;
  const placeholder = schema.default === undefined ? 'As usual' : JSON.stringify(schema.default);
  if (types.includes('boolean')) {
    const usual = schema.default === undefined ? 'As usual' : `As usual: ${schema.default ? 'yes' : 'no'}`;
    const choices = [['', usual], ['true', 'Yes'], ['false', 'No'], ...(types.includes('null') ? [['null', 'null']] : [])];
    return {hint, read: JSON.parse, control: h('select', choices.map(([value, label]) => h('option', {value}, label)))};
  }
  if (types.includes('string')) return {hint, read: String, control: h('input', {autocomplete: 'off', placeholder})};
  const number = types.length === 1;
  const {minimum: min, maximum: max} = schema;
  const given = number
    ? {type: 'number', min, max, step: types[0] === 'integer' ? 1 : 'any', placeholder}
    : {autocomplete: 'off', spellcheck: 'false', placeholder};
  return {hint, read: JSON.parse, control: h('input', given)};
}

function valueOf(name, control, read) {
  try {
    return read(control.value.trim());
  } catch {
    control.focus();
    throw new Error(`${name} is no JSON. Write a number, a list such as [1, 0], or a text in quotes.`);
  }
}

function object(text) {
  try {
    const value = JSON.parse(text);
    if (value && typeof value === 'object' && !Array.isArray(value)) return value;
  } catch {
    // Told below.
  }
  throw new Error('The options are no JSON object. Write them as {"name": value}.');
}
