import { expect } from "chai";
import { isPublicAddress } from "./public-address.ts";

describe("A public address", () => {
  it("is one of the internet's", () => {
    for (const address of ["1.1.1.1", "140.82.121.3", "172.15.0.1", "172.32.0.1", "2606:4700::1111", "2a00:1450::1"])
      expect(isPublicAddress(address), address).to.equal(true);
  });

  it("is none of a private network, this host, a cloud's metadata, or another notation of these", () => {
    const others = [
      ...["127.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.100.100.200"],
      "168.63.129.16",
      ...["0.0.0.0", "224.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.2.1"],
      ...["::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1"],
      ...["::ffff:a9fe:a9fe", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001::1", "::127.0.0.1", "fe80::1%eth0"],
      ...["0177.0.0.1", "2130706433", "127.1", "localhost", ""],
    ];
    for (const address of others) expect(isPublicAddress(address), address).to.equal(false);
  });
});
