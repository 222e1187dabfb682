-- Cancels a job that has not ended; a worker that runs it learns so from its next renew or commit.
-- ARGV: id, reason. Answer: the row, empty when there is none.
local row = read('job', ARGV[1])
if row and (row.state == 'queued' or row.state == 'running') then
  drain()
  finish(ARGV[1], row, 'cancelled', ARGV[2])
end
return flat('job', ARGV[1])
