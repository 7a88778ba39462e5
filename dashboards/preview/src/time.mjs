// Time ranges and steps, as Grafana reckons them.

const UNITS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400, w: 604800, M: 2592000, y: 31536000 };

/** Seconds of a duration such as `90s`, `30m` or `1h30m`. */
export function seconds(duration) {
  const parts = [...String(duration).matchAll(/(\d+(?:\.\d+)?)(ms|[smhdwMy])/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== duration) {
    throw new Error(`${duration}: no duration; write 30s, 5m or 1h30m`);
  }
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * UNITS[unit], 0);
}

/** `now-30m` to the range that ends at `now` (seconds since the epoch). */
export function rangeOf(from, now) {
  const match = /^now-(.+)$/.exec(from);
  if (!match) {
    throw new Error(`${from}: write a range that ends now, such as now-30m`);
  }
  return { from: now - seconds(match[1]), to: now };
}

/** The duration as PromQL writes it. */
export function promql(duration) {
  return Number.isInteger(duration) ? `${duration}s` : `${Math.round(duration * 1000)}ms`;
}

const STEPS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

/** The step of a query: no more points than pixels, on a round number, not below the least interval. */
export function stepOf(range, points, least) {
  const exact = (range.to - range.from) / points;
  const round = STEPS.find(step => step >= exact) ?? STEPS.at(-1);
  return Math.max(round, least);
}

/** `$__rate_interval`: four scrapes, or one more than the step. */
export function rateInterval(step, scrape) {
  return Math.max(step + scrape, 4 * scrape);
}
