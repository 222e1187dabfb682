-- Accepts a job, once for each idempotency key, while the backlog is under its limits. The checks come before the
-- first write.
-- ARGV: id, digest of the idempotency key, fingerprint of the content, packed order, timeout in seconds or '', the names of
-- its endpoints as JSON, then the names and values of the job's public fields.
-- Answer: {'accepted' | 'known', id, row} | {'conflict', id} | {'closed'} | {'no endpoint', name} | {'full', limit, jobs, bytes, deliveries of the fullest of its endpoints, age
-- of the oldest job in seconds}
local id, key, fingerprint, order, timeout_s, endpoints = unpack(ARGV, 1, 6)
local known_id = redis.call('GET', P .. 'key:' .. key)
local known = known_id and read('job', known_id)
if known then
  if known.fingerprint ~= fingerprint then return {'conflict', known_id} end
  return {'known', known_id, flat('job', known_id)}
end
if redis.call('EXISTS', P .. 'closed') == 1 then return {'closed'} end
local jobs, bytes, deliveries = redis.call('ZCARD', P .. 'open'), tonumber(redis.call('GET', P .. 'bytes') or 0), 0
for _, name in ipairs(cjson.decode(endpoints)) do
  if not is_registered(name) then return {'no endpoint', name} end
  deliveries = math.max(deliveries, number('outbox', name))
end
local full = jobs >= limit('max_jobs') and 'max_jobs' or bytes + #order > limit('max_bytes') and 'max_bytes'
  or deliveries >= limit('max_deliveries') and 'max_deliveries'
if full then
  local oldest = redis.call('ZRANGE', P .. 'open', 0, 0, 'WITHSCORES')[2]
  return {'full', full, jobs, bytes, deliveries, tostring(oldest and NOW - tonumber(oldest) or 0)}
end

redis.call('SET', P .. 'doc:' .. id, order)
redis.call('SET', P .. 'key:' .. key, id)
redis.call('INCRBY', P .. 'bytes', #order)
redis.call('ZADD', P .. 'open', NOW, id)
write('job', id, 'key', key, 'fingerprint', fingerprint, 'size', #order, 'attempts', 0, 'accepted_at', NOW)
write('job', id, unpack(ARGV, 7))
if timeout_s ~= '' then
  write('job', id, 'deadline', NOW + tonumber(timeout_s))
  redis.call('ZADD', P .. 'deadlines', NOW + tonumber(timeout_s), id)
end
line_up(id)
return {'accepted', id, flat('job', id)}
