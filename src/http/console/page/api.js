// Questions to the server, with the key that was typed in.

const KEPT = 'sconce.key';

/** Why a question was not answered, in words for people. */
export class Problem extends Error {
  constructor(message, status = 0, after = null) {
    super(message);
    this.status = status;
    /** Seconds after which it is worth another try. */
    this.after = after;
  }

  /** What may be done about it. */
  get advice() {
    const again = this.after ? ` Try again in ${this.after} s.` : '';
    switch (this.status) {
      case 0: return 'Is the server running, and does the network reach it?';
      case 401: return 'Choose “Key” at the top and type in one that this server knows.';
      case 403: return 'Ask whoever runs the server for a key with the scope that this needs.';
      case 413: return 'Send less at once, or ask for a higher limit.';
      case 429: return `The server is busy.${again || ' Try again in a moment.'}`;
      case 503: return again ? `The model is not there yet.${again}` : 'Look at “Models” for the reason.';
      case 507: return 'Unload another model first, or take a smaller one.';
      default: return again.trim();
    }
  }
}

/** A failure and what may be done about it, in one text. */
export const told = (error) => [sentence(error.message), error.advice].filter(Boolean).join(' ');

/** The server's messages are made for logs too: small letters, and no full stop. A name at the beginning stays a name. */
export const sentence = (text) => {
  const first = /^\S*[./:]\S/.test(text) ? text[0] : text[0]?.toUpperCase();
  return text && first + text.slice(1) + (/[.!?…]$/.test(text) ? '' : '.');
};

export const key = {
  get: () => sessionStorage.getItem(KEPT) ?? '',
  set: (value) => (value ? sessionStorage.setItem(KEPT, value) : sessionStorage.removeItem(KEPT)),
};

/** Tells when the server asks for a key: `locked`. */
export const gate = new EventTarget();

/** The whole address of a route. The page may be served below a prefix, so that routes are relative to it. */
export const address = (path) => new URL(path, new URL('.', document.baseURI)).href;

/** The answer to a question that succeeded; else a Problem. */
export async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  // A browser that prefers HTML is shown failures as pages; this wants what programs read.
  if (!headers.has('accept')) headers.set('accept', 'application/json');
  if (key.get()) headers.set('authorization', `Bearer ${key.get()}`);
  let response;
  try {
    response = await fetch(address(path), {...options, headers, credentials: 'same-origin'});
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem('The server does not answer.');
  }
  if (!response.ok) {
    if (response.status === 401) gate.dispatchEvent(new Event('locked'));
    throw await problem(response);
  }
  return response;
}

export const json = async (path, options) => (await ask(path, options)).json();

export const post = (path, body) =>
  json(path, {method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify(body)});

async function problem(response) {
  const text = await response.text().catch(() => '');
  const after = Number(response.headers.get('retry-after')) || null;
  return new Problem(messageOf(text) || `The server answered with ${response.status}.`, response.status, after);
}

/** Each protocol writes an error in its own way. */
function messageOf(text) {
  try {
    const body = JSON.parse(text);
    return body.error?.message ?? (typeof body.error === 'string' ? body.error : body.message);
  } catch {
    return '';
  }
}

/** The data of server-sent events, one after another. `EventSource` cannot send a key. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const {value, done} = await reader.read();
      if (done) return;
      const frames = (rest + value).split('\n\n');
      rest = frames.pop();
      for (const frame of frames) {
        const data = frame.split('\n').filter((line) => line.startsWith('data: ')).map((line) => line.slice(6));
        if (data.length) yield JSON.parse(data.join('\n'));
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** What an event says that ends a stream before its time. */
export function failed(event) {
  if (event.error) throw new Problem(event.error.message ?? String(event.error), event.error.code || 500);
}
