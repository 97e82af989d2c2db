-- Let a lease that was ended stand again, if nothing is in its way: nil, else the id of the lease that is.
-- KEYS: leases, ends, events, the lease's own taken and forced sets, then the neighbours' in pairs.
-- ARGV: the lease as JSON, now in microseconds, reason, the length of the event stream.
local text, now_us, reason, length = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lease = cjson.decode(text)
if redis.call('HEXISTS', KEYS[1], lease.lease_id) == 1 then return nil end
for i = 4, #KEYS, 2 do
  local found = blocker(KEYS[i], KEYS[i + 1], lease.start_us, lease.end_us, lease.lease_id)
  if found then return found end
end
redis.call('ZADD', KEYS[lease.forced and 5 or 4], lease.start_us, lease.lease_id .. '|' .. lease.end_us)
redis.call('ZADD', KEYS[2], lease.end_us, lease.lease_id)
redis.call('HSET', KEYS[1], lease.lease_id, text)
local because = reason ~= '' and ',"reason":' .. quoted(reason) or ''
tell(KEYS[3], length, '{"event":"restored","at_us":"' .. now_us .. '","lease":' .. text .. because .. '}')
return nil
