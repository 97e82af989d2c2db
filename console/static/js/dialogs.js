// Dialogs that ask, and short messages that tell. Native <dialog>: it keeps the focus, closes on Escape and gives the
// focus back.

import { byId, h } from "./dom.js";

/**
 * Ask for something. body: elements; act(form) does it and may throw, which is then said in the dialog.
 * Resolves to what act returned, or null when it was closed.
 */
export function askFor({ title, body = [], confirm, act, tone = "primary" }) {
  return new Promise((resolve) => {
    let answer = null;
    const problem = h("p", { class: "problem", role: "alert", hidden: true });
    const yes = h("button", { type: "submit", class: tone, text: confirm });
    const no = h("button", { type: "button", text: "Cancel", onclick: () => dialog.close() });
    const id = `dialog-${Math.random().toString(36).slice(2)}`;
    const form = h(
      "form",
      { novalidate: true },
      h("h2", { id, text: title }),
      body,
      problem,
      h("div", { class: "buttons" }, no, yes),
    );
    const dialog = h("dialog", { "aria-labelledby": id }, form);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (yes.disabled || !form.reportValidity()) return;
      yes.disabled = true;
      problem.hidden = true;
      try {
        answer = (await act(form)) ?? true;
        dialog.close();
      } catch (error) {
        problem.textContent = error.message;
        problem.hidden = false;
      } finally {
        yes.disabled = false;
      }
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(answer);
    });
    byId("dialogs").append(dialog);
    dialog.showModal();
    (form.querySelector("[autofocus]") ?? no).focus();
  });
}

export function field(label, input, hint = null) {
  const id = `field-${Math.random().toString(36).slice(2)}`;
  input.id = id;
  const told = hint && h("span", { class: "muted", id: `${id}-hint`, text: hint });
  if (hint) input.setAttribute("aria-describedby", `${id}-hint`);
  return h("div", { class: "field" }, h("label", { for: id, text: label }), input, told);
}

const SHOWN_MS = 12_000;

/** A message that goes by itself; with an action, such as undo, it stays longer while it is pointed at or focused. */
export function toast(text, { action = null, act = null } = {}) {
  const close = () => box.remove();
  const box = h(
    "div",
    { class: "toast" },
    h("span", { text }),
    action && h("button", { type: "button", class: "small", text: action, onclick: () => (close(), act()) }),
    h("button", { type: "button", class: "small quiet", "aria-label": "Dismiss", text: "✕", onclick: close }),
  );
  const leave = () => (box.matches(":hover, :focus-within") ? setTimeout(leave, SHOWN_MS / 3) : close());
  setTimeout(leave, SHOWN_MS);
  byId("toasts").append(box);
  return box;
}
