// Samples: what is drawn of them, and how they are written and played while they come.

/** What the page asks the server for; the model's own rate is not known before the sound is there. */
export const RATE = 24_000;

/** Loudest sample of each of `count` stretches, 0 to 1. */
export function peaks(samples, count) {
  const stretch = samples.length / count;
  return Array.from({length: count}, (_, at) => {
    let loudest = 0;
    const end = Math.min(samples.length, Math.ceil((at + 1) * stretch));
    for (let place = Math.floor(at * stretch); place < end; place++) {
      loudest = Math.max(loudest, Math.abs(samples[place]));
    }
    return loudest;
  });
}

/** Larger files are played without a picture: as samples an hour of MP3 is a quarter of a gigabyte. */
const LARGEST_PICTURE = 40e6;

/** The first channel of a recording; null where the browser cannot read it, which the server may. */
export async function decode(blob) {
  if (blob.size > LARGEST_PICTURE) return null;
  // Any rate will do for a picture, and a low one is fast.
  const context = new OfflineAudioContext(1, 1, 16_000);
  try {
    const buffer = await context.decodeAudioData(await blob.arrayBuffer());
    return {samples: buffer.getChannelData(0), seconds: buffer.duration};
  } catch {
    return null;
  }
}

/** 16-bit mono samples as a WAV file. */
export function wav(pcm, rate = RATE) {
  const header = new DataView(new ArrayBuffer(44));
  const text = (at, letters) => [...letters].forEach((letter, i) => header.setUint8(at + i, letter.charCodeAt(0)));
  const size = pcm.reduce((all, part) => all + part.byteLength, 0);
  text(0, 'RIFF');
  header.setUint32(4, 36 + size, true);
  text(8, 'WAVEfmt ');
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true);
  header.setUint16(22, 1, true);
  header.setUint32(24, rate, true);
  header.setUint32(28, rate * 2, true);
  header.setUint16(32, 2, true);
  header.setUint16(34, 16, true);
  text(36, 'data');
  header.setUint32(40, size, true);
  return new Blob([header, ...pcm], {type: 'audio/wav'});
}

/** Plays 16-bit mono samples as they come. */
export class LivePlayer {
  /** Begun by a click: browsers let nothing else make a sound. */
  constructor(rate = RATE) {
    this.context = new AudioContext();
    this.gain = this.context.createGain();
    this.gain.connect(this.context.destination);
    this.rate = rate;
    /** When the next samples are due, in seconds of the context. */
    this.due = 0;
    this.stopped = new Promise((done) => (this.tellStopped = done));
    this.context.resume();
  }

  add(bytes) {
    const pcm = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 1);
    if (!pcm.length) return;
    const buffer = this.context.createBuffer(1, pcm.length, this.rate);
    buffer.copyToChannel(Float32Array.from(pcm, (sample) => sample / 32768), 0);
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.gain);
    // A little ahead, so that a late piece leaves no gap.
    this.due = Math.max(this.due, this.context.currentTime + 0.08);
    source.start(this.due);
    this.due += buffer.duration;
  }

  /** When all that was added has been heard, or it was stopped. */
  async ended() {
    const left = Math.max(0, this.due - this.context.currentTime);
    await Promise.race([this.stopped, new Promise((done) => setTimeout(done, left * 1000))]);
    this.stop();
  }

  stop() {
    this.tellStopped();
    if (this.context.state !== 'closed') this.context.close();
  }
}

/** Reads a stream of 16-bit samples in whole samples; `onPiece` gets each as bytes. The pieces, together. */
export async function readPcm(response, onPiece) {
  const pieces = [];
  let odd = null;
  for await (const chunk of chunks(response.body)) {
    let bytes = chunk;
    if (odd != null) {
      bytes = new Uint8Array(chunk.length + 1);
      bytes[0] = odd;
      bytes.set(chunk, 1);
      odd = null;
    }
    if (bytes.length % 2) {
      odd = bytes.at(-1);
      bytes = bytes.subarray(0, -1);
    }
    // A copy begins where samples may begin.
    const piece = bytes.slice();
    if (piece.length) {
      pieces.push(piece);
      onPiece(piece);
    }
  }
  return pieces;
}

async function* chunks(body) {
  const reader = body.getReader();
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    yield value;
  }
}

/** The samples of pieces, -1 to 1. */
export function floats(pieces) {
  const parts = pieces.map((piece) => new Int16Array(piece.buffer, piece.byteOffset, piece.byteLength >> 1));
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) for (const sample of part) all[at++] = sample / 32768;
  return all;
}
