import { setImmediate as turn } from "node:timers/promises";
import { expect } from "chai";
import fc from "fast-check";
import { pino } from "pino";
import { PeriodicService } from "./periodic-service.ts";

class Counting extends PeriodicService {
  running = 0;
  passes = 0;
  most = 0;
  constructor() {
    super("counting", 0, pino({ level: "silent" }));
  }
  protected override async pass(): Promise<void> {
    this.running++;
    this.most = Math.max(this.most, this.running);
    this.passes++;
    await turn();
    this.running--;
    if (this.passes % 3 === 0) throw new Error("a pass may fail");
  }
}

describe("PeriodicService", () => {
  it("runs one pass at a time and none after stop, however start and stop interleave", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom("start", "stop", "stop and wait"), { maxLength: 20 }),
        async (steps) => {
          const service = new Counting();
          for (const step of steps) {
            if (step === "start") service.start();
            else if (step === "stop") void service.stop();
            else await service.stop();
          }
          await service.stop();
          const { passes } = service;
          await turn();
          expect(service).to.include({ running: 0, passes });
          expect(service.most).to.be.at.most(1);
        },
      ),
    );
  });

  it("goes on after a pass that failed", async () => {
    const service = new Counting();
    service.start();
    while (service.passes < 7) await turn();
    await service.stop();
  });
});
