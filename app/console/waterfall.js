// The calls of one answer on a common time axis: the plan before it runs, bars that grow while it does, and how each ended.

import { duration, h, listed } from "./dom.js";

const STEPS = [1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10]; // a quarter of each is a round number
const WORDS = { ok: "ok", stale: "stale", fallback: "fallback", partial: "partial", skipped: "skipped", failed: "failed", unsettled: "cancelled", unasked: "not asked" };
const CACHED = { hit: "cached", coalesced: "shared" };

/** The next round number of ms that a time fits below. */
function roundUp(ms) {
  const power = 10 ** Math.floor(Math.log10(Math.max(ms, 10)));
  return power * STEPS.find((step) => step * power >= ms);
}

export class Waterfall {
  constructor(root, endpoint) {
    this.calls = endpoint.calls;
    this.deadline = endpoint.deadline_ms;
    this.sources = {};
    this.depths = depths(this.calls);
    this.axis = [0, 1, 2, 3, 4].map(() => h("span"));
    this.rows = new Map(this.calls.map((call) => [call.name, row(call)]));
    this.root = root;
    root.replaceChildren(h("div.axis", { "aria-hidden": "true" }, this.axis), h("ol.rows", {}, [...this.rows.values()].map((one) => one.item)));
    this.plan();
  }

  /** The plan alone: who starts at once, who waits for whom. */
  plan() {
    this._stop();
    this.sources = {};
    this.known = undefined;
    const width = 100 / (Math.max(0, ...Object.values(this.depths)) + 1);
    for (const { name } of this.calls) this._draw(name, { state: "planned", left: this.depths[name] * width, width: width * 0.86, figure: "" });
    this.axis.forEach((tick) => (tick.textContent = ""));
    this.root.style.setProperty("--grid", "25%");
  }

  /** A run has begun: bars grow from now on until they have settled. */
  begin() {
    this._stop();
    this.sources = {};
    this.known = undefined;
    this.scale = undefined;
    this.began = performance.now();
    for (const { notes } of this.rows.values()) notes.replaceChildren();
    const tick = () => {
      this._show();
      this.frame = requestAnimationFrame(tick);
    };
    tick();
  }

  /** Calls that have settled, as `sources` tells them. */
  take(sources) {
    for (const name of Object.keys(sources)) this._flash(name);
    Object.assign(this.sources, sources);
    if (!this.frame) this._ease();
  }

  /** Nothing more comes: what has not settled by now was cut off. */
  end() {
    this._stop();
    if (Object.keys(this.sources).length) this._ease();
    else this.plan();
  }

  /** The ms at which the last call had settled. */
  total() {
    return Math.max(0, ...Object.values(this._times()).map((time) => time.end ?? 0));
  }

  /** The chain of calls that the answer waited for. */
  path() {
    if (this.known) return this.known;
    const times = this._times();
    const latest = (names) => names.filter((name) => times[name]?.end !== undefined).sort((a, b) => times[b].end - times[a].end || times[b].start - times[a].start)[0];
    const path = [];
    for (let name = latest(this.calls.map((call) => call.name)); name; name = latest(before(this._call(name)))) path.unshift(name);
    return path;
  }

  /** What an explanation says: lines under the calls, and the path as the server knows it. */
  explain(calls, path) {
    this.known = path;
    this._show();
    for (const [name, call] of Object.entries(calls)) this.rows.get(name)?.notes.replaceChildren(...told(name, call, path).map((line) => h("li", {}, line)));
  }

  _stop() {
    cancelAnimationFrame(this.frame);
    cancelAnimationFrame(this.easing);
    this.frame = undefined;
  }

  _call(name) {
    return this.calls.find((call) => call.name === name);
  }

  /** Start and end of each call, ms: a call starts the moment the last of those it waits for has settled. */
  _times() {
    const times = {};
    const visit = (call) => {
      if (times[call.name]) return times[call.name];
      const waits = before(call).map((name) => visit(this._call(name)));
      const source = this.sources[call.name];
      const isFree = waits.every((one) => one.end !== undefined);
      const start = source?.start_ms ?? Math.max(0, ...waits.map((one) => one.end ?? 0));
      return (times[call.name] = { start: isFree || source ? start : undefined, end: source?.ms === undefined ? undefined : start + source.ms });
    };
    this.calls.forEach(visit);
    return times;
  }

  /** Draws until the axis has come to rest. */
  _ease() {
    cancelAnimationFrame(this.easing);
    this._show();
    if (this.scale !== this.target) this.easing = requestAnimationFrame(() => this._ease());
  }

