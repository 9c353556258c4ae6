// Sound that is played while it is made, seen, and saved.

import {told} from './api.js';
import {download, h, say, span} from './dom.js';
import {Player} from './player.js';
import {floats, LivePlayer, RATE, readPcm, wav} from './sound.js';

/** A long sound is drawn anew so often. */
const REDRAW_MS = 250;

/** `request(format, signal)` asks for the sound in a format; `pcm` is what is played. */
export function maker({label, name}) {
  const player = new Player(label);
  const state = h('p.state-line', {role: 'status', hidden: true});
  const failure = h('p.failure', {role: 'alert', hidden: true});
  const facts = h('p.muted', {hidden: true});
  const stop = h('button', {type: 'button', hidden: true, onclick: () => running?.abort()}, 'Stop');
  const saves = h('div.row.saves', {role: 'group', 'aria-label': 'Save the sound', hidden: true},
    h('span.muted', 'Save as'), ['WAV', 'MP3', 'Opus', 'FLAC'].map((format) =>
      h('button', {type: 'button', onclick: () => save(format.toLowerCase())}, format)));
  const blank = h('p.placeholder', 'The sound appears here, and plays while it is made.');
  const element = h('div.stack', player.element, blank, state, failure, facts, h('div.row', stop, saves));
  let [running, request, sound] = [null, null, null];

  /** `waiting` says what is waited for; `done` is called when all of it came, which plays on. */
  async function run(asked, waiting, done) {
    running?.abort();
    const mine = (running = new AbortController());
    request = asked;
    player.clear();
    blank.hidden = saves.hidden = true;
    for (const line of [failure, facts]) say(line, '');
    stop.hidden = false;
    const wait = () => say(state, waiting() || 'Making the sound…');
    wait();
    const waits = setInterval(wait, 500);
    const live = new LivePlayer();
    mine.signal.addEventListener('abort', () => live.stop());
    const begun = performance.now();
    const pieces = [];
    let [first, drawn] = [null, 0];
    try {
      const response = await request('pcm', mine.signal);
      await readPcm(response, (piece) => {
        pieces.push(piece);
        live.add(piece);
        const now = performance.now();
        if (first == null) {
          clearInterval(waits);
          first = (now - begun) / 1000;
          say(state, 'Playing while it is made…');
        }
        if (now - drawn < REDRAW_MS) return;
        drawn = now;
        const samples = floats(pieces);
        player.show(samples, samples.length / RATE);
      });
      if (!pieces.length) throw new Error('The server sent no sound. Say something longer.');
    } catch (error) {
      live.stop();
      if (running === mine && error.name !== 'AbortError') say(failure, told(error));
    } finally {
      clearInterval(waits);
    }
    const took = (performance.now() - begun) / 1000;
    if (running !== mine) return;
    const whole = !mine.signal.aborted && failure.hidden;
    if (whole) {
      sound = wav(pieces);
      const samples = floats(pieces);
      player.show(samples, samples.length / RATE);
      say(facts, `First sound after ${span(first)} · ${span(samples.length / RATE)} of sound in ${span(took)}`);
      saves.hidden = false;
      done();
      // What plays may still be stopped; then it plays from the button.
      say(state, 'Playing…');
      await live.ended();
      if (running !== mine) return;
    } else if (failure.hidden) {
      say(facts, 'Stopped.');
    }
    running = null;
    stop.hidden = true;
    say(state, '');
    if (pieces.length) await player.open(wav(pieces));
  }

  async function save(format) {
    try {
      const blob = format === 'wav' ? sound : await (await request(format)).blob();
      download(`${name}.${format}`, blob, blob.type);
    } catch (error) {
      say(failure, told(error));
    }
  }
  return {element, run};
}
