// What this client knows: the newest state of every cell, kept by the stream. No page in here.
//
// The rules are the stream's: the highest (version, revision) of a cell wins, of equal ones the last; a higher version of an indicator
// ends the lower one's cells, a whole snapshot replaces everything, and the id of the last message is where the next connection goes on.

const LONGEST_WAIT_MS = 10_000;

const lower = (a, b) =>
  a.version !== b.version ? a.version < b.version : a.revision < b.revision;

/** What a cell's window is called here: its begin, or that it is the current state's. */
export const windowOf = (cell) => cell.window_start ?? "now";

class Indicator {
  constructor() { this.version = 0; this.cells = new Map(); this.series = new Map(); this.windows = new Map(); }

  put(cell) {
    if (cell.version < this.version) return false;
    let gone = false;
    if (cell.version > this.version) {
      this.version = cell.version;
      for (const old of [...this.cells.values()]) if (old.version < cell.version) { this.take(old); gone = true; }
    }
    const known = this.cells.get(cell.key);
    if (cell.removed) { if (known) this.take(known); return gone || Boolean(known); }
    if (known && lower(cell, known)) return gone;
    this.cells.set(cell.key, cell);
    const name = JSON.stringify(Object.values(cell.dimensions));
    let line = this.series.get(name);
    if (!line) this.series.set(name, line = { name, dimensions: cell.dimensions, cells: new Map() });
    line.cells.set(windowOf(cell), cell);
    if (!known) this.windows.set(windowOf(cell), (this.windows.get(windowOf(cell)) ?? 0) + 1);
    return true;
  }

  take(cell) {
    this.cells.delete(cell.key);
    const name = JSON.stringify(Object.values(cell.dimensions));
    const line = this.series.get(name);
    line?.cells.delete(windowOf(cell));
    if (line && !line.cells.size) this.series.delete(name);
    const left = this.windows.get(windowOf(cell)) - 1;
    if (left) this.windows.set(windowOf(cell), left); else this.windows.delete(windowOf(cell));
  }
}

export class Store {
  /** `changed(ids, keys, whole)` after every message; `linked(state)` when the connection or the broker's state changes. */
  constructor({ changed, linked, defined }) {
    this.indicators = new Map();
    this.on = { changed, linked, defined };
    this.token = "";
    this.wait = 500;
    this.next = null;
    this.definitions = null;
    this.source = null;
    this.wanted = null;
  }

  /** From now on only these indicators (`null`: all). What is known of them is kept until the new snapshot is there. */
  follow(ids) {
    const wanted = ids && ids.length ? [...new Set(ids)].sort() : null;
    if (this.source && String(wanted) === String(this.wanted)) return;
    this.wanted = wanted;
    this.token = "";
    this.connect();
  }

  get cells() { let sum = 0; for (const each of this.indicators.values()) sum += each.cells.size; return sum; }

  connect() {
    clearTimeout(this.timer);
    this.source?.close();
    this.next = null;
    const query = new URLSearchParams({ detail: "brief" });
    if (this.token) query.set("last_event_id", this.token);
    if (this.wanted) query.set("indicator", this.wanted.join());
    const source = this.source = new EventSource(`/v1/stream?${query}`);
    source.addEventListener("status", (event) => this.status(JSON.parse(event.data)));
    source.addEventListener("snapshot", (event) => this.snapshot(event));
    source.addEventListener("change", (event) => this.change(event));
    source.onerror = () => this.lost();
  }

  /** Let go of the connection: a browser has few of them, and a page that is kept for the way back must not hold one. */
  pause() {
    clearTimeout(this.timer);
    this.source?.close();
  }

  // Reconnecting is ours, not EventSource's: it gives up for good at a 503.
  lost() {
    this.source?.close();
    this.next = null;
    this.on.linked("lost");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), this.wait * (0.7 + Math.random() * 0.6));
    this.wait = Math.min(this.wait * 1.6, LONGEST_WAIT_MS);
  }

  status(status) {
    this.wait = 500;
    this.on.linked(status.live && status.caught_up ? "live" : "stale");
    if (this.definitions !== null && this.definitions !== status.definitions) this.on.defined();
    this.definitions = status.definitions;
  }

  snapshot(event) {
    const message = JSON.parse(event.data);
    if (message.part === 1) this.next = new Map();
    if (!this.next) return;
    this.apply(this.next, message.cells);
    if (!message.complete) return;
    this.indicators = this.next;
    this.next = null;
    this.token = event.lastEventId;
    this.on.changed(new Set(this.indicators.keys()), new Set(), true);
  }

  change(event) {
    const message = JSON.parse(event.data);
    const { ids, keys } = this.apply(this.indicators, message.cells);
    if (message.complete) this.token = event.lastEventId;
    if (ids.size) this.on.changed(ids, keys, false);
  }

  apply(into, cells) {
    const ids = new Set();
    const keys = new Set();
    for (const cell of cells) {
      let indicator = into.get(cell.indicator);
      if (!indicator) into.set(cell.indicator, indicator = new Indicator());
      if (indicator.put(cell)) { ids.add(cell.indicator); keys.add(`${cell.indicator} ${cell.key}`); }
    }
    return { ids, keys };
  }
}
