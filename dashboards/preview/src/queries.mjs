// The answers that a panel shows: its targets with everything put in, asked at Prometheus.

import { substitute } from './variables.mjs';
import { promql, rangeOf, rateInterval, seconds, stepOf } from './time.mjs';

const ANOTHER_PANEL = '-- Dashboard --';

/** The panel with its texts, `answers: [{refId, format, instant, legend, expr, step, series}]`, `range` and `errors`. */
export async function answered(place, around) {
  const { panel, scoped } = place;
  const range = panel.timeFrom ? rangeOf(`now-${panel.timeFrom}`, around.range.to) : around.range;
  const answers = [];
  const errors = [];
  for (const target of targetsOf(panel, around.dashboard)) {
    try {
      answers.push(...(await ask(target, panel, place, range, around)));
    } catch (error) {
      errors.push(error.message);
    }
  }
  const title = substitute(panel.title ?? '', around.variables, scoped, {}, 'text');
  const description = substitute(panel.description ?? '', around.variables, scoped, {}, 'text');
  const content = substitute(panel.options?.content ?? '', around.variables, scoped, {}, 'text');
  return { ...place, title, description, content, range, answers, errors };
}

function targetsOf(panel, dashboard) {
  const targets = (panel.targets ?? []).filter(target => !target.hide);
  return targets.flatMap(target => {
    const source = target.datasource?.uid ?? panel.datasource?.uid;
    if (source !== ANOTHER_PANEL) {
      return [target];
    }
    const all = dashboard.panels.flatMap(found => [found, ...(found.panels ?? [])]);
    return targetsOf(all.find(found => found.id === target.panelId) ?? {}, dashboard);
  });
}

async function ask(target, panel, place, range, around) {
  const { prometheus, variables, scrape, pixelsPerColumn } = around;
  const least = Math.max(scrape, seconds(written(target.interval || panel.interval, around, place) || promql(scrape)));
  const points = panel.maxDataPoints ?? Math.round(place.at.w * pixelsPerColumn);
  const step = stepOf(range, points, least) * (target.intervalFactor ?? 1);
  const whole = Math.round(range.to - range.from);
  const builtin = {
    __interval: promql(step),
    __interval_ms: String(step * 1000),
    __rate_interval: promql(rateInterval(step, least)),
    __range: promql(whole),
    __range_s: String(whole),
    __range_ms: String(whole * 1000),
  };
  const expr = substitute(target.expr, variables, place.scoped, builtin);
  const legend = substitute(target.legendFormat ?? '', variables, place.scoped, {}, 'text');
  const common = { refId: target.refId, format: target.format ?? 'time_series', legend, expr, step };
  const wantsInstant = target.instant === true;
  const wantsRange = target.range ?? !wantsInstant;
  const found = [];
  if (wantsRange) {
    const [from, to] = [Math.floor(range.from / step) * step, Math.floor(range.to / step) * step];
    found.push({ ...common, instant: false, series: await prometheus.range(expr, from, to, step) });
  }
  if (wantsInstant) {
    found.push({ ...common, instant: true, series: await prometheus.instant(expr, range.to) });
  }
  return found;
}

function written(text, { variables }, { scoped }) {
  return text ? substitute(text.replace(/^>/, ''), variables, scoped) : text;
}
