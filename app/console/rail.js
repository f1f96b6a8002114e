// The list of endpoints: by tag, filtered as one types, walked with the arrow keys.

import { h } from "./dom.js";

export class Rail {
  constructor(root, filter, none, endpoints) {
    Object.assign(this, { root, filter, none });
    const tags = [...new Set(endpoints.map(tag))];
    root.replaceChildren(...tags.map((name) => group(name, endpoints.filter((one) => tag(one) === name))));
    filter.addEventListener("input", () => this._narrow());
    filter.addEventListener("keydown", (event) => this._typed(event));
    root.addEventListener("keydown", (event) => this._walked(event));
  }

  /** Marks the endpoint that is shown. */
  mark(name) {
    for (const one of this.root.querySelectorAll("a")) {
      if (one.hash === `#${name}`) one.setAttribute("aria-current", "page");
      else one.removeAttribute("aria-current");
    }
    this.root.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  _links() {
    return [...this.root.querySelectorAll("li:not([hidden]) a")];
  }

  _narrow() {
    const wanted = this.filter.value.trim().toLowerCase();
    for (const item of this.root.querySelectorAll("li")) item.hidden = !item.textContent.toLowerCase().includes(wanted);
    for (const one of this.root.querySelectorAll(".group")) one.hidden = !one.querySelector("li:not([hidden])");
    this.none.hidden = this._links().length > 0;
  }

  _typed(event) {
    if (event.key === "Enter") this._links()[0]?.click();
    if (event.key === "ArrowDown") (event.preventDefault(), this._links()[0]?.focus());
    if (event.key === "Escape") ((this.filter.value = ""), this._narrow());
  }

  _walked(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = this._links();
    (all[all.indexOf(document.activeElement) + step] ?? this.filter).focus();
  }
}

const tag = (one) => one.tags[0] ?? "";

const group = (name, endpoints) => h("div.group", {}, name ? h("h2", {}, name) : null, h("ul", {}, endpoints.map(link)));

function link(one) {
  const mark = one.live_s ? h("i", { title: "can be followed live" }, "live") : null;
  return h("li", {}, h("a", { href: `#${one.name}` }, h("b", {}, one.name, mark), h("small", {}, one.summary || `${one.method} ${one.route}`)));
}
