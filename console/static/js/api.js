// Questions to the server, and its errors as one line for people.

import { state } from "./state.js";

export class Refused extends Error {
  constructor(status, detail, retry_s = null) {
    super(detail);
    this.status = status;
    this.retry_s = retry_s;
  }
}

/** GET an object; Refused with the server's own words when it says no. */
export function ask(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given).toString();
  return call("GET", text ? `${path}?${text}` : path);
}

/** POST, PUT or DELETE, with the token that shows that this page asks. */
export function tell(method, path, body = null) {
  return call(method, path, body);
}

async function call(method, path, body = null) {
  const headers = { Accept: "application/json" };
  if (body !== null) headers["Content-Type"] = "application/json";
  if (method !== "GET" && state.session?.csrf) headers["X-Airshed-CSRF"] = state.session.csrf;
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body === null ? null : JSON.stringify(body) });
  } catch {
    throw new Refused(0, "The console's server does not answer.");
  }
  const text = await answer.text();
  let found = null;
  try {
    found = text ? JSON.parse(text) : null;
  } catch {
    found = null;
  }
  if (answer.ok) return found;
  const detail = typeof found?.detail === "string" ? found.detail : `The server answered ${answer.status}.`;
  throw new Refused(answer.status, detail, Number(answer.headers.get("Retry-After")) || null);
}

/** Run only the newest of a series of questions: answers to older ones are dropped. */
export function newest() {
  let latest = 0;
  return async (question) => {
    const mine = (latest += 1);
    const found = await question();
    return mine === latest ? found : undefined;
  };
}
