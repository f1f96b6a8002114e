// The console: chooses an endpoint, runs it or follows it live, and shows what becomes of its calls.

import { Answer } from "./answer.js";
import { count, duration, h, listed, prose } from "./dom.js";
import { Form } from "./form.js";
import { Merganser } from "./merganser.js";
import { run } from "./run.js";
import { Upstreams } from "./upstreams.js";
import { Waterfall } from "./waterfall.js";

const $ = (id) => document.getElementById(id);
const here = new URL(".", document.baseURI); // the service's root, wherever it is mounted
const TOKEN = "merganser.token";
const THEMES = { "": "System", light: "Light", dark: "Dark" };
const TITLES = {
  400: "The request is malformed", 401: "This endpoint asks who you are", 403: "You may not ask this", 404: "There is no such thing",
  422: "Some values do not fit", 429: "Too many requests", 500: "Something went wrong here", 502: "A system behind this has failed",
  503: "A system behind this takes no more calls", 504: "A system behind this did not answer in time",
};

const EMPTY = $("empty").cloneNode(true);

let catalog, endpoint, form, waterfall, answer, live, feed, controller, updates, asked;

// --- getting in

function stored(key, value) {
  try {
    if (value !== undefined) sessionStorage.setItem(key, value);
    return sessionStorage.getItem(key);
  } catch {
    return value ?? null; // storage is closed: the token lasts as long as the page
  }
}

let token = stored(TOKEN);
const credentials = () => (token ? { authorization: `Bearer ${token}` } : {});

async function ask(path) {
  const response = await fetch(new URL(path, here), { headers: credentials(), cache: "no-store" });
  if (!response.ok) throw Object.assign(new Error(response.statusText), { status: response.status });
  return response.json();
}

async function enter() {
  try {
    catalog = await ask("console/catalog");
  } catch (error) {
    return gate(error);
  }
  $("gate").hidden = true;
  for (const id of ["shell", "foot"]) $(id).hidden = false;
  $("metrics").hidden = token !== null; // a link cannot carry the token
  $("service").textContent = catalog.name;
  $("version").textContent = `Merganser ${catalog.merganser}`;
  document.title = `${catalog.name} · Merganser`;
  list();
  follow();
  new Upstreams($("upstreams"), () => ask("console/upstreams"));
}

function gate(error) {
  $("gate").hidden = false;
  $("gate-fault").textContent = error.status === 401 ? (token ? "That token does not fit." : "") : `The service does not answer (${error.message}).`;
  $("token").focus();
}

$("gate-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value;
  stored(TOKEN, token);
  enter();
});

// --- choosing an endpoint

function list() {
  const groups = Map.groupBy ? Map.groupBy(catalog.endpoints, tag) : grouped(catalog.endpoints);
  const items = [...groups].map(([name, endpoints]) => h("div.group", {}, name ? h("h2", {}, name) : null, h("ul", {}, endpoints.map(link))));
  $("endpoints").replaceChildren(...items);
}

const tag = (one) => one.tags[0] ?? "";

function grouped(endpoints) {
  const groups = new Map();
  for (const one of endpoints) groups.set(tag(one), [...(groups.get(tag(one)) ?? []), one]);
  return groups;
}

function link(one) {
  const mark = one.live_s ? h("i", { title: "can be followed live" }, "live") : null;
  return h("li", {}, h("a", { href: `#${one.name}` }, h("b", {}, one.name, mark), h("small", {}, one.summary || `${one.method} ${one.route}`)));
}

const links = () => [...$("endpoints").querySelectorAll("li:not([hidden]) a")];

/** Shows the endpoint that the address names, filled in as it says. */
function follow() {
  const [name, query] = location.hash.slice(1).split("?");
  const next = catalog.endpoints.find((one) => one.name === name) ?? catalog.endpoints[0];
  if (next && next !== endpoint) choose(next);
  form?.fill(new URLSearchParams(query));
}

function choose(next) {
  stop();
  endpoint = next;
  for (const one of $("endpoints").querySelectorAll("a")) one.toggleAttribute("aria-current", one.hash === `#${next.name}`);
  $("endpoints").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
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
  const headers = { ...request.headers, accept: "application/json", ...(token ? { "merganser-admin": token } : {}) };
  try {
    const response = await fetch(url, { method: request.method, headers, body: request.body, cache: "no-store" });
    const document = await response.json();
    if (!response.ok) trouble(response, document);
    if (!document.explain) return response.ok && say("This endpoint cannot be explained: it has a param of that name.", "bad");
    tell(document);
  } catch (error) {
    trouble(null, { detail: `The service does not answer (${error.message}).` });
  }
}

