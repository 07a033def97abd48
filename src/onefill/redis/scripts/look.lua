-- All that a decision, a claim or a settlement reads, of one moment. ARGV: JSON of
-- {lanes, names, signals, turn}: names of intents, whose lanes are read as well; turn: how many
-- undecided signals of each lane.
local P = '{onefill}:'
local asked = cjson.decode(ARGV[1])
local NAVIGATION = {'lane', 'signal', 'position', 'target', 'after'}

local function collector()
    local seen, list = {}, {}
    return list, function(name)
        if name and name ~= '' and not seen[name] then
            seen[name] = true
            list[#list + 1] = name
        end
    end
end

local lanes, take_lane = collector()
local names, take_name = collector()
local places, take_place = collector()
local signals, take_signal = collector()
for _, lane in ipairs(asked.lanes) do take_lane(lane) end
for _, id in ipairs(asked.signals) do take_signal(id) end

-- Those asked for, their targets and predecessors, and every live one of their lanes; then all
-- of the signals of these.
local paths = {}
local function path_of(name)
    paths[name] = paths[name] or redis.call('HMGET', P .. 'intent:' .. name, unpack(NAVIGATION))
    return paths[name]
end
for _, name in ipairs(asked.names) do
    local path = path_of(name)
    take_name(name)
    take_lane(path[1])
    take_name(path[4])
    take_name(path[5])
end
for _, lane in ipairs(lanes) do
    for _, name in ipairs(redis.call('SMEMBERS', P .. 'lane:' .. lane .. ':intents')) do
        take_name(name)
        take_name(path_of(name)[5])
    end
    for _, id in ipairs(redis.call('SMEMBERS', P .. 'lane:' .. lane .. ':positions')) do
        take_place(id)
    end
end
for turn = 1, #names do
    local signal = path_of(names[turn])[2]
    if signal and signal ~= '' then
        for _, name in ipairs(redis.call('SMEMBERS', P .. 'signal:' .. signal .. ':intents')) do
            take_name(name)
        end
    end
end
for _, name in ipairs(names) do take_place(path_of(name)[3]) end

local found = {lanes = {}, intents = {}, positions = {}, signals = {}}
for turn, lane in ipairs(lanes) do
    local first, last = '[' .. lane .. '\0', '(' .. lane .. '\1'
    local undecided = {}
    if asked.turn > 0 then
        local next_ones, take = collector()
        for _, key in ipairs({'undecided', 'undecided-exits'}) do
            local range = redis.call('ZRANGEBYLEX', P .. key, first, last, 'LIMIT', 0, asked.turn)
            for _, place in ipairs(range) do take(place) end
        end
        table.sort(next_ones)
        for _, place in ipairs(next_ones) do
            local id = string.format('%.0f', tonumber(string.sub(place, -16))) .. '-0'
            local entry = redis.call('XRANGE', P .. 'signals', id, id)[1]
            undecided[#undecided + 1] = {place, entry[2]}
        end
    end
    found.lanes[turn] = {lane, redis.call('HGETALL', P .. 'lane:' .. lane), undecided}
end
for turn, name in ipairs(names) do
    found.intents[turn] = {name, redis.call('HGETALL', P .. 'intent:' .. name),
                           redis.call('HGETALL', P .. 'intent:' .. name .. ':attempts')}
end
for turn, id in ipairs(places) do
    found.positions[turn] = redis.call('HMGET', P .. 'position:' .. id, 'v', 'body')
end
for turn, id in ipairs(signals) do
    found.signals[turn] = {id, redis.call('HGETALL', P .. 'signal:' .. id)}
end
return {redis.call('TIME'), redis.call('HGETALL', P .. 'pause'),
        found.lanes, found.intents, found.positions, found.signals}
