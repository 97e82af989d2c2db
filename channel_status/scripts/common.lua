-- Shared by every script of Airshed: what stands in the way of [start, end) on one subchannel.
-- A site's leases on a subchannel are two sorted sets, scored by start in whole microseconds; a member is
-- "lease_id|end". Unforced leases never overlap, so the last one that starts before `end` is the only one that can
-- still be running; forced leases may overlap anything and are walked through.
local function before(a, b) -- a < b for whole numbers written in decimal
  return tonumber(a) < tonumber(b)
end

local function split(member)
  local id, ending = string.match(member, '^(.*)|(%d+)$')
  return id, ending
end

local function blocker(taken_key, forced_key, start_us, end_us, own_id)
  local members = redis.call('ZREVRANGEBYSCORE', taken_key, '(' .. end_us, '-inf', 'LIMIT', 0, 2)
  for _, member in ipairs(members) do
    local id, ending = split(member)
    if id ~= own_id then
      if before(start_us, ending) then return id end
      break
    end
  end
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', forced_key, '-inf', '(' .. end_us)) do
    local id, ending = split(member)
    if id ~= own_id and before(start_us, ending) then return id end
  end
  return nil
end

-- JSON is put together by hand where it is kept: always the same order of fields, so that the same events are the
-- same bytes, here and in the in-memory twin. cjson escapes slashes, which need no escape; most names need none at all.
local function quoted(text)
  if not string.find(text, '[%c"\\\127]') then return '"' .. text .. '"' end
  return (string.gsub(cjson.encode(text), '\\/', '/'))
end

local function lease_json(lease)
  return '{"lease_id":' .. quoted(lease.lease_id) .. ',"device":' .. quoted(lease.device)
    .. ',"gateway":' .. quoted(lease.gateway) .. ',"subchannel":"' .. lease.subchannel
    .. '","start_us":"' .. lease.start_us .. '","end_us":"' .. lease.end_us
    .. '","attempt":' .. string.format('%d', lease.attempt) .. ',"forced":' .. tostring(lease.forced)
    .. ',"state":"' .. lease.state .. '"}'
end

local function list_json(ids)
  local parts = {}
  for i, id in ipairs(ids) do parts[i] = quoted(id) end
  return '[' .. table.concat(parts, ',') .. ']'
end

local function tell(stream, length, text)
  redis.call('XADD', stream, 'MAXLEN', '~', length, '*', 'v', text)
end
