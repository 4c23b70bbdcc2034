// Class breaks of a map. Pure.

export const CLASSES = 5;

/** Upper bounds of up to five classes with about the same number of values in each; fewer where values are equal. */
export function quantiles(values, classes = CLASSES) {
  const sorted = [...values].sort((a, b) => a - b);
  if (!sorted.length) return [];
  const bounds = Array.from({ length: classes }, (_, index) => sorted[Math.ceil(((index + 1) * sorted.length) / classes) - 1]);
  return bounds.filter((bound, index) => index === 0 || bound > bounds[index - 1]);
}

/** The class of a value: the first whose upper bound it does not pass. */
export const classOf = (value, bounds) => bounds.findIndex((bound) => value <= bound);

/** Spread fewer classes over the five shades, so that the ends stay the ends. */
export const shadeOf = (index, count) => (count < 2 ? Math.floor(CLASSES / 2) : Math.round((index * (CLASSES - 1)) / (count - 1)));
