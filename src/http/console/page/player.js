// A recording that can be seen and played: a button, its waveform, and where it is.

import {clock, h} from './dom.js';
import {decode, peaks} from './sound.js';

const BAR = 3;
const GAP = 2;

export class Player extends EventTarget {
  constructor(label) {
    super();
    this.audio = new Audio();
    this.seconds = 0;
    this.samples = null;
    this.label = label;
    this.button = h('button.play', {type: 'button', onclick: () => this.toggle()});
    this.canvas = h('canvas', {'aria-hidden': 'true'});
    this.slider = h('input', {
      type: 'range', min: 0, max: 1000, value: 0, 'aria-label': `Place in ${label}`,
      oninput: () => this.seek((this.slider.value / 1000) * this.seconds),
    });
    this.time = h('span.time');
    this.element = h('div.player', {hidden: true},
      this.button, h('div.wave', this.canvas, this.slider), this.time);
    for (const event of ['play', 'pause', 'ended']) this.audio.addEventListener(event, () => this.turned());
    this.audio.addEventListener('timeupdate', () => this.moved());
    this.audio.addEventListener('loadedmetadata', () => {
      // A recording of the browser's own does not say how long it is.
      if (Number.isFinite(this.audio.duration)) this.seconds ||= this.audio.duration;
      this.moved();
    });
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
    this.turned();
  }

  /** Shows a recording; its samples too, where the browser can read them. */
  async open(blob) {
    this.clear();
    this.address = URL.createObjectURL(blob);
    this.audio.src = this.address;
    this.element.hidden = false;
    const decoded = await decode(blob);
    if (decoded) [this.samples, this.seconds] = [decoded.samples, decoded.seconds];
    this.moved();
    return decoded;
  }

  /** Shows samples that are still being made. */
  show(samples, seconds) {
    [this.samples, this.seconds] = [samples, seconds];
    this.element.hidden = false;
    this.draw();
    this.moved();
  }

  clear() {
    this.audio.pause();
    this.audio.removeAttribute('src');
    if (this.address) URL.revokeObjectURL(this.address);
    [this.address, this.samples, this.seconds] = [null, null, 0];
    this.element.hidden = true;
  }

  toggle() {
    if (this.audio.paused) this.audio.play().catch(() => {});
    else this.audio.pause();
  }

  /** Plays from there on, and until `end` where one is given. */
  play(start, end) {
    this.until = end;
    this.audio.currentTime = start;
    this.audio.play().catch(() => {});
    this.moved();
  }

  seek(seconds) {
    this.until = null;
    this.audio.currentTime = seconds;
    this.moved();
  }

  turned() {
    const playing = !this.audio.paused;
    this.button.dataset.playing = playing;
    this.button.setAttribute('aria-label', `${playing ? 'Pause' : 'Play'} ${this.label}`);
    // `timeupdate` comes four times a second, which looks like stumbling.
    const step = () => {
      this.moved();
      if (!this.audio.paused) requestAnimationFrame(step);
    };
    if (playing) requestAnimationFrame(step);
  }

  moved() {
    const at = this.audio.currentTime || 0;
    if (this.until != null && at >= this.until) {
      this.audio.pause();
      this.until = null;
    }
    this.slider.value = this.seconds ? (at / this.seconds) * 1000 : 0;
    this.slider.setAttribute('aria-valuetext', `${clock(at)} of ${clock(this.seconds)}`);
    this.time.textContent = `${clock(at)} / ${clock(this.seconds)}`;
    this.draw();
    this.dispatchEvent(new CustomEvent('at', {detail: at}));
  }

  draw() {
    const {clientWidth: width, clientHeight: height} = this.canvas;
    if (!width || !height) return;
    const scale = devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * scale)) this.canvas.width = Math.round(width * scale);
    if (this.canvas.height !== Math.round(height * scale)) this.canvas.height = Math.round(height * scale);
    const pen = this.canvas.getContext('2d');
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const style = getComputedStyle(this.canvas);
    const count = Math.max(1, Math.floor(width / (BAR + GAP)));
    const bars = this.bars(count);
    const done = this.seconds ? (this.audio.currentTime || 0) / this.seconds : 0;
    bars.forEach((peak, at) => {
      const size = Math.max(2, peak * (height - 4));
      pen.fillStyle = at / count < done ? style.caretColor : style.color;
      pen.beginPath();
      pen.roundRect(at * (BAR + GAP), (height - size) / 2, BAR, size, 1.5);
      pen.fill();
    });
  }

  /** Kept from one frame to the next. */
  bars(count) {
    if (!this.samples) return new Array(count).fill(0);
    if (this.drawn?.samples !== this.samples || this.drawn.count !== count) {
      const all = peaks(this.samples, count);
      const loudest = Math.max(0.05, ...all);
      this.drawn = {samples: this.samples, count, bars: all.map((peak) => peak / loudest)};
    }
    return this.drawn.bars;
  }
}
