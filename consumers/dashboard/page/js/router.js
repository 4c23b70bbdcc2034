// Routes live in the hash, so that a link to a number is stable and a folder of files is all the server needs. No page in here.

/** The address of a route: its path, and what is chosen in it. Empty choices are left out. */
export function href(path, query = {}) {
  const chosen = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const text = new URLSearchParams(chosen.map(([name, value]) => [name, value ?? ""])).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

function read(hash) {
  const [path, query = ""] = hash.slice(2).split("?");
  const parts = path.split("/").filter(Boolean).map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
  return { path: parts, query: Object.fromEntries(new URLSearchParams(query)) };
}

/** Where the address says that we are; another hash than one of ours is the overview. */
export const here = () => (location.hash.startsWith("#/") ? read(location.hash) : { path: [], query: {} });

/** Go on to another choice in the same route; `replace` leaves no step to come back to. */
export function go(path, query, { replace = false } = {}) {
  const target = href(path, query);
  if (target === location.hash) return;
  if (!replace) { location.hash = target; return; }
  history.replaceState(null, "", target);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

/** Call `arrived(route)` now and whenever the address is another route. Other hashes, of the skip link for instance, are no routes. */
export function start(arrived) {
  addEventListener("hashchange", () => { if (location.hash.startsWith("#/") || location.hash === "") arrived(here()); });
  arrived(here());
}
