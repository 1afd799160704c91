// Requests to our own server: JSON for commands, HTML for parts of pages.

/** The server answered, and said no. `code` is for programs, `message` for people. */
export class Refused extends Error {
  constructor(status, { code = "", detail = "" } = {}) {
    super(detail || `The server answered ${status}.`);
    this.status = status;
    this.code = code;
  }
}

const cookie = (name) => document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";

/** Leave for the sign-in page, and come back here. */
export function signIn() {
  location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

/** A request under /api. Resolves to the response, throws `Refused`, or a TypeError when the server cannot be reached. */
export async function request(method, path, body, { accept = "application/json" } = {}) {
  const headers = { Accept: accept, "X-CSRFToken": cookie("csrftoken") };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (response.status === 401) signIn();
  if (!response.ok) throw new Refused(response.status, await response.json().catch(() => ({})));
  return response;
}

/** The JSON answer to a request under /api. */
export async function api(method, path, body) {
  return (await request(method, path, body)).json();
}

/** A part of a page as a fragment. Our own templates write it; what a model wrote is sanitised in it. */
export async function part(path) {
  const response = await fetch(path, { headers: { Accept: "text/html" }, redirect: "manual" });
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
