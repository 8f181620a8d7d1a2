import { expect } from "chai";
import { SharedState } from "./shared-state.ts";
import { StallWatch } from "./stall-watch.ts";

describe("StallWatch", () => {
  let now: number;
  let state: SharedState;
  let watch: StallWatch;
  beforeEach(() => {
    now = 0;
    state = new SharedState();
    watch = new StallWatch(state, 30_000, () => now);
    state.tick();
    watch.isStalled();
  });
  /** Whether any look of those, every 3 s, finds it stalled. */
  const look = (times: number): boolean => {
    let isStalled = false;
    for (let i = 0; i < times; i++) {
      now += 3_000;
      isStalled ||= watch.isStalled();
    }
    return isStalled;
  };

  it("finds a main loop that did not turn for as long as the limit", () => {
    expect(look(9)).to.equal(false);
    expect(look(1)).to.equal(true);
  });

  it("begins anew with every turn", () => {
    expect(look(9)).to.equal(false);
    state.tick();
    expect(look(10)).to.equal(false);
  });

  it("does not count time in which the whole process was stopped", () => {
    now += 600_000;
    expect(watch.isStalled()).to.equal(false);
  });
});
