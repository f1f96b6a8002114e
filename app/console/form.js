// A form made from an endpoint's params, and the request that it describes.

import { h } from "./dom.js";

const NUMBERS = new Set(["integer", "number"]);

/** What the rules say to a person: `1 to 50`, `3 letters or more`, a pattern where nothing else is known. */
function rules({ schema }) {
  const said = [];
  const [least, most] = [schema.minimum ?? schema.exclusiveMinimum, schema.maximum ?? schema.exclusiveMaximum];
  if (least !== undefined && most !== undefined) said.push(`${least} to ${most}`);
  else if (least !== undefined) said.push(`${least} or more`);
  else if (most !== undefined) said.push(`${most} or less`);
  if (schema.type === "array") said.push("separated by commas");
  if (schema.maxItems) said.push(`at most ${schema.maxItems}`);
  if (schema.maxLength) said.push(`at most ${schema.maxLength} characters`);
  if (schema.pattern) said.push(pattern(schema.pattern));
  if (schema.default !== undefined) said.push(`${text(schema.default)} if left empty`);
  return said.join(", ");
}

const KINDS = { "a-z": "small letters", "A-Z": "capital letters", "A-Za-z": "letters", "a-zA-Z": "letters", "0-9": "digits", "a-z-": "small letters and hyphens" };

/** A pattern in words, where it is one of the usual. */
function pattern(source) {
  const [, kind, number] = source.match(/^\^?\[([^\]]+)\](?:\{(\d+)\}|\+)\$?$/) ?? [];
  if (!KINDS[kind]) return `matches ${source}`;
  return number ? `${number} ${KINDS[kind]}` : KINDS[kind];
}

function text(value) {
  if (Array.isArray(value)) return value.map(text).join(", ");
  return value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** The control that fits a param: a list where the values are known, else what its type asks for. */
function control(param, id) {
  const { schema, name, required } = param;
  const example = text(param.example);
  const shared = { id, name, autocomplete: "off", spellcheck: false, "aria-describedby": `${id}-hint ${id}-fault` };
  const options = schema.enum ?? (schema.type === "boolean" ? [true, false] : null);
  if (options) {
    const empty = required ? [] : [h("option", { value: "" }, "any")];
    const select = h("select", shared, empty, options.map((one) => h("option", { value: text(one) }, text(one))));
    if (required && example) select.value = example;
    return select;
  }
  const type = NUMBERS.has(schema.type) ? "number" : schema.format === "date" ? "date" : "text";
  const limits = type === "number" ? { min: schema.minimum, max: schema.maximum, step: schema.type === "integer" ? 1 : "any" } : {};
  const placeholder = text(param.example ?? schema.default);
  return h("input", { ...shared, ...limits, type, placeholder, value: required ? example : "" });
}

/** The form of one endpoint. `request()` is what it says now, or null after marking what is missing. */
export class Form {
  constructor(root, endpoint) {
    this.endpoint = endpoint;
    this.fields = new Map();
    const fields = endpoint.params.map((param) => this._field(param.name, param.in, control(param, `field-${param.name}`), param));
    for (const scheme of endpoint.auth) fields.push(this._credential(scheme));
    if (endpoint.body) fields.push(this._body());
    root.replaceChildren(...fields);
    root.hidden = !fields.length;
  }

  /** Puts values, as a link carries them, into the fields. */
  fill(values) {
    for (const [name, value] of values) if (this.fields.has(name) && this.fields.get(name).place !== "credential") this.fields.get(name).control.value = value;
  }

  /** What a link should carry: everything that is filled in, but for credentials and bodies. */
  values() {
    return [...this.fields].filter(([, { place, control }]) => place !== "credential" && place !== "body" && control.value).map(([name, { control }]) => [name, control.value]);
  }

  /** The request: target, method, headers, body for HTTP; params and token for a subscription. */
  request() {
    this.clear();
    let path = this.endpoint.route;
    let isWhole = true;
    const query = new URLSearchParams();
    const request = { method: this.endpoint.method, headers: {}, params: {}, token: undefined };
    for (const [name, field] of this.fields) {
      const value = field.control.value.trim();
      if (!value) {
        if (field.required) isWhole = this._mark(name, "needs a value");
        continue;
      }
      const values = field.isList ? value.split(",").map((one) => one.trim()).filter(Boolean) : [value];
      if (field.place === "path") path = path.replace(`{${name}}`, encodeURIComponent(value));
      if (field.place === "query") values.forEach((one) => query.append(name, one));
      if (field.place === "header") request.headers[name] = value;
      if (["path", "query", "header"].includes(field.place)) request.params[name] = field.isList ? values : value;
      if (field.place === "credential") this._sign(request, field, value);
      if (field.place === "body") isWhole = this._attach(request, name, value) && isWhole;
    }
    if (!isWhole) return null;
    request.target = path.slice(1) + (query.size ? `?${query}` : "");
    return request;
  }

  /** Shows each fault of a 422 at its field; gives those that have none. */
  faults(errors) {
    const others = [];
    for (const { loc, msg } of errors) {
      const name = loc[0] === "body" ? "body" : String(loc[1] ?? loc[0]);
      if (!this.fields.has(name)) others.push(`${loc.join(" ")} ${msg}`);
      else this._mark(name, loc.length > 2 ? `${loc.slice(2).join(".")}: ${msg}` : msg);
    }
    return others;
  }

  clear() {
    for (const { control, fault } of this.fields.values()) {
      control.removeAttribute("aria-invalid");
      fault.textContent = "";
    }
  }

  _field(name, place, element, { required = false, schema = {}, description = "" }, label = name) {
    const fault = h("span.fault", { id: `${element.id}-fault` });
    this.fields.set(name, { place, control: element, fault, required, isList: schema.type === "array" });
    const hint = [description, rules({ schema })].filter(Boolean).join(" · ");
    return h(
      `div.field${element.tagName === "TEXTAREA" ? ".wide" : ""}`, {},
      h("label", { htmlFor: element.id }, label, h("span.place", {}, required ? place : `${place}, optional`)),
      element, h("span.hint", { id: `${element.id}-hint` }, hint), fault,
    );
  }

  _credential({ name, type, header }) {
    const element = h("input", { id: `field-auth-${name}`, type: "password", autocomplete: "off", placeholder: type === "jwt" ? "a token" : "a key" });
    const field = this._field(` ${name}`, "credential", element, { description: `sent as ${header}` }, name);
    Object.assign(this.fields.get(` ${name}`), { header, type });
    return field;
  }

  _body() {
    const element = h("textarea", { id: "field-body", rows: 5, spellcheck: false, placeholder: "{ }", "aria-describedby": "field-body-hint field-body-fault" });
    return this._field("body", "body", element, { description: "JSON" });
  }

  _sign(request, { header, type }, value) {
    const isBearer = type === "jwt" && !/^bearer /i.test(value);
    request.headers[header] = isBearer ? `Bearer ${value}` : value;
    request.token = value.replace(/^bearer /i, "");
  }

  _attach(request, name, value) {
    try {
      JSON.parse(value);
    } catch (error) {
      return this._mark(name, `is no JSON: ${error.message}`);
    }
    request.headers["content-type"] = "application/json";
    request.body = value;
    return true;
  }

  _mark(name, message) {
    const { control, fault } = this.fields.get(name);
    if (!document.querySelector("[aria-invalid]")) control.focus();
    control.setAttribute("aria-invalid", "true");
    fault.textContent = message;
    return false;
  }
}
