-- Log signals, each fingerprint once. KEYS: store, fingerprints, stream, undecided, undecided exits.
-- ARGV: the store's id, the commits seen, who received them, then JSON: a list of
-- [fingerprint, lane, place, is exit, name, value, name, value, …].
local store = redis.call('HMGET', KEYS[1], 'id', 'commits')
if store[1] ~= ARGV[1] or (tonumber(store[2]) or 0) < tonumber(ARGV[2]) then return {'lost'} end
local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]))
local answers, is_changed = {}, false
for turn, row in ipairs(cjson.decode(ARGV[4])) do
    local known = redis.call('HGET', KEYS[2], row[1])
    if known then
        answers[turn] = {known, 0}
    else
        local number = redis.call('HINCRBY', KEYS[1], 'signals', 1)
        local id = string.format('%.0f', number)
        redis.call('HSET', KEYS[2], row[1], id)
        redis.call('XADD', KEYS[3], id .. '-0', 'fingerprint', row[1], 'lane', row[2],
                   'received_at', now, 'received_by', ARGV[3], unpack(row, 5))
        redis.call('HSET', '{onefill}:signal:' .. id, 'status', 'received', 'lane', row[2])
        local place = row[3] .. string.format('%016.0f', number)
        redis.call('ZADD', KEYS[4], 0, place)
        if row[4] == '1' then redis.call('ZADD', KEYS[5], 0, place) end
        answers[turn], is_changed = {id, 1}, true
    end
end
local commits = store[2] or '0'
if is_changed then commits = redis.call('HINCRBY', KEYS[1], 'commits', 1) end
return {'done', commits, answers}
