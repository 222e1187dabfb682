-- Ends one attempt: back to the queue after a delay while tries are left, else the job is dead, or expired.
-- ARGV: id, fence, outcome wanted (retry | dead | expired), delay in seconds, reason, traceback, raw output, body of
-- the
-- event, then delivery id, endpoint for each delivery. Answer: {'queued' | 'dead' | 'expired'} | {'again', state} |
-- {'lost', state}
local id, fence, outcome, delay_s, reason, traceback, raw, body = unpack(ARGV, 1, 8)
local row = read('job', id)
local refused = refusal(row, fence, 'fail')
if refused then return refused end
drain()
write('job', id, 'reason', reason, 'traceback', traceback, 'raw', raw)
if outcome == 'retry' and tonumber(row.attempts) < limit('max_tries') then
  settle('job', id, fence, 'fail', 'queued')
  delay('job', id, tonumber(delay_s))
  return {'queued'}
end
outcome = outcome == 'expired' and 'expired' or 'dead'
settle('job', id, fence, 'fail', outcome)
finish(id, row, outcome, reason)
post(id, body, 9)
return {outcome}
