/*
 * Whether the picture of a <video> arrives, how late, and whether it stands still.
 *
 *   const check = new PictureCheck(document.querySelector("video"));   // or: watch a video of a page from a test
 *   …
 *   check.report();   // { pictures, black, latency: { count, p50, p95, p99, most } | null, freezes: [seconds], mark,
 *                     //   soundLatency: like latency, offset: seconds | null }
 *   check.stop();
 *
 * With `{ sound: true }` it also listens to the beeps of that publisher, in a video that shows a MediaStream: `offset` is by how
 * much the sound is later than the picture (negative: earlier). A page may only listen once somebody has clicked in it.
 *
 * The latency is that of a publisher with the pattern "clock" (smproxy publish --pattern clock) whose clock is this machine's. A
 * module, that also sets window.PictureCheck: page.addScriptTag({ url: ".../picture-check.js", type: "module" }).
 */

const COLUMNS = 8;
const ROWS = 6;
/* So many pixels of the small copy are one square of the code; the mean is taken of the inner ones. */
const CELL = 8;
const COUNT = 0xffff;
const TIME = 0x1d0f;
const KEPT = 10000;
const BLACK = 24;
/* Amplitudes below which there is silence and above which a beep begins; seconds of silence that a beep comes after. */
const SILENT = 0.015;
const LOUD = 0.12;
const SILENCE = 0.3;
/* Milliseconds between two looks at the sound; pictures that a beep is compared with. */
const LISTEN_EVERY = 20;
const BESIDE = 15;

