-- Sets right what crashed or was forgotten. A short lock makes it single-flight over all workers.
-- ARGV: how many rows of a kind at most, holder, how many doorbells of jobs and of deliveries nobody has heard yet.
-- Answer: {jobs taken back, job bells to ring, delivery bells to ring, overdue, spent}: overdue and spent as id, row: jobs
-- taken for the caller, who ends them with `fail`.
drain()
local most, holder, waiting, waiting_deliveries = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if not redis.call('SET', P .. 'sweeping', holder, 'NX', 'PX', math.max(1, math.floor(limit('sweep_s') * 1000))) then
  return {0, 0, 0, {}, {}}
end
local taken_back, overdue, spent = 0, {}, {}

local function due(set, time, count)
  return redis.call('ZRANGEBYSCORE', P .. set, '-inf', time, 'LIMIT', 0, count or most)
end

local function hand_over(list, id)
  take('job', id, holder)
  table.insert(list, id)
  table.insert(list, flat('job', id))
end

for _, id in ipairs(due('deadlines', NOW)) do
  redis.call('ZREM', P .. 'deadlines', id)
  hand_over(overdue, id)
end
-- While Redis was away nobody could renew. Then leases that ran out get a little longer, or all documents of a fleet in
-- good health would be suspects, and run one by one.
local swept_at = tonumber(redis.call('GET', P .. 'swept_at') or NOW)
redis.call('SET', P .. 'swept_at', NOW)
if NOW - swept_at > limit('lease_s') then
  for _, kind in ipairs({'job', 'delivery'}) do
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'running:' .. kind, '-inf', NOW)) do
      redis.call('ZADD', P .. 'running:' .. kind, NOW + limit('lease_s') / 2, id)
    end
  end
end
for _, id in ipairs(due('running:job', NOW)) do
  if number('job:' .. id, 'attempts') >= limit('max_tries') then
    hand_over(spent, id)
  else
    taken_back = taken_back + 1
    write('job', id, 'suspect', 1)
    line_up(id)
  end
end
for _, id in ipairs(due('delayed:job', NOW)) do line_up(id) end

-- Any doorbell serves any job: bells were lost when fewer of them wait than jobs do. More than `most` need not wait.
local queued = 0
for _, class in ipairs(CLASSES) do
  local length = redis.call('ZCARD', P .. 'line:' .. class)
  queued = queued + length
  -- Who has been served no more than the class has reached starts from there anyway.
  if length == 0 then redis.call('DEL', P .. 'served:' .. class) end
  local some = length > 0 and redis.call('HRANDFIELD', P .. 'served:' .. class, 20, 'WITHVALUES') or {}
  for i = 1, #some, 2 do
    if tonumber(some[i + 1]) <= number('reached', class) then redis.call('HDEL', P .. 'served:' .. class, some[i]) end
  end
end
local bells = math.max(0, math.min(queued, most) - waiting)

for _, set in ipairs({'running', 'delayed'}) do
  for _, id in ipairs(due(set .. ':delivery', NOW)) do enqueue_delivery(id) end
end
-- Bells are rung for posts that may begin: none for what an endpoint would not take now.
local posts = 0
for _, name in ipairs(redis.call('ZRANGE', P .. 'lines:delivery', 0, -1)) do
  redis.call('ZREMRANGEBYSCORE', P .. 'posting:' .. name, '-inf', NOW)
  local reason = why_not(name)
  if reason then
    for _, id in ipairs(redis.call('ZRANGE', P .. 'line:delivery:' .. name, 0, most - 1)) do
      end_delivery(id, name, 'failed', reason)
    end
  else
    posts = posts + room(name, endpoint(name))
  end
end
local delivery_bells = math.max(0, math.min(posts, most) - waiting_deliveries)
redis.call('ZREMRANGEBYSCORE', P .. 'failed', '-inf', NOW - limit('retention_s'))
redis.call('ZREMRANGEBYSCORE', P .. 'dead', '-inf', NOW - limit('retention_s') - 3600)
return {taken_back, bells, delivery_bells, overdue, spent}
