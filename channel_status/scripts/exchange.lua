-- Replace records that still are what the caller has read.
-- KEYS: the hash of the records. ARGV: for each record its name, the SHA-1 of what was read ('' for no record), the new
-- value. Answers with the names that somebody else has changed meanwhile.
local contested = {}
for i = 1, #ARGV, 3 do
  local name, read = ARGV[i], ARGV[i + 1]
  local kept = redis.call('HGET', KEYS[1], name)
  if (kept and redis.sha1hex(kept) or '') == read then
    redis.call('HSET', KEYS[1], name, ARGV[i + 2])
  else
    contested[#contested + 1] = name
  end
end
return contested
