// A number that runs to its new value; what stands at the end is the exact one's own text.

import { say } from "./dom.js";

const TWEEN_MS = 180;
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Let `node` run from one value (exact decimal as text) to another, written by `write(text)`. */
export function tween(node, from, to, write) {
  cancelAnimationFrame(node.frame);
  // A page in the background gets no frames; its numbers must be right all the same.
  if (from === null || to === null || from === to || still.matches || document.hidden) { say(node, write(to)); return; }
  const [begin, end] = [Number(from), Number(to)];
  const places = to.includes(".") ? to.split(".")[1].length : 0;
  const began = performance.now();
  const step = (now) => {
    const part = Math.min(1, (now - began) / TWEEN_MS);
    say(node, write(part < 1 ? (begin + (end - begin) * (1 - (1 - part) ** 3)).toFixed(Math.min(places, 6)) : to));
    if (part < 1) node.frame = requestAnimationFrame(step);
  };
  node.frame = requestAnimationFrame(step);
}
