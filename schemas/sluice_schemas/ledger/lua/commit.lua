-- Ends a job with its one result and puts its deliveries in the outbox, all or nothing, for the holder of the fence
-- alone.
-- ARGV: id, fence, result, body of the event, then delivery id, endpoint for each delivery.
-- Answer: {'succeeded', how many deliveries to ring for} | {'again', state} | {'lost', state}
local id, fence, result, body = unpack(ARGV, 1, 4)
local row = read('job', id)
local refused = refusal(row, fence, 'commit')
if refused then return refused end
drain()
settle('job', id, fence, 'commit', 'succeeded')
local result_ms = finish(id, row, 'succeeded', '')
redis.call('SET', P .. 'result:' .. id, result, 'PX', result_ms)
return {'succeeded', post(id, row.schema_ref, 'extraction.completed', body, 5)}