function tell({ data, complete, explain }) {
  const { calls, critical_path: names, ms } = explain;
  waterfall.take(calls);
  waterfall.end();
  waterfall.explain(Object.fromEntries(Object.entries(calls).map(([name, call]) => [name, lines(name, call, names)])), names);
  $("calls-said").textContent = names.length ? `it waited for ${names.join(", then ")}` : "";
  if (data === undefined) return;
  if (endpoint.parts) for (const [name, value] of Object.entries(data)) put(name, value);
  else whole(data);
  say(`${complete ? "Complete" : "Incomplete"} · ${duration(ms)} of ${duration(explain.deadline_ms)}`, complete ? "good" : "partial");
}

function lines(name, call, path) {
  const policies = Object.keys(call.stack).filter((policy) => !["observe", "deadline", "transport"].includes(policy));
  const told = [...(call.error ? [`${call.error.type}: ${call.error.detail}`] : []), ...call.notes];
  if (path.includes(name)) told.push("on the critical path");
  else if (call.slack_ms) told.push(`could have ended ${duration(call.slack_ms)} later`);
  if (policies.length) told.push(`policies: ${policies.join(", ")}`);
  return told;
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

/** A problem document, in words; its calls go where calls are shown. */
function trouble(response, problem) {
  if (problem.sources) waterfall.take(problem.sources);
  waterfall.end();
  const status = problem.status ?? response?.status;
  const others = problem.errors ? form.faults(problem.errors) : [];
  const wait = response?.headers.get("retry-after");
  const failed = Object.entries(problem.sources ?? {}).filter(([, source]) => source.status === "failed").map(([name]) => name);
  const detail = problem.errors && !others.length ? "The fields that are marked say why." : problem.detail;
  const body = [h("h2", {}, TITLES[status] ?? problem.title ?? "It did not work"), h("p", {}, detail ?? "")];
  if (failed.length) body.push(h("p", {}, `Failed: ${listed(failed)}.`));
  if (others.length) body.push(h("ul", {}, others.map((text) => h("li", {}, text))));
  if (wait) body.push(h("p", {}, `Come back in ${wait} s.`));
  if (problem.instance) body.push(h("p.id", {}, status ? `${status} ${problem.title ?? ""} · request ` : "request ", h("code", {}, problem.instance)));
  $("trouble").replaceChildren(...body);
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

function theme(next) {
  document.documentElement.dataset.theme = next;
  $("theme-word").textContent = THEMES[next];
  $("theme").setAttribute("aria-label", `Colours: ${THEMES[next]}. Change`);
  try {
    localStorage.setItem("merganser.theme", next);
  } catch {
    // the choice lasts as long as the page
  }
}

// --- hands

$("form").addEventListener("submit", (event) => (event.preventDefault(), start()));
$("live").addEventListener("click", toggle);
$("explain").addEventListener("click", explain);
$("as-json").addEventListener("click", () => view($("json").hidden));
$("copy").addEventListener("click", copy);
$("theme").addEventListener("click", () => {
  const order = Object.keys(THEMES);
  theme(order[(order.indexOf(document.documentElement.dataset.theme ?? "") + 1) % order.length]);
});
$("filter").addEventListener("input", () => {
  const wanted = $("filter").value.trim().toLowerCase();
  for (const item of $("endpoints").querySelectorAll("li")) item.hidden = !item.textContent.toLowerCase().includes(wanted);
  for (const group of $("endpoints").querySelectorAll(".group")) group.hidden = !group.querySelector("li:not([hidden])");
  $("none").hidden = links().length > 0;
});
$("filter").addEventListener("keydown", (event) => {
  if (event.key === "Enter") links()[0]?.click();
  if (event.key === "ArrowDown") (event.preventDefault(), links()[0]?.focus());
  if (event.key === "Escape") (($("filter").value = ""), $("filter").dispatchEvent(new Event("input")));
});
$("endpoints").addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const all = links();
  (all[all.indexOf(document.activeElement) + step] ?? $("filter")).focus();
});
addEventListener("keydown", (event) => {
  const isTyping = event.target.matches?.("input, textarea, select");
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) start();
  else if (event.key === "/" && !isTyping) (event.preventDefault(), $("filter").focus());
  else if (event.key === "Escape" && !isTyping) stop();
});
addEventListener("hashchange", follow);

theme(document.documentElement.dataset.theme ?? "");
enter();
