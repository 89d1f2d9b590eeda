import { readFile } from "node:fs/promises";
import { listed } from "../../class-names.ts";
import { ModelError, UsageError } from "../../errors.ts";
import { isAdm } from "../../models/adm/config.ts";
import { networkFlags, networkOfFlags } from "../../models/adm/flags.ts";
import {
  configFromGuidedDiffusion,
  type GuidedDiffusionConfig,
  guidedDiffusionKinds,
} from "../../models/adm/guided-diffusion.ts";
import { publishedNetworks } from "../../models/adm/published.ts";
import { allKinds, checkedConfig, type NetworkDescription, recogniseNetwork, roleOf } from "../../models/families.ts";
import type { Shapes } from "../../models/family.ts";
import type { ImportValues } from "./command.ts";

/** The network that --config or --preset describes; undefined where neither is given. */
export async function describedNetwork({ config, preset }: ImportValues): Promise<NetworkDescription | undefined> {
  if (config !== undefined) return readConfig(config);
  return preset === undefined ? undefined : publishedNetworks[preset];
}

/**
 * The network that flags, preset, configuration and tensors make together; the tensors are held to it when they are written. Tensors
 * that no other family recognises are taken for those of the ADM family, which the flags describe.
 *
 * @param described by --config or --preset
 * @param note told where a default of openai/guided-diffusion was taken that the tensors cannot confirm
 */
export function networkFor(
  values: ImportValues,
  described: NetworkDescription | undefined,
  shapes: Shapes,
  file: string,
  note: (text: string) => void,
): NetworkDescription {
  const given = described ?? recogniseNetwork(shapes);
  // The flags describe networks of guided-diffusion, and what is called otherwise is none, whatever they say.
  const names = Object.keys(shapes);
  if (given === undefined && !names.some((name) => /(^|\.)(time_embed|input_blocks)\./.test(name)))
    throw new ModelError(
      names.length === 0
        ? `${file}: it holds no tensors`
        : `${file}: its tensors are those of no network that is known: ${listed(names.slice(0, 3))}${names.length > 3 ? ", ..." : ""}; describe it by ` +
            '--config { "kind", "config" }, where it is of a family of your own',
    );
  if (given === undefined || isAdm(given)) return about(file, () => networkOfFlags(values, shapes, given, note));
  const [flag] = networkFlags.filter((name) => values[name] !== undefined);
  if (flag !== undefined)
    throw new UsageError(
      `--${flag} describes networks of openai/guided-diffusion, and this one is of the family ${given.kind}; leave it out`,
    );
  return given;
}

/** What a function gives; its ModelErrors name the file. */
function about<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof ModelError ? new ModelError(`${file}: ${error.message}`, { cause: error }) : error;
  }
}

async function readConfig(path: string): Promise<NetworkDescription> {
  const text = await readFile(path, "utf8").catch((cause) => {
    throw new ModelError(`${path}: cannot be read (${(cause as Error).message})`, { cause });
  });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new ModelError(`${path}: not JSON (${(cause as Error).message})`, { cause });
  }
  const { kind, config, ...rest } = (json ?? {}) as Partial<GuidedDiffusionConfig>;
  if (typeof kind !== "string" || typeof config !== "object" || config === null)
    throw new ModelError(`${path}: expected { "kind": "UNetModel", "config": { ... } }`);
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined)
    throw new ModelError(`${path}: "${unknown}" is unknown; expected { "kind": ..., "config": { ... } }`);
  const role = roleOf(kind);
  if (role) return { kind, config: checkedConfig(role, { kind, config }, `${path}: network`) };
  if (Object.hasOwn(guidedDiffusionKinds, kind)) return about(path, () => configFromGuidedDiffusion({ kind, config }));
  throw new ModelError(
    `${path}: kind is "${kind}"; expected a class of openai/guided-diffusion (${Object.keys(guidedDiffusionKinds).join(", ")}) or a family of ` +
      `networks (${allKinds().join(", ")}; registerFamily makes others known)`,
  );
}
