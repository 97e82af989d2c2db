// Times: local by default with UTC beside them on hover and focus; one switch turns all of them to UTC.

let utc = false;

export const clock = { offset_s: 0 };

/** The server's time now, seconds since the epoch: this machine's clock moved by what the feed has told. */
export function now() {
  return Date.now() / 1e3 + clock.offset_s;
}

export function showUtc(wanted) {
  utc = wanted;
  for (const element of document.querySelectorAll("time[data-at]")) fill(element);
}

export const isUtc = () => utc;

const two = (number) => String(number).padStart(2, "0");

/** `14:03:07`; with `millis` `14:03:07.250`. */
export function timeOfDay(at_s, { millis = false, inUtc = utc } = {}) {
  const date = new Date(at_s * 1e3);
  const [hours, minutes, seconds] = inUtc
    ? [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()]
    : [date.getHours(), date.getMinutes(), date.getSeconds()];
  const text = `${two(hours)}:${two(minutes)}:${two(seconds)}`;
  return millis ? `${text}.${String(date.getUTCMilliseconds()).padStart(3, "0")}` : text;
}

/** `2026-03-07`. */
export function day(at_s, inUtc = utc) {
  const date = new Date(at_s * 1e3);
  return inUtc
    ? date.toISOString().slice(0, 10)
    : `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** `2026-03-07 13:03:07 UTC`. */
export function utcText(at_s) {
  return `${day(at_s, true)} ${timeOfDay(at_s, { inUtc: true })} UTC`;
}

/** Local or UTC, with the day when it is not today's. */
export function moment(at_s) {
  const today = day(now()) === day(at_s);
  return `${today ? "" : `${day(at_s)} `}${timeOfDay(at_s)}${utc ? " UTC" : ""}`;
}

/** A <time> that shows `at_s`; write to it again with setTime. */
export function timeElement(at_s) {
  const element = document.createElement("time");
  setTime(element, at_s);
  return element;
}

export function setTime(element, at_s) {
  const wanted = at_s === null || at_s === undefined || !Number.isFinite(at_s) ? "" : String(at_s);
  if (element.dataset.at === wanted) return;
  element.dataset.at = wanted;
  fill(element);
}

function fill(element) {
  if (element.dataset.at === "") {
    element.textContent = "–";
    element.removeAttribute("datetime");
    delete element.dataset.utc;
    return;
  }
  const at_s = Number(element.dataset.at);
  element.textContent = moment(at_s);
  element.dateTime = new Date(at_s * 1e3).toISOString();
  element.dataset.utc = utcText(at_s);
}
