// Colours for power, and the page's own colours for canvases.

// matplotlib's viridis at 32 equal steps (CC0, by N. Smith, S. van der Walt and E. Firing): equal steps of power look like
// equal steps of colour, also with any of the usual colour-vision deficiencies and in grey.
const VIRIDIS =
  "440154470d6048186a482374472e7c4538824241863e4a893a548c365d8d32658e2e6d8e2b758e287d8e25848e228c8d" +
  "1f948c1e9c8920a38625ab822eb37c3aba7648c16e58c7656ccd5a7fd34e93d741a8db34c0df25d5e21aeae51afde725";

const STEPS = 256;

/** RGBA of 256 steps, as 32-bit words in the machine's byte order, ready for ImageData. */
export const POWER_WORDS = new Uint32Array(STEPS);

const anchors = VIRIDIS.match(/../g).map((two) => parseInt(two, 16));
for (let step = 0; step < STEPS; step += 1) {
  const place = (step / (STEPS - 1)) * (anchors.length / 3 - 1);
  const low = Math.min(Math.floor(place), anchors.length / 3 - 2);
  const [r, g, b] = [0, 1, 2].map((part) =>
    Math.round(anchors[3 * low + part] * (low + 1 - place) + anchors[3 * low + 3 + part] * (place - low)),
  );
  POWER_WORDS[step] = new Uint32Array(new Uint8Array([r, g, b, 255]).buffer)[0];
}

/** The step of a value between low and high, 0..255. */
export function stepOf(value, low, high) {
  const place = ((value - low) / (high - low)) * (STEPS - 1);
  return place <= 0 ? 0 : place >= STEPS - 1 ? STEPS - 1 : place | 0;
}

/** CSS colour of a value between low and high. */
function powerColour(value, low, high) {
  const bytes = new Uint8Array(POWER_WORDS.buffer, 4 * stepOf(value, low, high), 3);
  return `rgb(${bytes[0]} ${bytes[1]} ${bytes[2]})`;
}

/** A CSS gradient of the whole map, for legends. */
export function powerGradient(direction = "to right") {
  const stops = Array.from({ length: 17 }, (_, i) => powerColour(i, 0, 16));
  return `linear-gradient(${direction}, ${stops.join(", ")})`;
}

const resolved = new Map();
let probe = null;

/** What `var(--name)` is in the theme of the moment, as a colour a canvas takes. */
export function ink(name) {
  let found = resolved.get(name);
  if (found === undefined) {
    probe ??= document.getElementById("probe");
    probe.style.color = `var(--${name})`;
    found = getComputedStyle(probe).color;
    resolved.set(name, found);
  }
  return found;
}

/** Ask the style sheet again: the theme has changed. */
export function forgetInk() {
  resolved.clear();
}

/** The same as one word for ImageData. */
export function inkWord(name) {
  const parts = ink(name)
    .match(/[\d.]+/g)
    .map(Number);
  const alpha = parts.length > 3 ? Math.round(parts[3] * 255) : 255;
  return new Uint32Array(new Uint8Array([parts[0], parts[1], parts[2], alpha]).buffer)[0];
}
