-- Asks for each path of a list in turn (a file of them is the script's argument), and prints the result as a line of JSON.
-- Without an argument wrk sends the request that it made ready itself: no Lua runs per request then.

function init(args)
  if args[1] == nil then return end
  local requests, turn = {}, 0
  for path in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("GET", path)
  end
  request = function()
    turn = turn % #requests + 1
    return requests[turn]
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "bytes": %.0f, "us": %d, "errors": %d, "p50_us": %.1f}\n',
    summary.requests, summary.bytes, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50)))
end
