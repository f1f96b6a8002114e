"use strict";
// Sends a form of the page as the request that it describes, and shows what comes back. Nothing leaves this host.
function target(form) {
  const query = new URLSearchParams();
  let path = form.dataset.path;
  for (const field of form.querySelectorAll("[data-in]")) {
    const name = field.dataset.name;
    if (field.dataset.in === "path") path = path.replace("{" + name + "}", encodeURIComponent(field.value));
    if (field.dataset.in !== "query" || field.value === "") continue;
    const values = field.dataset.list ? field.value.split(",") : [field.value];
    for (const value of values) query.append(name, value.trim());
  }
  return path + (query.size ? "?" + query : "");
}

function options(form) {
  const headers = {};
  for (const field of form.querySelectorAll("[data-in=header]")) if (field.value) headers[field.dataset.name] = field.value;
  const body = form.querySelector("[data-in=body]");
  const options = { method: form.dataset.method, headers };
  if (body && body.value) {
    headers["content-type"] = "application/json";
    options.body = body.value;
  }
  return options;
}

function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

async function ask(form) {
  const output = form.querySelector("output");
  output.textContent = "…";
  const began = performance.now();
  try {
    const answer = await fetch(target(form), options(form));
    const text = await answer.text();
    const head = document.createElement("p");
    head.className = answer.ok ? "" : "bad";
    head.textContent = `${answer.status} in ${Math.round(performance.now() - began)} ms`
      + (answer.headers.get("server-timing") ? ` · ${answer.headers.get("server-timing")}` : "");
    const shown = document.createElement("pre");
    shown.tabIndex = 0;
    shown.textContent = pretty(text);
    output.replaceChildren(head, shown);
  } catch (error) {
    output.textContent = String(error);
  }
}

for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask(form);
  });
}
