// A transcript: what is shown of it, and the files that it is saved as.

import {clock, h} from './dom.js';

/** Words that the model was less sure of are marked. */
const UNSURE = 0.6;

/** Segments with words that play where they are clicked. */
export function transcriptView(player) {
  const list = h('ol.transcript', {'aria-live': 'polite', 'aria-label': 'Transcript'});
  let words = [];

  const word = ({word: text, start, end, probability}) => {
    const sure = probability == null ? '' : `, ${Math.round(probability * 100)} % sure`;
    // Reached by the button of the segment; a stop of the tab key at every word would be too many.
    const element = h(`button.word${probability < UNSURE ? '.unsure' : ''}`, {
      type: 'button', tabindex: '-1', title: `${clock(start)}${sure}`, onclick: () => player.play(start, end + 0.05),
    }, text.trim());
    words.push({start, end, element});
    return [element, ' '];
  };
  let last = '';
  const add = (segment) => {
    const text = segment.words?.length ? segment.words.flatMap(word) : [segment.text.trim()];
    // Who goes on speaking is not named again.
    const whose = who(segment);
    if (whose && whose !== last) text.unshift(h('b.speaker', whose), ' ');
    last = whose;
    list.append(h('li',
      h('button.stamp', {
        type: 'button', 'aria-label': `Play from ${clock(segment.start)}`,
        onclick: () => player.play(segment.start, segment.end),
      }, clock(segment.start)),
      h('p', text)));
  };
  const clear = () => {
    [words, last] = [[], ''];
    list.replaceChildren();
  };
  player.addEventListener('at', ({detail: at}) => {
    for (const {start, end, element} of words) {
      element.classList.toggle('now', !player.audio.paused && at >= start && at < end);
    }
  });
  return {element: list, add, clear};
}

// === Files ===

const pad = (value, width = 2) => String(value).padStart(width, '0');

function stamp(seconds, mark) {
  const all = Math.round(seconds * 1000);
  const parts = [all / 3_600_000, (all / 60_000) % 60, (all / 1000) % 60].map((part) => pad(Math.floor(part)));
  return `${parts.join(':')}${mark}${pad(all % 1000, 3)}`;
}

/** `named` writes who speaks, as the server writes it in that format. */
const cues = (segments, mark, named) => segments.map((segment) => {
  const {start, end, text} = segment;
  return `${stamp(start, mark)} --> ${stamp(end, mark)}\n${named(segment)}${text.trim()}`;
});

/** Who speaks; empty where nobody is told apart. */
const who = ({speaker, channel}) => speaker ?? (channel == null ? '' : `Channel ${channel}`);
const labelled = ({speaker, channel}) => (speaker ? `${speaker}: ` : channel == null ? '' : `[channel ${channel}] `);
const voiced = (segment) => (who(segment) ? `<v ${who(segment)}>` : '');

export const FILES = {
  Text: {end: 'txt', type: 'text/plain', write: ({text}) => `${text}\n`},
  SRT: {
    end: 'srt', type: 'application/x-subrip',
    write: ({segments}) => cues(segments, ',', labelled).map((cue, at) => `${at + 1}\n${cue}\n`).join('\n'),
  },
  VTT: {end: 'vtt', type: 'text/vtt', write: ({segments}) => `WEBVTT\n\n${cues(segments, '.', voiced).join('\n\n')}\n`},
  JSON: {end: 'json', type: 'application/json', write: (prediction) => `${JSON.stringify(prediction, null, 2)}\n`},
};
