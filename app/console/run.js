// One answer over HTTP, part by part.

/** One run over HTTP, for what cannot be subscribed (bodies, other methods) and for errors in full: an NDJSON stream.
 *
 * Calls `message` with each part and the final `complete`; gives the response, and `problem` where it is an error
 * (problem+json) or `body` where the endpoint does not stream.
 */
export async function run(url, { message, headers = {}, ...options } = {}) {
  const response = await fetch(url, { cache: "no-store", ...options, headers: { accept: "application/x-ndjson", ...headers } });
  const kind = response.headers.get("content-type") ?? "";
  if (!response.ok) return { response, problem: kind.includes("json") ? await response.json() : { detail: await response.text() } };
  if (!kind.startsWith("application/x-ndjson")) return { response, body: await response.text() };
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (let { value, done } = await reader.read(); !done; { value, done } = await reader.read()) {
    const lines = (held + value).split("\n");
    held = lines.pop();
    for (const line of lines) if (line) message?.(JSON.parse(line));
  }
  return { response };
}
