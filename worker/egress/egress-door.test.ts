import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect, Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { EgressDoor } from "./egress-door.ts";

describe("The door to the egress proxy", () => {
  let folder: string;
  const doors: EgressDoor[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "door-"));
  });
  afterEach(() => {
    for (const door of doors.splice(0)) door.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A worker's, which answers with the worker's name. */
  const doorOf = (name: string, filesFor = async () => new Map<string, string>()) => {
    const missed: Error[] = [];
    const take = (socket: Socket, principal: string) => void socket.end(`${name} ${principal}`);
    const door = new EgressDoor(folder, { take, missed: (error: Error) => void missed.push(error), filesFor });
    doors.push(door);
    return { door, missed };
  };
  /** What whoever is there answers, or why nobody does. */
  const knock = async (): Promise<string> => {
    const socket = connect(join(folder, "egress.sock"));
    let answer = "";
    socket.on("data", (data) => {
      answer += String(data);
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      answer = String(error.code);
    });
    await once(socket, "close").catch(() => once(socket, "close"));
    return answer;
  };

  it("opens at the next try when the first one failed", async () => {
    let isAway = true;
    const { door } = doorOf("one", async () => {
      if (isAway) throw new Error("Redis is away");
      return new Map([["file", "content"]]);
    });
    const failed = await door.open("p").catch((error: Error) => error.message);
    expect(failed).to.equal("Redis is away");
    expect(readdirSync(folder)).to.deep.equal([]);
    isAway = false;
    await Promise.all([door.open("p"), door.open("q")]);
    expect(await knock()).to.equal("one p");
    expect(readdirSync(folder).sort()).to.deep.equal(["egress.sock", "file"]);
  });

  it("stays the new owner's when an earlier worker closes late", async () => {
    const earlier = doorOf("earlier").door;
    await earlier.open("p");
    await doorOf("later").door.open("p");
    earlier.close();
    expect(await knock()).to.equal("later p");
  });

  it("takes the place of one that was left, and lets nobody in once it is closed", async () => {
    const { door } = doorOf("one");
    await door.open("p");
    door.close();
    expect(await knock()).to.be.oneOf(["ECONNREFUSED", "ENOENT"]);
    await doorOf("two").door.open("p");
    expect(await knock()).to.equal("two p");
  });

  it("does not open any more when it was closed meanwhile", async () => {
    let goOn = () => {};
    const waiting = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const { door } = doorOf("one", () => waiting.then(() => new Map()));
    const opening = door.open("p");
    door.close();
    goOn();
    await opening;
    expect(await knock()).to.be.oneOf(["ECONNREFUSED", "ENOENT"]);
  });

  it("goes on after connections that could not be accepted, and says so", async () => {
    const { listen } = Server.prototype;
    let server: Server | undefined;
    Server.prototype.listen = function (this: Server, ...args: Parameters<typeof listen>) {
      server = this;
      return listen.apply(this, args);
    } as typeof listen;
    const { door, missed } = doorOf("one");
    await door.open("p").finally(() => {
      Server.prototype.listen = listen;
    });
    const error = Object.assign(new Error("accept EMFILE"), { code: "EMFILE" });
    for (let i = 0; i < 3; i++) server?.emit("error", error); // as Node does when accept(2) fails
    expect(missed).to.deep.equal([error, error, error]);
    expect(await knock()).to.equal("one p");
  });
});
