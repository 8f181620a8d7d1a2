import { readdirSync, readFileSync } from "node:fs";
import { expect } from "chai";
import { dashboardFiles } from "./dashboards.ts";

const FOLDER = new URL("../../../../compose/grafana/dashboards/", import.meta.url);

interface Placed {
  id: number;
  title: string;
  description?: string;
  type: string;
  gridPos: { x: number; y: number; w: number; h: number };
}

describe("Dashboards", () => {
  it("in compose/grafana are those of their source: npm run dashboards writes them", () => {
    const files = dashboardFiles();
    expect(readdirSync(FOLDER).toSorted()).to.deep.equal([...files.keys()].toSorted());
    for (const [name, json] of files) expect(readFileSync(new URL(name, FOLDER), "utf8"), name).to.equal(json);
  });

  for (const [name, json] of dashboardFiles()) {
    it(`${name} has panels that do not overlap, fill the width, and say what they show`, () => {
      const { panels } = JSON.parse(json) as { panels: Placed[] };
      expect(new Set(panels.map(({ id }) => id)).size).to.equal(panels.length);
      const cells = new Set<string>();
      for (const { title, description, type, gridPos: at } of panels) {
        if (type !== "row") expect(description, title).to.match(/\.$/);
        for (let x = at.x; x < at.x + at.w; x++)
          for (let y = at.y; y < at.y + at.h; y++) {
            expect(cells, `${title} lies on another`).not.to.include(`${x},${y}`);
            cells.add(`${x},${y}`);
          }
      }
      const height = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h));
      expect(cells.size, "no holes").to.equal(24 * height);
    });
  }
});
