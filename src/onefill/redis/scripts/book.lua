-- The live book of one moment: positions with all their intents and fills. KEYS: live positions.
local P = '{onefill}:'
local positions, intents, fills = {}, {}, {}
for _, id in ipairs(redis.call('SMEMBERS', KEYS[1])) do
    positions[#positions + 1] = redis.call('HGET', P .. 'position:' .. id, 'body')
    for _, name in ipairs(redis.call('SMEMBERS', P .. 'position:' .. id .. ':intents')) do
        intents[#intents + 1] = redis.call('HGET', P .. 'intent:' .. name, 'body')
        for _, fill in ipairs(redis.call('LRANGE', P .. 'intent:' .. name .. ':fills', 0, -1)) do
            fills[#fills + 1] = fill
        end
    end
end
return {positions, intents, fills}
