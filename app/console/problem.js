// A problem document (RFC 9457) as people would say it.

import { h, listed } from "./dom.js";

const TITLES = {
  400: "The request is malformed", 401: "This endpoint asks who you are", 403: "You may not ask this", 404: "There is no such thing",
  422: "Some values do not fit", 429: "Too many requests", 500: "Something went wrong here", 502: "A system behind this has failed",
  503: "A system behind this takes no more calls", 504: "A system behind this did not answer in time",
};

/** Elements that tell a problem; `response` is null where there was none, `others` are faults that belong to no field. */
export function inWords(response, problem, others) {
  const status = problem.status ?? response?.status;
  const detail = problem.errors && !others.length ? "The fields that are marked say why." : problem.detail;
  const failed = Object.entries(problem.sources ?? {}).filter(([, source]) => source.status === "failed").map(([name]) => name);
  const wait = response?.headers.get("retry-after");
  const told = [h("h2", {}, TITLES[status] ?? problem.title ?? "It did not work"), h("p", {}, detail ?? "")];
  if (failed.length) told.push(h("p", {}, `Failed: ${listed(failed)}.`));
  if (others.length) told.push(h("ul", {}, others.map((text) => h("li", {}, text))));
  if (wait) told.push(h("p", {}, `Come back in ${wait} s.`));
  if (problem.instance) told.push(h("p.id", {}, status ? `${status} ${problem.title ?? ""} · request ` : "request ", h("code", {}, problem.instance)));
  return told;
}
