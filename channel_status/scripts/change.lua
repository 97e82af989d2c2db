-- Confirm, renew, release or expire one lease.
-- KEYS: leases, ends, events, the lease's own taken and forced sets, then the neighbours' in pairs.
-- ARGV: what, lease id, now, new end (renew) or '', reason, the length of the event stream.
local what, id, now_us, end_us, reason, length = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local text = redis.call('HGET', KEYS[1], id)
if not text then return nil end
local lease = cjson.decode(text)
local live = before(now_us, lease.end_us)
local set = KEYS[lease.forced and 5 or 4]

if what == 'released' or what == 'expired' then
  if what == 'expired' and live then return nil end
  redis.call('ZREM', set, id .. '|' .. lease.end_us)
  redis.call('ZREM', KEYS[2], id)
  redis.call('HDEL', KEYS[1], id)
elseif not live then
  return nil
elseif what == 'confirmed' then
  lease.state = 'confirmed'
else
  if not before(lease.start_us, end_us) then return nil end
  if not lease.forced and before(lease.end_us, end_us) then
    for i = 4, #KEYS, 2 do
      if blocker(KEYS[i], KEYS[i + 1], lease.end_us, end_us, id) then return nil end
    end
  end
  redis.call('ZREM', set, id .. '|' .. lease.end_us)
  lease.end_us = end_us
  redis.call('ZADD', set, lease.start_us, id .. '|' .. end_us)
  redis.call('ZADD', KEYS[2], end_us, id)
end
text = lease_json(lease)
if redis.call('HEXISTS', KEYS[1], id) == 1 then redis.call('HSET', KEYS[1], id, text) end
local because = reason ~= '' and ',"reason":' .. quoted(reason) or ''
tell(KEYS[3], length, '{"event":"' .. what .. '","at_us":"' .. now_us .. '","lease":' .. text .. because .. '}')
return text
