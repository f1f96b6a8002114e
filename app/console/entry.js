// The way in: the operator's token, and the colours of the page.

const $ = (id) => document.getElementById(id);
const TOKEN = "merganser.token";
const THEMES = { "": "System", light: "Light", dark: "Dark" };

/** The service's root, wherever it is mounted. */
export const here = new URL(".", document.baseURI);

let token = stored();

function stored(value) {
  try {
    if (value !== undefined) sessionStorage.setItem(TOKEN, value);
    return sessionStorage.getItem(TOKEN);
  } catch {
    return value ?? null; // storage is closed: the token lasts as long as the page
  }
}

/** The operator's token; null where none was asked for. */
export const operator = () => token;

/** A document of the console, for operators; throws with `status` where it is refused. */
export async function ask(path) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const response = await fetch(new URL(path, here), { headers, cache: "no-store" });
  if (!response.ok) throw Object.assign(new Error(response.statusText), { status: response.status });
  return response.json();
}

/** Calls `open` with the catalog, once the token fits. */
export async function enter(open) {
  let catalog;
  try {
    catalog = await ask("console/catalog");
  } catch (error) {
    return refuse(error, open);
  }
  $("gate").hidden = true;
  open(catalog);
}

function refuse(error, open) {
  $("gate").hidden = false;
  $("gate-fault").textContent = error.status === 401 ? (token ? "That token does not fit." : "") : `The service does not answer (${error.message}).`;
  $("token").focus();
  $("gate-form").onsubmit = (event) => {
    event.preventDefault();
    token = $("token").value;
    stored(token);
    enter(open);
  };
}

/** The switch of the page's colours: the system's, light, dark; kept in this browser. */
export function colours(button, word) {
  const choose = (next) => {
    document.documentElement.dataset.theme = next;
    word.textContent = THEMES[next];
    button.setAttribute("aria-label", `Colours: ${THEMES[next]}. Change`);
    try {
      localStorage.setItem("merganser.theme", next);
    } catch {
      // the choice lasts as long as the page
    }
  };
  const order = Object.keys(THEMES);
  const chosen = () => document.documentElement.dataset.theme ?? "";
  button.addEventListener("click", () => choose(order[(order.indexOf(chosen()) + 1) % order.length]));
  choose(chosen());
}
