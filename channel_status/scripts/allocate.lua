-- Lines 8 to 14 of Algorithm 1 for each order in turn: the first idle try is taken, else the last one is forced.
-- KEYS: leases, ends, decisions, events, then the sorted sets that the tries name by position.
-- ARGV: the orders as JSON, now in microseconds, the length of the event stream.
local orders, now_us, length = cjson.decode(ARGV[1]), ARGV[2], ARGV[3]

local function first_idle(order)
  local blocked = {}
  if order.blind then return nil, nil, blocked end
  for number, try in ipairs(order.tries) do
    local found = nil
    for _, first in ipairs(try.watch) do
      found = blocker(KEYS[first], KEYS[first + 1], try.start_us, try.end_us, order.lease_id)
      if found then break end
    end
    if not found then return try, number, blocked end
    blocked[#blocked + 1] = found
  end
  return nil, nil, blocked
end

local function carry_out(order)
  local known = redis.call('HGET', KEYS[1], order.lease_id)
  if known then return {known, '[]'} end
  local try, attempt, blocked = first_idle(order)
  local forced = try == nil
  try, attempt = try or order.tries[#order.tries], attempt or #order.tries
  local text, list = lease_json({
    lease_id = order.lease_id, device = order.device, gateway = order.gateway, subchannel = try.subchannel,
    start_us = try.start_us, end_us = try.end_us, attempt = attempt, forced = forced, state = 'granted',
  }), list_json(blocked)
  redis.call('ZADD', KEYS[try.watch[1] + (forced and 1 or 0)], try.start_us, order.lease_id .. '|' .. try.end_us)
  redis.call('ZADD', KEYS[2], try.end_us, order.lease_id)
  redis.call('HSET', KEYS[1], order.lease_id, text)
  -- `why` is JSON already: put in as text, so that it is kept exactly as it was given.
  local decision = '{"event":"' .. (forced and 'forced' or 'granted') .. '","at_us":"' .. now_us .. '","lease":' .. text
    .. ',"blocked_by":' .. list .. ',"why":' .. order.why .. '}'
  redis.call('HSET', KEYS[3], order.device, decision)
  tell(KEYS[4], length, decision)
  return {text, list}
end

local answers = {}
for i, order in ipairs(orders) do answers[i] = carry_out(order) end
return answers
