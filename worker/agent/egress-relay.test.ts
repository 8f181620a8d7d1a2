import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { eventually } from "../../test/support/eventually.ts";
import { startEgressRelay } from "./egress-relay.ts";

/** More than the system's buffers take. */
const LONG_BYTES = 24 << 20;

describe("The agent's relay to the proxy", () => {
  let folder: string;
  let proxy: Server;
  let relay: Server;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "relay-"));
    const path = join(folder, "egress.sock");
    proxy = createServer({ allowHalfOpen: true }).listen(path);
    await once(proxy, "listening");
    relay = startEgressRelay(path, 0);
    await once(relay, "listening");
  });
  afterEach(() => {
    relay.close();
    proxy.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A program's connection, and its two others: the relay's end of it, and the proxy's of what it is carried by. */
  const dial = async () => {
    const accepted = Promise.all([once(relay, "connection"), once(proxy, "connection")]);
    const program = connect((relay.address() as AddressInfo).port, "127.0.0.1").on("error", () => {});
    const [[relayed], [served]] = (await accepted) as [[Socket], [Socket]];
    served.on("error", () => {});
    return { program, relayed, served };
  };

  it("brings a slow reader all that it took from a proxy that went away", async () => {
    const { program, relayed, served } = await dial();
    served.write(Buffer.alloc(LONG_BYTES));
    await eventually("the program's buffers are full", () => relayed.writableLength > 0);
    served.destroy();
    program.write("more"); // which cannot be carried: the relay notices
    await eventually("it has ended its side", () => relayed.writableEnded || relayed.destroyed);
    let received = 0;
    program.on("data", (data) => {
      received += data.length;
    });
    await once(program, "close");
    expect(received).to.equal(relayed.bytesWritten);
  });

  it("goes on after a connection that could not be accepted", async () => {
    const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length;
    const before = timers();
    relay.emit("error", Object.assign(new Error("accept EMFILE"), { code: "EMFILE" })); // as Node does
    expect(timers(), "to listen again would throw").to.equal(before);
    const { program, served } = await dial();
    served.end("answer");
    expect(String(await once(program, "data"))).to.equal("answer");
    program.end();
    await once(served.resume(), "close");
  });
});
