// What is known beside the numbers: definitions, agencies, regions, the board, and when each indicator last changed. No page in here.

import { knowRegions } from "./format.js";

const AGAIN_MS = 2000;

export const known = { definitions: new Map(), agencies: {}, regions: {}, board: null, fresh: new Map(), loaded: false };

let retry = 0;
let etags = {};

async function json(path, before) {
  const answer = await fetch(path, before ? { headers: { "If-None-Match": etags[path] } } : {});
  if (answer.status === 304) return before;
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail ?? answer.statusText);
  etags = { ...etags, [path]: answer.headers.get("ETag") };
  return body;
}

let list = null;

/** Ask for the definitions and the board, again and again until they are there; then call `done`. */
export async function load(done) {
  clearTimeout(retry);
  try {
    const [indicators, board] = await Promise.all([json("/v1/indicators", list), json("/v1/board", known.board)]);
    list = indicators;
    known.definitions = new Map(indicators.indicators.map((each) => [each.id, each]));
    known.agencies = indicators.agencies;
    known.regions = indicators.regions;
    known.board = board;
    knowRegions(indicators.regions);
    for (const each of indicators.indicators) if (each.updated_at) note(each.id, Date.parse(each.updated_at));
    known.loaded = true;
    done();
  } catch {
    retry = setTimeout(() => load(done), AGAIN_MS);
  }
}

/** An indicator changed at that moment. */
export function note(id, at) { known.fresh.set(id, Math.max(at, known.fresh.get(id) ?? 0)); }

/** The JSON of an address of ours. Throws an error with the server's own words when there is none. */
export async function ask(path, query = null) {
  const answer = await fetch(query ? `${path}?${query}` : path);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail ?? answer.statusText);
  return body;
}

/** The address of a cell: its window and dimensions, as the routes of one number take them. */
export function asked(cell) {
  const query = new URLSearchParams({ window: cell.window_start ?? "now" });
  for (const [name, value] of Object.entries(cell.dimensions)) query.append(name, value ?? "");
  return query;
}
