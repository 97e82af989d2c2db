// What operators do: each action is asked about, sent, told with its undo, and stands in the audit.

import { mayAct } from "./account.js";
import { tell } from "./api.js";
import { askFor, field, toast } from "./dialogs.js";
import { h } from "./dom.js";
import { addAudit, shown, state } from "./state.js";
import { duration } from "./units.js";
import { channelName } from "./words.js";

/** The words of each action: what the dialog asks, what it changes, and what is told when it is done. */
const WORDS = {
  ban: (s) => ({
    title: `Ban ${channelName(s)}?`,
    says: "It is given to nobody from now on. Leases that stand keep it until they end.",
    confirm: "Ban it",
    done: `${channelName(s)} is banned.`,
    tone: "danger",
  }),
  unban: (s) => ({
    title: `Give ${channelName(s)} again?`,
    says: "Devices may be given it from their next request on.",
    confirm: "Lift the ban",
    done: `${channelName(s)} may be given again.`,
  }),
  pin: (s) => ({
    title: `Pin ${channelName(s)}?`,
    says: "It may be given whatever sensing says of it, also while it is sensed busy.",
    confirm: "Pin it",
    done: `${channelName(s)} is pinned.`,
  }),
  unpin: (s) => ({
    title: `Unpin ${channelName(s)}?`,
    says: "Sensing decides again whether it may be given.",
    confirm: "Unpin it",
    done: `${channelName(s)} follows sensing again.`,
  }),
};

/** Ban, unban, pin or unpin a subchannel. */
export async function ruleSubchannel(action, key) {
  if (!(await mayAct())) return;
  const { title, says, confirm, done, tone } = WORDS[action](key);
  await carryOut({ title, body: [h("p", { text: says })], confirm, done, tone }, () => ({ action, subchannel: key }));
}

/** End a lease before its time. */
export async function evict(lease) {
  if (!(await mayAct())) return;
  const left_s = lease.end_s - (state.feed?.time_s ?? lease.start_s);
  const says =
    `Lease ${lease.lease_id} of ${lease.device} on ${channelName(lease.key)}` +
    `${left_s > 0 ? ` would end by itself in ${duration(left_s)}` : ""}. The subchannel is free for others at once; ` +
    "the device is not told, and may still send in its slot.";
  await carryOut(
    {
      title: `Evict ${lease.device}?`,
      body: [h("p", { text: says })],
      confirm: "Evict it",
      tone: "danger",
      done: `The lease of ${lease.device} has ended.`,
    },
    () => ({ action: "evict", lease_id: lease.lease_id }),
  );
}

/** Another policy and N. */
export async function changePolicy() {
  if (!(await mayAct())) return;
  const site = state.site;
  const operators = shown("operators");
  const own = `as in the site file (${site.controller.policy})`;
  const policy = h(
    "select",
    { autofocus: true },
    h("option", { value: "", text: own }),
    site.policies.map((name) => h("option", { value: name, text: name })),
  );
  policy.value = operators?.policy ?? "";
  const attempts = h("input", {
    type: "text",
    inputmode: "numeric",
    pattern: "auto|[1-9][0-9]{0,3}",
    value: operators?.attempts ?? "",
  });
  await carryOut(
    {
      title: "Change the policy",
      body: [
        h("p", { text: "It holds for all requests from now on, on every controller of this site." }),
        field("Policy", policy),
        field("Attempts (N)", attempts, `1 to 1000, or auto; empty: as in the site file (${site.controller.attempts})`),
      ],
      confirm: "Change it",
      done: "The policy has changed.",
    },
    () => ({ action: "policy", policy: policy.value || null, attempts: attemptsOf(attempts.value.trim()) }),
  );
}

function attemptsOf(text) {
  if (text === "") return null;
  return /^\d+$/.test(text) ? Number(text) : text;
}

async function carryOut({ title, body, confirm, done, tone }, action) {
  const entry = await askFor({ title, body, confirm, tone, act: () => tell("POST", "/api/actions", action()) });
  if (!entry) return;
  addAudit([entry]);
  toast(done, entry.can_undo ? { action: "Undo", act: () => undo(entry, { asks: false }) } : {});
}

/** Take an action back; from the audit it asks first. */
export async function undo(entry, { asks = true } = {}) {
  if (!(await mayAct())) return;
  const send = () => tell("POST", `/api/audit/${encodeURIComponent(entry.id)}/undo`);
  try {
    const made = asks
      ? await askFor({
          title: "Undo this action?",
          body: [h("p", { text: actionSentence(entry) })],
          confirm: "Undo it",
          act: send,
        })
      : await send();
    if (!made) return;
    addAudit([made]);
    toast(`Undone: ${actionSentence(entry)}`);
  } catch (error) {
    toast(`Not undone: ${error.message}`);
  }
}

const RULES = { banned: "banned", pinned: "pinned", auto: "follows sensing again" };

/** What an audit entry did, in words. */
export function actionSentence({ action, subject, before, after }) {
  const lease = before?.lease ?? after?.lease;
  switch (action) {
    case "policy":
    case "undo policy":
      return `policy: ${policyText(before)} became ${policyText(after)}`;
    case "evict":
      return `${lease?.device ?? subject} evicted from ${channelName(lease?.subchannel)}`;
    case "undo evict":
      return `${lease?.device ?? subject} has its lease on ${channelName(lease?.subchannel)} again`;
    default:
      return `${channelName(subject)} ${RULES[after?.rule] ?? action}`;
  }
}

function policyText(word) {
  if (!word) return "as in the site file";
  const attempts = word.attempts === null || word.attempts === undefined ? "" : `, N = ${word.attempts}`;
  return `${word.policy ?? "as in the site file"}${attempts}`;
}
