// The console: chooses an endpoint, runs it or follows it live, and shows what becomes of its calls.

import { Answer } from "./answer.js";
import { count, duration, h, prose } from "./dom.js";
import { ask, colours, enter, here, operator } from "./entry.js";
import { Form } from "./form.js";
import { Merganser } from "./merganser.js";
import { inWords } from "./problem.js";
import { Rail } from "./rail.js";
import { run } from "./run.js";
import { Upstreams } from "./upstreams.js";
import { Waterfall } from "./waterfall.js";

const $ = (id) => document.getElementById(id);
const EMPTY = $("empty").cloneNode(true);

let catalog, rail, endpoint, form, waterfall, answer, live, feed, controller, updates, asked;

/** The page is open: what was asked for at the door is here. */
function open(described) {
  catalog = described;
  for (const id of ["shell", "foot"]) $(id).hidden = false;
  $("metrics").hidden = operator() !== null; // a link cannot carry the token
  $("service").textContent = catalog.name;
  $("version").textContent = `Merganser ${catalog.merganser}`;
  document.title = `${catalog.name} · Merganser`;
  rail = new Rail($("endpoints"), $("filter"), $("none"), catalog.endpoints);
  follow();
  new Upstreams($("upstreams"), () => ask("console/upstreams"));
}

// --- choosing an endpoint

/** Shows the endpoint that the address names, filled in as it says. */
function follow() {
  if (!catalog) return;
  const [name, query] = location.hash.slice(1).split("?");
  const next = catalog.endpoints.find((one) => one.name === name) ?? catalog.endpoints[0];
  if (next && next !== endpoint) choose(next);
  form?.fill(new URLSearchParams(query));
}

function choose(next) {
  stop();
  endpoint = next;
  rail.mark(next.name);
  $("about").replaceChildren(...facts(next).map((text) => h("span", {}, text)));
  $("title").textContent = next.summary || next.name;
  $("verb").textContent = next.method;
  $("route").replaceChildren(...next.route.split(/(\{[^}]+\})/).map((piece) => (piece.startsWith("{") ? h("em", {}, piece) : piece)));
  $("description").replaceChildren(...prose(next.description ?? "").filter(Boolean));
  form = new Form($("fields"), next);
  const can = next.method === "GET" && !next.proxy;
  Object.assign($("live"), { disabled: !can || !next.live_s, title: can && next.live_s ? `asks again every ${next.live_s} s` : "this endpoint is not live" });
  $("explain").disabled = Boolean(next.proxy);
  $("calls").hidden = Boolean(next.proxy);
  waterfall = new Waterfall($("waterfall"), next);
  clear();
  say("", "");
  $("calls-said").textContent = next.calls.length > 1 ? "the plan: who waits for whom" : "";
}

function facts(one) {
  const found = [one.name];
  if (one.live_s) found.push(`live, every ${one.live_s} s`);
  found.push(`answers within ${duration(one.deadline_ms)}`);
  if (one.proxy) found.push(`passes through to ${one.proxy}`);
  if (one.auth.length) found.push(`needs ${one.auth.map((scheme) => scheme.name).join(" or ")}`);
  return found;
}

function clear() {
  $("trouble").hidden = true;
  answer = new Answer($("answer"), endpoint.proxy ? null : endpoint.parts);
  $("answer").hidden = true;
  $("empty").hidden = false;
  $("empty").replaceChildren(...EMPTY.cloneNode(true).childNodes);
  $("views").hidden = true;
  view(false);
}

function remember() {
  const values = new URLSearchParams(form.values());
  history.replaceState(null, "", `#${endpoint.name}${values.size ? `?${values}` : ""}`);
}

// --- running once

async function start() {
  stop();
  const request = form.request();
  if (!request) return say("Something is missing.", "bad");
  begin();
  asked = performance.now();
  controller = new AbortController();
  const { signal } = controller;
  const options = { method: request.method, headers: request.headers, body: request.body, signal, message: take };
  if (endpoint.proxy) options.headers = { ...request.headers, accept: "*/*" };
  try {
    const { response, problem, body } = await run(new URL(request.target, here), options);
    if (problem) trouble(response, problem);
    else if (body !== undefined) plain(response, body);
  } catch (error) {
    if (!signal.aborted) trouble(null, { detail: `The service does not answer (${error.message}).` });
  } finally {
    if (!signal.aborted) waterfall.end();
  }
}

function begin() {
  remember();
  clear();
  updates = 0;
  waterfall.begin();
  $("calls-said").textContent = "";
  say("Asking …", "busy");
}

/** A `part`, `complete` or `update`, of one run or of a subscription. */
function take(message) {
  if (message.sources) waterfall.take(message.sources);
  if (message.type === "part") put(message.part, message.data);
  else if (endpoint.parts && message.data && typeof message.data === "object") for (const [name, value] of Object.entries(message.data)) put(name, value);
  else if ("data" in message) whole(message.data);
  if (message.type === "complete") settled(message);
  if (message.type === "update") beat(message);
}

function settled(message) {
  waterfall.end();
  const sources = Object.values(waterfall.sources);
  const good = sources.filter((one) => one.status !== "failed" && one.status !== "partial").length;
  const told = `${duration(waterfall.total())} · ${good} of ${count(sources.length, "call")}`;
  if (message.error) trouble(null, { status: 502, detail: message.error.message, sources: {} });
  else if (message.live) say(`Live · ${told}`, "live");
  else say(`${message.complete ? "Complete" : "Incomplete"} · ${told}`, message.complete ? "good" : "partial");
  path();
}

