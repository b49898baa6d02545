"""The script that writes a batch of the journal: entries, what algorithms are told, acknowledgements."""

from bus.lease import FENCE
from bus.link import Script

# KEYS: lease, journal, the note of what was told, then streams. ARGV: lease value, the id at which the
# journal must end before it, the hash of that entry ("" for none), count of entries, the id up to which the
# journal is told with this batch, count of entries to be told; for each of these the number of its stream
# in KEYS, its type, version and data; for each entry its id, type, version, data and hash; count of dead
# letters; for each the number of its stream in KEYS, the count of its names and values, these; then for
# each acknowledged stream its number in KEYS, the count of ids, the ids; last the group.
# A batch that was carried out already is recognized by the journal's last entry, whose hash covers all that
# stands before it, and one without entries by the note of what was told: neither is ever written twice.
COMMIT = Script(
    FENCE
    + """\
local count, last, told, tell = tonumber(ARGV[4]), ARGV[2], ARGV[5], tonumber(ARGV[6])
local a = 7 + 4 * tell
if count > 0 or tell > 0 then
  local tail = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
  local found, hash = tail and tail[1] or '0-0', tail and tail[2][8] or ''
  local final = a + 5 * (count - 1)
  if count > 0 and found == ARGV[final] and hash == ARGV[final + 4] then return found end
  if found ~= last then
    return redis.error_reply('MOVED the journal ends at ' .. found .. ', not at ' .. last)
  end
  if hash ~= ARGV[3] then
    return redis.error_reply('MOVED the entry ' .. last .. ' is another than the one that was written')
  end
end
for _ = 1, count do
  last = redis.call(
    'XADD', KEYS[2], ARGV[a], 'type', ARGV[a + 1], 'version', ARGV[a + 2], 'data', ARGV[a + 3],
    'hash', ARGV[a + 4]
  )
  a = a + 5
end
if count > 0 or (tell > 0 and redis.call('GET', KEYS[3]) ~= told) then
  for b = 7, 3 + 4 * tell, 4 do
    redis.call(
      'XADD', KEYS[tonumber(ARGV[b])], '*', 'type', ARGV[b + 1], 'version', ARGV[b + 2], 'data', ARGV[b + 3]
    )
  end
  redis.call('SET', KEYS[3], told)
end
count, a = tonumber(ARGV[a]), a + 1
for _ = 1, count do
  local size = tonumber(ARGV[a + 1])
  redis.call('XADD', KEYS[tonumber(ARGV[a])], '*', unpack(ARGV, a + 2, a + 1 + size))
  a = a + 2 + size
end
while a < #ARGV do
  local stream, last_id = KEYS[tonumber(ARGV[a])], a + 1 + tonumber(ARGV[a + 1])
  -- Lua unpacks 8,000 values at the most, and a failure here would leave the batch written in part.
  for first = a + 2, last_id, 1000 do
    redis.call('XACK', stream, ARGV[#ARGV], unpack(ARGV, first, math.min(first + 999, last_id)))
  end
  a = last_id + 1
end
return last
"""
)
