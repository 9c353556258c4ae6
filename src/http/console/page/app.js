// The frame: which part is shown, the key, and how the server is.

import {gate, key, told} from './api.js';
import {say} from './dom.js';
import {connect, store} from './store.js';
import {models} from './models.js';
import {hear} from './hear.js';
import {speak} from './speak.js';
import {sing, singers} from './sing.js';
import {convert} from './convert.js';
import {now} from './now.js';

const PARTS = {models, hear, speak, sing, convert, now};
const $ = (id) => document.getElementById(id);

// === Parts ===

const begun = new Set();

function show({focus = false} = {}) {
  const asked = location.hash.slice(1);
  if (asked === 'main') return;
  const name = asked in PARTS ? asked : 'models';
  for (const part of Object.keys(PARTS)) {
    $(`view-${part}`).hidden = part !== name;
    const link = document.querySelector(`nav a[href="#${part}"]`);
    if (part === name) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  if (!begun.has(name)) {
    begun.add(name);
    PARTS[name]($(`view-${name}`));
  }
  const title = $(`title-${name}`);
  document.title = `${title.textContent} · Sconce`;
  if (focus) title.focus();
  document.dispatchEvent(new CustomEvent('shown', {detail: name}));
}

addEventListener('hashchange', () => show({focus: true}));

// === The key ===

const dialog = $('key-dialog');

function askForKey(why) {
  $('key-input').value = key.get();
  $('key-forget').hidden = !key.get();
  say($('key-failure'), why ?? '');
  if (!dialog.open) dialog.showModal();
}

gate.addEventListener('locked', () => askForKey(key.get() ? 'This key is not known here.' : ''));
$('key-button').addEventListener('click', () => askForKey());
$('key-cancel').addEventListener('click', () => dialog.close());
$('key-forget').addEventListener('click', () => useKey(''));
dialog.querySelector('form').addEventListener('submit', () => useKey($('key-input').value.trim()));

function useKey(value) {
  key.set(value);
  dialog.close();
  connect();
}

// === How the server is ===

store.addEventListener('change', () => {
  // Few servers have a model that sings.
  document.querySelector('nav a[href="#sing"]').hidden = !singers().length;
  const {problem} = store;
  const health = $('health');
  health.dataset.state = problem ? 'failed' : 'ready';
  say(health, problem ? 'Not connected' : store.server);
  health.title = problem ? '' : `Loads models: ${store.loadMode.replace('_', ' ')}`;
  say($('notice'), problem && problem.status !== 401 ? told(problem) : '');
  $('key-button').textContent = key.get() ? 'Key ✓' : 'Key';
  // A browser opens a link without the key.
  $('api').hidden = key.get() !== '';
});

show();
connect();
