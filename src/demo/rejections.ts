// Reads the receiver's rejections from its metrics.

const sample = /^postbell_rejections_total\{.*?reason="([a-z_]+)".*?\} (\d+)$/gm;

/** By reason, over all sources. */
export async function readRejections(webUrl: string, metricsToken: string): Promise<Map<string, number>> {
  const response = await fetch(`${webUrl}/metrics`, { headers: { authorization: `Bearer ${metricsToken}` } });
  const rejections = new Map<string, number>();
  for (const [, reason, count] of (await response.text()).matchAll(sample)) {
    rejections.set(reason!, (rejections.get(reason!) ?? 0) + Number(count));
  }
  return rejections;
}
