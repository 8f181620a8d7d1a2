/** What Prometheus answers at `/api/v1/targets`. */
export interface PrometheusTargets {
  data: { activeTargets: { scrapePool: string; health: string }[] };
}

/** How many there are by job and health, such as `codegen-worker up`. */
export const countTargets = ({ data }: PrometheusTargets): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { scrapePool, health } of data.activeTargets) {
    const name = `${scrapePool} ${health}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
};
