-- Accepts a job, once for each idempotency key, while the backlog is under its limits. The checks come before the
-- first write.
-- ARGV: id, digest of the idempotency key, fingerprint of the content, order, timeout in seconds or '', then the
-- names and
-- values of the job's public fields.
-- Answer: {'accepted' | 'known', id, row} | {'conflict', id} | {'closed'} | {'full', jobs, bytes}
local id, key, fingerprint, order, timeout_s = unpack(ARGV, 1, 5)
local known_id = redis.call('GET', P .. 'key:' .. key)
local known = known_id and read('job', known_id)
if known then
  if known.fingerprint ~= fingerprint then return {'conflict', known_id} end
  return {'known', known_id, flat('job', known_id)}
end
if redis.call('EXISTS', P .. 'closed') == 1 then return {'closed'} end
local jobs, bytes = redis.call('ZCARD', P .. 'open'), tonumber(redis.call('GET', P .. 'bytes') or 0)
if jobs >= limit('max_jobs') or bytes + #order > limit('max_bytes') then return {'full', jobs, bytes} end

redis.call('SET', P .. 'doc:' .. id, order)
redis.call('SET', P .. 'key:' .. key, id)
redis.call('INCRBY', P .. 'bytes', #order)
redis.call('ZADD', P .. 'open', NOW, id)
write('job', id, 'key', key, 'fingerprint', fingerprint, 'size', #order, 'attempts', 0, 'accepted_at', NOW)
write('job', id, unpack(ARGV, 6))
if timeout_s ~= '' then
  write('job', id, 'deadline', NOW + tonumber(timeout_s))
  redis.call('ZADD', P .. 'deadlines', NOW + tonumber(timeout_s), id)
end
enqueue('job', id)
return {'accepted', id, flat('job', id)}
