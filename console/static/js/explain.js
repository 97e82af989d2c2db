// Why a device got its subchannel: the recorded decision as sentences, the same as `airshed explain` tells.

import { timeOfDay } from "./times.js";
import { plural } from "./units.js";
import { channelName } from "./words.js";

const KNOWLEDGE = {
  fresh: "with fresh sensing",
  held: "while sensing was silent, by the last good status",
  silent: "while sensing had been silent too long, so at random",
};

/**
 * decision: what `airshed explain --json` prints. Returns {summary, facts: [text], tries: [{text, outcome}]}, or null
 * when nothing was recorded.
 */
export function explanation(decision) {
  const { lease, why, blocked_by: blockedBy = [] } = decision ?? {};
  if (!lease || !why?.inputs) return null;
  const name = channelName(lease.subchannel);
  const at = timeOfDay(Number(decision.at_us) / 1e6);
  const knowledge = KNOWLEDGE[why.inputs.sensing] ?? "";
  const summary = lease.forced
    ? `Forced onto ${name} at ${at}: ${why.anything_idle ? `all ${plural(why.tries.length, "try", "tries")} were in use` : "no subchannel was declared idle"}, so the last draw stands.`
    : `Got ${name} at ${at} at attempt ${lease.attempt}, by policy ${why.inputs.policy} ${knowledge}.`;
  return { summary, facts: facts(why), tries: tries(lease, why, blockedBy) };
}

function facts(why) {
  const best = why.best?.[0];
  return [
    `${plural(why.subchannels, "subchannel")} could be chosen; tries were drawn from ${why.drawn_from} of them.`,
    ...(best ? [`Best by its score: ${channelName(best[0])} with ${Number(best[1]).toFixed(4)}.`] : []),
    ...(why.inputs.excluded?.length
      ? [`Not allowed for this request: ${why.inputs.excluded.map(channelName).join(", ")}.`]
      : []),
  ];
}

function tries(lease, why, blockedBy) {
  return why.tries.slice(0, lease.forced ? why.tries.length : lease.attempt).map(([key, startUs], i) => {
    const taken = !lease.forced && i + 1 === lease.attempt;
    const outcome = taken ? "idle: taken" : blockedBy[i] ? `in use by lease ${blockedBy[i]}` : "not looked at";
    return { text: `${channelName(key)} at ${timeOfDay(Number(startUs) / 1e6, { millis: true })}`, outcome };
  });
}
