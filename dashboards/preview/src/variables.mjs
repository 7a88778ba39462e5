// Template variables: which values they have, and how a text with them reads once they are put in.

/** What Grafana calls the choice of everything. */
const ALL = '$__all';

/**
 * The variables of a dashboard with their values: `Map(name, {name, label, hide, multi, all, allValue, values})`.
 * `chosen` is what the caller wants, by name; else the value saved in the dashboard if there is such a one,
 * else all, else the first.
 */
export async function readVariables(dashboard, chosen, prometheus, range) {
  const variables = new Map();
  for (const model of dashboard.templating?.list ?? []) {
    const options = await optionsOf(model, variables, prometheus, range);
    variables.set(model.name, choose(model, options, chosen[model.name]));
  }
  return variables;
}

async function optionsOf(model, variables, prometheus, range) {
  switch (model.type) {
    case 'datasource':
      return ['Prometheus'];
    case 'custom':
    case 'interval':
      return model.query.split(',').map(option => option.trim()).map(option => option.split(/ : /).at(-1));
    case 'constant':
    case 'textbox':
      return [model.query ?? ''];
    case 'query':
      return filter(model, await queried(model, variables, prometheus, range));
    default:
      return [];
  }
}

async function queried(model, variables, prometheus, range) {
  const written = typeof model.query === 'string' ? model.query : (model.query?.query ?? model.definition);
  const builtin = { __range: `${Math.round(range.to - range.from)}s` };
  const query = substitute(written, variables, {}, builtin).trim();
  const labels = /^label_values\((?:(.*),)?\s*([a-zA-Z_]\w*)\s*\)$/s.exec(query);
  if (labels) {
    return prometheus.labelValues(labels[2], labels[1]?.trim(), range.from, range.to);
  }
  const result = /^query_result\((.*)\)$/s.exec(query);
  if (result) {
    const series = await prometheus.instant(result[1], range.to);
    return series.map(({ metric, values }) => `${notation(metric)} ${values[0][1]} ${values[0][0] * 1000}`);
  }
  throw new Error(`variable ${model.name}: ${written}: neither label_values(…) nor query_result(…)`);
}

function notation({ __name__: name = '', ...labels }) {
  return `${name}{${Object.entries(labels).map(([label, value]) => `${label}="${value}"`).join(',')}}`;
}

function filter(model, values) {
  const written = /^\/(.*)\/([a-z]*)$/s.exec(model.regex ?? '');
  if (!model.regex) {
    return sorted(model, values);
  }
  const regex = written ? new RegExp(written[1], written[2].replace('g', '')) : new RegExp(`^${model.regex}$`);
  const kept = values.map(value => regex.exec(value)).filter(Boolean);
  return sorted(model, [...new Set(kept.map(match => match.groups?.value ?? match[1] ?? match[0]))]);
}

function sorted(model, values) {
  switch (model.sort) {
    case 1:
    case 5:
    case 7:
      return values.toSorted();
    case 2:
    case 6:
    case 8:
      return values.toSorted().reverse();
    case 3:
      return values.toSorted((left, right) => parseFloat(left) - parseFloat(right));
    case 4:
      return values.toSorted((left, right) => parseFloat(right) - parseFloat(left));
    default:
      return values;
  }
}

function choose(model, options, wanted) {
  const saved = [model.current?.value ?? []].flat().filter(value => value === ALL || options.includes(value));
  const first = model.includeAll ? [ALL] : options.slice(0, 1);
  const values = wanted ?? (saved.length > 0 ? saved : first);
  const all = values.includes(ALL) || values.includes('All');
  const base = { name: model.name, label: model.label || model.name, hide: model.hide ?? 0 };
  const multi = model.multi || model.includeAll;
  return { ...base, multi, all, allValue: model.allValue, values: all ? options : values };
}

const REFERENCE = /\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?:\.[^:^}]+)?(?::([^}]+))?\}/g;

/**
 * The text with its variables put in: `scoped` (values of a repetition) before `variables`, `builtin` (`__range`
 * and its kind) before both. For PromQL unless another `format` is given. Unknown names are left as they are.
 */
export function substitute(text, variables, scoped = {}, builtin = {}, format = 'promql') {
  return text.replace(REFERENCE, (whole, plain, square, squareFormat, curly, curlyFormat) => {
    const name = plain ?? square ?? curly;
    if (name in builtin) {
      return builtin[name];
    }
    const variable = variables.get(name);
    if (!variable) {
      return whole;
    }
    const wanted = squareFormat ?? curlyFormat ?? format;
    if (name in scoped) {
      return written(scoped[name], wanted, variable);
    }
    if (variable.all && variable.allValue) {
      return variable.allValue;
    }
    return variable.all && wanted === 'text' ? 'All' : written(variable.values, wanted, variable);
  });
}

function written(values, format, variable) {
  switch (format) {
    case 'raw':
    case 'csv':
      return values.join(',');
    case 'text':
      return values.join(' + ');
    case 'pipe':
      return values.join('|');
    case 'regex':
      return alternatives(values, escapeRegex);
    case 'queryparam':
      return values.map(value => `var-${variable.name}=${encodeURIComponent(value)}`).join('&');
    default:
      return variable.multi ? alternatives(values, escapeForPromql) : (values[0] ?? '');
  }
}

function alternatives(values, escape) {
  const escaped = values.map(escape);
  return escaped.length === 1 ? escaped[0] : `(${escaped.join('|')})`;
}

function escapeRegex(value) {
  return value.replace(/[$^*{}[\]+?.()|\\]/g, '\\$&');
}

/** A backslash of a regular expression is two within a string of PromQL. */
function escapeForPromql(value) {
  return escapeRegex(value).replace(/\\/g, '\\\\');
}
