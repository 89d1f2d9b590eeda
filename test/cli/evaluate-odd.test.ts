import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { writeNpz } from "../../src/formats/npz.ts";
import { normals } from "../../src/random.ts";
import { guidestar, temporaryFolder } from "./world.ts";

const folder = temporaryFolder();
const at = (name: string): string => join(folder.path, name);

/** Features [rows, 4] as a file. */
async function features(name: string, rows: number, scale = 1): Promise<string> {
  const data = Float64Array.from(normals(7, name.length, rows * 4), (value) => value * scale);
  await writeFile(at(`${name}.npz`), writeNpz({ features: { dtype: "float64", shape: [rows, 4], data } }));
  return at(`${name}.npz`);
}
const measured = async (real: string, drawn: string) => {
  const { code, out, messages } = await guidestar([
    "evaluate",
    "--reference-features",
    real,
    "--sample-features",
    drawn,
    "--json",
  ]);
  return { code, messages, report: code === 0 ? JSON.parse(out) : undefined };
};

describe("features of any size", () => {
  test.each([1e-25, 1e-15, 1e20, 1e30])("x %f: distances with the square, shares as they are", async (scale) => {
    const one = (await measured(await features("real", 60), await features("d", 50))).report;
    const other = (await measured(await features("real", 60, scale), await features("d", 50, scale))).report;
    expect(other.fid / scale ** 2 / one.fid).toBeCloseTo(1, 6);
    expect(other.precision).toBe(one.precision);
    expect(other.recall).toBe(one.recall);
    for (const value of Object.values(other)) if (typeof value === "number") expect(Number.isFinite(value)).toBe(true);
  });

  test("whose squares no number holds: an error, and not NaN", async () => {
    const { code, messages } = await measured(await features("real", 60, 1e200), await features("d", 50, 1e200));
    expect(code).toBe(3);
    expect(messages).toMatch(/guidestar: .*(too large|finite|whole).*\n$/);
  });
});

describe("few images: what can be computed is, and the set that is too small is named", () => {
  test.each([2, 3])("%i samples", async (count) => {
    const { code, messages, report } = await measured(await features("real", 60), await features("d", count));
    expect({ code, messages }).toMatchObject({ code: 0 });
    expect(Object.keys(report)).toEqual(expect.arrayContaining(["fid", "kid"]));
    expect(report).not.toHaveProperty("precision");
    expect(report.warnings).toContain(
      `precision and recall are left out: there are ${count} samples, but the 3 nearest neighbours of one (k) take at least 4`,
    );
  });

  test("3 of the reference", async () => {
    const { report } = await measured(await features("real", 3), await features("d", 50));
    expect(report.fid).toBeGreaterThan(0);
    expect(report.warnings.join("\n")).toContain(
      "precision and recall are left out: of the reference there are 3 images",
    );
  });

  test("one sample, of which nothing can be computed", async () => {
    const { code, messages } = await measured(await features("real", 60), await features("d", 1));
    expect(code).toBe(3);
    expect(messages).toContain("Frechet distances are left out: there is 1 sample, but a covariance takes at least 2");
    expect(messages.trimEnd().split("\n")).toHaveLength(1);
  });
});

test("an npz without labels has no class accuracy", async () => {
  const images = Uint8Array.from({ length: 5 * 784 }, (_, i) => (i * 37) % 256);
  const arr_0 = { dtype: "uint8", shape: [5, 28, 28, 1], data: images } as const;
  await writeFile(at("plain.npz"), writeNpz({ arr_0 }));
  await writeFile(
    at("told.npz"),
    writeNpz({ arr_0, arr_1: { dtype: "int64", shape: [5], data: BigInt64Array.of(1n, 2n, 3n, 4n, 5n) } }),
  );
  const [plain, told] = [await guidestar(["evaluate", at("plain.npz")]), await guidestar(["evaluate", at("told.npz")])];
  expect(plain).toMatchObject({ code: 0, out: expect.not.stringContaining("accuracy") });
  expect(told).toMatchObject({ code: 0, out: expect.stringContaining("class accuracy") });
});
