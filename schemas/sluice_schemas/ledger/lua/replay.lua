-- Puts a dead job back in the queue: class replay, tries reset, no deadline. Fences go on counting.
-- ARGV: id. Answer: its row, or nothing when it is not among the dead letters.
local id = ARGV[1]
local row = read('job', id)
if not row or not redis.call('ZSCORE', P .. 'dead', id) then return {} end
for _, name in ipairs({'job:' .. id, 'doc:' .. id, 'key:' .. row.key}) do redis.call('PERSIST', P .. name) end
redis.call('ZREM', P .. 'dead', id)
redis.call('INCRBY', P .. 'bytes', row.size)
redis.call('ZADD', P .. 'open', NOW, id)
redis.call('HDEL', P .. 'job:' .. id, 'ended_at', 'deadline', 'turn')
write('job', id, 'priority', 'replay', 'attempts', 0)
line_up(id)
return flat('job', id)
