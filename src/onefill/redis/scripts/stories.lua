-- Intents with all that is kept of each. ARGV: JSON of their names.
local P = '{onefill}:'
local found = {}
for _, name in ipairs(cjson.decode(ARGV[1])) do
    local intent = P .. 'intent:' .. name
    found[#found + 1] = {name, redis.call('HGETALL', intent),
                         redis.call('HGETALL', intent .. ':attempts'),
                         redis.call('LRANGE', intent .. ':fills', 0, -1)}
end
return found
