-- Ends one post. What was taken loses its body; what failed for good keeps it, for a look and a replay.
-- ARGV: endpoint, holder, result (delivered | refused | gone | released), how long the endpoint wants to be left alone in
-- seconds, reason, the time as ISO 8601, then id, fence, delay in seconds (negative: that was the last try) for each
-- delivery. Answer: {id of each that is not the caller's any more}
drain()
local name, holder, result, wait_s, reason, at = unpack(ARGV, 1, 6)
local lost, settled, place = {}, 0, 'endpoint:' .. name
redis.call('ZREM', P .. 'posting:' .. name, holder)
for i = 7, #ARGV, 3 do
  local id, fence, delay_s = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  local refused = refusal(read('delivery', id), fence, result)
  if refused then
    if refused[1] == 'lost' then table.insert(lost, id) end
  else
    settled = settled + 1
    settle('delivery', id, fence, result, result)
    if result == 'delivered' then
      end_delivery(id, name, 'delivered', '')
    elseif result == 'released' then
      redis.call('HINCRBY', P .. 'delivery:' .. id, 'attempts', -1)
      enqueue_delivery(id)
    elseif result == 'gone' or delay_s < 0 then
      end_delivery(id, name, 'failed', reason)
    else
      write('delivery', id, 'reason', reason)
      delay('delivery', id, delay_s)
    end
  end
end
if settled == 0 or not is_registered(name) then return lost end

local function disable(why)
  redis.call('HSET', P .. place, 'state', 'disabled', 'reason', why)
  local told = cjson.encode({v = 1, type = 'endpoint.disabled', timestamp = at, endpoint = name, reason = why})
  for _, other in ipairs(redis.call('HKEYS', P .. 'endpoints')) do
    if other ~= name and wants(endpoint(other), 'endpoint.disabled', '') then
      put('msg_' .. string.sub(redis.sha1hex(name .. at .. other), 1, 32), other, '', told)
    end
  end
end

if result == 'delivered' then
  redis.call('HDEL', P .. place, 'failures', 'failing_since', 'open_until')
elseif result == 'refused' then
  redis.call('HSETNX', P .. place, 'failing_since', NOW)
  local failures = redis.call('HINCRBY', P .. place, 'failures', 1)
  local over = failures - limit('breaker_failures')
  local open_s = over < 0 and 0 or math.min(limit('breaker_most_s'), limit('breaker_s') * 2 ^ math.min(over, 20))
  redis.call('HSET', P .. place, 'open_until', NOW + math.max(open_s, tonumber(wait_s)), 'reason', reason)
  local failing_s = NOW - number(place, 'failing_since')
  if failing_s >= limit('disable_after_s') and redis.call('HEXISTS', P .. place, 'state') == 0 then
    disable(string.format('Nothing was taken for %d hours. The last answer: %s', failing_s / 3600, reason))
  end
elseif result == 'gone' then
  disable(reason)
end
return lost
