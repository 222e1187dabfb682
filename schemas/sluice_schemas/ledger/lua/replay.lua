-- Puts a dead job back in the queue: class replay, tries reset, no deadline. Fences go on counting.
-- ARGV: id. Answer: {state before, row}; only a row that was 'dead' has changed. Empty when there is no such job.
local id = ARGV[1]
local row = read('job', id)
if not row then return {} end
if row.state ~= 'dead' then return {row.state, flat('job', id)} end
for _, name in ipairs({'job:' .. id, 'doc:' .. id, 'key:' .. row.key}) do redis.call('PERSIST', P .. name) end
redis.call('ZREM', P .. 'dead', id)
redis.call('INCRBY', P .. 'bytes', row.size)
redis.call('ZADD', P .. 'open', NOW, id)
redis.call('HDEL', P .. 'job:' .. id, 'ended_at', 'deadline')
write('job', id, 'priority', 'replay', 'attempts', 0)
enqueue('job', id)
return {'dead', flat('job', id)}