function path() {
  const names = waterfall.path();
  $("calls-said").textContent = names.length > 1 ? `it waited for ${names.join(", then ")}` : "";
}

function put(name, value) {
  reveal();
  answer.put(name, value);
}

function whole(value) {
  reveal();
  answer.whole(value);
}

function reveal() {
  $("answer").hidden = false;
  $("empty").hidden = true;
  $("views").hidden = false;
  if (!$("json").hidden) queueMicrotask(() => view(true));
}

function plain(response, body) {
  say(`${response.status} · ${duration(performance.now() - asked)}`, "good");
  reveal();
  try {
    answer.whole(JSON.parse(body));
  } catch {
    answer.text(body);
  }
}

// --- explaining

async function explain() {
  stop();
  const request = form.request();
  if (!request) return say("Something is missing.", "bad");
  begin();
  const url = new URL(request.target, here);
  url.searchParams.set("explain", "1");
  const headers = { ...request.headers, accept: "application/json", ...(operator() ? { "merganser-admin": operator() } : {}) };
  try {
    const response = await fetch(url, { method: request.method, headers, body: request.body, cache: "no-store" });
    const document = await response.json();
    if (!response.ok) trouble(response, document);
    if (!document.explain) return response.ok && say("This endpoint cannot be explained: it has a param of that name, or forwards it.", "bad");
    tell(document);
  } catch (error) {
    trouble(null, { detail: `The service does not answer (${error.message}).` });
  }
}

function tell({ data, complete, explain }) {
  const { calls, critical_path: names, ms } = explain;
  waterfall.take(calls);
  waterfall.end();
  waterfall.explain(calls, names);
  $("calls-said").textContent = names.length ? `it waited for ${names.join(", then ")}` : "";
  if (data === undefined) return;
  if (endpoint.parts) for (const [name, value] of Object.entries(data)) put(name, value);
  else whole(data);
  say(`${complete ? "Complete" : "Incomplete"} · ${duration(ms)} of ${duration(explain.deadline_ms)}`, complete ? "good" : "partial");
}

// --- following live

function toggle() {
  if (feed) return stop();
  const request = form.request();
  if (!request) return say("Something is missing.", "bad");
  stop();
  begin();
  $("live").setAttribute("aria-checked", "true");
  const url = new URL("ws", here);
  url.protocol = url.protocol.replace("http", "ws");
  live = new Merganser(url.href, { token: request.token, status: connection });
  feed = live.subscribe(endpoint.name, request.params, { change: (_, message) => take(message), error: refused });
}

function connection(text) {
  if (text === "reconnecting") say("The connection is lost; trying again …", "bad");
  if (text === "refused") refused({ message: "The connection was refused: see the credential." });
}

function refused({ code, message }) {
  stop();
  const status = { unauthorized: 401, forbidden: 403, invalid_params: 422, rate_limited: 429, failed: 502 }[code];
  trouble(null, { status, detail: message });
}

function beat(message) {
  updates += 1 + (message.conflated ?? 0);
  const time = new Date().toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  say(`Live · ${count(updates, "update")}, the last at ${time}${message.complete ? "" : " · incomplete"}`, "live");
  $("calls-said").textContent = "each call's last run";
}

function stop() {
  controller?.abort();
  controller = undefined;
  const was = feed !== undefined;
  live?.close();
  live = feed = undefined;
  $("live").setAttribute("aria-checked", "false");
  waterfall?.end();
  if (was) say("Stopped.", "");
}

// --- telling

function say(text, mood) {
  $("status").textContent = text;
  $("status").dataset.mood = mood;
}

/** A problem: its words above, its calls where calls are shown, its faults at their fields. */
function trouble(response, problem) {
  if (problem.sources) waterfall.take(problem.sources);
  waterfall.end();
  const status = problem.status ?? response?.status;
  $("trouble").replaceChildren(...inWords(response, problem, problem.errors ? form.faults(problem.errors) : []));
  $("trouble").hidden = false;
  $("empty").textContent = "There is no answer to show.";
  say(status ? `Not answered · ${status}` : "Not answered", "bad");
}

function view(asJson) {
  $("as-json").setAttribute("aria-pressed", String(asJson));
  $("json").hidden = !asJson;
  $("answer").hidden = asJson || answer.isEmpty;
  if (asJson) $("json").textContent = answer.json();
}

async function copy() {
  await navigator.clipboard.writeText(answer.json());
  $("copy").textContent = "Copied";
  setTimeout(() => ($("copy").textContent = "Copy"), 1500);
}

// --- hands

$("form").addEventListener("submit", (event) => (event.preventDefault(), start()));
$("live").addEventListener("click", toggle);
$("explain").addEventListener("click", explain);
$("as-json").addEventListener("click", () => view($("json").hidden));
$("copy").addEventListener("click", copy);
addEventListener("keydown", (event) => {
  const isTyping = event.target.matches?.("input, textarea, select");
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) start();
  else if (event.key === "/" && !isTyping) (event.preventDefault(), $("filter").focus());
  else if (event.key === "Escape" && !isTyping) stop();
});
addEventListener("hashchange", follow);

colours($("theme"), $("theme-word"));
enter(open);
