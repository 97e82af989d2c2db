// Who is signed in, and signing in and out.

import { Refused, ask, tell } from "./api.js";
import { askFor, field, toast } from "./dialogs.js";
import { byId, h, mark, say } from "./dom.js";
import { changed, state } from "./state.js";

const entered = [];

/** Call `enter` when somebody has signed in or out: what they may see has changed. */
export function onSession(enter) {
  entered.push(enter);
}

export function startAccount() {
  byId("account").addEventListener("click", () => (state.session?.user ? signOut() : signIn()));
}

export async function loadSession() {
  take(await ask("/api/session"));
  return state.session;
}

function take(session) {
  state.session = session;
  const button = byId("account");
  const { user, role, login } = session;
  say(button, user ? `${user} (${role}) · sign out` : "Sign in");
  mark(
    button,
    "title",
    user ? null : login === "available" ? "Sign in to change things" : "This site has no file of users",
  );
  button.hidden = !user && login !== "available";
  changed("session");
}

/** Ask for name and password (or a token). Resolves to whether somebody is signed in. */
export async function signIn(reason = "") {
  const user = h("input", { type: "text", autocomplete: "username", autofocus: true, name: "user" });
  const password = h("input", { type: "password", autocomplete: "current-password", required: true, name: "password" });
  const done = await askFor({
    title: "Sign in",
    body: [
      reason && h("p", { class: "muted", text: reason }),
      field("Name", user, "empty to sign in with a token"),
      field("Password or token", password),
    ],
    confirm: "Sign in",
    act: async () => {
      try {
        const said = user.value ? { user: user.value, password: password.value } : { token: password.value };
        take(await tell("POST", "/api/session", said));
      } catch (error) {
        password.value = "";
        throw error instanceof Refused && error.retry_s
          ? new Error(`${error.message} Try again in ${Math.ceil(error.retry_s)} s.`)
          : error;
      }
    },
  });
  if (!done) return false;
  toast(`Signed in as ${state.session.user}.`);
  for (const enter of entered) enter();
  return true;
}

async function signOut() {
  try {
    await tell("DELETE", "/api/session");
  } catch (error) {
    toast(error.message);
    return;
  }
  await loadSession();
  toast("Signed out.");
  for (const enter of entered) enter();
}

/** Whether the page may act now; asks to sign in first where that helps. */
export async function mayAct() {
  if (state.session?.may_act) return true;
  if (state.session?.user) {
    toast(`${state.session.user} may read; only operators may change things.`);
    return false;
  }
  return (await signIn("Operators' actions need a name.")) && Boolean(state.session.may_act);
}
