-- Ends one attempt: back to the queue after a delay while tries are left, else the job is dead, or expired.
-- ARGV: id, fence, verdict (retry | suspect | dead | expired), delay in seconds, reason, traceback, raw output, body of
-- the
-- event, then delivery id, endpoint for each delivery. Answer: {'queued'} | {'dead' | 'expired', how many deliveries to ring for} | {'again', state} |
-- {'lost', state}
local id, fence, verdict, delay_s, reason, traceback, raw, body = unpack(ARGV, 1, 8)
local row = read('job', id)
local refused = refusal(row, fence, 'fail')
if refused then return refused end
drain()
write('job', id, 'reason', reason, 'traceback', traceback, 'raw', raw)
local again = verdict == 'retry' or verdict == 'suspect'
if verdict == 'suspect' then write('job', id, 'suspect', 1) end
if again and tonumber(row.attempts) < limit('max_tries') then
  settle('job', id, fence, 'fail', 'queued')
  if tonumber(delay_s) > 0 then delay('job', id, tonumber(delay_s)) else line_up(id) end
  return {'queued'}
end
local outcome = verdict == 'expired' and 'expired' or 'dead'
settle('job', id, fence, 'fail', outcome)
finish(id, row, outcome, reason)
return {outcome, post(id, row.schema_ref or '', 'extraction.failed', body, 9)}
