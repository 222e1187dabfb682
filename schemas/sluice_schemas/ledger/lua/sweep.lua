-- Sets right what crashed or was forgotten. A short lock makes it single-flight over all workers.
-- ARGV: how many doorbells and ended jobs at most, holder. Answer: {jobs taken back, bells, overdue, spent}: bells as
-- kind, id, priority; overdue and spent as id, row: jobs taken for the caller, who ends them with `fail`.
drain()
local most, holder = tonumber(ARGV[1]), ARGV[2]
if not redis.call('SET', P .. 'sweeping', holder, 'NX', 'PX', math.max(1, math.floor(limit('sweep_s') * 1000))) then
  return {0, {}, {}, {}}
end
local taken_back, bells, overdue, spent = 0, {}, {}, {}

local function due(set, time) return redis.call('ZRANGEBYSCORE', P .. set, '-inf', time, 'LIMIT', 0, most) end

local function ring(kind, id)
  enqueue(kind, id)
  local priority = redis.call('HGET', P .. kind .. ':' .. id, 'priority') or ''
  for _, part in ipairs({kind, id, priority}) do table.insert(bells, part) end
  most = most - 1
end

for _, id in ipairs(due('deadlines', NOW)) do
  redis.call('ZREM', P .. 'deadlines', id)
  take('job', id, holder)
  table.insert(overdue, id)
  table.insert(overdue, flat('job', id))
end
for _, kind in ipairs({'job', 'delivery'}) do
  for _, id in ipairs(due('running:' .. kind, NOW)) do
    if kind == 'job' and tonumber(redis.call('HGET', P .. 'job:' .. id, 'attempts')) >= limit('max_tries') then
      take('job', id, holder)
      table.insert(spent, id)
      table.insert(spent, flat('job', id))
    else
      taken_back = taken_back + (kind == 'job' and 1 or 0)
      if kind == 'job' then write('job', id, 'suspect', 1) end
      ring(kind, id)
    end
  end
  for _, id in ipairs(due('delayed:' .. kind, NOW)) do ring(kind, id) end
  -- A bell is lost when nobody answered it for so long; in a long backlog most bells only wait their turn.
  local patience_s = limit('ring_after_s') * (1 + redis.call('ZCARD', P .. 'queued:' .. kind) / 1000)
  for _, id in ipairs(due('queued:' .. kind, NOW - patience_s)) do ring(kind, id) end
end
redis.call('ZREMRANGEBYSCORE', P .. 'dead', '-inf', NOW - limit('retention_s') - 3600)
return {taken_back, bells, overdue, spent}
