"""What the server of Redis does, in Lua: it reads the counters, decides, and writes them.

It replies with what it read, and `redis.py` works out the rest as for counters in memory. The
weight of a sliding window is counted as in `window_counters`, in the same order, so that doubles
are rounded alike.

Numbers in Lua are doubles, which tell nanoseconds of the present from each other no more. So an
arrival time is kept as a whole number of nanoseconds in decimals, and only its distance from now is
ever counted with. Redis stores such a number in place, without a string of its own.
"""

from fastapi_baseline.rate_limiting.gcra import LONGEST_DEBT

# Keys: a counter for each demand.
#
# Arguments: what to do ('a'cquire, 'p'eek, 'c'harge, 'r'efund), followed by the second and the
# microsecond of a test's clock if it is not the server's; then, for each demand, whether it is in
# shadow mode, the kind of its policy, and
#     g: the nanoseconds that it costs, the tolerance
#     f, s: what it costs, the quota, the window in microseconds
#
# Reply: whether everything is granted, the microsecond, and for each demand
#     g: how many nanoseconds the arrival time is ahead
#     f: when the window ends, what was used
#     s: when the window started, what was used before it, and in it
#
# No functions: the server would make them anew for each command.
COUNT = """
local task, second, microsecond = string.match(ARGV[1], '^(%l) ?(%d*) ?(%d*)$')
-- Keys expire by milliseconds, from the one in which the script began. By the clock of a test they
-- would expire too soon or too late: the latter does no harm.
local slack = 60000
if second == '' then
  local time = redis.call('TIME')
  second, microsecond = time[1], time[2]
  slack = 2
end
second, microsecond = tonumber(second), tonumber(microsecond)
local now = second * 1000000 + microsecond

local granted = true
local reply = {1, now}
local demands = {}
for i = 1, #KEYS do
  local shadow, kind, cost, limit, window = string.match(ARGV[i + 1],
    '^(%d)(%l) (%d+) (%d+) ?(%d*)$')
  cost, limit = tonumber(cost), tonumber(limit)
  local value = redis.call('GET', KEYS[i])
  local fits
  if kind == 'g' then
    local ahead = 0
    if value and #value > 9 and not string.find(value, '%D') then
      ahead = math.max(0, (tonumber(string.sub(value, 1, -10)) - second) * 1e9
        + tonumber(string.sub(value, -9)) - microsecond * 1000)
    end
    fits = ahead + cost <= limit
    demands[i] = {fits, kind, cost, ahead, limit}
    reply[#reply + 1] = ahead
  elseif kind == 'f' then
    window = tonumber(window)
    local stop, used = string.match(value or '', '^(%d+) (%d+)$')
    stop, used = tonumber(stop), tonumber(used)
    if not stop or stop <= now then
      stop, used = now + window, 0
    end
    fits = used + cost <= limit
    demands[i] = {fits, kind, cost, stop, used}
    reply[#reply + 1] = stop
    reply[#reply + 1] = used
  else
    window = tonumber(window)
    local start = now - math.fmod(now, window)
    local from, before, used = string.match(value or '', '^(%d+) (%d+) (%d+)$')
    from, before, used = tonumber(from), tonumber(before), tonumber(used)
    if from and from == start - window then
      before, used = used, 0
    elseif from ~= start then
      before, used = 0, 0
    end
    fits = before * (start + window - now) / window + used + cost <= limit
    demands[i] = {fits, kind, cost, start, before, used, window}
    reply[#reply + 1] = start
    reply[#reply + 1] = before
    reply[#reply + 1] = used
  end
  if not fits and shadow == '0' then
    granted = false
    reply[1] = 0
  end
end
if task == 'p' or task == 'a' and not granted then
  return reply
end

for i = 1, #KEYS do
  local demand = demands[i]
  local fits, kind, cost = demand[1], demand[2], demand[3]
  if task == 'r' then
    cost = -cost
  end
  if cost ~= 0 and (fits or task ~= 'a') then
    local value, duration
    if kind == 'g' then
      local ahead = math.min(demand[4] + cost, math.max(2 * demand[5], LONGEST_DEBT))
      if ahead > 0 then
        local rest = math.fmod(ahead, 1e9)
        local whole, nanosecond = second + (ahead - rest) / 1e9, microsecond * 1000 + rest
        if nanosecond >= 1e9 then
          whole, nanosecond = whole + 1, nanosecond - 1e9
        end
        -- The leading 1 keeps the zeros after it. Formats would take as long as all the rest.
        value = whole .. string.sub(1e9 + nanosecond, 2)
        duration = ahead / 1000
      end
    elseif kind == 'f' then
      local stop, used = demand[4], math.max(0, demand[5] + cost)
      if used > 0 then
        value = string.format('%.0f %.0f', stop, used)
        duration = stop - now
      end
    else
      local start, before, used, window = demand[4], demand[5], demand[6] + cost, demand[7]
      before, used = math.max(0, before + math.min(0, used)), math.max(0, used)
      if before > 0 or used > 0 then
        value = string.format('%.0f %.0f %.0f', start, before, used)
        duration = start + 2 * window - now
      end
    end
    if value then
      redis.call('SET', KEYS[i], value, 'PX', math.ceil(duration / 1000) + slack)
    else
      redis.call('DEL', KEYS[i])
    end
  end
end
return reply
""".replace("LONGEST_DEBT", str(LONGEST_DEBT))
