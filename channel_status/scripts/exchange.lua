-- Replace records that still are what the caller has read, and tell streams of it when all were.
-- KEYS: the hash of the records, then streams. ARGV: for each stream an entry and the stream's length, then for each
-- record its name, the SHA-1 of what was read ('' for no record), the new value. Answers with the names that somebody
-- else has changed meanwhile.
local contested, streams = {}, #KEYS - 1
for i = 2 * streams + 1, #ARGV, 3 do
  local name, read = ARGV[i], ARGV[i + 1]
  local kept = redis.call('HGET', KEYS[1], name)
  if (kept and redis.sha1hex(kept) or '') == read then
    redis.call('HSET', KEYS[1], name, ARGV[i + 2])
  else
    contested[#contested + 1] = name
  end
end
if #contested == 0 then
  for i = 1, streams do tell(KEYS[i + 1], ARGV[2 * i], ARGV[2 * i - 1]) end
end
return contested
