// Annotations: the times, from queries at Prometheus, that are marked in every chart.

import { substitute } from './variables.mjs';
import { promql, seconds } from './time.mjs';

/** `[{name, color, from, to}]` in seconds; an event of one moment ends when it begins. */
export async function readAnnotations(dashboard, { variables, prometheus, range }) {
  const queries = (dashboard.annotations?.list ?? []).filter(({ enable, builtIn }) => enable && !builtIn);
  const found = [];
  for (const annotation of queries) {
    const { name, iconColor: color } = annotation;
    for (const span of await spansOf(annotation, variables, prometheus, range)) {
      found.push({ name, color, ...span });
    }
  }
  return found;
}

/** Moments no further apart than the step are one span, as in Grafana. A value of zero is no event. */
async function spansOf({ expr, target, step, useValueForTime }, variables, prometheus, range) {
  const every = seconds(step || '60s');
  const whole = promql(Math.round(range.to - range.from));
  const builtin = { __interval: promql(every), __rate_interval: promql(4 * every), __range: whole };
  const query = substitute(expr ?? target?.expr, variables, {}, builtin);
  const from = Math.floor(range.from / every) * every;
  const spans = [];
  for (const { values } of await prometheus.range(query, from, range.to, every)) {
    const events = values.filter(([, value]) => Number(value) !== 0);
    const times = events.map(([at, value]) => (useValueForTime ? Number(value) / 1000 : at));
    let last;
    for (const at of times) {
      if (last && at - last.to <= every) {
        last.to = at;
      } else {
        last = { from: at, to: at };
        spans.push(last);
      }
    }
  }
  return spans;
}
