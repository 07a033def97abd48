-- Which store this is. KEYS[1]: the store. ARGV[1]: the name that an empty one gets ('': none).
if ARGV[1] ~= '' then
    redis.call('HSETNX', KEYS[1], 'id', ARGV[1])
end
return redis.call('HMGET', KEYS[1], 'id', 'commits')
