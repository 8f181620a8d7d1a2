import type { Panel } from "./panels.ts";

export interface Row {
  /** A heading above it. */
  title?: string;
  /** In Grafana's grid, where a line of text takes about one. */
  height: number;
  /** Share the width; Grafana's grid has 24 columns. */
  panels: Panel[];
}

/** A choice at the head of a dashboard: the values of a label, several of them or all. */
export interface Choice {
  name: string;
  label: string;
  metric: string;
  of: string;
}

export interface Dashboard {
  uid: string;
  title: string;
  about: string;
  choices: Choice[];
  rows: Row[];
}

const COLUMNS = 24;

/** The JSON that Grafana loads. */
export const toJson = ({ uid, title, about, choices, rows }: Dashboard): string => {
  const panels: Panel[] = [];
  let y = 0;
  const place = (panel: Panel, x: number, w: number, h: number): void => {
    panels.push({ id: panels.length + 1, ...panel, gridPos: { x, y, w, h } });
  };
  for (const row of rows) {
    if (row.title) {
      place({ type: "row", title: row.title, collapsed: false, panels: [] }, 0, COLUMNS, 1);
      y += 1;
    }
    const width = Math.floor(COLUMNS / row.panels.length);
    for (const [i, panel] of row.panels.entries()) place(panel, i * width, width, row.height);
    y += row.height;
  }
  const dashboard = {
    uid,
    title: `codegen-mcp / ${title}`,
    description: about,
    tags: ["codegen-mcp"],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: "30s",
    time: { from: "now-1h", to: "now" },
    links: [{ type: "dashboards", title: "codegen-mcp", tags: ["codegen-mcp"], asDropdown: false, keepTime: true }],
    templating: { list: choices.map(toVariable) },
    panels,
  };
  return `${JSON.stringify(dashboard, null, 2)}\n`;
};

const toVariable = ({ name, label, metric, of }: Choice): Panel => ({
  type: "query",
  name,
  label,
  datasource: { type: "prometheus", uid: "prometheus" },
  query: { query: `label_values(${metric}, ${of})`, refId: name },
  refresh: 2,
  sort: 1,
  multi: true,
  includeAll: true,
  allValue: ".*",
  current: { text: "All", value: "$__all" },
});
