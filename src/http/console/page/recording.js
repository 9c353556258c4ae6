// A recording from a file, the clipboard or the microphone.

import {clock, h, say} from './dom.js';

/** What the server reads; the browser's list of sound does not hold all of it. */
const ACCEPTED = 'audio/*,video/mp4,video/webm,.flac,.mp3,.m4a,.mp4,.ogg,.opus,.wav,.webm,.aac,.aiff,.caf';

/** `take(blob, name)` gets the recording; pasting works while `view` is shown. */
export function recorder({label, view, take}) {
  const input = h('input', {type: 'file', accept: ACCEPTED, hidden: true});
  const choose = h('button', {type: 'button', onclick: () => input.click()}, 'Choose a file');
  const record = h('button.record', {type: 'button', 'aria-pressed': 'false'}, h('span.dot'), h('span', 'Record'));
  const level = h('meter', {min: 0, max: 1, 'aria-label': 'Loudness of the microphone', hidden: true});
  const time = h('span.time', {hidden: true});
  const failure = h('p.failure', {role: 'alert', hidden: true});
  const element = h('div.drop', {role: 'group', 'aria-label': label},
    h('p.invite', h('strong', 'Drop a recording here'), ', paste one, or'),
    h('div.row', choose, input, record, level, time),
    h('p.hint', 'WAV, FLAC, MP3, M4A, Ogg, Opus, WebM, AAC, AIFF or CAF'), failure);

  const offer = (file) => {
    say(failure, '');
    if (!file) return say(failure, 'There is no file in what was dropped. Drop a recording.');
    take(file, file.name || 'recording');
  };
  input.addEventListener('change', () => {
    if (input.files.length) offer(input.files[0]);
    input.value = '';
  });
  element.addEventListener('dragover', (event) => {
    event.preventDefault();
    element.dataset.over = true;
  });
  element.addEventListener('dragleave', () => delete element.dataset.over);
  element.addEventListener('drop', (event) => {
    event.preventDefault();
    delete element.dataset.over;
    offer(event.dataTransfer.files[0]);
  });
  document.addEventListener('paste', (event) => {
    const [file] = event.clipboardData.files;
    // Of several the first that is to be seen takes it.
    if (!file || view.hidden || !element.checkVisibility() || event.defaultPrevented) return;
    event.preventDefault();
    offer(file);
  });

  let running = null;
  record.addEventListener('click', async () => {
    if (running) return running.stop();
    say(failure, '');
    try {
      running = await microphone({level, time});
    } catch (error) {
      return say(failure, whyNoMicrophone(error));
    }
    turn(true);
    const blob = await running.done;
    running = null;
    turn(false);
    take(blob, `microphone.${blob.type.includes('mp4') ? 'm4a' : 'webm'}`);
  });
  const turn = (on) => {
    record.setAttribute('aria-pressed', on);
    record.lastChild.textContent = on ? 'Stop' : 'Record';
    level.hidden = time.hidden = !on;
    choose.disabled = on;
  };
  return {element};
}

/** Records until `stop`; shows how loud it is and for how long. */
async function microphone({level, time}) {
  if (!navigator.mediaDevices) throw new DOMException('', 'SecurityError');
  const stream = await navigator.mediaDevices.getUserMedia({audio: true});
  const tape = new MediaRecorder(stream);
  const parts = [];
  const context = new AudioContext();
  const ear = context.createAnalyser();
  ear.fftSize = 1024;
  context.createMediaStreamSource(stream).connect(ear);
  const wave = new Float32Array(ear.fftSize);
  const begun = performance.now();
  const timer = setInterval(() => {
    ear.getFloatTimeDomainData(wave);
    level.value = Math.min(1, 2 * Math.max(...wave.map(Math.abs)));
    time.textContent = clock((performance.now() - begun) / 1000);
  }, 80);
  const done = new Promise((resolve) => {
    tape.addEventListener('dataavailable', ({data}) => parts.push(data));
    tape.addEventListener('stop', () => {
      clearInterval(timer);
      stream.getTracks().forEach((track) => track.stop());
      context.close();
      resolve(new Blob(parts, {type: tape.mimeType}));
    });
  });
  tape.start();
  return {done, stop: () => tape.stop()};
}

function whyNoMicrophone(error) {
  switch (error.name) {
    case 'NotAllowedError':
      return 'The browser did not allow the microphone. Allow it beside the address, then record again.';
    case 'NotFoundError': return 'There is no microphone. Connect one, or choose a file.';
    case 'SecurityError':
      return 'A browser lends its microphone only to pages from https:// or localhost. Choose a file.';
    default: return `The microphone cannot be used: ${error.message || error.name}. Choose a file.`;
  }
}
