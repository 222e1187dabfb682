-- Takes a dead job out of the dead letters for good: its document and its evidence go, its row tells how it ended until
-- its time is over. ARGV: id. Answer: 1, or 0 when it is not among them.
local id = ARGV[1]
drain()
if redis.call('ZREM', P .. 'dead', id) == 0 then return 0 end
redis.call('DEL', P .. 'doc:' .. id)
redis.call('HDEL', P .. 'job:' .. id, 'traceback', 'raw')
return 1
