// Lines over time, or bars of one moment, as SVG. The numbers stand in the table; this only shows their shape.

import { el, svg } from "./dom.js";
import { number, t } from "./text.js";

const WIDTH = 720, HEIGHT = 260, LEFT = 56, BOTTOM = 34, TOP = 12;

export function chart(data) {
  const numbers = (data.lines ? data.lines.flatMap((line) => line.points.map((point) => point[1])) : data.bars.map((bar) => bar[1])).filter((value) => value !== null).map(Number);
  if (!numbers.length) return null;
  return data.kind === "lines" ? lines(data.lines, numbers) : bars(data.bars, numbers);
}

function frame(low, high, ...children) {
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low || 1));
  const marks = [low, (low + high) / 2, high].map((value) => [
    svg("line", { class: "axis", x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value) }),
    svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, number(Number(value.toPrecision(3)))),
  ]);
  return svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": t("chartAbout") }, marks, children.map((make) => make(y)).flat());
}

function lines(series, numbers) {
  const times = [...new Set(series.flatMap((line) => line.points.map((point) => point[0])))].sort();
  const x = (time) => LEFT + ((WIDTH - LEFT - 14) * times.indexOf(time)) / Math.max(1, times.length - 1);
  const path = (points, y) => {
    let pen = "M";
    return points.map(([time, value]) => {
      if (value === null) { pen = "M"; return ""; }
      const piece = `${pen}${x(time).toFixed(1)} ${y(Number(value)).toFixed(1)}`;
      pen = "L";
      return piece;
    }).join("");
  };
  const low = Math.min(0, ...numbers), high = Math.max(...numbers);
  const drawn = frame(low, high,
    (y) => series.map((line, index) => svg("path", { class: `line s${index}`, d: path(line.points, y) })),
    () => [times[0], times.at(-1)].map((time, index) => svg("text", { x: index ? WIDTH - 14 : LEFT, y: HEIGHT - 10, "text-anchor": index ? "end" : "start" }, time.slice(0, 10))),
  );
  const legend = el("p", { class: "legend" }, series.map((line, index) => el("span", {}, svg("svg", { width: 26, height: 8, class: "chart", "aria-hidden": "true" }, svg("path", { class: `line s${index}`, d: "M0 4L26 4" })), line.name || "–")));
  for (const key of legend.querySelectorAll("svg")) Object.assign(key.style, { width: "26px", flex: "none" });
  return el("div", {}, drawn, legend);
}

function bars(items, numbers) {
  const low = Math.min(0, ...numbers), high = Math.max(0, ...numbers);
  const step = (WIDTH - LEFT - 14) / items.length;
  return frame(low, high,
    (y) => items.flatMap(([name, value], index) => (value === null ? [] : [
      svg("rect", { class: "bar", x: LEFT + index * step + step * 0.15, width: step * 0.7, y: Math.min(y(0), y(Number(value))), height: Math.abs(y(0) - y(Number(value))) }, svg("title", {}, `${name}: ${number(value)}`)),
    ])),
    () => (items.length > 8 ? [] : items.map(([name], index) => svg("text", { x: LEFT + (index + 0.5) * step, y: HEIGHT - 10, "text-anchor": "middle" }, name.slice(0, 14)))),
  );
}
