-- One commit: all of it, where the store has lost nothing, the epoch holds, and nothing that was
-- read has been written since; else nothing. KEYS: the store, the lease. ARGV[1]: JSON of
-- {store, seen, epoch ('': unfenced), versions: [[key, version]], writes: [[command, …]]}.
local asked = cjson.decode(ARGV[1])
local store = redis.call('HMGET', KEYS[1], 'id', 'commits')
local commits = store[2] or '0'
if store[1] ~= asked.store or tonumber(commits) < tonumber(asked.seen) then return {'lost'} end
if asked.epoch ~= '' then
    local lease = redis.call('HMGET', KEYS[2], 'epoch', 'barred')
    if lease[1] ~= asked.epoch or lease[2] == '1' then return {'fenced'} end
end
for _, read in ipairs(asked.versions) do
    if (redis.call('HGET', read[1], 'v') or '0') ~= read[2] then return {'stale'} end
end
for _, write in ipairs(asked.writes) do redis.call(unpack(write)) end
if #asked.writes > 0 then commits = redis.call('HINCRBY', KEYS[1], 'commits', 1) end
return {'done', commits}
