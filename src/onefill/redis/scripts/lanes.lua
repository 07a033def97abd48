-- Lanes with undecided signals: steps from lane to lane, however many wait in each.
-- KEYS: undecided, exits by the time when they are due. ARGV[1]: how many lanes at the most.
local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000000 + tonumber(time[2]))
local most = tonumber(ARGV[1])
local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, most)
local lanes, from = {}, '-'
while #lanes < most do
    local place = redis.call('ZRANGEBYLEX', KEYS[1], from, '+', 'LIMIT', 0, 1)[1]
    if not place then break end
    local lane = string.match(place, '^(.-)%z')
    lanes[#lanes + 1] = lane
    from = '[' .. lane .. '\1'
end
return {due, lanes}
