"""Scripts that trim streams on the market-data server, each a short one: nothing else goes on meanwhile."""

# What a stream is looked at for: how many entries, the first id and the last; nothing for an empty one.
LOOK = """\
local found = {}
for i, key in ipairs(KEYS) do
  local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
  local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  found[i] = first and {redis.call('XLEN', key), first[1], last[1]} or {}
end
return found
"""

_COMMON = """\
local function fields(flat)
  local named = {}
  for i = 1, #flat, 2 do named[flat[i]] = flat[i + 1] end
  return named
end
local function idle(key, group)
  local least = -1
  for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', key, group)) do
    local one = fields(flat)['idle']
    if least < 0 or one < least then least = one end
  end
  return least
end
"""

# KEYS: streams, then the notes of groups that may lose what they have yet to handle. ARGV: how many streams;
# most entries to take of one, and of all; from which id each stream is kept; the names of those groups.
#
# Answers for each stream how many entries went, or -1 where it is the next script's turn. Where other groups
# stand behind, nothing goes, and the answer names them: each with the oldest id that it has yet to handle,
# and the milliseconds since anybody read through it (-1 for never). Where groups lost what was not delivered
# to them, the answer is how many entries went, and for each of these groups how many it lost, and the same
# milliseconds. What a group loses is noted in the same step as it goes, in a field "<stream> <first id lost>"
# with "<first id kept> <entries lost>"; a note that ends where this loss begins grows. The group is set
# behind the loss, so that its lag is right (redis/redis#13957). Notes come after XTRIM: a server that is full
# takes them only from a script that has written already.
TRIM = (
    _COMMON
    + """\
local function before(a, b)
  local a_ms, a_n = string.match(a, '(%d+)-(%d+)')
  local b_ms, b_n = string.match(b, '(%d+)-(%d+)')
  a_ms, b_ms = tonumber(a_ms), tonumber(b_ms)
  return a_ms < b_ms or a_ms == b_ms and tonumber(a_n) < tonumber(b_n)
end
local function id_before(id)
  local ms, n = string.match(id, '(%d+)-(%d+)')
  if n ~= '0' then return ms .. string.format('-%d', tonumber(n) - 1) end
  return string.format('%d-18446744073709551615', tonumber(ms) - 1)
end
local function standing_behind(key, kept_from)
  local found, first = {}, nil
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local group = fields(flat)
    local at, unread, needed = group['last-delivered-id'], nil, nil
    if before(at, kept_from) then
      local entry = redis.call('XRANGE', key, '(' .. at, '(' .. kept_from, 'COUNT', 1)[1]
      unread = entry and entry[1]
    end
    if group['pending'] > 0 then
      -- What is pending and gone already needs nothing any more.
      local oldest = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
      first = first or oldest and oldest[1] or kept_from
      local entry = redis.call('XPENDING', key, group['name'], first, '(' .. kept_from, 1)[1]
      needed = entry and entry[1]
    end
    if unread and (not needed or before(unread, needed)) then needed = unread end
    if needed then
      found[#found + 1] = {name = group['name'], at = at, unread = unread, needed = needed}
    end
  end
  return found
end
local function note(notes, key, group, count)
  local kept = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1][1]
  local field, known = key .. ' ' .. group.unread, redis.call('HGETALL', notes)
  for i = 1, #known, 2 do
    local kept_then, count_then = string.match(known[i + 1], '(%S+) (%d+)')
    if kept_then == group.unread and string.sub(known[i], 1, #key + 1) == key .. ' ' then
      field, count = known[i], count + tonumber(count_then)
    end
  end
  redis.call('HSET', notes, field, kept .. string.format(' %d', count))
  local stream = fields(redis.call('XINFO', 'STREAM', key))
  local gone = stream['entries-added'] - stream['length']
  redis.call('XGROUP', 'SETID', key, group.name, id_before(kept), 'ENTRIESREAD', gone)
end
local count, most, left = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local notes, answers = {}, {}
for i = count + 1, #KEYS do notes[ARGV[3 + i]] = KEYS[i] end
local function trimmed(key, kept_from)
  local groups = standing_behind(key, kept_from)
  local spared = {}
  for _, group in ipairs(groups) do
    if not notes[group.name] then
      spared[#spared + 1] = {group.name, group.needed, idle(key, group.name)}
    else
      group.read = group.unread and #redis.call('XRANGE', key, '-', group.at, 'COUNT', most) or most
    end
  end
  if #spared > 0 then return spared, 0 end
  local gone, losses = redis.call('XTRIM', key, 'MINID', '~', kept_from, 'LIMIT', most), {}
  for _, group in ipairs(groups) do
    local lost = gone - group.read
    if lost > 0 then
      note(notes[group.name], key, group, lost)
      losses[#losses + 1] = {group.name, lost, idle(key, group.name)}
    end
  end
  return #losses > 0 and {gone, losses} or gone, gone
end
for i = 1, count do
  local gone = 0
  if left <= 0 then
    answers[i] = -1
  elseif redis.call('EXISTS', KEYS[i]) == 0 then
    answers[i] = 0
  else
    answers[i], gone = trimmed(KEYS[i], ARGV[3 + i])
  end
  left = left - gone
end
return answers
"""
)

# KEYS: a stream, then the notes of its groups. ARGV: its last id; how long groups must not have been used
# (ms); their names. Takes the stream away with its groups, and answers 1, where nothing was written into it
# since, and no group was made or used; what a group had yet to read is noted as lost, all of it counted: by
# then a stream has been trimmed to its last nodes.
REMOVE = (
    _COMMON
    + """\
local key = KEYS[1]
if redis.call('EXISTS', key) == 0 then return 0 end
if fields(redis.call('XINFO', 'STREAM', key))['last-generated-id'] ~= ARGV[1] then return 0 end
local groups = redis.call('XINFO', 'GROUPS', key)
if #groups ~= #KEYS - 1 then return 0 end
for _, flat in ipairs(groups) do
  local used = idle(key, fields(flat)['name'])
  if used >= 0 and used < tonumber(ARGV[2]) then return 0 end
end
for i = 2, #KEYS do
  for _, flat in ipairs(groups) do
    local group = fields(flat)
    if group['name'] == ARGV[1 + i] then
      local unread = redis.call('XRANGE', key, '(' .. group['last-delivered-id'], '+')
      if #unread > 0 then
        redis.call('HSET', KEYS[i], key .. ' ' .. unread[1][1], ARGV[1] .. string.format(' %d', #unread))
      end
    end
  end
end
redis.call('UNLINK', key)
return 1
"""
)

# KEYS: backfilled streams. ARGV: for how many seconds nobody must have touched them. Answers 1 for each that
# is gone.
FORGET = """\
local answers = {}
for i, key in ipairs(KEYS) do
  local idle = redis.call('OBJECT', 'IDLETIME', key)
  answers[i] = idle and idle >= tonumber(ARGV[1]) and redis.call('UNLINK', key) or 0
end
return answers
"""
