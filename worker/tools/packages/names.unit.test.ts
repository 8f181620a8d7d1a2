import { expect } from "chai";
import { npm } from "./npm.ts";
import { checkedNames } from "./package-manager.ts";
import { pip } from "./pip.ts";

const refused = [
  "",
  "-r",
  "--index-url=http://x",
  "-e.",
  ".",
  "..",
  "./six",
  "/tmp/six",
  "../six",
  "~/six",
  "file:six",
  "http://x/six.whl",
  "git+https://x/six",
  "six @ http://x/six.whl",
  "six; import os",
  "six\n--pre",
  "six$(id)",
  "six --pre",
  "six-1.0.tar.gz",
  "six.tgz",
  "six@npm:other",
  "six@file:..",
  "six@..",
  "six@http://x/six.tgz",
  "user/six",
  "six@user/six",
  "@scope",
  "@/six",
];

describe("Names of packages", () => {
  for (const manager of [pip, npm]) {
    it(`are all that ${manager.name} is given: no option, path or URL`, () => {
      for (const spec of refused)
        expect(() => checkedNames(manager, ["six", spec]), spec).to.throw(/is not the name of a package/);
    });
  }

  it("are no archives, which pip would look for in the folder that it runs in", () => {
    for (const spec of ["six.whl", "six.zip", "six.tar.bz2"]) expect(pip.nameOf(spec), spec).to.equal(undefined);
  });

  it("may carry extras and versions for pip", () => {
    const specs = {
      six: "six",
      "Six==1.16.0": "six",
      "a.b_c[x,y]>=1,<2": "a-b-c",
      "x~=1.0rc1": "x",
      "x===1!2.0+cu1": "x",
    };
    for (const [spec, name] of Object.entries(specs)) expect(pip.nameOf(spec), spec).to.equal(name);
  });

  it("may carry a scope and a version, a range or a tag for npm", () => {
    const specs = { "left-pad": "left-pad", "a@1.2.3": "a", "@s/b@^2": "@s/b", "c@latest": "c", "d@>=1.0.0-rc.1": "d" };
    for (const [spec, name] of Object.entries(specs)) expect(npm.nameOf(spec), spec).to.equal(name);
  });
});
