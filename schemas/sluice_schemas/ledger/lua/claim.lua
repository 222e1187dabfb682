-- Gives the job whose turn it is to one holder. Classes share by weight what is worked on, in bytes, and none starves:
-- the one that has spent least for its weight comes first.
-- ARGV: holder (unique to this call, so that a call whose reply was lost gets the same claim again).
-- Answer: {'none'} | {'claimed', id, row, order, time} | {'overdue', id, row}: taken, but only for the caller to expire it.
drain()
local holder = ARGV[1]
local mine = redis.call('GET', P .. 'claimed:' .. holder)
local function claimed(id) return {'claimed', id, flat('job', id), redis.call('GET', P .. 'doc:' .. id), tostring(NOW)} end
if mine then return claimed(mine) end

local class, least
for _, each in ipairs(CLASSES) do
  local spent = number('spent', each)
  if redis.call('EXISTS', P .. 'line:' .. each) == 1 and (not least or spent < least) then class, least = each, spent end
end
if not class then return {'none'} end
local first = redis.call('ZRANGE', P .. 'line:' .. class, 0, 0, 'WITHSCORES')
local id, row = first[1], read('job', first[1])
take('job', id, holder)
redis.call('HSET', P .. 'reached', class, first[2])
redis.call('HSET', P .. 'spent', class, least + row.cost / limit('weight_' .. class), 'last', least)
if is_overdue(row) then return {'overdue', id, flat('job', id)} end
redis.call('HINCRBY', P .. 'job:' .. id, 'attempts', 1)
redis.call('SET', P .. 'claimed:' .. holder, id, 'EX', 60)
return claimed(id)
