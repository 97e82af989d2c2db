// Numbers as people read them: always with their unit, and a dash for what is not known.

const UNKNOWN = "–";

const known = (value) => typeof value === "number" && Number.isFinite(value);

/** Frequency in MHz with as many digits as it needs, at least three: 868.1 MHz is 868.100 MHz. */
export function megahertz(hz) {
  if (!known(hz)) return UNKNOWN;
  const text = (hz / 1e6).toFixed(6).replace(/0{1,3}$/, "");
  return `${text}\u202fMHz`;
}

export function kilohertz(hz) {
  return known(hz) ? `${trim(hz / 1e3, 1)}\u202fkHz` : UNKNOWN;
}

/** A level or a ratio in dB with its reference: decibels(-83.2, "dBFS"). */
export function decibels(value, unit = "dB", digits = 1) {
  return known(value) ? `${minus(value.toFixed(digits))}\u202f${unit}` : UNKNOWN;
}

/** A probability: three digits, and no zero where only "less than" is known. */
export function probability(value) {
  if (!known(value)) return UNKNOWN;
  if (value < 0.001) return "<\u202f0.001";
  return value.toFixed(3);
}

export function percent(fraction, digits = 0) {
  if (!known(fraction)) return UNKNOWN;
  const value = fraction * 100;
  if (value > 0 && value < 0.1 && digits < 2) return `${trim(value, 2)}\u202f%`;
  return `${value.toFixed(value < 10 && digits === 0 && value > 0 ? 1 : digits)}\u202f%`;
}

/** A duration with the unit that suits it: 12 ms, 3.4 s, 5 min, 2 h 05 min, 3 d 4 h. */
export function duration(seconds) {
  if (!known(seconds)) return UNKNOWN;
  const size = Math.abs(seconds);
  const sign = seconds < 0 ? "−" : "";
  if (size < 0.9995) return `${sign}${Math.round(size * 1e3)}\u202fms`;
  if (size < 9.95) return `${sign}${size.toFixed(1)}\u202fs`;
  if (size < 59.5) return `${sign}${Math.round(size)}\u202fs`;
  const minutes = Math.round(size / 60);
  if (minutes < 60) return `${sign}${minutes}\u202fmin`;
  if (minutes < 24 * 60) return `${sign}${Math.floor(minutes / 60)}\u202fh\u202f${two(minutes % 60)}\u202fmin`;
  const hours = Math.round(size / 3600);
  return `${sign}${Math.floor(hours / 24)}\u202fd\u202f${hours % 24}\u202fh`;
}

export function metres(value) {
  if (!known(value)) return UNKNOWN;
  return Math.abs(value) >= 1000 ? `${trim(value / 1000, 2)}\u202fkm` : `${trim(value, 0)}\u202fm`;
}

/** A whole number with thin spaces between its thousands. */
export function count(value) {
  if (!known(value)) return UNKNOWN;
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** `1 device`, `2 devices`. */
export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

function trim(value, digits) {
  const text = value.toFixed(digits);
  return minus(text.includes(".") ? text.replace(/\.?0+$/, "") : text);
}

function minus(text) {
  return text.replace(/^-(?=.*[1-9])/, "−").replace(/^-/, "");
}

function two(number) {
  return String(number).padStart(2, "0");
}
