-- What every script shares; the loader puts it in front of each. A row is a job or a delivery: a hash with a state, a
-- fence and a lease. While it has not ended it stands in exactly one sorted set: delayed (score: when it is due), running
-- (score: when its lease ends), or, waiting for a worker, a job in its class's line (score: its turn) and a delivery in
-- its endpoint's (score: when it was made).
-- KEYS[1] is the one hash-tagged prefix. LIMITS holds the defaults; a field in the hash `limits` overrides its default.
local P = KEYS[1]
local clock = redis.call('TIME')
local NOW = tonumber(clock[1]) + tonumber(clock[2]) / 1000000

local function limit(name) return tonumber(redis.call('HGET', P .. 'limits', name) or LIMITS[name]) end

local function flat(kind, id) return redis.call('HGETALL', P .. kind .. ':' .. id) end

local function read(kind, id)
  local fields, row = flat(kind, id), nil
  for i = 1, #fields, 2 do
    row = row or {}
    row[fields[i]] = fields[i + 1]
  end
  return row
end

local function write(kind, id, ...) redis.call('HSET', P .. kind .. ':' .. id, ...) end

-- A full Redis refuses a script whose first write may take memory. Work that will free some starts with this harmless
-- one.
local function drain() redis.call('DEL', P .. 'nothing') end

local CLASSES = {'interactive', 'bulk', 'replay'}

local function leave(kind, id)
  for _, set in ipairs({'delayed:', 'running:'}) do redis.call('ZREM', P .. set .. kind, id) end
  if kind == 'delivery' then
    local name = redis.call('HGET', P .. 'delivery:' .. id, 'endpoint') or ''
    redis.call('ZREM', P .. 'line:delivery:' .. name, id)
    if redis.call('EXISTS', P .. 'line:delivery:' .. name) == 0 then redis.call('ZREM', P .. 'lines:delivery', name) end
    return
  end
  for _, class in ipairs(CLASSES) do redis.call('ZREM', P .. 'line:' .. class, id) end
end

local function number(hash, field) return tonumber(redis.call('HGET', P .. hash, field) or 0) end

-- A job's turn among those of its class, by start-time fair queueing (Goyal, Vin, Cheng 1996): tenants get equal shares
-- of the bytes that are worked on, however many documents each has waiting. `reached` holds the turn to which a class
-- has come, `served:CLASS` the turn at which each tenant's last job ends. A job that comes back keeps its turn.
local function turn(id, row)
  if row.turn then return row.turn end
  local start = math.max(number('reached', row.priority), number('served:' .. row.priority, row.tenant))
  redis.call('HSET', P .. 'served:' .. row.priority, row.tenant, start + row.cost)
  write('job', id, 'turn', start)
  return start
end

local function line_up(id)
  local row = read('job', id)
  local line = P .. 'line:' .. row.priority
  leave('job', id)
  write('job', id, 'state', 'queued')
  -- A class that was empty has no claim on the time in which it asked for nothing.
  if redis.call('EXISTS', line) == 0 then
    redis.call('HSET', P .. 'spent', row.priority, math.max(number('spent', row.priority), number('spent', 'last')))
  end
  redis.call('ZADD', line, turn(id, row), id)
end

local function enqueue_delivery(id)
  leave('delivery', id)
  write('delivery', id, 'state', 'queued')
  local row = redis.call('HMGET', P .. 'delivery:' .. id, 'endpoint', 'created_at')
  redis.call('ZADD', P .. 'line:delivery:' .. (row[1] or ''), row[2] or NOW, id)
  redis.call('ZADD', P .. 'lines:delivery', 'NX', NOW, row[1] or '')
end

local function delay(kind, id, delay_s)
  leave(kind, id)
  write(kind, id, 'state', 'queued')
  redis.call('ZADD', P .. 'delayed:' .. kind, NOW + delay_s, id)
end

-- A new fence and a lease for `holder`; whoever held the row before has lost it.
local function take(kind, id, holder)
  leave(kind, id)
  write(kind, id, 'state', 'running', 'holder', holder)
  redis.call('ZADD', P .. 'running:' .. kind, NOW + limit('lease_s'), id)
  return redis.call('HINCRBY', P .. kind .. ':' .. id, 'fence', 1)
end

-- nil when the caller holds the row. Else what it gets: {'again', state} when it has settled the row with this very fence
-- and verb before (the first reply was lost), or {'lost', state}.
local function refusal(row, fence, verb)
  if row and row.state == 'running' and row.fence == fence then return nil end
  if row and row.settled == fence .. ':' .. verb then return {'again', row.settled_as} end
  return {'lost', row and row.state or 'unknown'}
end

local function settle(kind, id, fence, verb, state)
  write(kind, id, 'settled', fence .. ':' .. verb, 'settled_as', state)
end

local function is_overdue(row) return row.deadline and tonumber(row.deadline) <= NOW end

-- Ends a job. Its document stays for a replay when it is dead, and as long as the result when reviewers need it;
-- everything left behind has a time to live, and the idempotency key outlives the result. Only what has not ended counts
-- as backlog.
local function finish(id, row, state, reason)
  local result_ms = math.floor(limit('retention_s') * 1000)
  local keep_ms = result_ms + 3600000
  leave('job', id)
  for _, set in ipairs({'open', 'deadlines'}) do redis.call('ZREM', P .. set, id) end
  redis.call('DECRBY', P .. 'bytes', row.size)
  redis.call('HINCRBY', P .. 'ended', state, 1)
  write('job', id, 'state', state, 'ended_at', NOW, 'reason', reason)
  if state == 'dead' then
    redis.call('ZADD', P .. 'dead', NOW, id)
    redis.call('PEXPIRE', P .. 'doc:' .. id, keep_ms)
  elseif state == 'succeeded' and row.reviewable then
    redis.call('PEXPIRE', P .. 'doc:' .. id, result_ms)
  else
    redis.call('DEL', P .. 'doc:' .. id)
  end
  redis.call('PEXPIRE', P .. 'job:' .. id, keep_ms)
  redis.call('PEXPIRE', P .. 'key:' .. row.key, keep_ms)
  return result_ms
end
