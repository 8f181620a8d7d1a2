import { setImmediate as turn } from "node:timers/promises";
import { expect } from "chai";
import { silentLog } from "../../test/support/silent-log.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { type GuardedSession, LeaseGuard } from "./lease-guard.ts";

const LEASE_MS = 9_000;

/** Looks when it is told to. */
class ManualGuard extends LeaseGuard<GuardedSession> {
  look(): Promise<void> {
    return this.pass();
  }
}

describe("LeaseGuard", () => {
  let since: number;
  let isOurs: boolean;
  let done: string[];
  let guard: ManualGuard;
  let failures: number;

  beforeEach(() => {
    since = 0;
    isOurs = true;
    done = [];
    failures = 0;
    const note = (what: string) => async (): Promise<void> => {
      done.push(what);
      if (failures-- > 0) throw new Error("the engine is away");
    };
    const container = { vouch: note("vouch"), freeze: note("freeze"), thaw: note("thaw"), containerId: "c" };
    const session: GuardedSession = {
      container: container as unknown as Sandbox,
      confirm: async () => {
        done.push("confirm");
        return isOurs;
      },
    };
    const beats = {
      get sinceBeatMs() {
        return since;
      },
      get mayStart() {
        return since < 6_000;
      },
      vouch: { startsUntilMs: 0, runsUntilMs: 0 },
    };
    const giveUp = (): void => void done.push("give up");
    guard = new ManualGuard({ beats, sessions: () => [session], giveUp, log: silentLog }, LEASE_MS);
    guard.onBeat(0);
    done.length = 0; // the first beat has none before it
  });

  const lapse = async (ms: number): Promise<string[]> => {
    since = ms;
    await guard.look();
    await turn();
    return done.splice(0);
  };
  const beat = async (atMs: number): Promise<string[]> => {
    since = 0;
    guard.onBeat(atMs);
    await turn();
    return done.splice(0);
  };

  it("vouches with every beat, and asks nobody", async () => {
    await turn();
    done.length = 0;
    expect(await beat(3_000)).to.deep.equal(["vouch"]);
    expect(await lapse(5_999)).to.deep.equal([]);
  });

  it("freezes when no beat got through, again and again, and gives up in the end", async () => {
    await turn();
    expect(await lapse(6_500)).to.include("freeze");
    expect(await lapse(60_000)).to.deep.equal(["freeze"]);
    expect(await lapse(600_000)).to.deep.equal(["give up"]);
  });

  it("thaws after the next beat, once the records say that the session is ours", async () => {
    await lapse(7_000);
    expect(await beat(30_000)).to.deep.equal(["confirm", "thaw"]);
    expect(await beat(33_000)).to.deep.equal(["vouch"]);
  });

  it("does not thaw what is no longer ours, and asks again", async () => {
    await lapse(7_000);
    isOurs = false;
    expect(await beat(30_000)).to.deep.equal(["confirm"]);
    isOurs = true;
    expect(await beat(33_000)).to.deep.equal(["confirm", "thaw"]);
  });

  it("asks the records also when the gap was not seen from here: the process was stopped", async () => {
    await turn();
    done.length = 0;
    expect(await beat(60_000)).to.deep.equal(["confirm", "thaw"]);
  });

  it("tries again what the engine did not do", async () => {
    await lapse(7_000);
    failures = 1;
    expect(await beat(30_000)).to.deep.equal(["confirm", "thaw"]);
    expect(await beat(33_000)).to.deep.equal(["confirm", "thaw"]);
    expect(await beat(36_000)).to.deep.equal(["vouch"]);
  });
});
