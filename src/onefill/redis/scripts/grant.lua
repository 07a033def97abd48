-- Weight to ask a broker with, or 0. KEYS: the account's grants, its hold. ARGV: the weight, the
-- largest grant, how long it may be used (ms), the longest window (ms), then for each window its
-- length (ms) and the most that questions of this urgency may weigh.
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[4]))
local left = math.huge
for turn = 5, #ARGV, 2 do
    local used = 0
    for _, grant in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], now - tonumber(ARGV[turn]), '+inf')) do
        used = used + tonumber(string.match(grant, '^%d+'))
    end
    left = math.min(left, tonumber(ARGV[turn + 1]) - used)
end
local weight = tonumber(ARGV[1])
if left < weight then return 0 end
local granted = math.max(weight, math.min(left, tonumber(ARGV[2])))
local use_by = now + tonumber(ARGV[3])
redis.call('ZADD', KEYS[1], use_by, granted .. ' ' .. time[1] .. '.' .. time[2])
return granted
