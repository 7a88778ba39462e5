// Asking Prometheus: its HTTP API and nothing else.

/** The API of a Prometheus at a base URL. Errors carry what Prometheus said. */
export class Prometheus {
  constructor(base) {
    this.base = base.replace(/\/$/, '');
  }

  /** Series of an instant query: `[{metric, values: [[seconds, "value"]]}]`. */
  async instant(expr, at) {
    const { resultType, result } = await this.#get('query', { query: expr, time: at });
    if (resultType === 'scalar' || resultType === 'string') {
      return [{ metric: {}, values: [result] }];
    }
    return result.map(({ metric, value }) => ({ metric, values: [value] }));
  }

  /** Series of a range query: `[{metric, values: [[seconds, "value"], …]}]`. */
  async range(expr, from, to, step) {
    const { result } = await this.#get('query_range', { query: expr, start: from, end: to, step });
    return result;
  }

  /** Values of a label, of all series or of those that match. */
  async labelValues(label, match, from, to) {
    return this.#get(`label/${label}/values`, { start: from, end: to, ...(match && { 'match[]': match }) });
  }

  async #get(path, parameters) {
    const url = `${this.base}/api/v1/${path}?${new URLSearchParams(parameters)}`;
    const response = await fetch(url);
    const body = await response.json().catch(() => ({ error: `${response.status} ${response.statusText}` }));
    if (body.status !== 'success') {
      throw new Error(`${parameters.query ?? path}: ${body.error}`);
    }
    return body.data;
  }
}
