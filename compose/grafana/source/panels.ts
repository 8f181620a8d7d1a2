/** Grafana's names of units. */
export type Unit = "short" | "s" | "bytes" | "Bps" | "percentunit" | "reqps" | "ops" | "cores" | "none";

export interface Query {
  expr: string;
  /** Grafana's template for the name of a line; labels in double braces. */
  legend: string;
}

interface Looks {
  title: string;
  /** What the panel says, and what to do about it: the text behind its "i". */
  about: string;
  unit: Unit;
  queries: Query[];
  max?: number;
}

export interface Step {
  from: number;
  color: "green" | "orange" | "red" | "blue" | "text";
}

/** A panel without its place. */
export type Panel = Record<string, unknown>;

const DATASOURCE = { type: "prometheus", uid: "prometheus" };

const targets = (queries: Query[], isInstant = false): Panel[] =>
  queries.map(({ expr, legend }, i) => ({
    refId: String.fromCharCode(65 + i),
    datasource: DATASOURCE,
    expr,
    legendFormat: legend,
    ...(isInstant ? { instant: true } : {}),
  }));

const unitOf = (unit: Unit): string => (unit === "cores" ? "suffix: cores" : unit);

/** Lines over time; stacked where they are parts of a whole. */
export const timeSeries = ({
  title,
  about,
  unit,
  queries,
  max,
  stacked = false,
}: Looks & { stacked?: boolean }): Panel => ({
  type: "timeseries",
  title,
  description: about,
  datasource: DATASOURCE,
  fieldConfig: {
    defaults: {
      unit: unitOf(unit),
      min: 0,
      ...(max === undefined ? {} : { max }),
      custom: {
        lineWidth: 1,
        fillOpacity: stacked ? 40 : 8,
        showPoints: "never",
        stacking: { mode: stacked ? "normal" : "none" },
      },
    },
    overrides: [],
  },
  options: {
    legend: { displayMode: "list", placement: "bottom", showLegend: true },
    tooltip: { mode: "multi", sort: "desc" },
  },
  targets: targets(queries),
});

/** One number now, with what led to it behind it. @param steps from which value on it has which colour */
export const stat = ({ title, about, unit, queries, steps }: Looks & { steps: Step[] }): Panel => ({
  type: "stat",
  title,
  description: about,
  datasource: DATASOURCE,
  fieldConfig: { defaults: { unit: unitOf(unit), thresholds: thresholds(steps) }, overrides: [] },
  options: { colorMode: "value", graphMode: "area", reduceOptions: { calcs: ["lastNotNull"] }, textMode: "value" },
  targets: targets(queries),
});

/** One bar for each line. */
export const bars = ({ title, about, unit, queries, max, steps }: Looks & { steps: Step[] }): Panel => ({
  type: "bargauge",
  title,
  description: about,
  datasource: DATASOURCE,
  fieldConfig: {
    defaults: { unit: unitOf(unit), min: 0, ...(max === undefined ? {} : { max }), thresholds: thresholds(steps) },
    overrides: [],
  },
  options: { displayMode: "basic", orientation: "horizontal", reduceOptions: { calcs: ["lastNotNull"] } },
  targets: targets(queries, true),
});

const thresholds = (steps: Step[]): Panel => ({
  mode: "absolute",
  steps: steps.map(({ from, color }, i) => ({ value: i === 0 ? null : from, color })),
});
