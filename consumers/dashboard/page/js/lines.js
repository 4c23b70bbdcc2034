// Finding one's way in an indicator's cells: windows in order, the line of some dimensions, and what a value was before. Pure.

export const moment = (window) => Date.parse(window) || 0;

/** All windows that an indicator or a line has, oldest first. */
export const windowsOf = (data) => (data ? [...(data.windows ?? data.cells).keys()].sort((a, b) => moment(a) - moment(b)) : []);

const fits = (dimensions, where) => Object.entries(where).every(([name, value]) => (dimensions[name] ?? "") === value);

/** The lines whose dimensions have these values. */
export const linesWhere = (data, where) => (data ? [...data.series.values()].filter((line) => fits(line.dimensions, where)) : []);

/** The one line that a headline is about: all of `where`, and of the `newest` dimensions the greatest values. */
export function lineOf(data, { where, newest }) {
  const found = linesWhere(data, where);
  const text = (line) => newest.map((name) => line.dimensions[name] ?? "").join("\u0001");
  return found.reduce((best, line) => (!best || text(line).localeCompare(text(best), undefined, { numeric: true }) > 0 ? line : best), null);
}

/** The newest cell of a line, and the one of the window before it that has a value. */
export function ends(line, upto = null) {
  const windows = windowsOf(line).filter((window) => upto === null || moment(window) <= moment(upto));
  const cell = line?.cells.get(windows.at(-1)) ?? null;
  const before = windows.slice(0, -1).reverse().map((window) => line.cells.get(window)).find((each) => each.value !== null) ?? null;
  return { cell, before };
}

/** The values that there are of a dimension, sorted. */
export function valuesOf(data, name) {
  const found = new Set(data ? [...data.series.values()].map((line) => line.dimensions[name] ?? "") : []);
  return [...found].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
}

/** Of all dimensions but `apart`, the values that most cells have: where to begin when nobody has chosen. */
export function usual(data, names, apart = "region") {
  const counts = new Map();
  for (const line of data?.series.values() ?? []) {
    const key = JSON.stringify(names.filter((name) => name !== apart).map((name) => line.dimensions[name] ?? ""));
    counts.set(key, (counts.get(key) ?? 0) + line.cells.size);
  }
  const best = [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]))[0];
  const values = best ? JSON.parse(best[0]) : [];
  return Object.fromEntries(names.filter((name) => name !== apart).map((name, index) => [name, values[index] ?? ""]));
}

/** From one value to another: how far, and of shares and indices in points, of anything else in percent (`null`: from nothing). */
export function change(cell, before, unit) {
  if (!cell || !before || cell.value === null || before.value === null) return null;
  const by = Number(cell.value) - Number(before.value);
  const points = ["persen", "bagian", "indeks", "tingkat"].includes(unit);
  const size = points ? Math.abs(by) * (unit === "bagian" ? 100 : 1) : Number(before.value) ? Math.abs(by / Number(before.value)) * 100 : null;
  return { direction: Math.sign(by), size, points };
}
