-- What the scripts of the outbox share, and those that fill it. Deliveries stand in a line for each endpoint, the oldest
-- first; endpoints take turns, and none that is slow, limited or dead keeps another's webhooks from a deliverer.

-- An endpoint may spend so long of its rate at once: sweeps ring for it, and they are seconds apart.
local BURST_S = 4

local function endpoint(name)
  local spec = redis.call('HGET', P .. 'endpoints', name)
  return spec and cjson.decode(spec)
end

local function is_registered(name) return redis.call('HEXISTS', P .. 'endpoints', name) == 1 end

local function wants(spec, event, schema_ref)
  local is_event, is_schema = false, #spec.schemas == 0
  for _, each in ipairs(spec.events) do is_event = is_event or each == event end
  for _, each in ipairs(spec.schemas) do
    is_schema = is_schema or each == schema_ref or each == string.match(schema_ref, '^(.*)@')
  end
  return is_event and is_schema
end

local function end_delivery(id, name, state, reason)
  leave('delivery', id)
  write('delivery', id, 'state', state, 'reason', reason)
  if redis.call('HINCRBY', P .. 'outbox', name, -1) <= 0 then redis.call('HDEL', P .. 'outbox', name) end
  if is_registered(name) then redis.call('HINCRBY', P .. 'endpoint:' .. name, state, 1) end
  if state == 'failed' then
    write('delivery', id, 'failed_at', NOW)
    redis.call('ZADD', P .. 'failed', NOW, id)
  else
    redis.call('HDEL', P .. 'delivery:' .. id, 'body')
  end
  redis.call('PEXPIRE', P .. 'delivery:' .. id, math.floor(limit('retention_s') * 1000))
end

local function why_not(name)
  if not is_registered(name) then return 'No endpoint is registered as ' .. name .. ' any more.' end
  local state = redis.call('HMGET', P .. 'endpoint:' .. name, 'state', 'reason')
  return state[1] == 'disabled' and 'The endpoint is disabled: ' .. (state[2] or '')
end

-- Puts a webhook in the outbox; whether somebody should be rung for.
local function put(id, name, job_id, body)
  write('delivery', id, 'job_id', job_id, 'endpoint', name, 'body', body, 'attempts', 0, 'created_at', NOW)
  redis.call('HINCRBY', P .. 'outbox', name, 1)
  local reason = why_not(name)
  if reason then
    end_delivery(id, name, 'failed', reason)
    return 0
  end
  enqueue_delivery(id)
  return 1
end

-- One webhook for each (delivery id, endpoint) in ARGV from `first` on whose endpoint wants it, all with the same body.
-- How many should be rung for.
local function post(job_id, schema_ref, event, body, first)
  local rings = 0
  for i = first, #ARGV, 2 do
    local spec = endpoint(ARGV[i + 1])
    if not spec or wants(spec, event, schema_ref) then rings = rings + put(ARGV[i], ARGV[i + 1], job_id, body) end
  end
  return rings
end

local function tokens(name, spec, state)
  local most = math.max(1, spec.rate_per_s * BURST_S)
  return math.min(most, tonumber(state.tokens or most) + (NOW - tonumber(state.tokens_at or NOW)) * spec.rate_per_s)
end

-- How many posts to an endpoint may begin now, of those that could.
local function room(name, spec)
  local state = read('endpoint', name) or {}
  if state.state or tonumber(state.open_until or 0) > NOW then return 0 end
  local most = spec.concurrency
  -- After a failure one at a time shows whether it is over.
  if tonumber(state.failures or 0) > 0 then most = 1 end
  most = most - redis.call('ZCARD', P .. 'posting:' .. name)
  if spec.rate_per_s ~= cjson.null then most = math.min(most, math.floor(tokens(name, spec, state))) end
  return math.max(0, math.min(most, math.ceil(redis.call('ZCARD', P .. 'line:delivery:' .. name) / spec.batch)))
end
