import type { Dashboard } from "./dashboard.ts";
import { bars, timeSeries } from "./panels.ts";

const WORKER = 'instance=~"$worker"';

/** What do they get it from? */
export const workersAndCapacity: Dashboard = {
  uid: "codegen-workers",
  title: "Workers and capacity",
  about: "How full workers are, what their containers use, and what they lost.",
  choices: [{ name: "worker", label: "Worker", metric: "codegen_session_slots", of: "instance" }],
  rows: [
    {
      title: "Room",
      height: 8,
      panels: [
        bars({
          title: "Slots in use",
          about: "Sessions over CAPACITY, by worker.",
          unit: "percentunit",
          max: 1,
          queries: [
            {
              expr: `sum by (instance) (codegen_sessions{${WORKER}}) / sum by (instance) (codegen_session_slots{${WORKER}})`,
              legend: "{{instance}}",
            },
          ],
          steps: [
            { from: 0, color: "green" },
            { from: 0.8, color: "orange" },
            { from: 0.95, color: "red" },
          ],
        }),
        timeSeries({
          title: "Sessions by worker",
          about: "Placement keeps workers within 10 % of each other.",
          unit: "short",
          stacked: true,
          queries: [{ expr: `sum by (instance) (codegen_sessions{${WORKER}})`, legend: "{{instance}}" }],
        }),
        timeSeries({
          title: "Pool",
          about: "Warm containers against what POOL_SIZE asks for.",
          unit: "short",
          queries: [
            { expr: `sum by (state) (codegen_pool_sandboxes{${WORKER}})`, legend: "{{state}}" },
            { expr: `sum(codegen_pool_target_sandboxes{${WORKER}})`, legend: "target" },
          ],
        }),
        timeSeries({
          title: "Containers given out",
          about: "A miss waits for a start: raise POOL_SIZE. Another image or network always starts cold.",
          unit: "ops",
          stacked: true,
          queries: [
            {
              expr: `sum by (result) (rate(codegen_pool_takes_total{${WORKER}}[$__rate_interval]))`,
              legend: "{{result}}",
            },
          ],
        }),
      ],
    },
    {
      title: "Containers",
      height: 8,
      panels: [
        timeSeries({
          title: "Memory of sessions",
          about: "Used, and allowed. Files are in memory, too.",
          unit: "bytes",
          queries: [
            { expr: `sum(codegen_sandbox_memory_bytes{${WORKER}})`, legend: "used" },
            { expr: `sum(codegen_sandbox_memory_limit_bytes{${WORKER}})`, legend: "limit" },
          ],
        }),
        timeSeries({
          title: "Cpu of sessions",
          about: "Cores that sessions' containers keep busy.",
          unit: "cores",
          stacked: true,
          queries: [
            {
              expr: `sum by (instance) (rate(codegen_sandbox_cpu_seconds_total{${WORKER}}[$__rate_interval]))`,
              legend: "{{instance}}",
            },
          ],
        }),
        timeSeries({
          title: "Time to start a container",
          about: "Create, start, agent connected.",
          unit: "s",
          queries: [0.5, 0.95].map((quantile) => ({
            expr: `histogram_quantile(${quantile}, sum by (le) (rate(codegen_sandbox_start_seconds_bucket{${WORKER}}[$__rate_interval])))`,
            legend: `p${quantile * 100}`,
          })),
        }),
        timeSeries({
          title: "Deaths and memory kills",
          about: "In five minutes: containers that died by themselves, and what the memory limit killed.",
          unit: "short",
          queries: [
            {
              expr: `sum by (reason) (increase(codegen_sandbox_deaths_total{${WORKER}}[5m]))`,
              legend: "died: {{reason}}",
            },
            { expr: `sum(increase(codegen_sandbox_oom_kills_total{${WORKER}}[5m]))`, legend: "killed for memory" },
          ],
        }),
      ],
    },
    {
      title: "Leases",
      height: 8,
      panels: [
        timeSeries({
          title: "Age of the last beat",
          about: "At two thirds of LEASE_MS nothing starts, then containers are frozen, then sessions are taken back.",
          unit: "s",
          queries: [{ expr: `max by (instance) (codegen_beat_age_seconds{${WORKER}})`, legend: "{{instance}}" }],
        }),
        timeSeries({
          title: "Leases lost",
          about: "Sessions that workers lost the right to, in five minutes.",
          unit: "short",
          queries: [
            {
              expr: `sum by (reason) (increase(codegen_leases_lost_total{${WORKER}}[5m]))`,
              legend: "{{reason}}",
            },
          ],
        }),
        timeSeries({
          title: "Workers",
          about: "Alive, and found dead within ten minutes.",
          unit: "short",
          queries: [
            { expr: "max(codegen_workers)", legend: "alive" },
            { expr: "sum(increase(codegen_workers_lost_total[10m]))", legend: "lost" },
          ],
        }),
        timeSeries({
          title: "Docker",
          about: "1 while the worker can start containers.",
          unit: "none",
          max: 1,
          queries: [{ expr: `min by (instance) (codegen_docker_up{${WORKER}})`, legend: "{{instance}}" }],
        }),
      ],
    },
    {
      title: "Processes",
      height: 8,
      panels: [
        timeSeries({
          title: "Cpu",
          about: "Cores that coordinators and workers keep busy themselves.",
          unit: "cores",
          queries: [
            {
              expr: 'rate(process_cpu_seconds_total{job=~"codegen-.*"}[$__rate_interval])',
              legend: "{{job}} {{instance}}",
            },
          ],
        }),
        timeSeries({
          title: "Memory",
          about: "Resident.",
          unit: "bytes",
          queries: [{ expr: 'process_resident_memory_bytes{job=~"codegen-.*"}', legend: "{{job}} {{instance}}" }],
        }),
        timeSeries({
          title: "Event-loop lag, p99",
          about: "How late timers come.",
          unit: "s",
          queries: [{ expr: 'nodejs_eventloop_lag_p99_seconds{job=~"codegen-.*"}', legend: "{{job}} {{instance}}" }],
        }),
        timeSeries({
          title: "Versions",
          about: "Processes by version. A coordinator may be a version ahead of workers, no more.",
          unit: "short",
          stacked: true,
          queries: [{ expr: "count by (part, version) (codegen_build_info)", legend: "{{part}} {{version}}" }],
        }),
      ],
    },
  ],
};
