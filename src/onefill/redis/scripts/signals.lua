-- Signals, newest first, each with how far it has come and its steps. KEYS: the stream.
-- ARGV: the newest entry that is wanted, and how many.
local P = '{onefill}:signal:'
local found = {}
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], ARGV[1], '-', 'COUNT', ARGV[2])) do
    local id = string.match(entry[1], '^%d+')
    found[#found + 1] = {id, entry[2], redis.call('HGETALL', P .. id),
                         redis.call('LRANGE', P .. id .. ':steps', 0, -1),
                         redis.call('SMEMBERS', P .. id .. ':intents')}
end
return found
