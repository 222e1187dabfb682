-- Puts a failed delivery back into its endpoint's line, with all its tries and under the same id.
-- ARGV: id. Answer: 1, or 0 when it is not among the failed ones, or {'no endpoint', name} | {'disabled', name}
drain()
local id = ARGV[1]
local name = redis.call('HGET', P .. 'delivery:' .. id, 'endpoint')
if not name or redis.call('ZSCORE', P .. 'failed', id) == false then return 0 end
if not is_registered(name) then return {'no endpoint', name} end
if redis.call('HGET', P .. 'endpoint:' .. name, 'state') == 'disabled' then return {'disabled', name} end
redis.call('ZREM', P .. 'failed', id)
redis.call('PERSIST', P .. 'delivery:' .. id)
redis.call('HDEL', P .. 'delivery:' .. id, 'failed_at')
write('delivery', id, 'attempts', 0)
redis.call('HINCRBY', P .. 'outbox', name, 1)
enqueue_delivery(id)
return 1
