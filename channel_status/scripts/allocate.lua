-- Lines 8 to 14 of Algorithm 1 in one atomic step: the first idle try is taken, else the last one is forced.
-- KEYS: leases, ends, decisions, events, then the sorted sets that the tries name by position.
-- ARGV: the order as JSON, now in microseconds, the length of the event stream.
local order, now_us, length = cjson.decode(ARGV[1]), ARGV[2], ARGV[3]
local known = redis.call('HGET', KEYS[1], order.lease_id)
if known then return {known, '[]'} end

local chosen, attempt, forced = nil, #order.tries, true
local blocked = {}
if not order.blind then
  for number, try in ipairs(order.tries) do
    local found = nil
    for _, pair in ipairs(try.watch) do
      found = blocker(KEYS[pair[1]], KEYS[pair[2]], try.start_us, try.end_us, order.lease_id)
      if found then break end
    end
    if not found then
      chosen, attempt, forced = try, number, false
      break
    end
    blocked[#blocked + 1] = found
  end
end
chosen = chosen or order.tries[#order.tries]

local lease = {
  lease_id = order.lease_id, device = order.device, gateway = order.gateway, subchannel = chosen.subchannel,
  start_us = chosen.start_us, end_us = chosen.end_us, attempt = attempt, forced = forced, state = 'granted',
}
local set = KEYS[chosen.watch[1][forced and 2 or 1]]
redis.call('ZADD', set, chosen.start_us, order.lease_id .. '|' .. chosen.end_us)
redis.call('ZADD', KEYS[2], chosen.end_us, order.lease_id)
local text, list = lease_json(lease), list_json(blocked)
redis.call('HSET', KEYS[1], order.lease_id, text)
-- `why` is JSON already: put in as text, so that it is kept exactly as it was given.
local decision = '{"event":"' .. (forced and 'forced' or 'granted') .. '","at_us":"' .. now_us .. '","lease":' .. text
  .. ',"blocked_by":' .. list .. ',"why":' .. order.why .. '}'
redis.call('HSET', KEYS[3], order.device, decision)
tell(KEYS[4], length, decision)
return {text, list}
