-- Lines 8 to 14 of Algorithm 1 for each order in turn: the first idle try is taken, else the last one is forced.
-- KEYS: leases, ends, decisions, events, then the sorted sets that the subchannels name by position.
-- ARGV: subchannels and orders as JSON, now in microseconds, the length of the event stream, then for each order its
-- explanation, which is JSON already and is put in as text, exactly as it was given.
-- A subchannel is {name, {positions of its own and its neighbours' sets}}. An order is {lease id, device, gateway,
-- blind, tries}; a try is three numbers in a row: subchannel, start, end.
local given, now_us, length = cjson.decode(ARGV[1]), ARGV[2], ARGV[3]
local cells, orders = given[1], given[2]
local ID, DEVICE, GATEWAY, BLIND, TRIES = 1, 2, 3, 4, 5

local function decimal(whole) -- cjson and tostring would write 1.8e+15
  return string.format('%.0f', whole)
end

-- Position of the taken try, its number, and who stood in the way of those before it.
local function first_idle(order)
  local tries, blocked = order[TRIES], {}
  if order[BLIND] then return nil, nil, blocked end
  for at = 1, #tries, 3 do
    local start_us, end_us, found = decimal(tries[at + 1]), decimal(tries[at + 2]), nil
    for _, first in ipairs(cells[tries[at]][2]) do
      found = blocker(KEYS[first], KEYS[first + 1], start_us, end_us, order[ID])
      if found then break end
    end
    if not found then return at, (at + 2) / 3, blocked end
    blocked[#blocked + 1] = found
  end
  return nil, nil, blocked
end

local function carry_out(order, why)
  local known = redis.call('HGET', KEYS[1], order[ID])
  if known then return {known, '[]', 1} end
  local tries = order[TRIES]
  local at, attempt, blocked = first_idle(order)
  local forced = at == nil
  at, attempt = at or #tries - 2, attempt or #tries / 3
  local cell, start_us, end_us = cells[tries[at]], decimal(tries[at + 1]), decimal(tries[at + 2])
  local text, list = lease_json({
    lease_id = order[ID], device = order[DEVICE], gateway = order[GATEWAY], subchannel = cell[1],
    start_us = start_us, end_us = end_us, attempt = attempt, forced = forced, state = 'granted',
  }), list_json(blocked)
  redis.call('ZADD', KEYS[cell[2][1] + (forced and 1 or 0)], start_us, order[ID] .. '|' .. end_us)
  redis.call('ZADD', KEYS[2], end_us, order[ID])
  redis.call('HSET', KEYS[1], order[ID], text)
  local decision = '{"event":"' .. (forced and 'forced' or 'granted') .. '","at_us":"' .. now_us .. '","lease":' .. text
    .. ',"blocked_by":' .. list .. ',"why":' .. why .. '}'
  redis.call('HSET', KEYS[3], order[DEVICE], decision)
  tell(KEYS[4], length, decision)
  return {text, list, 0}
end

local answers = {}
for i, order in ipairs(orders) do answers[i] = carry_out(order, ARGV[3 + i]) end
return answers
