-- Renews all leases of one worker at once.
-- ARGV: id, fence for each claim. Answer: id, why for each claim that is gone: lost | cancelled | expired | ... (its
-- state).
drain()
local gone, ends = {}, NOW + limit('lease_s')
for i = 1, #ARGV, 2 do
  local id = ARGV[i]
  local row = read('job', id)
  local refused = refusal(row, ARGV[i + 1], 'renew')
  if refused then
    table.insert(gone, id)
    table.insert(gone, row and row.state ~= 'running' and row.state ~= 'queued' and row.state or 'lost')
  elseif is_overdue(row) then
    table.insert(gone, id)
    table.insert(gone, 'expired')
  else
    redis.call('ZADD', P .. 'running:job', ends, id)
  end
end
return gone
