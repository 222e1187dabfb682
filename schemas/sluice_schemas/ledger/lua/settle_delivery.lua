-- Ends one attempt to deliver. A delivered body is deleted; a failed one is kept for a look until its time to live.
-- ARGV: id, fence, outcome (delivered | failed | retry), delay in seconds, reason. Answer: {state} | {'again' |
-- 'lost', state}
local id, fence, outcome, delay_s, reason = unpack(ARGV, 1, 5)
local refused = refusal(read('delivery', id), fence, outcome)
if refused then return refused end
drain()
settle('delivery', id, fence, outcome, outcome)
write('delivery', id, 'reason', reason)
if outcome == 'retry' then
  delay('delivery', id, tonumber(delay_s))
  return {'queued'}
end
leave('delivery', id)
write('delivery', id, 'state', outcome)
if outcome == 'delivered' then redis.call('HDEL', P .. 'delivery:' .. id, 'body') end
redis.call('PEXPIRE', P .. 'delivery:' .. id, math.floor(limit('retention_s') * 1000))
return {outcome}
