import {
  type FoundNetwork,
  findNetworks,
  ofEntry,
  onlyNetwork,
  shapesOf,
  withDottedAverages,
} from "../../checkpoint/find-network.ts";
import { ModelError } from "../../errors.ts";
import type { ByteSource } from "../../formats/bytes.ts";
import type { LazyTensor } from "../../formats/lazy-tensor.ts";
import { openSafetensors } from "../../formats/safetensors.ts";
import { type StateDict, unreadTensor } from "../../formats/state-dicts.ts";
import { checkTensors, openStateDicts } from "../../formats/torch.ts";
import { formatOf } from "../../formats/weights-format.ts";
import { channelsProblem, programOf } from "../../models/elsewhere.ts";
import { recogniseNetwork } from "../../models/families.ts";
import type { Shapes } from "../../models/family.ts";

/** The dictionaries of tensors in a file, whatever it is called. */
const openDicts = (source: ByteSource, file: string): StateDict[] =>
  formatOf(source, file) === "safetensors"
    ? [withDottedAverages({ path: "", tensors: openSafetensors(source, file).tensors, unread: {} })]
    : openStateDicts(source, file).map(withDottedAverages);

/** Are these tensors called as those of openai/guided-diffusion? */
const areGuidedDiffusion = (shapes: Shapes): boolean =>
  Object.hasOwn(shapes, "time_embed.0.weight") && Object.hasOwn(shapes, "input_blocks.0.0.weight");

/** What to take of a file. */
export interface WeightsOptions {
  /** The network to take, where there are several. */
  readonly entry: string | undefined;
  /** Are these the tensors that the network which was described in words has? Undefined where none was. */
  readonly isDescribed: ((shapes: Shapes) => boolean) | undefined;
  /** Told which of several networks was taken, and what was left out. */
  readonly note: (text: string) => void;
}

/**
 * The tensors of one network in a file, by their names as the network has them. Which one, and what stood before its names, is noted.
 *
 * @throws ModelError where there is none, or it is of another program, which it names; or draws latents; or cannot be read
 */
export function openWeights(
  source: ByteSource,
  file: string,
  { entry, isDescribed, note }: WeightsOptions,
): Readonly<Record<string, LazyTensor>> {
  const dicts = openDicts(source, file);
  const isNetwork = (shapes: Shapes): boolean =>
    isDescribed?.(shapes) || areGuidedDiffusion(shapes) || recogniseNetwork(shapes) !== undefined;
  const found = findNetworks(dicts, isNetwork);
  const elsewhere = programOf(dicts.flatMap(({ tensors }) => Object.keys(tensors)));
  // The encoder or the texts of a latent model lie beside its network; otherwise names of another program say nothing against a network.
  if (elsewhere && (found.length === 0 || /latent diffusion/.test(elsewhere)))
    throw new ModelError(`${file}: this is ${elsewhere}`);
  const network =
    found.length > 0 ? chosen(found, { file, entry, note }) : onlyNetwork(asked(dicts, file, entry), file);
  for (const [name, kind] of Object.entries(network.unread)) throw unreadTensor(file, name, kind);
  checkTensors(network.tensors, source, file);
  const shapes = shapesOf(network.tensors);
  const seen = areGuidedDiffusion(shapes) ? shapes["input_blocks.0.0.weight"]![1] : undefined;
  // An upsampler sees its small picture beside the large one.
  const problem = seen && channelsProblem(seen === 2 || seen === 6 ? seen / 2 : seen);
  if (problem) throw new ModelError(`${file}: ${problem}`);
  return network.tensors;
}

const asked = (dicts: readonly StateDict[], file: string, entry: string | undefined): readonly StateDict[] => {
  if (entry === undefined) return dicts;
  const those = ofEntry(dicts, ({ path }) => path, entry);
  if (those.length > 0) return those;
  const names = dicts.map(({ path }) => path || "the file itself").join(", ");
  throw new ModelError(`${file}: no entry "${entry}" that is a state dict; there are: ${names}`);
};

/** The first of the networks, or that of `entry`; notes say so. */
function chosen(
  found: readonly FoundNetwork[],
  { file, entry, note }: { file: string; entry: string | undefined; note: (text: string) => void },
): FoundNetwork {
  const called = ({ name }: FoundNetwork) => name || "the file itself";
  const [network, ...others] = entry === undefined ? found : ofEntry(found, ({ name }) => name, entry);
  if (!network)
    throw new ModelError(`${file}: no entry "${entry}" that is a network; there are: ${found.map(called).join(", ")}`);
  if (others.length > 0)
    note(
      `it holds ${found.length} networks: ${found.map(called).join(", ")}; "${called(network)}" is taken` +
        `${/ema/i.test(network.name) ? ", the average of the weights, which one samples from" : ""}; --entry ${called(others[0]!)} takes ` +
        "another",
    );
  const { prefix, leftOut } = network;
  if (prefix !== "") note(`names of tensors begin with "${prefix}", which is left out`);
  const rest = leftOut.filter((name) => !others.some((other) => other.prefix !== "" && name.startsWith(other.prefix)));
  if (rest.length > 0)
    note(`${rest.length} tensors that don't are no part of the network: ${rest.slice(0, 3).join(", ")}`);
  return network;
}