/** CRC-16/CCITT. */
function crc(bytes, start) {
  let value = start;
  for (const byte of bytes) {
    value ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) value = ((value << 1) ^ (value & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return value;
}

function lumaOf(data, x, y) {
  const at = (y * COLUMNS * CELL + x) * 4;
  return 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
}

/** Returns `{ mark, number, isTime }`, or null; `data` are the RGBA pixels of a copy of 64 by 48. */
export function readCode(data) {
  const bytes = new Uint8Array((COLUMNS * ROWS) / 8);
  for (let square = 0; square < COLUMNS * ROWS; square += 1) {
    const left = (square % COLUMNS) * CELL;
    const top = Math.floor(square / COLUMNS) * CELL;
    let sum = 0;
    for (let y = 3; y < 6; y += 1) for (let x = 3; x < 6; x += 1) sum += lumaOf(data, left + x, top + y);
    if (sum / 9 > 127) bytes[square >> 3] |= 0x80 >> (square & 7);
  }
  const check = (bytes[4] << 8) | bytes[5];
  const said = bytes.subarray(0, 4);
  const number = (bytes[1] << 16) | (bytes[2] << 8) | bytes[3];
  if (crc(said, COUNT) === check) return { mark: bytes[0], number, isTime: false };
  if (crc(said, TIME) === check) return { mark: bytes[0], number, isTime: true };
  return null;
}

function isBlack(data) {
  let sum = 0;
  for (let y = 4; y < ROWS * CELL; y += 8) for (let x = 4; x < COLUMNS * CELL; x += 8) sum += lumaOf(data, x, y);
  return sum / (COLUMNS * ROWS) < BLACK;
}

/** Percentiles by nearest rank, in seconds; null of nothing. */
export function spreadOf(values) {
  if (!values.length) return null;
  const ordered = [...values].sort((a, b) => a - b);
  const rank = (part) => ordered[Math.max(0, Math.ceil(part * ordered.length) - 1)];
  return { count: ordered.length, p50: rank(0.5), p95: rank(0.95), p99: rank(0.99), most: ordered.at(-1) };
}

function keep(list, value) {
  list.push(value);
  if (list.length > KEPT) list.shift();
}

function medianOf(values) {
  const ordered = [...values].sort((a, b) => a - b);
  const middle = ordered.length >> 1;
  return ordered.length % 2 ? ordered[middle] : (ordered[middle - 1] + ordered[middle]) / 2;
}

/** Calls `heard` with the Unix time in milliseconds at which each beep of a stream begins. */
class BeepListener {
  #context = new AudioContext();
  #analyser;
  #samples;
  #timer;
  #read = null;
  #quietSince = null;

  constructor(stream, heard) {
    this.#analyser = this.#context.createAnalyser();
    this.#analyser.fftSize = 8192;
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#context.createMediaStreamSource(stream).connect(this.#analyser);
    this.#context.resume();
    this.#timer = setInterval(() => this.#listen(heard), LISTEN_EVERY);
  }

  stop() {
    clearInterval(this.#timer);
    this.#context.close();
  }

  #listen(heard) {
    const { currentTime, sampleRate } = this.#context;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const wall = Date.now();
    const since = this.#read === null ? 0 : Math.round((currentTime - this.#read) * sampleRate);
    this.#read = currentTime;
    const fresh = this.#samples.subarray(this.#samples.length - Math.min(since, this.#samples.length));
    const loudest = fresh.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    if (loudest < SILENT) {
      this.#quietSince ??= currentTime;
    } else if (loudest > LOUD) {
      const quiet = this.#quietSince === null ? 0 : currentTime - this.#quietSince;
      this.#quietSince = null;
      const first = fresh.findIndex((sample) => Math.abs(sample) > SILENT);
      if (quiet >= SILENCE) heard(wall - ((fresh.length - first) / sampleRate) * 1000);
    }
  }
}

export class PictureCheck {
  #video;
  #freeze;
  #context;
  #latencies = [];
  #freezes = [];
  #pictures = 0;
  #black = 0;
  #shown = null;
  #changed = null;
  #mark = null;
  #request = null;
  #soundLatencies = [];
  #offsets = [];
  #beeps = null;

  /** `freeze`: seconds without a new picture from which on it counts as a freeze; `sound`: listen to beeps, too. */
  constructor(video, { freeze = 0.25, sound = false } = {}) {
    this.#video = video;
    this.#freeze = freeze;
    const canvas = new OffscreenCanvas(COLUMNS * CELL, ROWS * CELL);
    this.#context = canvas.getContext("2d", { willReadFrequently: true, alpha: false });
    if (sound) this.#beeps = new BeepListener(video.srcObject, (wall) => this.#heard(wall));
    this.#next();
  }

  stop() {
    this.#beeps?.stop();
    this.#beeps = null;
    if (this.#request === null) return;
    if (this.#video.cancelVideoFrameCallback) this.#video.cancelVideoFrameCallback(this.#request);
    else cancelAnimationFrame(this.#request);
    this.#request = null;
  }

  report() {
    const freezes = [...this.#freezes];
    const still = this.#changed === null ? 0 : (performance.now() - this.#changed) / 1000;
    if (still >= this.#freeze) freezes.push(still);
    return {
      pictures: this.#pictures,
      black: this.#black,
      latency: spreadOf(this.#latencies),
      freezes,
      mark: this.#mark,
      soundLatency: spreadOf(this.#soundLatencies),
      offset: this.#offsets.length ? medianOf(this.#offsets) : null,
    };
  }

  /** Beeps come at each full second; which one it is, the pictures just before it tell. */
  #heard(wall) {
    const latency = ((wall + 200) % 1000) / 1000 - 0.2;
    keep(this.#soundLatencies, latency);
    const pictures = this.#latencies.slice(-BESIDE);
    if (!pictures.length) return;
    const offset = latency - medianOf(pictures) + 0.5;
    keep(this.#offsets, offset - Math.floor(offset) - 0.5);
  }

  #next() {
    const look = () => {
      this.#look();
      this.#next();
    };
    this.#request = this.#video.requestVideoFrameCallback
      ? this.#video.requestVideoFrameCallback(look)
      : requestAnimationFrame(look);
  }

  #look() {
    if (!this.#video.videoWidth) return;
    this.#context.drawImage(this.#video, 0, 0, COLUMNS * CELL, ROWS * CELL);
    const wall = Date.now();
    const now = performance.now();
    const { data } = this.#context.getImageData(0, 0, COLUMNS * CELL, ROWS * CELL);
    const code = readCode(data);
    if (code === null) {
      this.#black += isBlack(data);
    } else {
      const shown = `${code.mark}/${code.number}`;
      if (shown === this.#shown) return;
      this.#shown = shown;
      this.#mark = code.mark;
      // Differences modulo 2^24; a clock that is a little behind makes a small negative number.
      if (code.isTime) keep(this.#latencies, (((wall - code.number + 0x10000) & 0xffffff) - 0x10000) / 1000);
    }
    const still = this.#changed === null ? 0 : (now - this.#changed) / 1000;
    if (still >= this.#freeze) keep(this.#freezes, still);
    this.#changed = now;
    this.#pictures += 1;
  }
}

globalThis.PictureCheck = PictureCheck;
