// Requests to our own server: JSON for commands, HTML for parts of pages.

/** The server answered, and said no. `code` is for programs, `message` for people. */
export class Refused extends Error {
  constructor(status, { code = "", detail = "" } = {}) {
    super(detail || `The server answered ${status}.`);
    this.status = status;
    this.code = code;
  }
}

/** No answer came: the server or the network is away. */
export class Unreachable extends Error {}

/** For what is tried again anyway, while the connection line says that there is trouble. */
export function quiet(error) {
  if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
}

const cookie = (name) => document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";

/** Leave for the sign-in page, and come back here. */
export function signIn() {
  location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

function reach(path, options) {
  return fetch(path, options).catch((error) => {
    throw new Unreachable("Nebulus Gantry cannot be reached.", { cause: error });
  });
}

/** A request under /api. Resolves to the response, throws `Refused` or `Unreachable`. What deletes outlives the page. */
export async function request(method, path, body, { accept = "application/json" } = {}) {
  const headers = { Accept: accept, "X-CSRFToken": cookie("csrftoken") };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const content = body === undefined ? undefined : JSON.stringify(body);
  const response = await reach(path, { method, headers, body: content, keepalive: method === "DELETE" });
  if (response.status === 401) signIn();
  if (!response.ok) throw new Refused(response.status, await response.json().catch(() => ({})));
  return response;
}

/** The JSON answer to a request under /api. */
export async function api(method, path, body) {
  return (await request(method, path, body)).json();
}

/** Has it deleted; what is gone already is deleted. */
export async function erase(path) {
  await api("DELETE", path).catch((error) => {
    if (error.status !== 404) throw error;
  });
}

/** A part of a page as a fragment. Our own templates write it; what a model wrote is sanitised in it. */
export async function part(path) {
  const response = await reach(path, { headers: { Accept: "text/html" }, redirect: "manual" });
  if (response.type === "opaqueredirect") {
    signIn();
    throw new Refused(401);
  }
  if (!response.ok) throw new Refused(response.status);
  return fragment(await response.text());
}

/** Server-made HTML as nodes. */
export function fragment(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

/** A name for one sending of one message, so that sending it again is harmless. `crypto.randomUUID` exists only on
 * secure origins, which plain http in a home network is not. */
export function newClientId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
