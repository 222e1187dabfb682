-- Gives one post's deliveries to one holder: of the endpoint that was served longest ago, of those that may be served.
-- ARGV: holder (unique to this call, so that a call whose reply was lost gets the same again).
-- Answer: {} | {endpoint, whether more may be posted to it, id, row, id, row ...}
drain()
local holder = ARGV[1]

local function consignment(name, ids, has_more)
  local answer = {redis.call('HGET', P .. 'endpoints', name), has_more}
  for _, id in ipairs(ids) do
    table.insert(answer, id)
    table.insert(answer, flat('delivery', id))
  end
  return answer
end

local mine = redis.call('GET', P .. 'posting_by:' .. holder)
if mine then
  local taken = cjson.decode(mine)
  return consignment(taken.name, taken.ids, 1)
end
for _, name in ipairs(redis.call('ZRANGE', P .. 'lines:delivery', 0, -1)) do
  local spec = endpoint(name)
  if spec and room(name, spec) > 0 then
    local ids = redis.call('ZRANGE', P .. 'line:delivery:' .. name, 0, spec.batch - 1)
    for _, id in ipairs(ids) do
      take('delivery', id, holder)
      redis.call('HINCRBY', P .. 'delivery:' .. id, 'attempts', 1)
    end
    if spec.rate_per_s ~= cjson.null then
      local left = tokens(name, spec, read('endpoint', name) or {}) - 1
      redis.call('HSET', P .. 'endpoint:' .. name, 'tokens', left, 'tokens_at', NOW)
    end
    redis.call('ZADD', P .. 'posting:' .. name, NOW + limit('lease_s'), holder)
    redis.call('ZADD', P .. 'lines:delivery', 'XX', NOW, name)
    redis.call('SET', P .. 'posting_by:' .. holder, cjson.encode({name = name, ids = ids}), 'EX', 60)
    return consignment(name, ids, room(name, spec) > 0 and 1 or 0)
  end
end
return {}
