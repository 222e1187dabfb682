-- Gives a queued job that is due to one holder. A doorbell for any other job is dropped here.
-- ARGV: id, holder (unique to this call, so that a call whose reply was lost gets the same claim again).
-- Answer: {'none'} | {'claimed', row, order} | {'overdue', row}: taken, but only for the caller to expire it.
drain()
local id, holder = ARGV[1], ARGV[2]
local row = read('job', id)
if row and row.state == 'running' and row.holder == holder then
  return {'claimed', flat('job', id), redis.call('GET', P .. 'doc:' .. id)}
end
if not is_claimable('job', id, row) then return {'none'} end
take('job', id, holder)
if is_overdue(row) then return {'overdue', flat('job', id)} end
redis.call('HINCRBY', P .. 'job:' .. id, 'attempts', 1)
return {'claimed', flat('job', id), redis.call('GET', P .. 'doc:' .. id)}
