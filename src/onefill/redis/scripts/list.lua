-- The intents of some lists, each with its predecessor. KEYS: sorted sets of their names.
local P = '{onefill}:'
local function read(name)
    return {name, redis.call('HGETALL', P .. 'intent:' .. name)}
end
local found, before = {}, {}
for _, key in ipairs(KEYS) do
    for _, name in ipairs(redis.call('ZRANGE', key, 0, -1)) do
        found[#found + 1] = read(name)
        local after = redis.call('HGET', P .. 'intent:' .. name, 'after')
        if after and after ~= '' then before[#before + 1] = read(after) end
    end
end
return {redis.call('TIME'), found, before}
