// An answer for reading: each part in its place, lists of alike objects as tables, and a flash on whatever has changed.

import { h } from "./dom.js";

const MOST = 200; // of a list; the rest is told by its number
const MOST_COLUMNS = 9;

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const isScalar = (value) => value === null || typeof value !== "object";
const same = (one, other) => one === other || JSON.stringify(one) === JSON.stringify(other);

/** The names of the columns, where a list is one of small alike objects. */
function columns(list) {
  if (!list.length || !list.every((one) => isObject(one) && Object.values(one).every((value) => isScalar(value) || isShort(value)))) return null;
  const names = [...new Set(list.flatMap(Object.keys))];
  return names.length && names.length <= MOST_COLUMNS ? names : null;
}

const isShort = (value) => Array.isArray(value) && value.length <= 6 && value.every(isScalar);

function scalar(value, changed) {
  const kind = value === null ? "null" : typeof value;
  return h(`span.${kind}${changed ? ".changed" : ""}`, {}, value === null ? "null" : String(value));
}

/** A value as elements; `old` is what stood there before, undefined where there is nothing to compare with. */
function shown(value, old, isNew) {
  if (isScalar(value)) return scalar(value, isNew || (old !== undefined && value !== old));
  if (Array.isArray(value)) return list(value, Array.isArray(old) ? old : undefined);
  const entries = Object.entries(value);
  if (!entries.length) return h("span.null", {}, "nothing in it");
  const before = isObject(old) ? old : undefined;
  return h("dl", {}, entries.flatMap(([key, one]) => [h("dt", {}, key), h("dd", {}, shown(one, before?.[key], before !== undefined && !(key in before)))]));
}

function list(values, old) {
  if (!values.length) return h("span.null", {}, "an empty list");
  if (values.every(isScalar)) return h("span.items", {}, values.slice(0, MOST).map((one, at) => scalar(one, old !== undefined && one !== old[at])), more(values));
  const names = columns(values);
  const rows = values.slice(0, MOST);
  if (!names) return h("ol.things", {}, rows.map((one, at) => h("li", {}, shown(one, old?.[at], old !== undefined && at >= old.length))), more(values));
  const isFigure = (name) => rows.every((one) => typeof one[name] === "number");
  const head = h("tr", {}, names.map((name) => h(`th${isFigure(name) ? ".number" : ""}`, { scope: "col" }, name)));
  const key = names.find((name) => isUnique(values, name) && isUnique(old ?? [], name));
  const twin = (one, at) => (key === undefined ? old?.[at] : old?.find((before) => before?.[key] === one[key]));
  const body = rows.map((one, at) => {
    const before = twin(one, at);
    return h("tr", {}, names.map((name) => cell(one[name], old !== undefined && (before ? !same(one[name], before[name]) : name === (key ?? names[0])))));
  });
  return h("div.scroll", { tabIndex: 0, role: "group", "aria-label": "A table" }, h("table", {}, h("thead", {}, head), h("tbody", {}, body)), more(values));
}

/** Whether a column tells the rows apart: then a row that has moved is still the same row. */
const isUnique = (list, name) => list.every((one) => isScalar(one?.[name] ?? null)) && new Set(list.map((one) => one?.[name])).size === list.length;

function cell(value, changed) {
  const text = value === undefined || value === null ? "" : Array.isArray(value) ? value.join(", ") : String(value);
  return h(`td${typeof value === "number" ? ".number" : ""}`, {}, changed && text ? h("span.changed", {}, text) : text);
}

const more = (values) => (values.length > MOST ? h("span.null", {}, `and ${values.length - MOST} more, see JSON`) : null);

/** Shows an answer's parts under `root`; `put` replaces one, and flashes what differs from before. */
export class Answer {
  constructor(root, parts) {
    this.root = root;
    this.data = {};
    this.places = new Map();
    this.keyed = parts !== null;
    root.replaceChildren();
    for (const name of parts ?? []) this._place(name);
  }

  /** One part, new or changed. */
  put(name, value) {
    const { body, item } = this.places.get(name) ?? this._place(name);
    const isFirst = !(name in this.data);
    if (!isFirst && same(this.data[name], value)) return;
    body.replaceChildren(shown(value, isFirst ? undefined : this.data[name], false));
    item.dataset.state = "there";
    item.classList.toggle("wide", (columns(Array.isArray(value) ? value : []) ?? []).length > 6);
    if (isFirst) item.classList.add("arrived");
    this.data[name] = value;
  }

  /** An answer without fixed keys: all of it at once. */
  whole(value) {
    const old = this.whole_;
    this.whole_ = value;
    this.root.replaceChildren(h("div.part.only", { "data-state": "there" }, shown(value, old, false)));
  }

  /** A text that is no JSON. */
  text(value) {
    this.whole_ = value;
    this.root.replaceChildren(h("pre", { tabIndex: 0 }, value));
  }

  /** The answer's `data` as JSON. */
  json() {
    return typeof this.whole_ === "string" ? this.whole_ : JSON.stringify(this.whole_ === undefined ? this.data : this.whole_, null, 2);
  }

  get isEmpty() {
    return this.whole_ === undefined && !Object.keys(this.data).length;
  }

  _place(name) {
    const body = h("div.value", {}, h("span.dash", { "aria-label": "not there yet" }));
    const item = h("section.part", { "data-state": "expected" }, h("h3", {}, name), body);
    this.root.append(item);
    const place = { body, item };
    this.places.set(name, place);
    return place;
  }
}
