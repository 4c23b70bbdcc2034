// Numbers and windows as people read them. Values are exact decimals as text and are only rounded here, for the eye.

import { locale, t } from "./text.js";

const ZONE = "Asia/Jakarta";
const cache = new Map();

function made(key, make) {
  const full = `${locale()} ${key}`;
  if (!cache.has(full)) cache.set(full, make());
  return cache.get(full);
}

/** The value with `decimals` places (2 when not declared); an integer has none. */
export function number(text, decimals) {
  const places = text.includes(".") ? decimals ?? 2 : 0;
  const options = { minimumFractionDigits: places, maximumFractionDigits: places };
  return made(`n${places}`, () => new Intl.NumberFormat(locale(), options)).format(text);
}

/** All digits, with the locale's separators. */
export function exact(text) {
  if (!/^-?\d+(\.\d+)?$/.test(text)) return text;
  const [whole, fraction] = text.split(".");
  const head = new Intl.NumberFormat(locale(), { maximumFractionDigits: 0 }).format(BigInt(whole));
  const sign = whole.startsWith("-") && !head.startsWith("-") ? "-" : "";
  return fraction ? `${sign}${head}${locale() === "id-ID" ? "," : "."}${fraction}` : sign + head;
}

const date = (moment, options) =>
  made(JSON.stringify(options), () => new Intl.DateTimeFormat(locale(), { timeZone: ZONE, ...options })).format(moment);

/** A window in words: its month, day, quarter … */
export function windowLabel(cell, window) {
  const start = new Date(cell.window_start);
  const end = new Date(Date.parse(cell.window_end) - 1);
  const long = { day: "numeric", month: "long", year: "numeric" };
  switch (window) {
    case "1y": return date(start, { year: "numeric" });
    case "1q": {
      const month = Number(date(start, { month: "numeric" }));
      return `${t("quarter")} ${["I", "II", "III", "IV"][Math.floor((month - 1) / 3)]} ${date(start, { year: "numeric" })}`;
    }
    case "1mo": return date(start, { month: "long", year: "numeric" });
    case "1d": return date(start, { weekday: "long", ...long });
    case "1w": return `${date(start, { day: "numeric", month: "short" })} – ${date(end, { day: "numeric", month: "short", year: "numeric" })}`;
    default: return `${date(start, { day: "numeric", month: "short", year: "numeric" })} ${date(start, { hour: "2-digit", minute: "2-digit" })}`;
  }
}

export const moment = (text) => date(new Date(text), { dateStyle: "long", timeStyle: "medium" });
export const clock = (when) => date(when, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** Dimension values in words. */
export function label(dimensions) {
  const values = Object.values(dimensions);
  return values.length ? values.map((value) => value ?? t("none")).join(" · ") : t("whole");
}
