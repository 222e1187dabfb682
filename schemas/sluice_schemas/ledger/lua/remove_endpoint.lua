-- Forgets an endpoint. ARGV: name, '1' to give up what waits for it.
-- Answer: -1 when there is none, how many deliveries still wait and keep it, or 0
local name, is_forced = ARGV[1], ARGV[2] == '1'
if not is_registered(name) then return -1 end
local waiting = number('outbox', name)
if waiting > 0 and not is_forced then return waiting end
drain()
-- The sweeper gives up what stood in its line.
redis.call('HDEL', P .. 'endpoints', name)
for _, key in ipairs({'endpoint:', 'posting:'}) do redis.call('DEL', P .. key .. name) end
return 0
