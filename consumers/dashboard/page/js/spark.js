// A small line of a series over its windows; a gap in the windows is a gap in the line.

import { svg } from "./dom.js";

const WIDTH = 100;
const HEIGHT = 30;
const MOST = 60;

/** Draw `cells` (window start → cell) over the given windows, marking the shown one. */
export function draw(node, cells, windows, current) {
  const at = windows.indexOf(current);
  const last = Math.max(at + 1, Math.min(windows.length, MOST));
  const shown = windows.slice(Math.max(0, last - MOST), last);
  const values = shown.map((window) => (cells.has(window) && cells.get(window).value !== null ? Number(cells.get(window).value) : null));
  const known = values.filter((value) => value !== null);
  if (known.length < 2) { node.replaceChildren(); return; }
  const low = Math.min(...known);
  const span = Math.max(...known) - low || 1;
  const x = (index) => (shown.length > 1 ? (index / (shown.length - 1)) * WIDTH : WIDTH / 2);
  const y = (value) => HEIGHT - 3 - ((value - low) / span) * (HEIGHT - 6);
  const lines = [];
  let line = [];
  values.forEach((value, index) => {
    if (value !== null) line.push(`${x(index).toFixed(1)},${y(value).toFixed(1)}`);
    else if (line.length) { lines.push(line); line = []; }
  });
  if (line.length) lines.push(line);
  const parts = lines.map((points) => svg("polyline", { points: (points.length > 1 ? points : [points[0], points[0]]).join(" ") }));
  const place = shown.indexOf(current);
  if (place >= 0 && values[place] !== null) {
    const point = `${x(place).toFixed(1)} ${y(values[place]).toFixed(1)}`;
    parts.push(svg("path", { class: "now", d: `M${point}L${point}` }));
  }
  node.replaceChildren(...parts);
}

export const empty = () => svg("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
