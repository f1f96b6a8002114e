// The panel of upstreams: how each stands now, and its last minutes of latency as a line.

import { duration, h, svg } from "./dom.js";

const EVERY = 2000;
const KEPT = 30; // pieces of ten seconds: five minutes
const FEWEST = 6;
const [WIDTH, HEIGHT] = [132, 30];

/** Asks every two seconds while the page is seen; `ask` gives the document or throws. */
export class Upstreams {
  constructor(root, ask) {
    Object.assign(this, { root, ask, cards: new Map(), kept: new Map() });
    document.addEventListener("visibilitychange", () => document.hidden || this._look());
    this._look();
  }

  async _look() {
    clearTimeout(this.timer);
    if (document.hidden) return;
    try {
      this._show(await this.ask());
      this.root.dataset.state = "there";
    } catch {
      this.root.dataset.state = "lost";
    }
    this.timer = setTimeout(() => this._look(), EVERY);
  }

  _show({ upstreams, now }) {
    for (const one of upstreams) {
      const pieces = this.kept.get(one.name) ?? new Map();
      for (const piece of one.slices) pieces.set(piece.at, piece);
      for (const at of pieces.keys()) if (at <= now - KEPT) pieces.delete(at);
      this.kept.set(one.name, pieces);
      if (!this.cards.has(one.name)) this._card(one);
      this._fill(one, now);
    }
  }

  _card(one) {
    const [state, line, latency, facts] = [h("span.state"), h("div.line"), h("div.latency"), h("p.facts")];
    const kind = h("small");
    const item = h("li.upstream", {}, h("div.title", {}, h("h3", {}, one.name), kind, state), h("div.times", {}, line, latency), facts);
    this.root.querySelector("ul").append(item);
    this.cards.set(one.name, { item, kind, state, line, latency, facts });
  }

  _fill(one, now) {
    const { item, kind, state, line, latency, facts } = this.cards.get(one.name);
    const pieces = [...this.kept.get(one.name).values()].filter((piece) => piece.p50 !== null).sort((a, b) => a.at - b.at);
    const attempts = one.slices.reduce((sum, piece) => sum + piece.attempts, 0);
    const word = one.state === "up" && !attempts ? "idle" : one.state;
    item.dataset.state = word;
    kind.textContent = [sort(one), attempts ? `${attempts}/min` : ""].filter(Boolean).join(", ");
    if (state.textContent !== word) state.textContent = word;
    line.replaceChildren(sparkline(pieces, now));
    const newest = pieces.at(-1);
    const [p50, p95] = [one.latency_ms.p50 ?? newest?.p50, one.latency_ms.p95 ?? newest?.p95];
    latency.replaceChildren(...(p50 === undefined ? [h("span.quiet", {}, "none of late")] : [figure("p50", p50), figure("p95", p95)]));
    facts.replaceChildren(...this._facts(one).map((text) => h("span", {}, text)));
  }

  _facts(one) {
    const { hit, miss, stale, coalesced } = one.cache;
    const asked = hit + miss + stale;
    const facts = [`${one.in_flight}${one.limit === null ? "" : ` of ${one.limit}`} in flight`];
    if (one.queued) facts.push(`${one.queued} queued`);
    if (asked) facts.push(`${Math.round((100 * (hit + stale)) / asked)} % cached`);
    if (coalesced) facts.push(`${coalesced} shared`);
    const breakers = Object.values(one.breakers);
    const open = breakers.filter((state) => state !== "closed").length;
    if (breakers.length) facts.push(open ? `breaker ${breakers.length > 1 ? `${open} of ${breakers.length} ` : ""}${breakers.includes("open") ? "open" : "half open"}` : "breaker closed");
    return facts;
  }
}

const sort = (one) => (one.kind === "function" ? `function${["thread", "process"].includes(one.run) ? ` in a ${one.run}` : ""}` : one.urls > 1 ? `${one.urls} urls` : "HTTP");

const figure = (name, ms) => h("span", {}, h("small", {}, name), duration(ms));

/** p95 as a shaded bank, p50 as the line of the water; each point is ten seconds, the newest at the right. */
function sparkline(pieces, now) {
  const slots = Math.max(FEWEST, Math.min(KEPT, now - (pieces[0]?.at ?? now) + 1));
  const top = Math.max(1, ...pieces.map((piece) => piece.p95)) * 1.15;
  const x = (piece) => WIDTH - 3 - ((now - piece.at) * (WIDTH - 6)) / (slots - 1);
  const y = (ms) => HEIGHT - 2 - (ms / top) * (HEIGHT - 5);
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true", preserveAspectRatio: "none" });
  picture.append(svg("line", { class: "base", x1: 0, x2: WIDTH, y1: HEIGHT - 1.5, y2: HEIGHT - 1.5 }));
  if (!pieces.length) return picture;
  const points = (key) => pieces.map((piece) => `${x(piece).toFixed(1)},${y(piece[key]).toFixed(1)}`);
  if (pieces.length > 1) {
    const [first, last] = [x(pieces[0]).toFixed(1), x(pieces.at(-1)).toFixed(1)];
    picture.append(svg("polygon", { class: "p95", points: `${first},${HEIGHT - 2} ${points("p95").join(" ")} ${last},${HEIGHT - 2}` }));
    picture.append(svg("polyline", { class: "p50", points: points("p50").join(" ") }));
  }
  const [cx, top95, top50] = [x(pieces.at(-1)), y(pieces.at(-1).p95), y(pieces.at(-1).p50)];
  if (pieces.length === 1) picture.append(svg("path", { class: "reach", d: `M${cx} ${HEIGHT - 2}V${top95}` }));
  picture.append(svg("path", { class: "now", d: `M${cx} ${top50}h.01` }));
  return picture;
}
