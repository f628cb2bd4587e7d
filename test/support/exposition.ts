// Reads Prometheus' text format strictly: what promtool and a scrape would object to, this refuses.

export interface Metric {
  type: string;
  help: string;
  /** Of all series; `le` of a histogram left out. */
  labelNames: Set<string>;
  series: { name: string; labels: Record<string, string>; value: number }[];
}

const nameOfMetric = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/y;

/** @throws Error naming the line that is wrong */
export function parseExposition(text: string): Map<string, Metric> {
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const metrics = new Map<string, Metric>();
  const seen = new Set<string>();
  let current: [name: string, metric: Metric] | undefined;
  let help: [name: string, text: string] | undefined;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, keyword, name, rest] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (keyword === 'HELP') help = [name!, rest!];
    else if (keyword === 'TYPE') {
      check(nameOfMetric.test(name!) && help?.[0] === name && !metrics.has(name!), line);
      check(/^(counter|gauge|histogram)$/.test(rest!), line);
      check(rest === 'counter' ? name!.endsWith('_total') : !name!.endsWith('_total'), line);
      current = [name!, { type: rest!, help: help![1], labelNames: new Set(), series: [] }];
      metrics.set(...current);
    } else readSeries(line, current, seen);
  }
  for (const [name, metric] of metrics) if (metric.type === 'histogram') checkHistogram(name, metric);
  return metrics;
}

function readSeries(line: string, current: [string, Metric] | undefined, seen: Set<string>): void {
  const [, name, , labelText = '', value] = /^([^{\s]+)(\{(.*)\})? (\S+)$/.exec(line) ?? [];
  check(name !== undefined && current !== undefined, line);
  const [metricName, metric] = current!;
  const suffixes = metric.type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
  check(
    suffixes.some((suffix) => name === metricName + suffix),
    line,
  );
  check(/^(-?\d+(\.\d+)?(e[+-]?\d+)?|\+Inf|-Inf|NaN)$/i.test(value!), line);
  const labels: Record<string, string> = {};
  label.lastIndex = 0;
  while (label.lastIndex < labelText.length) {
    const found = label.exec(labelText);
    check(found !== null && !(found[1]! in labels), line);
    labels[found![1]!] = found![2]!;
    if (found![1] !== 'le') metric.labelNames.add(found![1]!);
  }
  const key = `${name} ${JSON.stringify(Object.entries(labels).sort())}`;
  check(!seen.has(key), line);
  seen.add(key);
  metric.series.push({ name: name!, labels, value: value === '+Inf' ? Infinity : Number(value) });
}

/** Buckets grow, and the last one has all. */
function checkHistogram(name: string, { series }: Metric): void {
  const withoutBound = ({ le, ...labels }: Record<string, string>) =>
    JSON.stringify(Object.entries(labels).sort());
  for (const [labels, some] of Map.groupBy(series, (one) => withoutBound(one.labels))) {
    const buckets = some.filter((one) => one.name === `${name}_bucket`);
    const counts = buckets.map(({ value }) => value);
    const total = some.find((one) => one.name === `${name}_count`)?.value;
    check(buckets.at(-1)?.labels.le === '+Inf' && counts.at(-1) === total, `${name} ${labels}`);
    check(
      counts.every((count, index) => index === 0 || count >= counts[index - 1]!),
      `${name} ${labels}`,
    );
    check(
      some.some((one) => one.name === `${name}_sum`),
      `${name} ${labels}`,
    );
  }
}

function check(isRight: boolean, line: string): void {
  if (!isRight) throw new Error(`no exposition of Prometheus: ${line}`);
}
