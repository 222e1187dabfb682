-- What every script shares; the loader puts it in front of each. A row is a job or a delivery: a hash with a state, a
-- fence
-- and a lease, in exactly one of the sorted sets queued (score: when its doorbell was last rung), delayed (score:
-- when it is
-- due) and running (score: when its lease ends) while it has not ended.
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

local function leave(kind, id)
  for _, set in ipairs({'queued:', 'delayed:', 'running:'}) do redis.call('ZREM', P .. set .. kind, id) end
end

local function enqueue(kind, id)
  leave(kind, id)
  write(kind, id, 'state', 'queued')
  redis.call('ZADD', P .. 'queued:' .. kind, NOW, id)
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

local function is_claimable(kind, id, row)
  if not row or row.state ~= 'queued' then return false end
  local due = redis.call('ZSCORE', P .. 'delayed:' .. kind, id)
  return not due or tonumber(due) <= NOW
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

-- Ends a job. Its document stays for a replay when it is dead; everything left behind has a time to live, and the
-- idempotency key outlives the result.
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
  else
    redis.call('DEL', P .. 'doc:' .. id)
  end
  redis.call('PEXPIRE', P .. 'job:' .. id, keep_ms)
  redis.call('PEXPIRE', P .. 'key:' .. row.key, keep_ms)
  return result_ms
end

-- One outbox row for each (delivery id, endpoint) in ARGV from `first` on, all with the same body.
local function post(job_id, body, first)
  for i = first, #ARGV, 2 do
    write('delivery', ARGV[i], 'job_id', job_id, 'endpoint', ARGV[i + 1], 'body', body, 'attempts', 0, 'created_at', NOW)
    enqueue('delivery', ARGV[i])
  end
end
