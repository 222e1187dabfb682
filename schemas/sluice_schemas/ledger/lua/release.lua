-- Gives a claim back unused: the job keeps its turn, and the try does not count.
-- ARGV: id, fence. Answer: {'queued'} | {'again', state} | {'lost', state}
local id, fence = ARGV[1], ARGV[2]
local row = read('job', id)
local refused = refusal(row, fence, 'release')
if refused then return refused end
drain()
settle('job', id, fence, 'release', 'queued')
redis.call('HINCRBY', P .. 'job:' .. id, 'attempts', -1)
line_up(id)
return {'queued'}
