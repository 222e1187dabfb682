-- Gives a delivery that is due to one holder.
-- ARGV: id, holder (unique to this call). Answer: the row, empty when it is not to be delivered now.
drain()
local id, holder = ARGV[1], ARGV[2]
local row = read('delivery', id)
if not (row and row.state == 'running' and row.holder == holder) then
  if not is_claimable('delivery', id, row) then return {} end
  take('delivery', id, holder)
  redis.call('HINCRBY', P .. 'delivery:' .. id, 'attempts', 1)
end
return flat('delivery', id)