  /** The axis glides to a new scale, and the bars with it: what is drawn is true at every moment. */
  _glide(target) {
    const isStill = this.scale === undefined || matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.target = target;
    this.scale = isStill || Math.abs(target - this.scale) < target / 200 ? target : this.scale + (target - this.scale) * 0.22;
    this.root.style.setProperty("--grid", `${(25 * target) / this.scale}%`);
    this.axis.forEach((tick, at) => {
      tick.textContent = at === 0 ? "0" : duration((target * at) / 4);
      tick.style.left = `${(25 * at * target) / this.scale}%`;
      tick.hidden = at * target > 4.02 * this.scale;
    });
    return this.scale;
  }

  _show() {
    const times = this._times();
    const now = performance.now() - this.began;
    const last = Math.max(0, ...Object.values(times).map((time) => time.end ?? 0));
    const isRunning = this.frame !== undefined;
    const scale = this._glide(roundUp(Math.max(last * 1.04, isRunning ? now * 1.1 : 0, 12)));
    const path = isRunning ? [] : this.path();
    for (const { name } of this.calls) this._draw(name, this._state(name, times[name], now, scale, isRunning), path.includes(name));
  }

  _state(name, { start, end }, now, scale, isRunning) {
    const source = this.sources[name];
    const left = ((start ?? 0) / scale) * 100;
    if (source && end !== undefined) return { state: source.status, left, width: ((end - start) / scale) * 100, figure: duration(source.ms), source };
    const isUnasked = before(this._call(name)).some((one) => ["failed", undefined].includes(this.sources[one]?.status));
    if (!isRunning) return { state: isUnasked ? "unasked" : "unsettled", left, width: 0, figure: "", source };
    if (start === undefined) return { state: "waiting", left: 0, width: 0, figure: "waits" };
    return { state: "running", left, width: (Math.max(0, now - start) / scale) * 100, figure: "" };
  }

  _draw(name, { state, left, width, figure, source }, isCritical = false) {
    const { item, bar, ms, word, chips, notes } = this.rows.get(name);
    item.dataset.state = state;
    item.dataset.cache = source?.cache ?? "";
    item.classList.toggle("critical", isCritical);
    bar.style.left = `${Math.min(left, 99.4)}%`;
    bar.style.width = `${Math.max(0.6, Math.min(width, 100 - left))}%`;
    if (ms.textContent !== figure) ms.textContent = figure;
    if (word.dataset.of === `${state} ${JSON.stringify(source)}`) return;
    word.dataset.of = `${state} ${JSON.stringify(source)}`;
    word.textContent = (state === "ok" && CACHED[source.cache]) || WORDS[state] || "";
    chips.replaceChildren(...said(source).map((text) => h("span.chip", {}, text)));
    if (source?.error && !source.notes) notes.replaceChildren(h("li", {}, `${source.error.type}: ${source.error.detail}`));
    else if (!source?.notes) notes.replaceChildren();
  }

  _flash(name) {
    const item = this.rows.get(name)?.item;
    if (!item || this.frame) return;
    item.classList.remove("beat");
    void item.offsetWidth; // so that the animation starts anew
    item.classList.add("beat");
  }
}

const before = (call) => [...call.needs, ...call.after];

function depths(calls) {
  const found = {};
  const depth = (name) => (found[name] ??= Math.max(-1, ...before(calls.find((call) => call.name === name)).map(depth)) + 1);
  calls.forEach((call) => depth(call.name));
  return found;
}

/** What is worth a word beside the status. */
function said(source) {
  if (!source) return [];
  const chips = [];
  if (source.attempts > 1) chips.push(`${source.attempts} attempts`);
  if (source.http_status && source.http_status !== 200 && source.error?.type !== "status") chips.push(String(source.http_status));
  return chips;
}

function row(call) {
  const parts = { bar: h("span.bar"), ms: h("span.ms"), word: h("span.word"), chips: h("span.chips"), notes: h("ul.notes") };
  const waits = before(call);
  const about = [call.upstream, call.required ? "required" : "", waits.length ? `waits for ${listed(waits)}` : "starts at once", call.each ? `each ${call.each}` : ""];
  parts.item = h(
    "li.row", {},
    h("span.name", { title: about.filter(Boolean).join(" · ") }, h("b", {}, call.name), h("small", {}, about.slice(0, 2).filter(Boolean).join(", "))),
    h("span.track", { "aria-hidden": "true" }, parts.bar), h("span.figure", {}, parts.ms, parts.word), parts.chips, parts.notes,
  );
  return parts;
}

/** The lines under a call that is explained. */
function told(name, call, path) {
  const policies = Object.keys(call.stack).filter((policy) => !["observe", "deadline", "transport"].includes(policy));
  const said = [...(call.error ? [`${call.error.type}: ${call.error.detail}`] : []), ...call.notes];
  if (path.includes(name)) said.push("on the critical path");
  else if (call.slack_ms) said.push(`could have ended ${duration(call.slack_ms)} later`);
  if (policies.length) said.push(`policies: ${policies.join(", ")}`);
  return said;
}
